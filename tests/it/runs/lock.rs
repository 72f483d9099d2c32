//! The run lock as people meet it: held by somebody else, waited for, broken; and a state directory that is none.

use std::process::Command;

use catalog_deploy::rehearsal::Fault;

use super::{Live, OLD};
use crate::support::Stage;

const LOCK: &str = "refs/catalog-deploy/lock/openverse-catalog-prod";

fn free(stage: &Stage) {
    let done = Command::new("git").arg("-C").arg(stage.world.remote()).args(["update-ref", "-d", LOCK]).status();
    assert!(done.unwrap().success());
}

#[test]
fn a_held_lock_is_refused_waited_for_and_broken_only_by_its_id() {
    let stage = Stage::new(&[Fault::LockHeld]);
    let done = stage.run(&["prod"]);
    assert_eq!(done.code, 6, "{}", done.stderr);
    for words in [
        "colleague on colleagues-laptop is deploying: run 20240930-095612-7c1d, at apply, since 4m",
        "--lock-wait",
        "catalog-deploy unlock prod --run 20240930-095612-7c1d",
    ] {
        assert!(done.stderr.contains(words), "no {words:?} in {}", done.stderr);
    }
    assert!(stage.mutations().is_empty());

    let wrong = stage.run(&["unlock", "prod", "--run", "20240930-095612-7c1e"]);
    assert_eq!(wrong.code, 3, "{}", wrong.stderr);
    assert!(wrong.stderr.contains("colleague on colleagues-laptop") && stage.locked(), "{}", wrong.stderr);

    // Freed by its holder while it is waited for.
    let live = Live::start(&stage, &["prod", "--lock-wait", "2h"]);
    live.says("waiting for colleague on colleagues-laptop to finish run 20240930-095612-7c1d");
    free(&stage);
    let done = live.ended();
    assert_eq!(done.code, 5, "it went on to the first gate: {}", done.stderr);
    assert!(!stage.locked());
}

#[test]
fn the_right_id_breaks_a_dead_holders_lock() {
    let stage = Stage::new(&[Fault::LockHeld]);
    let done = stage.run(&["prod", "--lock-wait", "20m"]);
    assert_eq!(done.code, 6, "the wait has an end: {}", done.stderr);
    let freed = stage.run(&["unlock", "prod", "--run", "20240930-095612-7c1d"]);
    assert_eq!(freed.code, 0, "{}", freed.stderr);
    assert!(!stage.locked());
    assert!(freed.stderr.contains("is free"), "{}", freed.stderr);
    let again = stage.run(&["unlock", "prod", "--run", "20240930-095612-7c1d"]);
    assert!(again.code == 0 && again.stderr.contains("nobody holds the lock"), "{}", again.stderr);
}

#[test]
fn without_a_journal_nothing_is_changed() {
    let stage = Stage::new(&[]);
    std::fs::write(stage.config.parent().unwrap().join("state"), "in the way").unwrap();
    let done = stage.run(&crate::deploy::approved(&[]));
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("Nothing was changed"), "{}", done.stderr);
    assert!(done.stderr.contains("next: make the state directory readable and writable"), "{}", done.stderr);
    assert!(stage.mutations().is_empty() && !stage.locked());
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
    assert_eq!(stage.git(&["status", "--porcelain"]), "");
}
