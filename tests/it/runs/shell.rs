//! Commands of a runbook whose process died: nothing but their exit code, their check or a person tells how they ended.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::support::{Done, finish, until};
use crate::terminal::person::Person;

/// Every gate answered beforehand.
const YES: [&str; 4] = ["--approve", "first", "--approve", "second"];
const UP: &str = "\u{1b}[A";

/// A home with a runbook of two commands, the first of which works until it is let go.
struct Bench {
    place: tempfile::TempDir,
}

impl Bench {
    /// `more` is what the first step has besides its command.
    fn new(more: &str) -> Self {
        let bench = Self { place: tempfile::tempdir().unwrap() };
        let at = bench.place.path().display().to_string();
        bench.script("first", &format!(
            "echo first >> {at}/log; echo $$ > {at}/pid\nwhile [ ! -e {at}/go ]; do sleep 0.02; done\nexit $(cat {at}/go)"
        ));
        bench.script("second", &format!("echo second >> {at}/log"));
        bench.script("undo", &format!("echo undo >> {at}/log"));
        bench.script("check", &format!("test -e {at}/there"));
        let step = |id: &str, more: &str| {
            format!(
                "[[step]]\nid = \"{id}\"\nkind = \"shell\"\ntitle = \"{id}\"\ngate = true\nrun = [\"{at}/{id}\"]\n{more}\n"
            )
        };
        let head = "format = 1\ntitle = \"Two commands\"\nenvironment = \"prod\"\nalone = true\n";
        let text = format!("{head}{}{}", step("first", &more.replace("AT", &at)), step("second", ""));
        fs::write(bench.file("two.toml"), text).unwrap();
        fs::write(bench.file("config.toml"), "").unwrap();
        bench
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn script(&self, name: &str, body: &str) {
        fs::write(self.file(name), format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(self.file(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What the commands did, in order.
    fn log(&self) -> Vec<String> {
        fs::read_to_string(self.file("log")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_catalog-deploy"));
        command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.place.path()).env("USER", "ada").current_dir(self.place.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let mut command = self.command(arguments);
        finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Killed while the first command works; it goes on by itself and ends with `exit`.
    fn killed(&self, exit: &str) {
        let mut command = self.command(&[&["./two.toml"], &YES[..]].concat());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("the first command works", || self.file("pid").exists());
        child.kill().unwrap();
        child.wait().unwrap();
        fs::write(self.file("go.new"), exit).unwrap();
        fs::rename(self.file("go.new"), self.file("go")).unwrap();
        let pid = Pid::from_raw(fs::read_to_string(self.file("pid")).unwrap().trim().parse().unwrap());
        until("the orphan has ended", || kill(pid, None).is_err());
    }
}

#[test]
fn a_command_that_ended_well_without_us_is_not_run_again() {
    let bench = Bench::new("");
    bench.killed("0");
    let done = bench.run(&[&["resume"], &YES[..]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(bench.log(), ["first", "second"]);
}

#[test]
fn a_command_that_still_works_is_waited_for() {
    let bench = Bench::new("");
    let mut command = bench.command(&[&["./two.toml"], &YES[..]].concat());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("the first command works", || bench.file("pid").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let mut resume = bench.command(&[&["resume"], &YES[..]].concat());
    let resume = resume.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let journal = || fs::read_dir(bench.file(".local/state/catalog-deploy/runs")).unwrap().next().unwrap().unwrap();
    until("the run is gone on with", || {
        fs::read_to_string(journal().path().join("journal.ndjson")).unwrap().contains("run-resumed")
    });
    fs::write(bench.file("go"), "0").unwrap();
    let done = finish(resume);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(bench.log(), ["first", "second"]);
}

#[test]
fn where_nothing_tells_nobody_guesses() {
    let bench = Bench::new("");
    bench.killed("3");
    for _ in 0..2 {
        let done = bench.run(&[&["resume"], &YES[..]].concat());
        assert_eq!(done.code, 1, "{}", done.stderr);
        assert!(
            done.stderr.contains("ended with exit 3, and it is not known whether it took effect"),
            "{}",
            done.stderr
        );
        assert!(done.stderr.contains("`catalog-deploy resume` at a terminal asks how it ended"), "{}", done.stderr);
    }
    let other = bench.run(&["./two.toml"]);
    assert_eq!(other.code, 3, "{}", other.stderr);
    assert!(other.stderr.contains("left something in doubt"), "{}", other.stderr);
    assert_eq!(bench.log(), ["first"]);
}

/// What a person at the terminal is asked, and what follows.
fn asked(bench: &Bench, command: &str, keys: &[&str], code: i32, log: &[&str]) {
    let answers = if command == "resume" { &YES[..] } else { &[] };
    let mut person = Person::at(bench.command(&[&[command], answers].concat()), (40, 120));
    person.sees("first: how did it end?");
    person.sees("I do not know: leave it open");
    keys.iter().for_each(|key| person.types(key));
    person.types("\r");
    let left = person.leaves();
    assert_eq!(left.code, code, "{}", left.text);
    left.terminal_is_restored();
    assert_eq!(bench.log(), log, "{}", left.text);
}

#[test]
fn a_person_who_looked_is_believed_and_the_journal_keeps_it() {
    let bench = Bench::new("");
    bench.killed("3");
    asked(&bench, "resume", &[], 1, &["first"]);
    fs::write(bench.file("go"), "0").unwrap();
    asked(&bench, "resume", &[UP, UP], 0, &["first", "second"]);
    let runs = fs::read_dir(bench.file(".local/state/catalog-deploy/runs")).unwrap();
    let run = runs.map(|it| it.unwrap().file_name().into_string().unwrap()).next().unwrap();
    let told = bench.run(&["show", &run]);
    assert!(told.stdout.contains("first: a person looked: it took effect"), "{}", told.stdout);
}

#[test]
fn what_took_no_effect_is_done_once_more() {
    let bench = Bench::new("");
    bench.killed("3");
    fs::write(bench.file("go"), "0").unwrap();
    asked(&bench, "resume", &[UP], 0, &["first", "first", "second"]);
}

#[test]
fn restore_undoes_what_took_effect_and_only_that() {
    for (keys, log) in [(&[UP, UP][..], &["first", "undo"][..]), (&[UP], &["first"])] {
        let bench = Bench::new("undo = [\"AT/undo\"]");
        bench.killed("3");
        asked(&bench, "restore", keys, 0, log);
    }
}

#[test]
fn a_check_tells_without_anybody() {
    for there in [true, false] {
        let bench = Bench::new("check = [\"AT/check\"]\nundo = [\"AT/undo\"]");
        bench.killed("3");
        if there {
            fs::write(bench.file("there"), "").unwrap();
        }
        let done = bench.run(&["restore"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let log: &[&str] = if there { &["first", "undo"] } else { &["first"] };
        assert_eq!(bench.log(), log, "there: {there}: {}", done.stderr);
    }
}
