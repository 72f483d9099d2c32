//! What holds at a terminal of every size. Here it is tried at one; `tests/live` tries it at 80 and at 200 columns.

use std::process::Stdio;

use super::person::{CTRL_C, Left, Person, screen};
use super::{SlowApply, Stage, approved};
use catalog_deploy::rehearsal::Fault;

pub const OLD: &str = "rel-2024.08.22.20.53.01";
const NEW: &str = "rel-2024.09.30.10.20.30";

/// Rows and columns.
pub type Size = (u16, u16);

/// Stopped, and nothing is held any more.
#[track_caller]
pub fn stopped(stage: &Stage, left: &Left, deployed: &str) {
    assert_eq!(left.code, 130, "{}", left.text);
    left.terminal_is_restored();
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
    assert!(!stage.locked(), "the lock is still held");
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(deployed));
}

pub fn every_gate_answered(size: Size) {
    let stage = Stage::new(&[]);
    let mut person = Person::at(stage.command(&["prod"]), size);
    person.answers("publish", "yes");
    person.answers("bump", "yes");
    // No pager is configured: the details are printed, then the question stands again.
    person.answers("apply", "d");
    person.sees("Terraform will perform the following actions");
    person.sees("anything else declines:");
    person.types("yes\n");
    person.finds_no_alerts();
    person.answers("changelog", "yes");
    person.answers("pull-request", "yes");
    let left = person.leaves();
    assert_eq!(left.code, 0, "{}", left.text);
    left.terminal_is_restored();
    left.says("rel-2024.09.30.10.20.30 is deployed");
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
    assert!(!stage.locked());
    // The last screen is the whole list and the last words, nothing cut off or drawn twice.
    let last = screen(&left.raw, size);
    for number in 1..=19 {
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

pub fn more_than_expected_wants_the_environment_typed(size: Size) {
    let stage = Stage::new(&[Fault::PlanDestroysMore]);
    let mut person = Person::at(stage.command(&["prod", "--approve", "publish", "--approve", "bump"]), size);
    person.answers("apply", "yes");
    // Whoever wanted to go on is told what it takes, once.
    person.sees("`yes` is not enough for this: type `prod`");
    person.sees("anything else declines:");
    person.types("yes\n");
    let left = person.leaves();
    assert_eq!(left.code, 5, "{}", left.text);
    left.terminal_is_restored();
    left.fits(size);
    left.says("declined apply: only `prod` goes on");
    left.says("next: catalog-deploy resume prod-");
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
    assert!(!stage.locked());
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));

    let mut command = stage.command(&["resume"]);
    command.env("PAGER", "cat");
    let mut person = Person::at(command, size);
    person.answers("bump", "yes");
    person.answers("apply", "d");
    person.sees("Terraform will perform the following actions");
    person.sees("Type `prod` to go on");
    person.types("prod\n");
    person.finds_no_alerts();
    person.answers("changelog", "yes");
    person.answers("pull-request", "yes");
    let left = person.leaves();
    assert_eq!(left.code, 0, "{}", left.text);
    left.terminal_is_restored();
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(NEW));
}

pub fn ctrl_c_at_a_gate(size: Size) {
    let stage = Stage::new(&[]);
    let mut person = Person::at(stage.command(&["prod"]), size);
    person.sees("anything else declines:");
    person.types(CTRL_C);
    let left = person.leaves();
    stopped(&stage, &left, OLD);
    left.fits(size);
    left.says("publish: stopped: by a signal");
    assert_eq!(left.text.matches("publish: Publish ").count(), 1, "the question is on the screen: {}", left.text);
    assert_eq!(stage.mutations(), [] as [&str; 0]);
    assert_eq!(stage.git(&["status", "--porcelain"]), "");
}

pub fn ctrl_c_during_a_wait(size: Size) {
    let stage = Stage::new(&[Fault::TagMissing]);
    let mut person = Person::at(stage.command(&approved(&[])), size);
    person.sees("waiting for ghcr.io to have");
    person.types(CTRL_C);
    let left = person.leaves();
    stopped(&stage, &left, OLD);
    left.fits(size);
    left.says("waits end now");
    left.says("next: catalog-deploy resume prod-");
}

pub fn ctrl_c_during_an_apply_that_is_finished_first(size: Size) {
    let stage = Stage::new(&[]);
    let slow = SlowApply::on(&stage);
    let mut person = Person::at(stage.command(&approved(&[])), size);
    slow.begun();
    person.types(CTRL_C);
    person.sees("a change in progress is finished first");
    slow.go();
    let left = person.leaves();
    stopped(&stage, &left, NEW);
    left.fits(size);
    assert_eq!((slow.count("interrupts"), slow.count("applies")), (0, 1));
    left.says("next: catalog-deploy resume prod-");
}

pub fn three_ctrl_c_during_an_apply_interrupt_it_once(size: Size) {
    let stage = Stage::new(&[]);
    let slow = SlowApply::on(&stage);
    let mut person = Person::at(stage.command(&approved(&[])), size);
    slow.begun();
    person.types(CTRL_C);
    person.sees("a change in progress is finished first");
    person.types(CTRL_C);
    person.sees("asked the command at work to stop");
    person.types(CTRL_C);
    let left = person.leaves();
    stopped(&stage, &left, OLD);
    left.fits(size);
    assert_eq!((slow.count("interrupts"), slow.count("applies")), (1, 0));
    left.says("nothing was applied: a new plan finds everything that was approved");
}

pub fn nobody_is_asked_where_stdin_is_no_terminal(size: Size) {
    let stage = Stage::new(&[]);
    let mut command = stage.command(&["prod"]);
    command.stdin(Stdio::null());
    let left = Person::with_streams_of(command, size).leaves();
    assert_eq!(left.code, 5, "{}", left.text);
    left.terminal_is_restored();
    left.fits(size);
    assert!(!left.text.contains("Type `yes`"), "{}", left.text);
    let whole = |line: &str| line.contains("catalog-deploy resume prod-") && line.ends_with("/config.toml");
    assert!(left.text.lines().any(whole), "a command to copy is on one line: {}", left.text);
    left.says("next: catalog-deploy resume prod-");
    assert_eq!(stage.mutations(), [] as [&str; 0]);
    assert!(!stage.locked());
}

/// Which of colours and animation a whole dry run shows with these variables.
pub fn shown_with(stage: &Stage, variables: &[(&str, &str)], size: Size) -> (bool, bool) {
    let mut command = stage.command(&["prod", "--dry-run"]);
    command.envs(variables.iter().copied());
    let left = Person::at(command, size).leaves();
    assert_eq!(left.code, 0, "{variables:?} {}", left.text);
    left.terminal_is_restored();
    let coloured = ["\u{1b}[1m", "\u{1b}[2m", "\u{1b}[3"].iter().any(|code| left.raw.contains(code));
    let animated = ["\u{1b}[2K", "\u{1b}[1A"].iter().any(|code| left.raw.contains(code));
    (coloured, animated)
}
