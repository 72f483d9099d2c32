//! What is asked before publishing, and whether it still holds after the yes. Pure.

use crate::adapters::github::{Release, WorkflowRun};
use crate::adapters::registry::Manifest;
use crate::event::{Question, Refusal, Strength};
use crate::steps::declared::{excerpt, seal, short_commit, short_digest};

const NOTES_SHOWN: usize = 25;

/// What the registry and the builds say of `latest`.
pub struct LatestImage {
    pub manifest: Manifest,
    pub commit: LatestCommit,
    pub airflow_version: Option<String>,
    /// How far it is from the image that runs, one line each.
    pub distance: Vec<String>,
}

/// The commit that `latest` was built from.
pub enum LatestCommit {
    Known(String),
    /// Someone decided to publish `latest` although it is not the newest build's image, or that is not known; what is
    /// wrong with it, and why all the same.
    Overridden(String),
}

/// Names what is approved: this draft, with these notes, on this image.
fn digest(draft: &Release, latest: &str) -> String {
    seal(&["publish", &draft.id.to_string(), &draft.tag_name, &draft.body, &draft.target_commitish, latest])
}

pub fn name_differs(draft: &Release) -> String {
    format!("the draft is named {:?}, but its tag is {}", draft.name.as_deref().unwrap_or(""), draft.tag_name)
}

/// The question before publishing: the draft, its notes, the image, what follows.
pub fn ask(step: &str, draft: &Release, tag: &str, image: &LatestImage, workflow: &str, preview: bool) -> Question {
    let expected = draft.name.as_deref().is_none_or(|name| name.is_empty() || name == draft.tag_name);
    let mut summary = vec![
        format!("Publishes the draft {} ({}).", draft.tag_name, draft.html_url),
        format!(
            "The image latest ({}){}, Airflow {}, becomes {tag}.",
            short_digest(&image.manifest.digest),
            match &image.commit {
                LatestCommit::Known(commit) => format!(", built from {}", short_commit(commit)),
                LatestCommit::Overridden(_) => String::new(),
            },
            image.airflow_version.as_deref().unwrap_or("not known")
        ),
        format!("Starts the workflow {workflow}, which tags the image and opens the changelog pull request."),
        "A release cannot be unpublished.".to_owned(),
    ];
    summary.extend(image.distance.iter().cloned());
    if let LatestCommit::Overridden(what) = &image.commit {
        summary.push(format!("OVERRIDDEN: latest is published as it is: {what}"));
    }
    if !expected {
        summary.push(format!("Note: {}.", name_differs(draft)));
    }
    summary.push("Its notes:".to_owned());
    summary.extend(excerpt(draft.body.trim(), NOTES_SHOWN));
    let digest = digest(draft, &image.manifest.digest);
    Question {
        gate: step.to_owned(),
        title: format!("Publish {}?", draft.tag_name),
        summary,
        // What a preview showed never approves a run that publishes.
        digest: if preview { format!("preview-{digest}") } else { digest },
        expected,
        strength: Strength::Yes,
        details: None,
    }
}

/// After the yes: is what is there still what was approved?
pub fn still_as_approved(
    draft: &Release,
    latest: &str,
    pending: &[WorkflowRun],
    question: &Question,
) -> Result<(), Vec<Refusal>> {
    let next = || "nothing was published; run again and read the new question".to_owned();
    let mut refusals = Vec::new();
    if !draft.draft {
        let what = format!("{} was published by somebody else since the question was asked", draft.tag_name);
        refusals.push(Refusal { what, next: "nothing was published by this run; find out who did it".into() });
    } else if digest(draft, latest) != question.digest {
        let what = format!(
            "what was approved is not what is there: the draft (now {}), its notes or latest (now {}) changed since the \
             question was asked",
            draft.tag_name,
            short_digest(latest)
        );
        refusals.push(Refusal { what, next: next() });
    }
    if let Some(run) = pending.first() {
        let what = format!("CI began to build an image since the question was asked ({})", run.html_url);
        refusals.push(Refusal { what, next: next() });
    }
    if refusals.is_empty() { Ok(()) } else { Err(refusals) }
}

#[cfg(test)]
mod tests {
    use super::super::draft::tests::release;
    use super::*;

    const TAG: &str = "catalog-2024.08.22.20.53.01";

    fn image() -> LatestImage {
        LatestImage {
            manifest: Manifest { digest: format!("sha256:{}", "a".repeat(64)), contents: vec![] },
            commit: LatestCommit::Known("0123456789abcdef0123456789abcdef01234567".into()),
            airflow_version: Some("2.10.1".into()),
            distance: vec!["2 commits lie between".into()],
        }
    }

    fn asked(draft: &Release) -> Question {
        ask("publish", draft, "rel-2024.08.22.20.53.01", &image(), "tag.yml", false)
    }

    fn latest() -> String {
        image().manifest.digest
    }

    #[test]
    fn the_question_shows_what_is_published_and_what_follows() {
        let mut draft = release(7, TAG, true);
        draft.body = (1..=40).map(|n| format!("- change {n}\n")).collect();
        let question = asked(&draft);
        let text = question.summary.join("\n");
        for part in [
            "sha256:aaaaaaaaaaaa…",
            "0123456789,",
            "Airflow 2.10.1",
            "becomes rel-2024.08.22.20.53.01",
            "tag.yml",
            "2 commits lie between",
            "cannot be unpublished",
            "- change 25",
            "… and 15 more lines",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("- change 26") && question.expected);
    }

    #[test]
    fn a_preview_never_approves_a_run_that_publishes() {
        let draft = release(7, TAG, true);
        let previewed = ask("publish", &draft, "rel-2024.08.22.20.53.01", &image(), "tag.yml", true);
        assert_ne!(previewed.digest, asked(&draft).digest);
    }

    #[test]
    fn a_draft_under_another_name_is_not_what_the_runbook_expects() {
        let mut draft = release(7, TAG, true);
        draft.name = Some("catalog-2024.08.21.00.00.00".into());
        let question = asked(&draft);
        assert!(!question.expected && question.summary.iter().any(|line| line.starts_with("Note: the draft is named")));
    }

    /// Trap 9: the draft's DATE, its notes or `latest` changed between question and yes.
    #[test]
    fn what_moved_since_the_question_is_not_published() {
        let draft = release(7, TAG, true);
        let question = asked(&draft);
        assert_eq!(still_as_approved(&draft, &latest(), &[], &question), Ok(()));
        let changed = |change: fn(&mut Release)| {
            let mut changed = draft.clone();
            change(&mut changed);
            still_as_approved(&changed, &latest(), &[], &question)
        };
        assert!(changed(|draft| draft.tag_name = "catalog-2024.08.22.21.00.00".into()).is_err());
        assert!(changed(|draft| draft.body.push_str("- one more")).is_err());
        assert!(changed(|draft| draft.target_commitish = "other".into()).is_err());
        assert!(changed(|draft| draft.id = 8).is_err());
        assert!(still_as_approved(&draft, "sha256:moved", &[], &question).is_err());
        let published = changed(|draft| draft.draft = false).unwrap_err();
        assert!(published[0].what.contains("published by somebody else"));
    }

    #[test]
    fn a_build_that_began_since_the_question_stops_the_publication() {
        let draft = release(7, TAG, true);
        let build = WorkflowRun {
            id: 1,
            event: "push".into(),
            status: "queued".into(),
            conclusion: None,
            head_branch: Some("main".into()),
            head_sha: "new".into(),
            display_title: "CI".into(),
            html_url: "https://github.test/runs/1".into(),
            created_at: "2024-08-22T20:53:00Z".parse().unwrap(),
        };
        let refusals = still_as_approved(&draft, &latest(), &[build], &asked(&draft)).unwrap_err();
        assert!(refusals[0].what.contains("CI began to build an image"));
    }
}
