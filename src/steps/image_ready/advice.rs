//! What to say when `--tag` names nothing that can be deployed: why, and which tags can be chosen.
//!
//! Everything here is best effort: it explains a refusal that stands already, so a failed read only makes it shorter.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::adapters::github::{PullRequest, Release};
use crate::event::Refusal;
use crate::facts::RunningFact;
use crate::release::{self, Deployed};
use crate::runbook::Kind;
use crate::runbook::schema::ReleaseShape;
use crate::step::{Look, Trouble};
use crate::steps::declared;

const SHOWN: usize = 8;

/// Recent tags of the registry, one line each, with age and whether they were ever deployed.
pub async fn recent_tags(look: &Look<'_>, running: Option<&RunningFact>) -> Result<Vec<String>, Trouble> {
    let shape = declared::release(look.runbook)?;
    let registry = declared::registry(look.runbook)?;
    let Ok(tags) = look.readers.registry.tags(&registry.image).await else { return Ok(Vec::new()) };
    let tags = release::recent(shape, &tags, SHOWN);
    let pulls = join_all(tags.iter().map(|tag| bumps_of(look, tag))).await;
    let history = tags
        .iter()
        .zip(&pulls)
        .map(|(tag, pulls)| (tag.clone(), deployed(tag, running, pulls)))
        .collect::<BTreeMap<_, _>>();
    Ok(release::suggest(shape, &tags, &history, look.readers.clock.now()))
}

/// Infrastructure pull requests that this runbook's own step would have opened for a tag.
async fn bumps_of(look: &Look<'_>, tag: &str) -> Vec<PullRequest> {
    let Some(infrastructure) = &look.runbook.infrastructure else { return Vec::new() };
    let template = look.runbook.steps.iter().find_map(|step| match &step.kind {
        Kind::InfrastructurePullRequest { branch, .. } => Some(branch),
        _ => None,
    });
    let Some(template) = template else { return Vec::new() };
    let branch = template.replace("{tag}", tag);
    look.readers.github.pull_requests_of_branch(&infrastructure.repository, &branch).await.unwrap_or_default()
}

/// A bump pull request is opened after its apply, so even an open one means that the tag probably ran.
fn deployed(tag: &str, running: Option<&RunningFact>, pulls: &[PullRequest]) -> Deployed {
    if let Some(running) = running.filter(|running| running.tag == tag) {
        return if running.certain {
            Deployed::Now(running.source.clone())
        } else {
            Deployed::Probably(running.source.clone())
        };
    }
    if let Some(pull) = pulls.iter().find(|pull| pull.merged) {
        return Deployed::Before(format!("pull request #{} merged", pull.number));
    }
    match pulls.iter().find(|pull| pull.state == "open") {
        Some(pull) => Deployed::Probably(format!("pull request #{} open", pull.number)),
        None => Deployed::NotKnown,
    }
}

/// Why a well-formed tag is not on the registry, from the list of releases.
pub fn missing(shape: &ReleaseShape, tag: &str, image: &str, releases: &[Release]) -> Refusal {
    let git_tag = shape.git_tag_of(tag).unwrap_or_default();
    let known = releases.iter().find(|release| release.tag_name == git_tag);
    let (why, next) = match known {
        Some(release) if release.draft => (
            format!("it belongs to the draft release {git_tag}, which is not published ({})", release.html_url),
            "run without --tag to publish and deploy that draft, or choose a tag that exists".to_owned(),
        ),
        Some(release) => (
            format!("the release {git_tag} is published, but its image was never tagged ({})", release.html_url),
            "look at the tagging workflow's run for that release; choose a tag that exists".to_owned(),
        ),
        None => ("there is no such release on GitHub either".to_owned(), "choose a tag that exists".to_owned()),
    };
    Refusal { what: format!("{image} has no tag {tag}: {why}"), next }
}

/// The refusal with the tags to choose from below its advice.
pub fn with_tags(mut refusal: Refusal, tags: &[String]) -> Refusal {
    if !tags.is_empty() {
        refusal.next.push_str("; recent tags:");
        for tag in tags {
            refusal.next.push_str("\n  ");
            refusal.next.push_str(tag);
        }
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "rel-2024.08.22.20.53.01";

    fn shape() -> ReleaseShape {
        ReleaseShape { git_prefix: "catalog-".into(), image_prefix: "rel-".into() }
    }

    fn release(draft: bool) -> Release {
        Release {
            id: 1,
            tag_name: "catalog-2024.08.22.20.53.01".into(),
            name: None,
            draft,
            prerelease: false,
            body: String::new(),
            target_commitish: "main".into(),
            html_url: "https://github.test/1".into(),
            published_at: None,
            created_at: None,
        }
    }

    /// Trap 12: the `rel-` of a draft, of a broken release, and of nothing.
    #[test]
    fn an_unknown_tag_says_why_it_is_unknown() {
        let what = |releases: &[Release]| missing(&shape(), TAG, "image", releases).what;
        assert!(what(&[release(true)]).contains("belongs to the draft release"));
        assert!(what(&[release(false)]).contains("was never tagged"));
        assert!(what(&[]).contains("no such release on GitHub"));
    }

    #[test]
    fn deployed_is_said_only_as_far_as_it_is_known() {
        let pull = |state: &str, merged| PullRequest {
            number: 12,
            title: String::new(),
            state: state.into(),
            merged,
            head_ref: String::new(),
            head_sha: String::new(),
            base_ref: String::new(),
            author: String::new(),
            html_url: String::new(),
            updated_at: None,
        };
        let running = |certain| RunningFact { tag: TAG.into(), certain, source: "state".into() };
        assert_eq!(deployed(TAG, Some(&running(true)), &[]), Deployed::Now("state".into()));
        assert_eq!(deployed(TAG, Some(&running(false)), &[]), Deployed::Probably("state".into()));
        assert_eq!(deployed(TAG, None, &[pull("closed", true)]), Deployed::Before("pull request #12 merged".into()));
        assert_eq!(deployed(TAG, None, &[pull("open", false)]), Deployed::Probably("pull request #12 open".into()));
        assert_eq!(deployed(TAG, None, &[pull("closed", false)]), Deployed::NotKnown);
    }

    #[test]
    fn tags_stand_below_the_advice() {
        let refusal = with_tags(Refusal { what: "x".into(), next: "choose".into() }, &["a".into(), "b".into()]);
        assert_eq!(refusal.next, "choose; recent tags:\n  a\n  b");
    }
}
