//! A runbook that stands in the way of a built-in one.

use super::person::{CTRL_C, Person};
use crate::support::Stage;

#[test]
fn it_is_asked_about_once_and_the_terminal_survives_every_answer() {
    let stage = Stage::new(&[]);
    let command = || stage.command(&["prod", "--dry-run"]);
    let runbooks = command().get_current_dir().unwrap().join("runbooks");
    std::fs::create_dir_all(&runbooks).unwrap();
    let built_in = include_str!("../../../runbooks/prod.toml");
    std::fs::write(runbooks.join("prod.toml"), format!("{built_in}\n# our own\n")).unwrap();

    let unasked = stage.run(&["prod", "--dry-run"]);
    assert_eq!(unasked.code, 5, "{}", unasked.stderr);

    for (keys, code) in [("n\n", 5), (CTRL_C, 130)] {
        let mut person = Person::at(command(), (24, 80));
        person.sees("Use it from now on? [y/n]");
        person.types(keys);
        let left = person.leaves();
        assert_eq!(left.code, code, "{}", left.text);
        left.terminal_is_restored();
    }

    let mut person = Person::at(command(), (24, 80));
    person.sees("Use it from now on? [y/n]");
    person.types("y\n");
    let left = person.leaves();
    assert_eq!(left.code, 0, "{}", left.text);
    left.terminal_is_restored();

    // Remembered, until its content changes.
    assert_eq!(stage.run(&["prod", "--dry-run"]).code, 0);
    let path = runbooks.join("prod.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}\n# changed\n")).unwrap();
    assert_eq!(stage.run(&["prod", "--dry-run"]).code, 5);
}
