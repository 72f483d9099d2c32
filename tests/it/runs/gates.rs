//! Gates without a terminal: exit 5 names the exact way on, nothing is left behind, and every gate can be resumed at.

use catalog_deploy::rehearsal::Fault;

use super::{NEW, OLD, PUBLISH, PULL, REVIEW, SlowApply, nothing_held, run};
use crate::deploy::approved;
use crate::support::{Done, Stage};

/// Stopped at `gate`, naming the command that answers it.
fn stopped(stage: &Stage, done: &Done, run: &str, gate: &str, answers: &str) {
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(done.stderr.contains(&format!("the gate `{gate}` needs an answer")), "{}", done.stderr);
    // As it can be typed: with the options that this run was given.
    let command = format!("next: catalog-deploy resume {run} {answers} --config {}\n", stage.config.display());
    assert!(done.stderr.contains(&command), "no {command:?} in {}", done.stderr);
}

#[test]
fn a_run_stopped_at_every_gate_and_resumed_does_everything_once() {
    let stage = Stage::new(&[]);
    let slow = SlowApply::on(&stage);
    slow.go();
    let done = stage.run(&["prod"]);
    let run = &run(&stage);
    stopped(&stage, &done, run, "publish", "--approve publish");
    nothing_held(&stage);
    assert!(stage.mutations().is_empty());
    // Nothing is held or half-way, so another run may begin.
    assert_eq!(stage.run(&["prod"]).code, 5);

    stopped(&stage, &stage.run(&["resume", run, "--approve", "publish"]), run, "bump", "--approve bump");
    nothing_held(&stage);
    assert_eq!(stage.mutations(), [PUBLISH]);
    let refused = stage.run(&["prod"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    for words in [format!("catalog-deploy resume {run}"), format!("catalog-deploy restore {run}")] {
        assert!(refused.stderr.contains(&words), "{}", refused.stderr);
    }

    // The bump is set back before the apply is approved, so both are asked for again.
    let both = "--approve bump --approve apply";
    stopped(&stage, &stage.run(&["resume", run, "--approve", "bump"]), run, "apply", both);
    nothing_held(&stage);
    assert_eq!(stage.attribute("docker_image_tag"), format!("\"{OLD}\""));
    assert_eq!(stage.git(&["status", "--porcelain"]), "");

    let done = stage.run(&["resume", run, "--approve", "bump", "--approve", "apply"]);
    // After the deploy no gate keeps the next one from being asked.
    stopped(&stage, &done, run, "changelog", "--approve changelog --approve pull-request");
    assert!(done.stderr.contains("] soak: nothing to do"), "{}", done.stderr);
    nothing_held(&stage);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(NEW));

    let done = stage.run(&["resume", run, "--approve", "changelog"]);
    stopped(&stage, &done, run, "pull-request", "--approve pull-request");
    nothing_held(&stage);
    assert!(stage.world.pull_requests().is_empty());

    let done = stage.run(&["resume", run, "--approve", "pull-request"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    nothing_held(&stage);
    assert_eq!(stage.mutations(), [PUBLISH, REVIEW, PULL]);
    assert_eq!(slow.count("applies"), 1);
}

/// The digest that the words ask for.
fn digest(text: &str) -> String {
    let (_, after) = text.split_once("--approve apply@").unwrap_or_else(|| panic!("{text}"));
    after.chars().take_while(char::is_ascii_hexdigit).collect()
}

#[test]
fn more_than_the_expected_changes_needs_their_digest() {
    let stage = Stage::new(&[Fault::PlanDestroysMore]);
    let done = stage.run(&approved(&[]));
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(done.stderr.contains("needs --approve apply@"), "{}", done.stderr);
    nothing_held(&stage);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
    let run = &run(&stage);
    let digest = digest(&done.stderr);

    // An answer to another plan is none.
    let stale = format!("apply@{}", "0".repeat(digest.len()));
    let done = stage.run(&["resume", run, "--approve", "bump", "--approve", &stale]);
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(done.stderr.contains("but what would happen now is"), "{}", done.stderr);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
    nothing_held(&stage);

    let apply = format!("apply@{digest}");
    let done = stage.run(&[
        "resume",
        run,
        "--approve",
        "bump",
        "--approve",
        &apply,
        "--approve",
        "changelog",
        "--approve",
        "pull-request",
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(NEW));
    assert_eq!(stage.mutations(), [PUBLISH, REVIEW, PULL]);
}

#[test]
fn the_runbook_of_a_run_is_the_one_it_began_with() {
    let stage = Stage::new(&[]);
    let file = stage.config.parent().unwrap().join("mine.toml");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/prod.toml"), &file).unwrap();
    let done = stage.run(&[file.to_str().unwrap()]);
    let run = &run(&stage);
    stopped(&stage, &done, run, "publish", "--approve publish");
    std::fs::write(&file, "format = 1\nnonsense = true\n").unwrap();
    stopped(&stage, &stage.run(&["resume", run, "--approve", "publish"]), run, "bump", "--approve bump");

    let frozen = stage.config.parent().unwrap().join("state/runs").join(run).join("runbook.toml");
    let text = std::fs::read_to_string(&frozen).unwrap();
    std::fs::write(&frozen, text.replace("30m", "31m")).unwrap();
    let done = stage.run(&["resume", run]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("the frozen runbook of run"), "{}", done.stderr);
}
