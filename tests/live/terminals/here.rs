//! What only this suite asks of a terminal.

use super::moments::OLD;
use super::person::{CTRL_C, Person, through_shell};
use super::{Size, SlowApply, Stage, approved, moments};

pub fn a_gate_declined(size: Size) {
    for (keys, said) in [("no\n", "declined publish: only `yes` goes on"), ("\u{4}", "declined publish")] {
        let stage = Stage::new(&[]);
        let mut person = Person::at(stage.command(&["prod"]), size);
        person.sees("anything else declines:");
        person.types(keys);
        let left = person.leaves();
        assert_eq!(left.code, 5, "{}", left.text);
        left.terminal_is_restored();
        left.fits(size);
        left.says(said);
        left.says("next: catalog-deploy resume prod-");
        assert_eq!(stage.mutations(), [] as [&str; 0]);
        assert!(!stage.locked());
    }
}

/// A recipe that takes no plan file has the terminal, and with it the terminal's own Ctrl-C: nobody sends it another.
pub fn ctrl_c_during_an_attached_apply(size: Size) {
    let stage = Stage::new(&[]);
    takes_no_plan_file(&stage);
    let slow = SlowApply::on(&stage);
    let mut person = Person::at(stage.command(&["prod", "--approve", "publish", "--approve", "bump"]), size);
    person.sees(" apply: ");
    person.sees("Ctrl-C then goes to Terraform itself");
    person.sees("anything else declines:");
    person.types("yes\n");
    slow.begun();
    person.types(CTRL_C);
    let left = person.leaves();
    // Whoever pressed it wants to be let go, not to be asked what now.
    moments::stopped(&stage, &left, OLD);
    assert_eq!((slow.count("interrupts"), slow.count("applies")), (1, 0), "{}", left.text);
    left.says("nothing was applied: a new plan finds everything that was approved");
    left.says("next: catalog-deploy resume prod-");
}

fn takes_no_plan_file(stage: &Stage) {
    let path = stage.infrastructure().join("justfile");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, apply) = text.split_once("\napply env module *args:\n").unwrap();
    let apply = apply.replacen(" {{ args }}", "", 1);
    std::fs::write(&path, format!("{before}\napply env module:\n{apply}")).unwrap();
}

/// Both streams to a pipe, the keyboard still there: plain lines, no escape code, and the question all the same.
pub fn output_piped(size: Size) {
    let stage = Stage::new(&[]);
    let command = through_shell(&stage.command(&["prod"]), "{ \"$0\" \"$@\" 2>&1; echo $? > code; } | cat");
    let place = command.get_current_dir().unwrap().to_owned();
    let mut person = Person::at(command, size);
    person.answers("publish", "yes");
    person.answers("bump", "no");
    let left = person.leaves();
    assert_eq!(std::fs::read_to_string(place.join("code")).unwrap().trim(), "5", "{}", left.text);
    left.terminal_is_restored();
    assert!(!left.raw.contains('\u{1b}'), "{:?}", left.raw);
    left.says("publish: answered yes, at the terminal");
    left.says("bump: answered no, at the terminal");
    assert!(!stage.locked());
}

pub fn data_piped_while_somebody_is_asked(size: Size) {
    let stage = Stage::new(&[]);
    let command = through_shell(&stage.command(&["prod", "--json"]), "exec \"$0\" \"$@\" > events");
    let place = command.get_current_dir().unwrap().to_owned();
    let mut person = Person::at(command, size);
    person.answers("publish", "no");
    let left = person.leaves();
    assert_eq!(left.code, 5, "{}", left.text);
    left.terminal_is_restored();
    left.fits(size);
    assert!(!left.text.contains("\"event\""), "{}", left.text);
    let events = std::fs::read_to_string(place.join("events")).unwrap();
    assert!(!events.contains('\u{1b}'), "{events}");
    let lines: Vec<serde_json::Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["format"], 1);
    let last = lines.last().unwrap();
    assert_eq!((last["event"].as_str(), last["exit"].as_u64()), (Some("run-finished"), Some(5)), "{last}");
}

pub fn without_colours(size: Size) {
    let stage = Stage::new(&[]);
    assert_eq!(moments::shown_with(&stage, &[], size), (true, true));
    assert_eq!(moments::shown_with(&stage, &[("NO_COLOR", "1")], size), (false, true));
    // Also where somebody is asked and something goes wrong.
    let mut command = stage.command(&["prod"]);
    command.env("NO_COLOR", "1");
    let mut person = Person::at(command, size);
    person.answers("publish", "no");
    let left = person.leaves();
    assert_eq!(left.code, 5, "{}", left.text);
    let coloured = ["\u{1b}[1m", "\u{1b}[2m", "\u{1b}[3"].iter().any(|code| left.raw.contains(code));
    assert!(!coloured, "{:?}", left.raw);
}

/// One that understands no escape code gets none: in a whole run, with a wait and a Ctrl-C at a gate.
pub fn a_dumb_terminal(size: Size) {
    let stage = Stage::new(&[]);
    let mut command = stage.command(&approved(&[]));
    command.env("TERM", "dumb");
    let mut person = Person::at(command, size);
    person.sees("3 I have not looked");
    person.types("1\n");
    let left = person.leaves();
    assert_eq!(left.code, 0, "{}", left.text);
    left.terminal_is_restored();
    assert!(!left.raw.contains('\u{1b}'), "{:?}", left.raw);

    let stage = Stage::new(&[]);
    let mut command = stage.command(&["prod"]);
    command.env("TERM", "dumb");
    let mut person = Person::at(command, size);
    person.sees("anything else declines:");
    person.types(CTRL_C);
    let left = person.leaves();
    moments::stopped(&stage, &left, OLD);
    assert!(!left.raw.contains('\u{1b}'), "{:?}", left.raw);
}
