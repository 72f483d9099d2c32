//! Gates answered by hand.

use super::moments;
use super::person::Person;
use crate::support::Stage;

#[test]
fn a_whole_run_is_answered_by_hand_on_a_small_terminal() {
    moments::every_gate_answered((24, 80));
}

#[test]
fn more_than_expected_wants_the_environment_typed_also_when_it_goes_on() {
    moments::more_than_expected_wants_the_environment_typed((50, 200));
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
    assert!(!left.text.contains("catalog-deploy broke"), "{}", left.text);
}
