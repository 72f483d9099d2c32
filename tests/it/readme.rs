//! What the README says is held against the product: its commands, its examples, its tables, its transcript.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use catalog_deploy::cli::args::Cli;
use catalog_deploy::cli::settings::Settings;
use catalog_deploy::facts::Check;
use catalog_deploy::rehearsal::Fault;
use clap::{CommandFactory, Parser};

use crate::help::commands;

const README: &str = include_str!("../../README.md");

/// Fenced blocks of one language, in order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let found: Vec<_> = README.split(fence.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(!found.is_empty(), "no block of {language}");
    found
}

/// Lines of the shell blocks, without comments.
fn commands_shown() -> Vec<&'static str> {
    let lines = blocks("sh").into_iter().flat_map(str::lines);
    lines.map(|line| line.split(" #").next().unwrap().trim()).filter(|line| !line.is_empty()).collect()
}

/// Words as a shell splits them; redirections cut off.
fn words(line: &str) -> Vec<String> {
    let line = line.split(" > ").next().unwrap();
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words
}

#[test]
fn the_first_commands_are_the_two_that_need_nothing() {
    assert_eq!(commands_shown()[..2], ["cargo run -- rehearse prod", "cargo test"]);
}

#[test]
fn every_command_shown_is_understood() {
    let mut seen = 0;
    for line in commands_shown() {
        let line = line.replace("cargo run -- ", "catalog-deploy ");
        if line.starts_with("catalog-deploy ") {
            seen += 1;
            let parsed = Cli::try_parse_from(words(&line));
            assert!(parsed.is_ok(), "{line}: {}", parsed.err().unwrap());
        }
    }
    assert!(seen > 20, "only {seen} commands");
}

#[test]
fn every_command_and_option_is_shown() {
    let shown: BTreeSet<String> = commands_shown().iter().flat_map(|line| words(line)).collect();
    for command in commands() {
        assert!(shown.contains(command.last().unwrap()), "{} is not in the README", command.join(" "));
    }
    let top = Cli::command();
    let all = std::iter::once(&top).chain(top.get_subcommands());
    for argument in all.flat_map(|command| command.get_arguments()).filter(|argument| !argument.is_hide_set()) {
        let Some(long) = argument.get_long() else { continue };
        let short = argument.get_short().map_or_else(|| "\0".into(), |short| format!("`-{short}`"));
        let in_text = README.contains(&format!("--{long}")) || README.contains(&short) || README.contains("-C DIR");
        assert!(in_text, "--{long} is not in the README");
    }
}

#[test]
fn the_runbook_of_the_readme_has_no_problems() {
    let blocks = blocks("toml");
    let runbook = blocks.iter().find(|block| block.contains("[[step]]")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dashboard.toml");
    std::fs::write(&file, runbook).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_catalog-deploy"));
    let output = command.args(["runbook", "check"]).arg(&file).env_clear().output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), said.trim_end()),
        (Some(0), &*format!("{}: 4 steps, no problems", file.display()))
    );
}

#[test]
fn problems_of_a_runbook_are_shown_where_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dashboard.toml");
    let runbook = blocks("toml").into_iter().find(|block| block.contains("[[step]]")).unwrap();
    std::fs::write(&file, runbook.replace("\"manual\"", "\"manuel\"")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_catalog-deploy"));
    let output = command.args(["runbook", "check"]).arg(&file).env_clear().output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.starts_with("error: `kind` cannot be `manuel`\n"), "{said}");
    assert!(said.contains("dashboard.toml:29:8") && said.contains("help: did you mean `manual`?"), "{said}");
}

#[test]
fn every_kind_of_step_is_named() {
    let schema: serde_json::Value = serde_json::from_str(&crate::help::printed(&["runbook", "schema"])).unwrap();
    let mut kinds = BTreeSet::new();
    gather(&schema, &mut kinds);
    assert!(kinds.len() > 10, "{kinds:?}");
    for kind in kinds {
        assert!(README.contains(&format!("`{kind}`")), "{kind} is not in the README");
    }
}

#[test]
fn every_override_is_in_the_table_of_checks() {
    for check in Check::ALL {
        assert!(README.contains(&format!("`--override {check}=REASON`")), "{check} is not in the README");
    }
}

/// Values that `kind` may have, anywhere in the schema.
fn gather(schema: &serde_json::Value, kinds: &mut BTreeSet<String>) {
    if let Some(kind) = schema.pointer("/properties/kind/const").and_then(serde_json::Value::as_str) {
        kinds.insert(kind.to_owned());
    }
    match schema {
        serde_json::Value::Object(map) => map.values().for_each(|value| gather(value, kinds)),
        serde_json::Value::Array(items) => items.iter().for_each(|value| gather(value, kinds)),
        _ => {}
    }
}

#[test]
fn the_configuration_of_the_readme_is_accepted_and_whole() {
    let blocks = blocks("toml");
    let text = blocks.iter().find(|block| block.contains("[github]")).unwrap();
    let path = Path::new("/somewhere/config.toml");
    let config = Settings::parse(path, text).unwrap();
    assert_eq!(config.airflow.headers.len(), 2);
    // What the parser would take, in its own words.
    let expected = |text: &str| -> Vec<String> {
        let said = Settings::parse(path, text).unwrap_err().message;
        let list = said.split("expected").nth(1).unwrap_or_else(|| panic!("{said}"));
        list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let sections = expected("nothing-of-the-kind = 1");
    assert!(sections.contains(&"slack".to_owned()), "{sections:?}");
    // `rehearse` writes that one.
    for section in sections.iter().filter(|section| *section != "rehearsal") {
        let part = text.split(&format!("[{section}]\n")).nth(1).unwrap_or_else(|| panic!("[{section}] is missing"));
        let part = part.split("\n[").next().unwrap();
        for key in expected(&format!("[{section}]\nnothing-of-the-kind = 1")) {
            let given = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{key} = "));
            assert!(part.lines().any(given), "[{section}] {key} is missing");
        }
    }
}

#[test]
fn faults_are_counted() {
    assert!(README.contains(&format!("It plays {} faults", Fault::ALL.len())), "{} faults", Fault::ALL.len());
}

#[test]
fn exit_codes_and_reasons_are_those_of_the_code() {
    let table = README.split("## Exit codes").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let documented: BTreeSet<(String, String)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            (cells[1].to_owned(), cells[2].trim_matches('`').to_owned())
        })
        .collect();
    let reasons: BTreeSet<&str> = documented.iter().map(|(_, reason)| reason.as_str()).collect();
    let (pairs, written) = in_code();
    assert_eq!(reasons, written.iter().map(String::as_str).collect(), "README and code");
    assert!(pairs.len() > 10, "{pairs:?}");
    for pair in pairs {
        assert!(documented.contains(&pair), "{pair:?} is in the code and not in the README");
    }
    // The same codes as in `--help`.
    let help = Cli::command().get_after_help().unwrap().to_string();
    for code in documented.iter().flat_map(|(codes, _)| codes.split(", ")) {
        let named = help.contains(&format!(" {code} ")) || help.contains("129/130/143") && code.len() == 3;
        assert!(named, "{code} is not in --help: {help}");
    }
}

/// Pairs of exit code and reason as the code writes them side by side, and every reason it writes.
fn in_code() -> (BTreeSet<(String, String)>, BTreeSet<String>) {
    let (mut pairs, mut reasons) = (BTreeSet::new(), BTreeSet::new());
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for folder in ["engine", "cli"] {
        for entry in std::fs::read_dir(source.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap();
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let made = ["Outcome::new(", "End::new(", " end("];
            for rest in made.iter().flat_map(|made| text.split(made).skip(1)) {
                let mut arguments = rest.split(',').map(str::trim);
                let (code, reason) = (arguments.next().unwrap(), arguments.next().unwrap_or_default());
                let reason = reason.split(')').next().unwrap();
                if let (Ok(_), Some(reason)) = (code.parse::<u8>(), literal(reason)) {
                    pairs.insert((code.to_owned(), reason.to_owned()));
                }
                reasons.extend(reason.split(['{', '}', ' ']).filter_map(literal).map(str::to_owned));
            }
            for start in ["reason: ", ".reason = ", "let reason = "] {
                for rest in text.split(start).skip(1) {
                    let end = if start.starts_with("let") { ';' } else { ',' };
                    let value = rest.split(end).next().unwrap();
                    let one = value.split(';').next().unwrap();
                    reasons.extend(one.split(['{', '}', ' ']).filter_map(literal).map(str::to_owned));
                }
            }
        }
    }
    (pairs, reasons)
}

/// The word between quotes, where it is one that could be a reason.
fn literal(text: &str) -> Option<&str> {
    let word = text.trim().strip_prefix('"')?.strip_suffix('"')?;
    word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-').then_some(word)
}

/// A `PATH` without `just` and `terraform`, whatever else this machine has.
fn bare_path(directory: &Path) {
    for folder in std::env::split_paths(&std::env::var_os("PATH").unwrap()) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name != "just" && name != "terraform" {
                // A program of an earlier folder goes first.
                let _taken = std::os::unix::fs::symlink(entry.path(), directory.join(name));
            }
        }
    }
}

/// The README's first command on a machine that has git and nothing else, and the README's transcript of it.
#[test]
fn a_rehearsal_needs_nothing_but_git_and_goes_as_shown() {
    let directory = tempfile::tempdir().unwrap();
    let (path, home) = (directory.path().join("path"), directory.path().join("home"));
    std::fs::create_dir_all(&path).unwrap();
    std::fs::create_dir_all(&home).unwrap();
    bare_path(&path);
    let mut command = Command::new(env!("CARGO_BIN_EXE_catalog-deploy"));
    command.args(["rehearse", "prod", "--yes"]).env_clear().env("PATH", &path).env("HOME", &home);
    let output = command.current_dir(&home).stdin(std::process::Stdio::null()).output().unwrap();
    let (stdout, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), stdout.as_str()), (Some(0), ""), "{said}");
    assert!(said.contains("played by a stand-in: just and terraform"), "{said}");
    // The lines of the transcript in their order, but for times of day, lengths of time and what the tools are.
    let mut lines = said.lines().map(timeless);
    for shown in blocks("text")[0].lines().skip(1) {
        assert!(lines.any(|line| line == timeless(shown)), "not said, or not in this order: {shown}\n{said}");
    }
}

/// Without the time of day at the beginning and the seconds at the end.
fn timeless(line: &str) -> String {
    let line = line.get(9..).filter(|_| line.get(2..3) == Some(":")).unwrap_or(line);
    line.rsplit_once(" (").filter(|(_, end)| end.ends_with("s)") && end.len() < 6).map_or(line, |(text, _)| text).into()
}
