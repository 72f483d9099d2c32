use super::*;
use crate::adapters::checkout::RemoteMain;
use crate::adapters::{Cause, ServiceError};

fn main_is(commit: &str, in_head: Option<bool>) -> Result<RemoteMain, ServiceError> {
    Ok(RemoteMain { commit: commit.into(), in_head })
}

fn reading() -> Reading {
    let commit = "a".repeat(40);
    Reading {
        standing: Standing {
            branch: Some("main".into()),
            head: commit.clone(),
            remote: Ok(RemoteMain { commit, in_head: Some(true) }),
            dirty: vec![],
            untracked: vec![],
            in_progress: None,
        },
        flag: Some((
            Location { file: "prod.tf".into(), block: vec![], attribute: "running_dags_cleared".into() },
            Attribute { literal: "false".into(), line: 33 },
        )),
        pull_requests: Ok(vec![]),
        workspace: None,
        errored_state: false,
    }
}

fn expected<'a>(ours: &'a [String], flag_is_ours: bool) -> Expected<'a> {
    Expected {
        main: "main",
        remote: "origin",
        directory: "environments/prod",
        ours,
        unmerged: None,
        flag_is_ours,
        branch_prefix: "catalog-deploy/",
        image_prefix: "rel-",
        own_pull_request: Some(7),
    }
}

fn pull(number: u64, title: &str, head_ref: &str) -> PullRequest {
    PullRequest {
        number,
        title: title.into(),
        state: "open".into(),
        merged: false,
        head_ref: head_ref.into(),
        head_sha: String::new(),
        base_ref: "main".into(),
        author: "ana".into(),
        html_url: format!("https://example.org/{number}"),
        updated_at: None,
    }
}

#[test]
fn a_ready_checkout_is_refused_nothing() {
    assert_eq!(refusals(&reading(), &expected(&[], false)), []);
    assert_eq!(warnings(&reading(), &expected(&[], false)), []);
}

#[test]
fn each_trouble_is_refused() {
    type Break = fn(&mut Reading);
    let cases: [(&str, Break, &str); 11] = [
        ("dirty", |it| it.standing.dirty = vec!["x.tf".into()], "x.tf"),
        ("branch", |it| it.standing.branch = Some("topic".into()), "topic"),
        ("detached", |it| it.standing.branch = None, "no branch"),
        ("behind", |it| it.standing.remote = main_is("b", None), "behind"),
        ("diverged", |it| it.standing.remote = main_is("b", Some(false)), "behind"),
        ("ahead", |it| it.standing.head = "b".into(), "commits that are not on"),
        ("rebase", |it| it.standing.in_progress = Some("rebase".into()), "rebase"),
        ("flag", |it| it.flag.as_mut().unwrap().1.literal = "true".into(), "prod.tf:33"),
        ("workspace", |it| it.workspace = Some(("prod".into(), Ok("default".into()))), "default"),
        ("unreadable", |it| it.workspace = Some(("prod".into(), Err("not initialised".into()))), "not initialised"),
        ("state", |it| it.errored_state = true, "environments/prod/errored.tfstate"),
    ];
    for (name, spoil, says) in cases {
        let mut reading = reading();
        spoil(&mut reading);
        let refusals = refusals(&reading, &expected(&[], false));
        assert_eq!(refusals.len(), 1, "{name}: {refusals:?}");
        assert!(refusals[0].what.contains(says), "{name}: {}", refusals[0].what);
        assert!(!refusals[0].next.is_empty(), "{name}");
    }
}

/// Whoever decided to continue without the remote still does not deploy from a dirty checkout.
#[test]
fn what_is_local_is_refused_without_the_remote_too() {
    let mut reading = reading();
    reading.standing.remote = Err(ServiceError::new("git", "ls-remote", Cause::Unreachable("refused".into())));
    assert_eq!(refusals(&reading, &expected(&[], false)), []);
    reading.standing.dirty = vec!["x.tf".into()];
    assert_eq!(refusals(&reading, &expected(&[], false)).len(), 1);
}

#[test]
fn all_troubles_are_told_at_once() {
    let mut reading = reading();
    reading.standing.branch = Some("topic".into());
    reading.standing.dirty = vec!["x.tf".into()];
    reading.errored_state = true;
    assert_eq!(refusals(&reading, &expected(&[], false)).len(), 3);
}

#[test]
fn the_runs_own_edits_are_allowed_for() {
    let mut reading = reading();
    reading.standing.dirty = vec!["prod.tf".into()];
    reading.flag.as_mut().unwrap().1.literal = "true".into();
    assert_eq!(refusals(&reading, &expected(&["prod.tf".into()], true)), []);
    assert_eq!(refusals(&reading, &expected(&[], false)).len(), 2);
    reading.standing.dirty.push("other.tf".into());
    assert_eq!(refusals(&reading, &expected(&["prod.tf".into()], true)).len(), 1);
}

#[test]
fn unmerged_bumps_warn() {
    let mut reading = reading();
    reading.pull_requests = Ok(vec![
        pull(1, "Deploy it", "catalog-deploy/rel-x"),
        pull(2, "Catalog to rel-2024.08.22.20.53.01", "ana/bump"),
        pull(3, "Add rel-notes", "ana/notes"),
        pull(4, "Something else", "topic"),
        pull(7, "Our own rel-2024.08.22.20.53.01", "catalog-deploy/rel-2024.08.22.20.53.01"),
    ]);
    let warnings = warnings(&reading, &expected(&[], false));
    let texts: Vec<&str> = warnings.iter().map(|warning| warning.text.as_str()).collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts[0].contains("example.org/1") && texts[1].contains("example.org/2"));
}

#[test]
fn what_cannot_be_seen_or_is_untracked_only_warns() {
    let mut reading = reading();
    reading.pull_requests = Err("not found".into());
    reading.standing.untracked = (0..7).map(|number| format!("{number}.tf")).collect();
    assert_eq!(refusals(&reading, &expected(&[], false)), []);
    let warnings = warnings(&reading, &expected(&[], false));
    assert_eq!(warnings.len(), 2);
    assert!(warnings[1].text.ends_with("and 2 more"), "{}", warnings[1].text);
}
