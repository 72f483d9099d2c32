//! `restore`, and which run `resume` and `restore` mean.

use super::{NEW, nothing_held, run};
use crate::support::Stage;

#[test]
fn a_run_is_given_up_once_and_cannot_go_on() {
    let stage = Stage::new(&[]);
    let nothing = stage.run(&["restore"]);
    assert_eq!(nothing.code, 3);
    assert!(nothing.stderr.contains("there is nothing to restore"), "{}", nothing.stderr);
    let nothing = stage.run(&["resume"]);
    assert_eq!(nothing.code, 3);
    assert!(nothing.stderr.contains("there is no run to go on with"), "{}", nothing.stderr);

    assert_eq!(stage.run(&["prod", "--approve", "publish"]).code, 5);
    let run = &run(&stage);
    // Half-way, so it is the one that is meant.
    let done = stage.run(&["restore"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains(&format!("nothing is held any more by run {run}")), "{}", done.stderr);
    assert!(done.stderr.contains("stays published and is not deployed"), "{}", done.stderr);
    let next = format!("next: deploy it with: catalog-deploy prod --tag {NEW}");
    assert!(done.stderr.contains(&next), "{}", done.stderr);
    nothing_held(&stage);

    let again = stage.run(&["restore", run]);
    assert_eq!(again.code, 3);
    assert!(again.stderr.contains("is closed already"), "{}", again.stderr);
    let resume = stage.run(&["resume", run]);
    assert_eq!(resume.code, 3);
    assert!(resume.stderr.contains("cannot go on"), "{}", resume.stderr);
    assert_eq!(stage.run(&["resume"]).code, 3, "a closed run is not gone on with");

    let mut typo = run.clone();
    typo.replace_range(run.len() - 1.., if run.ends_with('0') { "1" } else { "0" });
    for command in ["resume", "restore", "show"] {
        let unknown = stage.run(&[command, &typo]);
        assert_eq!(unknown.code, 2, "{command}: {}", unknown.stderr);
        assert!(unknown.stderr.contains(&format!("did you mean {run}?")), "{command}: {}", unknown.stderr);
    }
    let unknown = stage.run(&["resume", ".."]);
    assert_eq!(unknown.code, 2, "{}", unknown.stderr);
}

#[test]
fn resume_means_the_last_run_and_never_one_that_was_overtaken() {
    let stage = Stage::new(&[]);
    assert_eq!(stage.run(&["prod"]).code, 5);
    let done = stage.run(&crate::deploy::approved(&[]));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let requests = stage.mutations();
    let done = stage.run(&["resume"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert_eq!(stage.mutations(), requests);
}
