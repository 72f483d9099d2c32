//! Tags that can be deployed, all the way.

use crate::deploy::approved;
use crate::support::{Done, Stage};

/// Gates of a rollback; `apply` is how the apply is approved.
fn rollback<'a>(tag: &'a str, apply: &'a str) -> Vec<&'a str> {
    vec!["prod", "--tag", tag, "--approve", "bump", "--approve", apply, "--approve", "pull-request"]
}

/// The approval that a run asked for.
fn wanted(done: &Done) -> String {
    let (_, after) = done.stderr.rsplit_once("--approve apply@").unwrap();
    format!("apply@{}", after.split_whitespace().next().unwrap())
}

fn left_nothing(stage: &Stage, paused: &[String]) {
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
    assert_eq!(stage.world.paused_dags(), paused);
    assert!(!stage.locked());
}

/// Airflow 2.9.1 under a database of 2.9.3: a plain yes is not enough.
#[test]
fn over_an_airflow_version_only_the_digest_approves() {
    const OLD: &str = "rel-2023.12.20.22.19.13";
    let stage = Stage::new(&[]);
    let paused = stage.world.paused_dags();
    let done = stage.run(&rollback(OLD, "apply"));
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(
        done.stderr.contains("the database's schema is upgraded at start-up and does not go back"),
        "{}",
        done.stderr
    );
    assert_eq!(stage.world.deployed_tag().as_deref(), Some("rel-2024.08.22.20.53.01"));
    assert_eq!(stage.attribute("docker_image_tag"), "\"rel-2024.08.22.20.53.01\"");
    assert_eq!(stage.mutations(), [] as [&str; 0]);
    left_nothing(&stage, &paused);

    let done = stage.run(&rollback(OLD, &wanted(&done)));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
    assert_eq!(stage.attribute("docker_image_tag"), format!("\"{OLD}\""), "pinned, though newer tags exist");
    assert_eq!(stage.mutations(), ["POST /repos/WordPress/openverse-infrastructure/pulls"]);
    assert!(
        done.stderr.contains("rollback from rel-2024.08.22.20.53.01 to rel-2023.12.20.22.19.13"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("ran before: deployed on 2024-01-04, by A Maintainer"), "{}", done.stderr);
    for step in ["publish", "monitoring", "changelog"] {
        assert!(done.stderr.contains(&format!("] {step}: skipped: belongs to releasing")), "{step}: {}", done.stderr);
    }
    left_nothing(&stage, &paused);
}

#[test]
fn a_newer_tag_is_a_roll_forward_that_was_never_deployed() {
    const NEWER: &str = "rel-2024.09.09.23.00.57";
    let stage = Stage::new(&[]);
    let preview = stage.run(&["prod", "-n", "--tag", NEWER]);
    assert_eq!(preview.code, 0, "{}", preview.stdout);
    let words = preview.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("roll-forward, not a rollback: {NEWER} is newer than what runs")), "{words}");
    assert!(words.contains(&format!("warning: {NEWER} was published and never deployed")), "{words}");
    let done = stage.run(&rollback(NEWER, "apply"));
    assert_eq!(done.code, 5, "{}", done.stderr);
    let done = stage.run(&rollback(NEWER, &wanted(&done)));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(NEWER));
}

#[test]
fn the_tag_that_runs_with_nothing_else_changed_asks_nothing() {
    let stage = Stage::new(&[]);
    let paused = stage.world.paused_dags();
    let done = stage.run(&["prod", "--tag", "rel-2024.08.22.20.53.01"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("no service deployment was needed"), "{}", done.stderr);
    assert_eq!(stage.git(&["status", "--porcelain"]), "");
    assert_eq!(stage.mutations(), [] as [&str; 0]);
    left_nothing(&stage, &paused);
}

/// Only what runs may stand in the checkout unmerged.
#[test]
fn an_uncommitted_version_that_does_not_run_is_refused() {
    let stage = Stage::new(&[]);
    let file = stage.infrastructure().join("environments/prod/catalog-airflow.tf");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("rel-2024.08.22.20.53.01", "rel-2024.09.09.23.00.57")).unwrap();
    let done = stage.run(&rollback("rel-2024.08.22.20.53.01", "apply"));
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("changes that are not this run's"), "{}", done.stderr);
}

/// At three in the morning the bump's pull request is not merged yet.
#[test]
fn back_right_after_a_deploy() {
    const EARLIER: &str = "rel-2024.09.09.23.00.57";
    let stage = Stage::new(&[]);
    let paused = stage.world.paused_dags();
    let done = stage.run(&approved(&[]));
    assert_eq!(done.code, 0, "{}", done.stderr);
    // The same Airflow version, so the plain yes is enough.
    let done = stage.run(&rollback(EARLIER, "apply"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(EARLIER));
    assert_eq!(stage.attribute("docker_image_tag"), format!("\"{EARLIER}\""));
    left_nothing(&stage, &paused);
    assert!(done.stderr.contains(
        "holds the version rel-2024.09.30.10.20.30, which the last deploy wrote and which is not merged yet"
    ));
    let pulls = stage.world.pull_requests();
    assert_eq!(pulls.len(), 2, "{pulls:?}");
    let status = stage.run(&["status", "prod"]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    assert!(status.stdout.contains(EARLIER), "{}{}", status.stdout, status.stderr);
}
