//! Which stream gets what, and what colours and animation depend on.

use std::process::Stdio;

use super::moments;
use super::person::{Person, through_shell};
use crate::support::{Stage, approved, finish};

#[test]
fn without_a_terminal_as_stdin_nobody_is_asked_though_there_is_one() {
    moments::nobody_is_asked_where_stdin_is_no_terminal((24, 80));
}

#[test]
fn colours_and_animation_depend_on_the_environment() {
    let stage = Stage::new(&[]);
    type Case<'a> = (&'a [(&'a str, &'a str)], bool, bool);
    let cases: [Case<'_>; 6] = [
        (&[], true, true),
        (&[("NO_COLOR", "1")], false, true),
        (&[("TERM", "dumb")], false, false),
        (&[("CI", "1")], false, false),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false, true),
        (&[("CLICOLOR_FORCE", "1")], true, true),
    ];
    for (variables, coloured, animated) in cases {
        assert_eq!(moments::shown_with(&stage, variables, (24, 80)), (coloured, animated), "{variables:?}");
    }
}

#[test]
fn data_goes_to_the_pipe_while_the_person_is_asked_at_the_terminal() {
    let stage = Stage::new(&[]);
    let command = through_shell(&stage.command(&["prod", "--json"]), "exec \"$0\" \"$@\" > events");
    let place = command.get_current_dir().unwrap().to_owned();
    let mut person = Person::at(command, (24, 80));
    person.answers("publish", "no");
    let left = person.leaves();
    assert_eq!(left.code, 5, "{}", left.text);
    let events = std::fs::read_to_string(place.join("events")).unwrap();
    let lines: Vec<serde_json::Value> = events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["format"], 1);
    let last = lines.last().unwrap();
    assert_eq!((last["event"].as_str(), last["exit"].as_u64()), (Some("run-finished"), Some(5)), "{last}");
    assert!(!left.text.contains("\"event\""), "{}", left.text);
}

#[test]
fn a_reader_that_goes_away_ends_neither_the_run_nor_its_words() {
    let stage = Stage::new(&[]);
    let command = stage.command(&approved(&["--json"]));
    let mut shell = through_shell(&command, "{ \"$0\" \"$@\" 2>&-; echo $? > code; } | head -n 1");
    let place = shell.get_current_dir().unwrap().to_owned();
    let child = shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let done = finish(child);
    assert_eq!(done.stdout.lines().count(), 1, "{}", done.stdout);
    assert!(done.stdout.starts_with("{\"at\""), "{}", done.stdout);
    assert_eq!(std::fs::read_to_string(place.join("code")).unwrap().trim(), "0", "{}", done.stderr);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some("rel-2024.09.30.10.20.30"));
    assert!(!stage.locked());
}

#[test]
fn quiet_says_less_and_verbose_more() {
    let stage = Stage::new(&[]);
    let told = |how: &str| {
        let done = stage.run(&["prod", "--dry-run", how]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stdout.contains("would change"), "{}", done.stdout);
        done.stderr.lines().count()
    };
    let (quiet, normal, verbose) = (told("-q"), told("--color=never"), told("-v"));
    // The report says everything, so even normally a preview's progress is hardly more than silence.
    assert!(quiet <= normal && normal < verbose, "{quiet} {normal} {verbose}");
}
