//! The infrastructure repository: what `just bump` writes, what the plan holds, and the pull request.

use catalog_deploy::rehearsal::Fault;

use crate::colleague;
use crate::deploy::approved;
use crate::support::Stage;

use super::{APPROVE, NEW, OLD, PUBLISH, Played, Want, changes, deployed, each, play2, published};

pub const MORE: &[Fault] = &[Fault::PlanDestroysMore, Fault::PlanNeverConverges, Fault::PullRequestAnswerLost];

const NEXT: &[&str] = &["mend the cause", "catalog-deploy resume prod-", "catalog-deploy restore prod-"];

each! { V2:
    bump_writes_latest BumpWritesLatest
        published("step-failed", &["wrote \"latest\" where \"rel-2024.09.30.10.20.30\" is wanted", "put back"], NEXT);
    bump_writes_older BumpWritesOlder
        published("step-failed", &["wrote \"rel-2024.09.09.23.00.57\" where", "put back"], NEXT);
    apply_does_nothing ApplyDoesNothing published(
        "step-failed",
        &["nothing was applied: Terraform's state is the same as before", "it ended with exit 0", "given back"],
        NEXT,
    );
    bump_touches_other_module BumpTouchesOtherModule published(
        "step-failed",
        &["changed more than the version: environments/prod/ingestion-server.tf", "put back"],
        NEXT,
    );
}

/// The approval by digest that the run asked for.
fn digest(played: &Played) -> String {
    let finish = played.finish();
    let next = finish["next"][0].as_str().unwrap();
    let digest = next.rsplit_once("--approve ").unwrap().1.split(' ').next().unwrap().to_owned();
    assert!(digest.starts_with("apply@") && digest.len() > 40, "{next}");
    digest
}

/// The apply that did nothing is made again, and then production runs the new version.
#[test]
fn a_resume_applies_what_an_apply_did_not() {
    let mut played = play2(Fault::ApplyDoesNothing);
    assert_ne!(played.stage.world.deployed_tag().as_deref(), Some(NEW));
    played.resume(&[]);
    played.ends(&deployed(&[]));
    assert_eq!(played.stage.world.deployed_tag().as_deref(), Some(NEW));
}

/// What is planned again after every apply is no sign of a failed one: a configuration may never settle.
#[test]
fn a_plan_that_never_converges_is_applied_all_the_same() {
    let mut played = play2(Fault::PlanNeverConverges);
    let asked = digest(&played);
    played.resume(&["--approve", &asked]);
    played.ends(&deployed(&["still planned after the apply: update module.catalog-airflow.terraform_data.planned_at"]));
}

/// Trap 10: a plain `--approve apply` answers only what the runbook expects; the rest is named, and needs its digest.
#[test]
fn a_plan_that_destroys_more_needs_its_digest() {
    let mut played = play2(Fault::PlanDestroysMore);
    played.ends(&Want {
        exit: 5,
        reason: "gate-needs-answer",
        ..published(
            "",
            &["NOT EXPECTED: destroy module.catalog-airflow.terraform_data.database", "given back"],
            &["--approve apply@", "catalog-deploy restore prod-"],
        )
    });
    let digest = digest(&played);
    // A plan of another digest is not the one that was read.
    let other = format!("apply@{}", "0".repeat(64));
    let stale = played.stage.run(&["resume", &played.run(), "--approve", "bump", "--approve", &other]);
    assert_eq!(stale.code, 5, "{}", stale.stderr);
    played.resume(&["--approve", &digest]);
    played.ends(&deployed(&[]));
}

#[test]
fn a_pull_request_whose_answer_is_lost_is_opened_once() {
    let played = play2(Fault::PullRequestAnswerLost);
    played.ends(&Want {
        changes: &[PUBLISH, APPROVE, "open a pull request (answer lost)"],
        ..deployed(&["pull/811 is open, the version bump alone"])
    });
    assert_eq!(played.stage.world.pull_requests().len(), 1);
}

/// Somebody has committed the checkout as it was during the apply: the version is right, and the flag must not get to main.
#[test]
fn a_branch_with_the_right_version_and_the_flag_true_gets_no_pull_request() {
    let stage = Stage::new(&[]);
    let branch = format!("catalog-deploy/{NEW}");
    colleague::pushes(&stage, &branch, "environments/prod/catalog-airflow.tf", |text| {
        text.replace(OLD, NEW).replace("running_dags_cleared = false", "running_dags_cleared = true")
    });
    let done = stage.run(&approved(&[]));
    assert_eq!(done.code, 1, "{}", done.stderr);
    let says = format!("the branch {branch} exists and does not say running_dags_cleared = false");
    assert!(done.stderr.contains(&says), "{}", done.stderr);
    assert_eq!(changes(&stage), [PUBLISH, APPROVE]);
    // As it says.
    stage.on_remote(&["branch", "--quiet", "-D", &branch]);
    let run = stage.runs().pop().unwrap();
    let done = stage.run(&["resume", &run, "--approve", "pull-request"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let pushed = stage.on_remote(&["show", &format!("{branch}:environments/prod/catalog-airflow.tf")]);
    assert!(pushed.contains("running_dags_cleared = false") && pushed.contains(NEW), "{pushed}");
}
