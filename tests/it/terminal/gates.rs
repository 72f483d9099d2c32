//! Gates answered by hand.

use super::person::{Person, screen};
use crate::support::Stage;
use catalog_deploy::rehearsal::Fault;

#[test]
fn a_whole_run_is_answered_by_hand_on_a_small_terminal() {
    let stage = Stage::new(&[]);
    let mut person = Person::at(stage.command(&["prod"]), (24, 80));
    person.answers("publish", "yes");
    person.answers("bump", "yes");
    // No pager is configured: the details are printed, then the question stands again.
    person.answers("apply", "d");
    person.sees("Terraform will perform the following actions");
    person.sees("anything else declines:");
    person.types("yes\n");
    person.answers("changelog", "yes");
    person.answers("pull-request", "yes");
    let left = person.leaves();
    assert_eq!(left.code, 0, "{}", left.text);
    left.terminal_is_restored();
    left.says("rel-2024.09.30.10.20.30 is deployed");
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
    assert!(!stage.locked());
    // The last screen is the whole list and the last words, nothing cut off or drawn twice.
    let last = screen(&left.raw, (24, 80));
    for number in 1..=16 {
        assert_eq!(last.matches(&format!("\n{}", row(&last, number))).count(), 1, "{last}");
    }
    assert!(last.trim_end().ends_with("rel-2024.09.30.10.20.30 is deployed"), "{last}");
    assert!(!last.contains('…'), "{last}");
}

/// The line of the list with this number.
fn row(screen: &str, number: usize) -> &str {
    let mut lines = screen.lines();
    let found = lines.find(|line| line.chars().skip(1).collect::<String>().starts_with(&format!(" {number:>2} ")));
    found.unwrap_or_else(|| panic!("step {number} is not on the screen:\n{screen}"))
}

#[test]
fn more_than_expected_wants_the_environment_typed_also_when_it_goes_on() {
    let stage = Stage::new(&[Fault::PlanDestroysMore]);
    let mut person = Person::at(stage.command(&["prod", "--approve", "publish", "--approve", "bump"]), (50, 200));
    person.answers("apply", "yes");
    // Whoever wanted to go on is told what it takes, once.
    person.sees("`yes` is not enough for this: type `prod`");
    person.sees("anything else declines:");
    person.types("yes\n");
    let left = person.leaves();
    assert_eq!(left.code, 5, "{}", left.text);
    left.terminal_is_restored();
    left.says("declined apply: only `prod` goes on");
    left.says("next: catalog-deploy resume prod-");
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
    assert!(!stage.locked());
    let running = stage.world.deployed_tag();
    assert_eq!(running.as_deref(), Some("rel-2024.08.22.20.53.01"));

    let mut command = stage.command(&["resume"]);
    command.env("PAGER", "cat");
    let mut person = Person::at(command, (50, 200));
    person.answers("bump", "yes");
    person.answers("apply", "d");
    person.sees("Terraform will perform the following actions");
    person.sees("Type `prod` to go on");
    person.types("prod\n");
    person.answers("changelog", "yes");
    person.answers("pull-request", "yes");
    let left = person.leaves();
    assert_eq!(left.code, 0, "{}", left.text);
    left.terminal_is_restored();
    assert_eq!(stage.world.deployed_tag().as_deref(), Some("rel-2024.09.30.10.20.30"));
}

#[test]
fn a_narrow_window_that_is_resized_while_it_runs() {
    let stage = Stage::new(&[]);
    let mut person = Person::at(stage.command(&["prod"]), (10, 40));
    person.answers("publish", "yes");
    person.resizes((30, 120));
    person.answers("bump", "yes");
    person.resizes((5, 12));
    person.sees("anything else declines:");
    person.types("no\n");
    let left = person.leaves();
    assert_eq!(left.code, 5, "{}", left.text);
    left.terminal_is_restored();
    assert!(!stage.locked());
    assert!(!left.text.contains("panicked"), "{}", left.text);
}
