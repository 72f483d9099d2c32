//! Production's bad day: a service does not answer, before a release and before a rollback; a new version that never boots.
//!
//! An override replaces a missing answer. What stays impossible without the service is left open, and all else is done.

use catalog_deploy::rehearsal::{AirflowEdition, Fault};
use serde_json::Value;

use super::{APPROVE, DEPLOY, LEFT, OLD, OPEN, PUBLISH, Played, Want, changes, deployed, play, refused};
use crate::support::{Done, Stage};

pub const FAULTS: &[Fault] = &[
    Fault::AirflowDead,
    Fault::AirflowDeadBootsAfterApply,
    Fault::GithubDown,
    Fault::RegistryDown,
    Fault::LockRemoteDown,
    Fault::NewAirflowNeverBoots,
];

/// Was deployed once, as main remembers.
const EARLIER: &str = "rel-2023.12.20.22.19.13";
const DOCTOR: &str = "catalog-deploy doctor prod";
const SHOW: &str = "catalog-deploy show prod-";

const fn unreachable(says: &'static [&'static str], next: &'static [&'static str]) -> Want {
    Want { reason: "unreachable", ..refused(says, next) }
}

fn forward(fault: Fault, check: &str) -> Played {
    play(fault, AirflowEdition::V2, &["--override", &format!("{check}=it is down")])
}

#[test]
fn without_an_override_each_missing_service_ends_a_release_before_it_changes_anything() {
    let overridden = |check: &str| format!("catalog-deploy prod --override {check}=\"REASON\"");
    for (fault, check, consequence) in [
        (Fault::AirflowDead, Some("airflow"), "Running tasks are unknown and will be killed"),
        (Fault::AirflowDeadBootsAfterApply, Some("airflow"), "Running tasks are unknown and will be killed"),
        (Fault::LockRemoteDown, Some("lock"), "Someone else may be deploying right now"),
        // What a release needs of these, no one can replace.
        (Fault::GithubDown, None, "GitHub: GET /repos/WordPress/openverse/releases: cannot be reached"),
        (Fault::RegistryDown, None, "cannot be reached"),
    ] {
        let played = play(fault, AirflowEdition::V2, &[]);
        match check {
            Some(check) => {
                let next: &'static [&'static str] = Box::leak(Box::new([DOCTOR, overridden(check).leak()]));
                played.ends(&unreachable(Box::leak(Box::new([consequence])), next));
            }
            None => played.ends(&unreachable(Box::leak(Box::new([consequence])), &[DOCTOR])),
        }
    }
}

/// Nothing is learned by an override: production is looked at all the same, and is still dead.
#[test]
fn a_release_over_a_dead_airflow_is_checked_and_unhealthy() {
    let played = forward(Fault::AirflowDead, "airflow");
    played.ends(&Want {
        exit: 7,
        reason: "unhealthy",
        next: &["choose a tag to roll back to: catalog-deploy tags prod", LEFT],
        ..deployed(&[
            "OVERRIDDEN: airflow, running DAGs were not checked: it is down",
            "is deployed, but not healthy",
            "incident summary: ",
        ])
    });
}

#[test]
fn a_release_that_repairs_a_dead_airflow() {
    let played = forward(Fault::AirflowDeadBootsAfterApply, "airflow");
    played.ends(&Want {
        exit: 7,
        reason: "inconclusive",
        next: &[SHOW, LEFT],
        ..deployed(&["Airflow 2.10.1 answers", "import errors, and no earlier ones to compare with"])
    });
}

/// The pull request needs the remote, so it stays open; the rest is done, and production is checked.
#[test]
fn a_release_without_the_infrastructure_remote() {
    let mut played = forward(Fault::LockRemoteDown, "lock");
    played.ends(&Want {
        exit: 7,
        reason: "unfinished",
        changes: &[PUBLISH, APPROVE],
        next: &[LEFT, "catalog-deploy resume prod-"],
        ..deployed(&["OVERRIDDEN: lock, the run lock and main were not checked: it is down", "] soak: nothing to do"])
    });
    // It answers again, and a resume ends it.
    let remote = played.stage.world.remote().display().to_string();
    played.stage.git(&["remote", "set-url", "origin", &remote]);
    played.resume(&[]);
    played.ends(&Want { changes: DEPLOY, ..deployed(&[]) });
}

/// A release needs what these services alone know.
#[test]
fn no_override_stands_in_for_github_or_the_registry_of_a_release() {
    for (fault, check) in [(Fault::GithubDown, "github"), (Fault::RegistryDown, "registry")] {
        forward(fault, check).ends(&unreachable(&["cannot be reached", "Nothing was changed"], &[DOCTOR]));
    }
}

/// A rollback with this answer beforehand; where it asks for the digest of the plan, once more with that.
fn back_with(stage: &Stage, tag: &str, more: &[&str]) -> Done {
    let with = |apply: &str| {
        let gates = ["--approve", "bump", "--approve", apply, "--approve", "pull-request"];
        stage.run(&[&["prod", "--tag", tag, "--json"], gates.as_slice(), more].concat())
    };
    let done = with("apply");
    let wanted = done.stderr.rsplit_once("needs --approve apply@");
    match wanted.filter(|_| matches!(done.code, 5 | 9)) {
        Some((_, rest)) => with(&format!("apply@{}", rest.chars().take(64).collect::<String>())),
        None => done,
    }
}

fn finish(done: &Done) -> Value {
    let last = done.stdout.lines().rfind(|line| line.contains("\"event\":\"run-finished\""));
    serde_json::from_str(last.unwrap_or_else(|| panic!("{}", done.stderr))).unwrap()
}

#[track_caller]
fn ended(done: &Done, exit: i32, reason: &str) {
    assert_eq!((done.code, finish(done)["reason"].as_str()), (exit, Some(reason)), "{}", done.stderr);
}

/// The earlier tag runs, and nothing is held.
#[track_caller]
fn went_back(stage: &Stage, tag: &str) {
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(tag));
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
    assert_eq!(stage.attribute("docker_image_tag"), format!("\"{tag}\""));
    assert!(!stage.locked());
}

#[test]
fn a_rollback_is_possible_whatever_is_down() {
    for (fault, check, exit, reason, opened) in [
        (Fault::AirflowDead, "airflow", 7, "unhealthy", true),
        (Fault::AirflowDeadBootsAfterApply, "airflow", 7, "inconclusive", true),
        (Fault::RegistryDown, "registry", 7, "inconclusive", true),
        (Fault::GithubDown, "github", 7, "unfinished", false),
        (Fault::LockRemoteDown, "lock", 7, "unfinished", false),
    ] {
        let stage = Stage::new(&[fault]);
        let asked = back_with(&stage, EARLIER, &[]);
        if fault != Fault::GithubDown {
            ended(&asked, 3, "unreachable");
            let flag = format!("--tag {EARLIER} --override {check}=\"REASON\"");
            assert!(asked.stderr.contains(&flag), "{fault}: {}", asked.stderr);
            assert_eq!(changes(&stage), [""; 0], "{fault}");
        }
        assert!(!stage.locked(), "{fault}");
        let done = match fault {
            // A rollback asks GitHub nothing that it cannot do without.
            Fault::GithubDown => asked,
            _ => back_with(&stage, EARLIER, &["--override", &format!("{check}=it is down")]),
        };
        ended(&done, exit, reason);
        went_back(&stage, EARLIER);
        assert_eq!(changes(&stage), if opened { vec![OPEN] } else { vec![] }, "{fault}");
        if fault != Fault::GithubDown {
            assert!(done.stderr.contains(&format!("OVERRIDDEN: {check}, ")), "{fault}: {}", done.stderr);
            let run = done.stderr.split(" run ").nth(1).unwrap().split(',').next().unwrap();
            let report = stage.run(&["show", run]);
            assert!(report.stdout.contains("it is down"), "{fault}: {}", report.stdout);
        }
        if !opened {
            let next = finish(&done)["next"].to_string();
            assert!(next.contains("catalog-deploy resume prod-"), "{fault}: {next}");
        }
    }
}

/// A tag that never ran may be anything: only the registry could tell.
#[test]
fn without_the_registry_only_a_tag_that_was_deployed_is_deployed() {
    let stage = Stage::new(&[Fault::RegistryDown]);
    let done = back_with(&stage, "rel-2024.06.13.17.07.54", &["--override", "registry=it is down"]);
    ended(&done, 3, "refused");
    for says in ["is not known to have been deployed before", EARLIER, "deployed on 2024-01-04, by A Maintainer"] {
        assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
    }
    assert_eq!(changes(&stage), [""; 0]);
}

/// An override replaces a missing answer, never an answer.
#[test]
fn no_override_helps_against_an_answer() {
    for (fault, check, exit, says) in [
        (Fault::ProviderDagRunning, "airflow", 3, "flickr_workflow"),
        (Fault::LockHeld, "lock", 6, "colleague on colleagues-laptop"),
        (Fault::CheckoutDirty, "lock", 3, "changes that are not this run's"),
    ] {
        let stage = Stage::new(&[fault]);
        let done = back_with(&stage, EARLIER, &["--override", &format!("{check}=never mind")]);
        assert_eq!(done.code, exit, "{fault}: {}", done.stderr);
        assert!(done.stderr.contains(says), "{fault}: {}", done.stderr);
        assert_eq!(changes(&stage), [""; 0], "{fault}");
    }
    // A tag that the registry answers it does not have.
    let stage = Stage::new(&[]);
    let done = back_with(&stage, "rel-2023.06.08.16.52.36", &["--override", "registry=never mind"]);
    ended(&done, 3, "refused");
    assert_eq!(changes(&stage), [""; 0]);
}

/// A colleague has broken the lock of the deploy whose Airflow never boots: the rollback takes its own, and owes the rest.
#[test]
fn a_rollback_takes_over_from_a_run_whose_lock_was_broken() {
    let played = play(Fault::NewAirflowNeverBoots, AirflowEdition::V2, &[]);
    let stage = &played.stage;
    ended(&played.done, 9, "not-given-back");
    stage.on_remote(&["update-ref", "-d", "refs/catalog-deploy/lock/openverse-catalog-prod"]);
    let preview = stage.run(&["prod", "--tag", OLD, "--dry-run", "--override", "airflow=it never booted"]);
    assert_eq!(preview.code, 0, "{}{}", preview.stdout, preview.stderr);
    let done = back_with(stage, OLD, &["--override", "airflow=it never booted"]);
    ended(&done, 0, "done");
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
    assert!(!stage.locked());
    let paused = stage.world.paused_dags();
    assert!(!paused.contains(&"image_data_refresh".into()), "unpaused after the rollback: {paused:?}");
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
}

/// Refreshes are paused, the new version never boots, and going back needs none of what it broke.
#[test]
fn a_rollback_takes_over_what_a_bad_deploy_holds() {
    let played = play(Fault::NewAirflowNeverBoots, AirflowEdition::V2, &[]);
    let stage = &played.stage;
    ended(&played.done, 9, "not-given-back");
    let first = played.run();
    let next = played.finish()["next"].to_string();
    assert_eq!(next.matches(&format!("--tag {OLD}")).count(), 1, "{next}");
    assert!(next.contains("deployed on 2024-08-23, by A Colleague"), "{next}");
    assert!(stage.locked());
    let paused = stage.world.paused_dags();
    assert!(paused.contains(&"image_data_refresh".into()), "{paused:?}");
    // It waited for the new Airflow once.
    let waits = played.done.stderr.matches("of 6s").count();
    assert_eq!(waits, 1, "{}", played.done.stderr);
    // A new release is refused meanwhile, and said how to go on.
    let other = stage.run(&["prod"]);
    assert_eq!(other.code, 3, "{}", other.stderr);
    assert!(other.stderr.contains("or roll back, which takes over what it holds"), "{}", other.stderr);

    // Restoring cannot work either, and says what does.
    let restored = stage.run(&["restore", &first]);
    assert_eq!(restored.code, 9, "{}", restored.stderr);
    assert!(restored.stderr.contains(&format!("catalog-deploy prod --tag {OLD}")), "{}", restored.stderr);

    let refused = back_with(stage, OLD, &[]);
    ended(&refused, 3, "unreachable");
    assert!(stage.locked() && stage.world.paused_dags() == paused, "a refused rollback has taken over nothing");
    // The first try asks for the digest of its plan and owes what it took over; the second takes over that one.
    let done = back_with(stage, OLD, &["--override", "airflow=the new one never booted"]);
    ended(&done, 0, "done");
    assert!(done.stderr.contains("no new import errors"), "compared with before the bad deploy: {}", done.stderr);
    let taken = done.stderr.split("takes over run ").nth(1).unwrap().split_whitespace().next().unwrap();
    assert_ne!(taken, first, "{}", done.stderr);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
    assert!(!stage.locked());
    let paused = stage.world.paused_dags();
    assert!(!paused.contains(&"image_data_refresh".into()), "unpaused after the rollback: {paused:?}");
    // Both runs are over.
    let status = stage.run(&["status", "prod"]);
    assert!(!status.stdout.contains(&first), "{}", status.stdout);
    let report = stage.run(&["show", &first]);
    assert!(report.stdout.contains("taken over by run prod-"), "{}", report.stdout);
    assert_eq!(stage.run(&["restore", &first]).code, 3);
    assert_eq!(stage.run(&["resume", &first]).code, 3);
}
