//! Whether `latest` is the image of the newest build of main: publishing aliases whatever `latest` is at that moment.
//!
//! Pure. CI pushes `latest` and a commit tag only where paths of the image changed, so the newest build *that made an
//! image* is looked for, and a change that should have made one and did not is told.

use crate::adapters::github::WorkflowRun;
use crate::adapters::registry::Manifest;
use crate::event::Refusal;
use crate::steps::declared::{short_commit, short_digest};

/// A commit of main whose image may be the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub commit: String,
    /// Touches the paths that make an image.
    pub touches: bool,
    /// `conclusion` and URL of its build; `None` where the list of runs does not reach it.
    pub build: Option<(String, String)>,
}

/// Builds of main that are not over. An older one counts too: it may push `latest` after a newer one.
pub fn pending(runs: &[WorkflowRun]) -> Vec<&WorkflowRun> {
    of_main(runs).into_iter().filter(|run| run.status != "completed").collect()
}

/// Runs of a fork's pull request carry the fork's branch name, which may be `main` too.
fn of_main(runs: &[WorkflowRun]) -> Vec<&WorkflowRun> {
    let mut runs: Vec<&WorkflowRun> = runs.iter().filter(|run| !run.event.starts_with("pull_request")).collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.created_at));
    runs
}

/// Commits to look for on the registry, newest first. `touching` is one list per path of the image, newest first;
/// empty where the runbook names no path.
///
/// A push of several commits is built at its last one, which need not touch the path: so where the newest touching
/// commit has no build of its own, every recent build is a candidate.
pub fn candidates(runs: &[WorkflowRun], touching: &[Vec<String>]) -> Vec<Candidate> {
    const NEWEST: usize = 3;
    const TOUCHING: usize = 5;
    const AT_MOST: usize = 30;
    let builds = of_main(runs);
    let touches = |commit: &str| touching.iter().flatten().any(|other| other == commit);
    let built = |commit: &str| builds.iter().any(|run| run.head_sha == commit);
    let every =
        touching.is_empty() || touching.iter().filter_map(|commits| commits.first()).any(|commit| !built(commit));
    let mut chosen: Vec<Candidate> = Vec::new();
    let mut touched = 0;
    for (index, run) in builds.iter().enumerate() {
        let touch = touches(&run.head_sha);
        let wanted = every || index < NEWEST || (touch && touched < TOUCHING);
        if !wanted || chosen.len() == AT_MOST || chosen.iter().any(|other| other.commit == run.head_sha) {
            continue;
        }
        touched += usize::from(touch);
        let conclusion = run.conclusion.clone().unwrap_or_else(|| run.status.clone());
        chosen.push(Candidate {
            commit: run.head_sha.clone(),
            touches: touch,
            build: Some((conclusion, run.html_url.clone())),
        });
    }
    for commit in touching.iter().flat_map(|commits| commits.iter().take(TOUCHING)) {
        if every && !chosen.iter().any(|other| &other.commit == commit) {
            chosen.push(Candidate { commit: commit.clone(), touches: true, build: None });
        }
    }
    chosen
}

/// The newest candidate that has an image. `digests` answers `candidates` one for one.
pub fn newest_built<'a>(
    candidates: &'a [Candidate],
    digests: &'a [Option<String>],
) -> Option<(&'a Candidate, &'a str)> {
    candidates.iter().zip(digests).find_map(|(candidate, digest)| digest.as_deref().map(|digest| (candidate, digest)))
}

/// Why `latest` cannot be published as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotLatest {
    Refused(Refusal),
    /// Cannot be told from what GitHub and the registry say.
    Unknown(Refusal),
}

/// The commit whose image `latest` is. `built` is the manifest of the newest candidate's image.
pub fn judge<'a>(
    candidates: &'a [Candidate],
    digests: &'a [Option<String>],
    latest: Option<&Manifest>,
    built: Option<&Manifest>,
) -> Result<&'a str, NotLatest> {
    let refuse = |what: String, next: &str| Err(NotLatest::Refused(Refusal { what, next: next.into() }));
    let Some(latest) = latest else {
        return refuse(
            "the registry has no tag latest, and publishing tags whatever latest is".into(),
            "let CI build main once, then run again",
        );
    };
    for (candidate, digest) in candidates.iter().zip(digests) {
        if digest.is_some() {
            break;
        }
        if let (true, Some((conclusion, url))) = (candidate.touches, &candidate.build) {
            let commit = short_commit(&candidate.commit);
            return refuse(
                format!("commit {commit} changes the image, but its build ({conclusion}) pushed none: {url}"),
                "publishing now would release an older image; let that build succeed (re-run it), then run again",
            );
        }
    }
    let Some((candidate, digest)) = newest_built(candidates, digests) else {
        return Err(NotLatest::Unknown(Refusal {
            what:
                "none of the recent commits of main has an image on the registry, so it cannot be told what latest is"
                    .into(),
            next: "compare latest with the newest build of main by hand; check build_workflow and build_paths in the \
                   runbook"
                .into(),
        }));
    };
    let same = latest.digest == digest
        || built.is_some_and(|built| !built.contents.is_empty() && built.contents == latest.contents);
    if same {
        return Ok(&candidate.commit);
    }
    let commit = short_commit(&candidate.commit);
    refuse(
        format!(
            "latest ({}) is not the image of the newest build of main, {commit} ({})",
            short_digest(&latest.digest),
            short_digest(digest)
        ),
        "publishing tags whatever latest is; find out what pushed latest, re-run the build of main, then run again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(commit: &str, minute: u32, status: &str, conclusion: Option<&str>) -> WorkflowRun {
        WorkflowRun {
            id: u64::from(minute),
            event: "push".into(),
            status: status.into(),
            conclusion: conclusion.map(Into::into),
            head_branch: Some("main".into()),
            head_sha: commit.into(),
            display_title: "CI".into(),
            html_url: format!("https://github.test/runs/{minute}"),
            created_at: format!("2024-08-22T20:{minute:02}:00Z").parse().unwrap(),
        }
    }

    fn done(commit: &str, minute: u32) -> WorkflowRun {
        run(commit, minute, "completed", Some("success"))
    }

    fn commits(candidates: &[Candidate]) -> Vec<&str> {
        candidates.iter().map(|candidate| candidate.commit.as_str()).collect()
    }

    fn manifest(digest: &str, contents: &[&str]) -> Manifest {
        Manifest { digest: digest.into(), contents: contents.iter().map(|&it| it.into()).collect() }
    }

    fn some(digests: &[Option<&str>]) -> Vec<Option<String>> {
        digests.iter().map(|digest| digest.map(Into::into)).collect()
    }

    #[test]
    fn every_state_but_completed_is_pending_and_forks_do_not_count() {
        for status in ["queued", "in_progress", "waiting", "requested", "pending"] {
            assert_eq!(pending(&[run("a", 2, status, None), done("b", 1)]).len(), 1, "{status}");
        }
        let mut fork = run("a", 2, "in_progress", None);
        fork.event = "pull_request".into();
        assert!(pending(&[fork, done("b", 1)]).is_empty());
    }

    #[test]
    fn builds_that_touch_the_image_are_candidates_and_the_three_newest() {
        let runs: Vec<WorkflowRun> = (1..=9).map(|minute| done(&format!("c{minute}"), minute)).collect();
        let touching = [vec!["c5".into(), "c2".into()]];
        assert_eq!(commits(&candidates(&runs, &touching)), ["c9", "c8", "c7", "c5", "c2"]);
    }

    #[test]
    fn a_push_of_several_commits_is_built_at_its_last() {
        let runs: Vec<WorkflowRun> = (1..=9).map(|minute| done(&format!("c{minute}"), minute)).collect();
        let found = candidates(&runs, &[vec!["inside-the-push".into()]]);
        assert_eq!(found.len(), 10);
        assert_eq!(found.last().map(|last| last.commit.as_str()), Some("inside-the-push"));
    }

    #[test]
    fn latest_is_the_newest_build_even_if_wrapped_anew() {
        let runs = [done("docs", 3), done("new", 2), done("old", 1)];
        let found = candidates(&runs, &[vec!["new".into(), "old".into()]]);
        let digests = some(&[None, Some("sha256:n"), Some("sha256:o")]);
        let built = manifest("sha256:n", &["sha256:child"]);
        for latest in [manifest("sha256:n", &[]), manifest("sha256:wrapped", &["sha256:child"])] {
            assert_eq!(judge(&found, &digests, Some(&latest), Some(&built)), Ok("new"));
        }
    }

    /// Trap 9: publishing before CI pushed `latest` gives the tag to the previous image, and nothing fails.
    #[test]
    fn latest_on_an_older_image_is_refused() {
        let found = candidates(&[done("new", 2), done("old", 1)], &[vec!["new".into(), "old".into()]]);
        let digests = some(&[Some("sha256:n"), Some("sha256:o")]);
        let latest = manifest("sha256:o", &["sha256:old"]);
        let built = manifest("sha256:n", &["sha256:new"]);
        let Err(NotLatest::Refused(refusal)) = judge(&found, &digests, Some(&latest), Some(&built)) else {
            panic!("not refused")
        };
        assert!(refusal.what.contains("not the image of the newest build of main, new"), "{}", refusal.what);
    }

    #[test]
    fn a_failed_build_of_a_change_is_refused_though_latest_is_the_newest_image() {
        let runs = [run("new", 2, "completed", Some("failure")), done("old", 1)];
        let found = candidates(&runs, &[vec!["new".into(), "old".into()]]);
        let latest = manifest("sha256:o", &[]);
        let Err(NotLatest::Refused(refusal)) = judge(&found, &some(&[None, Some("sha256:o")]), Some(&latest), None)
        else {
            panic!("not refused")
        };
        assert!(refusal.what.contains("(failure) pushed none: https://github.test/runs/2"), "{}", refusal.what);
    }

    #[test]
    fn no_latest_is_refused_and_no_image_at_all_is_unknown() {
        let found = candidates(&[done("docs", 1)], &[]);
        assert!(matches!(judge(&found, &some(&[None]), None, None), Err(NotLatest::Refused(_))));
        let latest = manifest("sha256:o", &[]);
        assert!(matches!(judge(&found, &some(&[None]), Some(&latest), None), Err(NotLatest::Unknown(_))));
    }
}
