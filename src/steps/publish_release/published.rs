//! What became of a release that this run published, or tried to. Pure.

use crate::adapters::github::{Release, WorkflowRun};
use crate::event::Refusal;
use crate::facts::ReleaseFact;

/// What was read about the release that was approved.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    pub approved: &'a ReleaseFact,
    /// GitHub answered that it was published. Without it, the request may never have arrived.
    pub confirmed: bool,
    /// `None` where the release is gone.
    pub found: Option<&'a Release>,
    /// Runs of the tagging workflow for its tag: proof that it was published once.
    pub runs: &'a [WorkflowRun],
    /// Looked at for long enough to believe what is seen.
    pub settled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Published under the approved tag, and stays so.
    Stays,
    /// Too early to tell.
    LookAgain,
    /// Was never published: the draft path again, with a new question.
    NeverPublished,
    Refused(Refusal),
}

/// Never sends anybody to publish blindly: a second publication makes a second tag.
pub fn judge(reading: Reading<'_>) -> Verdict {
    let tag = &reading.approved.git_tag;
    let url = &reading.approved.url;
    let refuse = |what: String, next: String| Verdict::Refused(Refusal { what, next });
    let Some(release) = reading.found else {
        return refuse(
            format!("release {} ({tag}) is gone from GitHub", reading.approved.id),
            format!("somebody deleted it: ask who and why before anything else; it was at {url}"),
        );
    };
    let was_published = reading.confirmed || !reading.runs.is_empty();
    match (release.draft, was_published) {
        (true, true) => refuse(
            format!("{tag} was published and is a draft again ({url})"),
            format!(
                "do not publish it again blindly, that makes a second tag: look at the last runs of the workflow that \
                 drafts releases (it can turn a release back when it races), and whether the tagging workflow ran \
                 for {tag}; if the image tag exists, deploy it with --tag"
            ),
        ),
        (true, false) if !reading.settled => Verdict::LookAgain,
        (true, false) => Verdict::NeverPublished,
        (false, _) if release.tag_name != *tag => refuse(
            format!("the release was approved as {tag}, but is published as {} ({url})", release.tag_name),
            "the drafter renamed it at the last moment: read its notes; if it is right, deploy its image tag with --tag"
                .into(),
        ),
        (false, _) if !reading.settled => Verdict::LookAgain,
        (false, _) => Verdict::Stays,
    }
}

#[cfg(test)]
mod tests {
    use super::super::draft::tests::release;
    use super::*;

    const TAG: &str = "catalog-2024.08.22.20.53.01";

    fn approved() -> ReleaseFact {
        ReleaseFact { id: 7, git_tag: TAG.into(), url: "https://github.test/releases/7".into() }
    }

    fn tagging() -> WorkflowRun {
        WorkflowRun {
            id: 1,
            event: "release".into(),
            status: "queued".into(),
            conclusion: None,
            head_branch: Some(TAG.into()),
            head_sha: String::new(),
            display_title: TAG.into(),
            html_url: String::new(),
            created_at: "2024-08-22T20:53:30Z".parse().unwrap(),
        }
    }

    fn verdict(found: Option<&Release>, confirmed: bool, runs: &[WorkflowRun], settled: bool) -> Verdict {
        judge(Reading { approved: &approved(), confirmed, found, runs, settled })
    }

    fn refusal(verdict: Verdict) -> String {
        let Verdict::Refused(refusal) = verdict else { panic!("{verdict:?}") };
        format!("{} → {}", refusal.what, refusal.next)
    }

    #[test]
    fn published_is_believed_only_when_it_stays() {
        let published = release(7, TAG, false);
        assert_eq!(verdict(Some(&published), true, &[], false), Verdict::LookAgain);
        assert_eq!(verdict(Some(&published), true, &[], true), Verdict::Stays);
        // A lost answer: it is there, so it was ours.
        assert_eq!(verdict(Some(&published), false, &[], true), Verdict::Stays);
    }

    /// Trap 9.
    #[test]
    fn release_back_to_draft_is_never_published_again_blindly() {
        let draft = release(7, TAG, true);
        for (confirmed, runs) in [(true, vec![]), (false, vec![tagging()])] {
            let text = refusal(verdict(Some(&draft), confirmed, &runs, true));
            assert!(text.contains("is a draft again") && text.contains("do not publish it again blindly"), "{text}");
        }
    }

    #[test]
    fn a_request_that_never_arrived_leaves_the_draft() {
        let draft = release(7, TAG, true);
        assert_eq!(verdict(Some(&draft), false, &[], false), Verdict::LookAgain);
        assert_eq!(verdict(Some(&draft), false, &[], true), Verdict::NeverPublished);
    }

    /// Trap 9: the draft's DATE changed under us.
    #[test]
    fn published_under_another_tag_is_refused() {
        let text = refusal(verdict(Some(&release(7, "catalog-2024.08.23.01.00.00", false)), true, &[], true));
        assert!(text.contains("approved as catalog-2024.08.22.20.53.01"), "{text}");
    }

    #[test]
    fn a_deleted_release_is_refused() {
        assert!(refusal(verdict(None, true, &[], true)).contains("is gone from GitHub"));
    }
}
