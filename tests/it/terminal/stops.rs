//! One Ctrl-C at every kind of moment: what is said, what is left.

use super::person::{CTRL_C, Left, Person};
use crate::deploy::approved;
use crate::support::Stage;
use catalog_deploy::rehearsal::Fault;

const OLD: &str = "rel-2024.08.22.20.53.01";
const NEW: &str = "rel-2024.09.30.10.20.30";

#[track_caller]
fn stopped(stage: &Stage, left: &Left, deployed: &str) {
    assert_eq!(left.code, 130, "{}", left.text);
    left.terminal_is_restored();
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
    assert!(!stage.locked(), "the lock is still held");
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(deployed));
}

#[test]
fn at_a_gate() {
    let stage = Stage::new(&[]);
    let mut person = Person::at(stage.command(&["prod"]), (24, 80));
    person.sees("anything else declines:");
    person.types(CTRL_C);
    let left = person.leaves();
    stopped(&stage, &left, OLD);
    left.says("publish: stopped: by a signal");
    assert_eq!(left.text.matches("publish: Publish ").count(), 1, "the question is on the screen: {}", left.text);
    assert_eq!(stage.mutations(), [] as [&str; 0]);
    assert_eq!(stage.git(&["status", "--porcelain"]), "");
}

#[test]
fn while_it_waits_and_again_at_the_gate_of_its_resume() {
    let stage = Stage::new(&[Fault::TagMissing]);
    let mut person = Person::at(stage.command(&approved(&[])), (24, 80));
    person.sees("waiting for ghcr.io to have");
    person.types(CTRL_C);
    let left = person.leaves();
    stopped(&stage, &left, OLD);
    left.says("waits end now");
    left.says("next: catalog-deploy resume prod-");
}

#[test]
fn during_an_apply_it_is_finished_first() {
    let stage = Stage::new(&[]);
    slow_apply(&stage);
    let mut person = Person::at(stage.command(&approved(&[])), (24, 80));
    person.sees("the apply is slow today");
    person.types(CTRL_C);
    let left = person.leaves();
    stopped(&stage, &left, NEW);
    left.says("a change in progress is finished first");
    left.says("next: catalog-deploy resume prod-");
}

#[test]
fn during_the_soak() {
    let stage = Stage::new(&[]);
    let mut person = Person::at(stage.command(&approved(&[])), (50, 200));
    person.sees("stay well through the soak");
    person.types(CTRL_C);
    let left = person.leaves();
    stopped(&stage, &left, NEW);
}

/// As a team might have it: the apply takes a moment before it does anything.
fn slow_apply(stage: &Stage) {
    let path = stage.infrastructure().join("justfile");
    let text = std::fs::read_to_string(&path).unwrap();
    let recipe = "\napply env module *args:\n";
    assert!(text.contains(recipe), "{text}");
    let slow = format!("{recipe}    @echo the apply is slow today\n    @sleep 3\n");
    std::fs::write(&path, text.replace(recipe, &slow)).unwrap();
    stage.git(&["-c", "user.name=ada", "-c", "user.email=ada@example.com", "commit", "-qam", "Slow"]);
    stage.git(&["push", "-q", "origin", "HEAD"]);
}
