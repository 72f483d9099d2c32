//! `doctor`: what a deploy would need, before anybody starts one.

use crate::support::{Done, Stage, finish};
use catalog_deploy::rehearsal::Fault;
use std::process::Stdio;

/// The verdict of one check, from the JSON form.
fn verdict<'a>(lines: &'a [serde_json::Value], check: &str) -> &'a str {
    let found = lines.iter().find(|line| line["check"] == check);
    found.unwrap_or_else(|| panic!("no check is called {check}: {lines:?}"))["verdict"].as_str().unwrap()
}

fn asked(stage: &Stage) -> (Done, Vec<serde_json::Value>) {
    let done = stage.run(&["doctor", "--json"]);
    let lines = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (done, lines)
}

#[test]
fn all_is_well_and_nothing_is_touched() {
    let stage = Stage::new(&[]);
    let done = stage.run(&["doctor"]);
    assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
    for check in ["git", "just", "terraform", "checkout", "run lock", "GitHub account", "Airflow", "Sentry"] {
        assert!(
            done.stdout.lines().any(|line| line.starts_with(&format!("pass     {check} "))),
            "{check}: {}",
            done.stdout
        );
    }
    assert!(!done.stdout.contains("FAIL"), "{}", done.stdout);
    assert_eq!(stage.mutations(), [] as [&str; 0]);
    assert_eq!(stage.runs(), [] as [&str; 0]);
}

#[test]
fn each_failing_thing_is_shown_and_the_worst_decides() {
    let weak = Stage::new(&[Fault::WeakToken, Fault::LockHeld, Fault::CheckoutDirty]);
    let (done, lines) = asked(&weak);
    assert_eq!(done.code, 4, "{}", done.stdout);
    assert_eq!(verdict(&lines, "WordPress/openverse"), "fail");
    assert_eq!(verdict(&lines, "run lock"), "warn");
    assert_eq!(verdict(&lines, "checkout"), "warn");

    let wrong = Stage::new(&[]);
    std::fs::write(wrong.config.parent().unwrap().join("secrets/airflow"), "wrong").unwrap();
    let (done, lines) = asked(&wrong);
    assert_eq!(done.code, 4, "{}", done.stdout);
    assert_eq!(verdict(&lines, "Airflow account"), "fail");
    assert_eq!(verdict(&lines, "GitHub account"), "pass");

    // A tool is missing and nothing else: refused, but no matter of credentials.
    let bare = Stage::new(&[]);
    let bin = tempfile::tempdir().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let git = std::env::split_paths(&path).map(|it| it.join("git")).find(|it| it.is_file()).unwrap();
    std::os::unix::fs::symlink(git, bin.path().join("git")).unwrap();
    let mut command = bare.command(&["doctor", "--json"]);
    command.env("PATH", bin.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let done = finish(command.spawn().unwrap());
    let lines: Vec<serde_json::Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((verdict(&lines, "just"), verdict(&lines, "terraform")), ("fail", "fail"));
    assert_eq!((verdict(&lines, "git"), verdict(&lines, "checkout")), ("pass", "pass"));
    assert_eq!(done.code, 3, "{}", done.stdout);
}

#[test]
fn an_unknown_checkout_is_a_finding_among_others() {
    let stage = Stage::new(&[]);
    let text = std::fs::read_to_string(&stage.config).unwrap();
    let without: String =
        text.lines().filter(|line| !line.starts_with("checkout")).map(|line| format!("{line}\n")).collect();
    assert_ne!(text, without);
    std::fs::write(&stage.config, without).unwrap();
    let (done, lines) = asked(&stage);
    assert_eq!(done.code, 3, "{}", done.stdout);
    assert_eq!(verdict(&lines, "checkout"), "fail");
    assert_eq!(verdict(&lines, "Airflow"), "pass");
}

#[test]
fn the_bump_of_the_last_deploy_is_no_reason_to_stash_it() {
    let stage = Stage::new(&[]);
    let file = stage.infrastructure().join("environments/prod/catalog-airflow.tf");
    let bumped = std::fs::read_to_string(&file).unwrap().replace("rel-2024.08.22.20.53.01", "rel-2024.09.09.23.00.57");
    std::fs::write(&file, bumped).unwrap();
    let (done, lines) = asked(&stage);
    assert_eq!((done.code, verdict(&lines, "checkout")), (0, "warn"));
    assert!(
        done.stdout.contains("right if it is the bump that runs") && !done.stdout.contains("stash"),
        "{}",
        done.stdout
    );
}
