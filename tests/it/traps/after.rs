//! After the apply: what is unwell is said with exit 7, and main gets its pull request all the same.

use catalog_deploy::rehearsal::{Fault, RequestLogEntry};

use crate::deploy::approved;
use crate::support::Stage;

use super::{APPROVE, LEFT, OPEN, PUBLISH, Want, deployed, each, play2};

pub const MORE: &[Fault] = &[
    Fault::SlackDown,
    Fault::ChangelogSeveral,
    Fault::ChangelogChecksPending,
    Fault::ChangelogChecksRed,
    Fault::OwnChangelog,
    Fault::ApproveAnswerLost,
    Fault::SecondaryLimit,
    Fault::PollHiccup,
];

const ROLLBACK: &str = "catalog-deploy prod --tag rel-2024.08.22.20.53.01";

const fn unhealthy(says: &'static [&'static str]) -> Want {
    Want { exit: 7, reason: "unhealthy", next: &[ROLLBACK, LEFT], ..deployed(says) }
}

const fn inconclusive(says: &'static [&'static str]) -> Want {
    Want { exit: 7, reason: "inconclusive", next: &["catalog-deploy show prod-", LEFT], ..deployed(says) }
}

/// Production is checked all the same, and a resume looks again.
const fn unfinished(says: &'static [&'static str]) -> Want {
    Want { exit: 7, reason: "unfinished", next: &[LEFT, "catalog-deploy resume prod-"], ..deployed(says) }
}

each! { V2:
    old_instance_still_answers OldInstanceStillAnswers
        unhealthy(&["deployed, but not healthy", "expected Airflow 2.10.1, but it still answers 2.9.3"]);
    import_error_appears ImportErrorAppears
        unhealthy(&["new import errors: ", "provider_workflow_dag_factory.py: ImportError", "SubDagOperator"]);
    sentry_new_issue SentryNewIssue unhealthy(&["new Sentry issues: CATALOG-412 AttributeError"]);
    sentry_down SentryDown inconclusive(&["new Sentry issues could not be told", "(503)"]);
    airflow_slow_boot AirflowSlowBoot deployed(&["waiting for"]);
    changelog_absent ChangelogAbsent Want {
        changes: &[PUBLISH, OPEN],
        ..unfinished(&["no changelog pull request from changelog/catalog-2024.09.30.10.20.30", "do not publish again"])
    };
}

#[test]
fn quietly_too_it_is_said_that_production_is_unhealthy() {
    let stage = Stage::new(&[Fault::ImportErrorAppears]);
    let done = stage.run(&approved(&["--quiet"]));
    assert_eq!(done.code, 7, "{}", done.stderr);
    let said = |words: &str| done.stderr.lines().any(|line| line.contains("/19] ") && line.contains(words));
    assert!(said("deployed, but unhealthy: new import errors"), "{}", done.stderr);
    assert!(!said("image: done") && !said("nothing to do"), "quiet: {}", done.stderr);
}

/// Best effort: messages fail, nothing else does.
#[test]
fn slack_down_harms_nothing() {
    let played = play2(Fault::SlackDown);
    played.ends(&deployed(&[]));
    let slack = |it: &&RequestLogEntry| it.service == "slack";
    let requests = played.stage.world.requests();
    assert!(requests.iter().filter(slack).count() >= 2, "it was tried");
    assert!(requests.iter().filter(slack).all(|it| it.status == 500));
}

/// Matched by the exact branch of the repository itself, so exactly one of them is approved.
#[test]
fn of_several_changelogs_only_the_releases_own_is_approved() {
    let played = play2(Fault::ChangelogSeveral);
    played.ends(&deployed(&[]));
    let approved = played.stage.world.changelogs().into_iter().filter(|pull| !pull.reviews.is_empty());
    let approved: Vec<_> = approved.map(|pull| (pull.head_owner, pull.head_ref)).collect();
    assert_eq!(approved, [("WordPress".to_owned(), "changelog/catalog-2024.09.30.10.20.30".to_owned())]);
}

/// Checks that still run keep nothing else from being done.
#[test]
fn pending_checks_of_the_changelog_are_waited_for_while_the_rest_continues() {
    let played = play2(Fault::ChangelogChecksPending);
    played.ends(&Want {
        changes: &[PUBLISH, OPEN, APPROVE],
        ..deployed(&["waiting for the checks of the changelog pull request #4901", "is approved by maintainer"])
    });
}

/// More than expected, so a plain `--approve changelog` is no answer; the deploy is done, and the resume ends it.
#[test]
fn red_checks_of_the_changelog_need_its_digest() {
    let mut played = play2(Fault::ChangelogChecksRed);
    played.ends(&Want {
        exit: 5,
        reason: "gate-needs-answer",
        changes: &[PUBLISH, OPEN],
        next: &[LEFT, "--approve changelog@"],
        ..deployed(&["checks are red: Lint files", "this holds more than the runbook expects"])
    });
    let finish = played.finish();
    let digest =
        finish["next"][1].as_str().unwrap().split_once("--approve ").unwrap().1.split(' ').next().unwrap().to_owned();
    played.resume(&["--approve", &digest]);
    played.ends(&Want { changes: &[PUBLISH, OPEN, APPROVE], ..deployed(&["is approved by maintainer"]) });
}

/// GitHub refuses one's own approval (422), so somebody else has to; that is said, and the deploy is done.
#[test]
fn ones_own_changelog_is_left_to_somebody_else() {
    let played = play2(Fault::OwnChangelog);
    played.ends(&Want { changes: &[PUBLISH, OPEN], ..unfinished(&["your own account: someone else must approve it"]) });
}

#[test]
fn an_approval_whose_answer_is_lost_is_given_once() {
    let played = play2(Fault::ApproveAnswerLost);
    played.ends(&Want {
        changes: &[PUBLISH, "approve #4901 (answer lost)", OPEN],
        ..deployed(&["no complete answer", "is approved by maintainer"])
    });
    let reviews: usize = played.stage.world.changelogs().iter().map(|pull| pull.reviews.len()).sum();
    assert_eq!(reviews, 1);
}

#[test]
fn a_secondary_limit_is_waited_out() {
    let played = play2(Fault::SecondaryLimit);
    let requests = played.stage.world.requests();
    assert_eq!(requests.iter().filter(|it| it.status == 403).count(), 1, "the limit was hit");
    played.ends(&deployed(&[]));
}

#[test]
fn failed_polls_end_no_wait() {
    let played = play2(Fault::PollHiccup);
    let requests = played.stage.world.requests();
    assert!(requests.iter().filter(|it| it.status == 502).count() > 2, "reads failed now and then");
    played.ends(&deployed(&[]));
}
