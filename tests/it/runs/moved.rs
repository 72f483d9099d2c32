//! A run that is gone on with after the world has moved: what was looked at first is no longer what is there.

use super::{NEW, OLD, PUBLISH, nothing_held, run};
use crate::colleague;
use crate::support::Stage;

/// Stopped at the apply, its release published.
fn at_the_apply() -> (Stage, String) {
    let stage = Stage::new(&[]);
    let done = stage.run(&["prod", "--approve", "publish", "--approve", "bump"]);
    assert_eq!(done.code, 5, "{}", done.stderr);
    let run = run(&stage);
    (stage, run)
}

fn refused(stage: &Stage, run: &str, words: &str) {
    let done = stage.run(&super::resumed(run));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains(words), "no {words:?} in {}", done.stderr);
    nothing_held(stage);
    assert_eq!(stage.mutations(), [PUBLISH]);
    let restored = stage.run(&["restore", run]);
    assert_eq!(restored.code, 0, "{}", restored.stderr);
}

#[test]
fn somebody_deployed_another_tag_meanwhile() {
    let (stage, run) = at_the_apply();
    let other = "rel-2024.09.09.23.00.57";
    let state = stage.infrastructure().join("environments/prod/terraform.tfstate");
    let text = std::fs::read_to_string(&state).unwrap();
    assert!(text.contains(OLD));
    std::fs::write(&state, text.replace(OLD, other)).unwrap();
    refused(&stage, &run, &format!("{OLD} ran when this run first looked, now {other} runs"));
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(other));
}

/// What only looks is looked at again before the first question: a person is not asked about what is refused anyway.
#[test]
fn a_dag_began_meanwhile() {
    let (stage, run) = at_the_apply();
    let asks = || stage.run(&[super::resumed(&run), vec!["--json"]].concat()).stdout.contains(r#""gate-asked""#);
    stage.world.start_dag_run("flickr_workflow", "running", &[("pull_data", "PythonOperator", "running")]);
    assert!(!asks(), "a gate was asked before the refusal");
    refused(&stage, &run, "flickr_workflow");
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
}

/// Nothing had to be paused at first; what waits by now is.
#[test]
fn a_refresh_began_to_wait_meanwhile() {
    let (stage, run) = at_the_apply();
    let waits = [("data_refresh.wait_for_data_refresh", "HttpSensor", "up_for_reschedule")];
    stage.world.start_dag_run("image_data_refresh", "running", &waits);
    let done = stage.run(&super::resumed(&run));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("pause DAG image_data_refresh"), "{}", done.stderr);
    let followed = "4 approvals follow: bump, apply up to the deploy; changelog, pull-request after it";
    assert!(done.stderr.contains(followed), "{}", done.stderr);
    assert!(!stage.world.paused_dags().contains(&"image_data_refresh".to_owned()));
}

#[test]
fn main_of_the_infrastructure_moved_meanwhile() {
    let (stage, run) = at_the_apply();
    colleague::pushes(&stage, "main", "NOTES.md", |_| "merged meanwhile\n".to_owned());
    refused(&stage, &run, "the checkout is behind origin/main");
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
    // As it says: brought up to date, the release is still to be deployed.
    stage.git(&["pull", "--quiet", "--ff-only"]);
    let done = stage.run(&["prod", "--tag", NEW, "--approve", "bump"]);
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(done.stderr.contains("apply: asks: Apply this plan to prod"), "{}", done.stderr);
}
