//! Which stream gets what, and what colours and animation depend on.

use std::process::{Command, Stdio};

use super::person::Person;
use crate::deploy::approved;
use crate::support::{Stage, finish};

/// `command` through a shell that redirects its streams as `how` says.
fn through_shell(command: &Command, how: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(how).arg(command.get_program()).args(command.get_args());
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(command.get_current_dir().unwrap());
    shell
}

#[test]
fn without_a_terminal_as_stdin_nobody_is_asked_though_there_is_one() {
    let stage = Stage::new(&[]);
    let mut command = stage.command(&["prod"]);
    command.stdin(Stdio::null());
    let left = Person::with_streams_of(command, (24, 80)).leaves();
    assert_eq!(left.code, 5, "{}", left.text);
    left.terminal_is_restored();
    assert!(!left.text.contains("Type `yes`"), "{}", left.text);
    left.says("--approve publish");
    left.says("next: catalog-deploy resume prod-");
    assert_eq!(stage.mutations(), [] as [&str; 0]);
    assert!(!stage.locked());
}

#[test]
fn colours_and_animation_depend_on_the_environment() {
    let stage = Stage::new(&[]);
    let colours = |raw: &str| raw.contains("\u{1b}[1m") || raw.contains("\u{1b}[2m") || raw.contains("\u{1b}[3");
    let moves = |raw: &str| raw.contains("\u{1b}[2K") || raw.contains("\u{1b}[1A");
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
        let mut command = stage.command(&["prod", "--dry-run"]);
        command.envs(variables.iter().copied());
        let left = Person::at(command, (24, 80)).leaves();
        assert_eq!(left.code, 0, "{variables:?} {}", left.text);
        left.terminal_is_restored();
        assert_eq!((colours(&left.raw), moves(&left.raw)), (coloured, animated), "{variables:?} {:?}", left.raw);
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
