//! One Ctrl-C at every kind of moment: what is said, what is left.

use super::moments::{self, stopped};
use super::person::{CTRL_C, Person};
use crate::support::{Stage, approved};

#[test]
fn at_a_gate() {
    moments::ctrl_c_at_a_gate((24, 80));
}

#[test]
fn while_it_waits() {
    moments::ctrl_c_during_a_wait((24, 80));
}

#[test]
fn during_an_apply_it_is_finished_first() {
    moments::ctrl_c_during_an_apply_that_is_finished_first((24, 80));
}

#[test]
fn during_an_apply_again_it_is_interrupted_once() {
    moments::three_ctrl_c_during_an_apply_interrupt_it_once((24, 80));
}

#[test]
fn during_the_soak() {
    let stage = Stage::new(&[]);
    let mut person = Person::at(stage.command(&approved(&[])), (50, 200));
    person.finds_no_alerts();
    person.sees("stay well through the soak");
    person.types(CTRL_C);
    let left = person.leaves();
    stopped(&stage, &left, "rel-2024.09.30.10.20.30");
}
