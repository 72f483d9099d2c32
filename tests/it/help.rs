//! `--help` of every command, as people see it at 100 columns; completions and the manual page know the same words; and
//! the built-in runbook as the document that people read.

mod pages;

use std::process::Command;

use catalog_deploy::cli::args::Cli;
use clap::CommandFactory;

/// What the binary prints on stdout, in an empty environment.
pub fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_catalog-deploy")).args(arguments).env_clear().output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Every command that is shown, e.g. `["runbook", "check"]`.
pub fn commands() -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name().to_owned();
        found.push(vec![name.clone()]);
        found.extend(command.get_subcommands().map(|inner| vec![name.clone(), inner.get_name().to_owned()]));
    }
    found
}

#[test]
fn completions_and_the_manual_name_every_command() {
    let mut pages: Vec<String> = ["bash", "zsh", "fish"].iter().map(|shell| printed(&["completions", shell])).collect();
    pages.push(printed(&["man"]).replace('\\', ""));
    for page in pages {
        assert!(page.len() > 1000, "{page}");
        for command in commands() {
            assert!(page.contains(&command[0]), "{} is missing in {page}", command[0]);
        }
    }
}

#[test]
fn every_command_is_snapshot_below() {
    let own = include_str!("help/pages.rs");
    for command in commands() {
        let call = command.iter().map(|word| format!("{word:?}, ")).collect::<String>();
        assert!(own.contains(&format!("printed(&[{call}\"--help\"])")), "no snapshot of {} --help", command.join(" "));
    }
}

#[test]
fn the_built_in_runbook_as_a_document() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_catalog-deploy"));
    // Elsewhere, so that it is the one inside the program.
    command.args(["runbook", "show", "prod"]).env_clear().env("HOME", directory.path()).current_dir(&directory);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    insta::assert_snapshot!("runbook-show-prod", String::from_utf8(output.stdout).unwrap());
}
