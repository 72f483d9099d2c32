//! Whether `latest` is the image of the newest build of main: publishing aliases whatever `latest` is at that moment.
//!
//! Pure. CI pushes `latest` and a commit tag only where a push touched the image's paths, so the newest commit that
//! touches any of them is looked for; a change that should have made an image and did not is reported.

use crate::adapters::github::{Commit, Job, WorkflowRun};
use crate::adapters::registry::Manifest;
use crate::event::Refusal;
use crate::steps::declared::{short_commit, short_digest};

/// Commits, and builds where the newest commit has none of its own, whose image is asked for.
const TOUCHING: usize = 5;
const BUILDS: usize = 30;

/// A commit of main whose image may be the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub commit: String,
    /// Touches the paths that make an image.
    pub touches: bool,
    /// `conclusion` and URL of its build; `None` where the list of runs does not reach it.
    pub build: Option<(String, String)>,
}

/// The commits of several lists, one per path, as one list: newest first, each once.
pub fn by_time(touching: Vec<Vec<Commit>>) -> Vec<Commit> {
    let mut all: Vec<Commit> = Vec::new();
    for commit in touching.into_iter().flatten() {
        if !all.iter().any(|other| other.sha == commit.sha) {
            all.push(commit);
        }
    }
    all.sort_by_key(|commit| std::cmp::Reverse(commit.at));
    all
}

/// Runs that are not completed and may still move `latest`. An older one counts too: it may push after a newer one.
///
/// A push whose commits touch none of the image's paths makes no image. A dispatched run makes one from whatever branch it
/// was started on.
pub fn pending<'r>(runs: &'r [WorkflowRun], touching: &[Commit]) -> Vec<&'r WorkflowRun> {
    let built = |commit: &Commit| runs.iter().any(|run| run.head_sha == commit.sha);
    let may_push = |run: &WorkflowRun| {
        let touches = touching.iter().any(|commit| commit.sha == run.head_sha);
        // A push of several commits is built at its last one, which need not be the one that touches.
        let may_hold = touching.first().is_some_and(|newest| !built(newest) && run.created_at >= newest.at);
        run.event == "workflow_dispatch" || touching.is_empty() || touches || may_hold
    };
    of_main(runs).into_iter().filter(|run| run.status != "completed").filter(|run| may_push(run)).collect()
}

/// Whether the job that pushes the image is over in a run that is not: then the rest of it cannot move `latest`.
pub fn pushed(jobs: &[Job], publish_job: &str) -> bool {
    jobs.iter().any(|job| job.name == publish_job && job.status == "completed")
}

/// Runs of a fork's pull request carry the fork's branch name, which may be `main` too.
fn of_main(runs: &[WorkflowRun]) -> Vec<&WorkflowRun> {
    let mut runs: Vec<&WorkflowRun> = runs.iter().filter(|run| !run.event.starts_with("pull_request")).collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.created_at));
    runs
}

/// Commits to look for on the registry, newest first. `touching` is newest first, and empty where the runbook names no
/// path: then every recent build is a candidate.
pub fn candidates(runs: &[WorkflowRun], touching: &[Commit]) -> Vec<Candidate> {
    let builds: Vec<&WorkflowRun> = of_main(runs).into_iter().filter(|run| run.event != "workflow_dispatch").collect();
    let build_of = |commit: &str| builds.iter().find(|run| run.head_sha == commit).copied();
    let candidate = |commit: &str, touches: bool| Candidate {
        commit: commit.to_owned(),
        touches,
        build: build_of(commit)
            .map(|run| (run.conclusion.clone().unwrap_or_else(|| run.status.clone()), run.html_url.clone())),
    };
    let touches = |commit: &str| touching.iter().any(|other| other.sha == commit);
    let newest = touching.first();
    // The newest commit came in a push that was built at another one: any build since then may hold it.
    let inside = newest.is_none_or(|newest| build_of(&newest.sha).is_none());
    let since = builds.iter().filter(|run| newest.is_none_or(|newest| run.created_at >= newest.at));
    let mut chosen: Vec<Candidate> = Vec::new();
    for run in since.take(if inside { BUILDS } else { 0 }) {
        if !chosen.iter().any(|other| other.commit == run.head_sha) {
            chosen.push(candidate(&run.head_sha, touches(&run.head_sha)));
        }
    }
    for commit in touching.iter().take(TOUCHING) {
        if !chosen.iter().any(|other| other.commit == commit.sha) {
            chosen.push(candidate(&commit.sha, true));
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

impl NotLatest {
    pub fn refusal(&self) -> &Refusal {
        match self {
            Self::Refused(refusal) | Self::Unknown(refusal) => refusal,
        }
    }

    pub fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) | Self::Unknown(refusal) => refusal,
        }
    }
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

    /// A commit one second before the build that [`run`] makes for that minute.
    fn commit(sha: &str, minute: u32) -> Commit {
        let at: jiff::Timestamp = format!("2024-08-22T20:{minute:02}:00Z").parse().unwrap();
        Commit { sha: sha.into(), at: at - jiff::SignedDuration::from_secs(1) }
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
            assert_eq!(pending(&[run("a", 2, status, None), done("b", 1)], &[]).len(), 1, "{status}");
        }
        let mut fork = run("a", 2, "in_progress", None);
        fork.event = "pull_request".into();
        assert!(pending(&[fork, done("b", 1)], &[]).is_empty());
    }

    #[test]
    fn only_a_run_that_can_still_move_latest_is_waited_for() {
        let touching = [commit("image", 3), commit("older", 1)];
        let built = |other: WorkflowRun| [other, done("image", 3)];
        assert!(pending(&built(run("docs", 5, "in_progress", None)), &touching).is_empty(), "touches nothing");
        assert_eq!(pending(&built(run("older", 5, "in_progress", None)), &touching).len(), 1, "built again");
        let mut dispatched = run("branch", 5, "queued", None);
        dispatched.event = "workflow_dispatch".into();
        assert_eq!(pending(&built(dispatched), &touching).len(), 1, "from any branch");
        // The newest commit has no build of its own, so it may be inside this push.
        assert_eq!(pending(&[run("docs", 5, "in_progress", None)], &touching).len(), 1);
        assert!(pending(&[run("docs", 2, "in_progress", None)], &touching).is_empty(), "began before it");
    }

    #[test]
    fn a_run_whose_image_is_pushed_moves_nothing_any_more() {
        let job = |name: &str, status: &str, conclusion: Option<&str>| Job {
            name: name.into(),
            status: status.into(),
            conclusion: conclusion.map(Into::into),
        };
        let publish = "Publish Docker images (catalog)";
        let staging = job("Deploy staging", "in_progress", None);
        assert!(pushed(&[job(publish, "completed", Some("success")), staging.clone()], publish));
        assert!(pushed(&[job(publish, "completed", Some("skipped"))], publish), "its filter did not match");
        assert!(!pushed(&[job(publish, "queued", None), staging.clone()], publish));
        assert!(!pushed(&[staging], publish), "not begun");
    }

    #[test]
    fn commits_of_several_paths_are_one_list_by_time() {
        let lists = vec![vec![commit("c", 4), commit("a", 1)], vec![commit("d", 5), commit("c", 4), commit("b", 2)]];
        let shas: Vec<String> = by_time(lists).into_iter().map(|commit| commit.sha).collect();
        assert_eq!(shas, ["d", "c", "b", "a"]);
    }

    #[test]
    fn the_newest_commits_that_touch_the_image_are_candidates() {
        let runs: Vec<WorkflowRun> = (1..=9).map(|minute| done(&format!("c{minute}"), minute)).collect();
        let touching = [commit("c5", 5), commit("c2", 2)];
        assert_eq!(commits(&candidates(&runs, &touching)), ["c5", "c2"]);
        assert_eq!(candidates(&runs, &[]).len(), 9, "without paths every build is one");
    }

    #[test]
    fn a_push_of_several_commits_is_built_at_its_last() {
        let runs: Vec<WorkflowRun> = (1..=9).map(|minute| done(&format!("c{minute}"), minute)).collect();
        let found = candidates(&runs, &[commit("inside-the-push", 7), commit("c2", 2)]);
        assert_eq!(commits(&found), ["c9", "c8", "c7", "inside-the-push", "c2"]);
    }

    #[test]
    fn latest_is_the_newest_build_even_if_wrapped_anew() {
        let runs = [done("docs", 3), done("new", 2), done("old", 1)];
        let found = candidates(&runs, &[commit("new", 2), commit("old", 1)]);
        let digests = some(&[Some("sha256:n"), Some("sha256:o")]);
        let built = manifest("sha256:n", &["sha256:child"]);
        for latest in [manifest("sha256:n", &[]), manifest("sha256:wrapped", &["sha256:child"])] {
            assert_eq!(judge(&found, &digests, Some(&latest), Some(&built)), Ok("new"));
        }
    }

    /// Trap 9: publishing before CI pushed `latest` gives the tag to the previous image, and nothing fails.
    #[test]
    fn latest_on_an_older_image_is_refused() {
        let found = candidates(&[done("new", 2), done("old", 1)], &[commit("new", 2), commit("old", 1)]);
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
        let found = candidates(&runs, &[commit("new", 2), commit("old", 1)]);
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
