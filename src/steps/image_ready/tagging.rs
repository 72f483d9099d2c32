//! What the tagging workflow's run says about a tag that is not there yet. Pure.

use crate::adapters::github::{Release, WorkflowRun};
use crate::event::Refusal;

/// What was read while the tag is missing.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// `rel-…`, waited for.
    pub tag: &'a str,
    /// `catalog-…`
    pub git_tag: &'a str,
    /// The tagging workflow's runs on `release`; all of them.
    pub runs: &'a [WorkflowRun],
    /// The release by id: `None` where it is not known to this run, `Some(None)` where it is gone.
    pub release: Option<Option<&'a Release>>,
}

/// How the wait goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Still to come; the workflow's state in a few words, and its run's URL.
    Coming { state: String, url: Option<String> },
    /// Will not come by itself.
    Refused(Refusal),
}

/// The newest run for this release's tag. Runs on `release` carry the git tag as their branch.
pub fn run_of<'a>(runs: &'a [WorkflowRun], git_tag: &str) -> Option<&'a WorkflowRun> {
    runs.iter()
        .filter(|run| run.event == "release")
        .filter(|run| run.head_branch.as_deref() == Some(git_tag) || run.display_title == git_tag)
        .max_by_key(|run| run.created_at)
}

/// Tells a failed or cancelled run at once instead of at the deadline. Never advises to publish or dispatch again: that
/// makes duplicate tags.
pub fn judge(reading: Reading<'_>) -> Progress {
    let Reading { tag, git_tag, runs, release } = reading;
    match release {
        Some(None) => {
            return Progress::Refused(Refusal {
                what: format!("the release {git_tag} is gone from GitHub, and {tag} is not on the registry"),
                next: "ask who deleted it; do not publish another one to retry".into(),
            });
        }
        Some(Some(release)) if release.draft => {
            return Progress::Refused(Refusal {
                what: format!("{git_tag} is a draft again ({}), and {tag} is not on the registry", release.html_url),
                next:
                    "do not publish it again blindly: look at the last runs of the workflow that drafts releases and \
                       of the tagging workflow first"
                        .into(),
            });
        }
        _ => {}
    }
    let Some(run) = run_of(runs, git_tag) else {
        return Progress::Coming { state: "not started yet".into(), url: None };
    };
    if run.status != "completed" {
        return Progress::Coming { state: run.status.clone(), url: Some(run.html_url.clone()) };
    }
    match run.conclusion.as_deref().unwrap_or("no conclusion") {
        "success" => Progress::Coming {
            state: "done; the registry does not show the tag yet".into(),
            url: Some(run.html_url.clone()),
        },
        conclusion => {
            let why = if conclusion == "cancelled" {
                " (a newer run of the same concurrency group cancels one that waits)"
            } else {
                ""
            };
            Progress::Refused(Refusal {
                what: format!("the tagging workflow for {git_tag} ended as {conclusion}{why}: {}", run.html_url),
                next: format!(
                    "{tag} will not come by itself. Do not publish or dispatch again, that makes duplicate tags: re-run \
                     the failed jobs of this very run if latest is still the image that was approved, then resume"
                ),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "rel-2024.08.22.20.53.01";
    const GIT: &str = "catalog-2024.08.22.20.53.01";

    fn run(status: &str, conclusion: Option<&str>) -> WorkflowRun {
        WorkflowRun {
            id: 1,
            event: "release".into(),
            status: status.into(),
            conclusion: conclusion.map(Into::into),
            head_branch: Some(GIT.into()),
            head_sha: "c".into(),
            display_title: GIT.into(),
            html_url: "https://github.test/runs/1".into(),
            created_at: "2024-08-22T20:54:00Z".parse().unwrap(),
        }
    }

    fn release(draft: bool) -> Release {
        Release {
            id: 7,
            tag_name: GIT.into(),
            name: None,
            draft,
            prerelease: false,
            body: String::new(),
            target_commitish: "main".into(),
            html_url: "https://github.test/releases/7".into(),
            published_at: None,
            created_at: None,
        }
    }

    fn progress(runs: &[WorkflowRun], release: Option<Option<&Release>>) -> Progress {
        judge(Reading { tag: TAG, git_tag: GIT, runs, release })
    }

    fn refusal(progress: Progress) -> String {
        let Progress::Refused(refusal) = progress else { panic!("{progress:?}") };
        format!("{} → {}", refusal.what, refusal.next)
    }

    #[test]
    fn a_run_that_is_not_over_is_waited_for() {
        for status in ["queued", "in_progress", "pending", "waiting"] {
            let Progress::Coming { state, url } = progress(&[run(status, None)], None) else { panic!("{status}") };
            assert_eq!((state.as_str(), url.is_some()), (status, true));
        }
        assert!(matches!(progress(&[], None), Progress::Coming { url: None, .. }));
        assert!(matches!(progress(&[run("completed", Some("success"))], None), Progress::Coming { .. }));
    }

    /// Trap 9.
    #[test]
    fn tag_workflow_cancelled_or_failed_is_told_at_once() {
        for conclusion in ["cancelled", "failure", "timed_out", "skipped", "startup_failure"] {
            let text = refusal(progress(&[run("completed", Some(conclusion))], Some(Some(&release(false)))));
            for part in [conclusion, "https://github.test/runs/1", "Do not publish or dispatch again"] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
    }

    #[test]
    fn runs_of_other_releases_and_other_events_do_not_count() {
        let mut other = run("completed", Some("failure"));
        other.head_branch = Some("api-2024.08.22.20.53.01".into());
        other.display_title = "api-2024.08.22.20.53.01".into();
        let mut dispatched = run("completed", Some("failure"));
        dispatched.event = "workflow_dispatch".into();
        assert!(matches!(progress(&[other, dispatched], None), Progress::Coming { url: None, .. }));
    }

    #[test]
    fn of_several_runs_the_newest_counts() {
        let mut older = run("completed", Some("failure"));
        older.created_at = "2024-08-22T20:53:30Z".parse().unwrap();
        assert!(matches!(progress(&[older, run("in_progress", None)], None), Progress::Coming { .. }));
    }

    /// Trap 9.
    #[test]
    fn release_back_to_draft_or_gone_ends_the_wait() {
        let draft = release(true);
        let text = refusal(progress(&[run("in_progress", None)], Some(Some(&draft))));
        assert!(text.contains("draft again") && text.contains("do not publish it again blindly"), "{text}");
        assert!(refusal(progress(&[], Some(None))).contains("gone from GitHub"));
    }
}
