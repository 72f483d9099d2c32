//! What to say when `--tag` names nothing that can be deployed: why, and which tags can be chosen.
//!
//! Everything here is best effort: it explains a refusal that stands already, so a failed read only makes it shorter.

use std::collections::BTreeMap;

use futures::future::join_all;
use jiff::Timestamp;

use crate::adapters::checkout::Location;
use crate::adapters::github::{PullRequest, Release};
use crate::event::{Evidence, Refusal};
use crate::facts::RunningFact;
use crate::release::{self, Deployed};
use crate::runbook::Kind;
use crate::runbook::schema::ReleaseShape;
use crate::step::{Look, Trouble};
use crate::steps::declared;

const SHOWN: usize = 8;

/// How many commits of the version's file are looked through: decades of deploys.
const COMMITS: usize = 500;

/// Recent tags of the registry, one line each, with age and whether they were ever deployed.
pub async fn recent_tags(look: &Look<'_>, running: Option<&RunningFact>) -> Result<Vec<String>, Trouble> {
    let shape = declared::release(look.runbook)?;
    let registry = declared::registry(look.runbook)?;
    let (tags, main) = futures::join!(look.readers.registry.tags(&registry.image), history(look));
    let Ok(tags) = tags else { return Ok(Vec::new()) };
    let all = release::recent(shape, &tags, usize::MAX);
    let mut shown: Vec<String> = all.iter().take(SHOWN).cloned().collect();
    let mut history: BTreeMap<String, Deployed> =
        all.iter().map(|tag| (tag.clone(), deployed(shape, tag, running, &[], &main))).collect();
    let pulls = join_all(shown.iter().map(|tag| bumps_of(look, tag))).await;
    for (tag, pulls) in shown.iter().zip(&pulls) {
        history.insert(tag.clone(), deployed(shape, tag, running, pulls, &main));
    }
    let stable = running.and_then(|running| release::latest_stable(&history, &running.tag)).map(str::to_owned);
    shown.extend(stable.clone().filter(|stable| !shown.contains(stable)));
    let mut lines = release::suggest(shape, &shown, &history, look.readers.clock.now());
    if let Some(at) = stable.and_then(|stable| shown.iter().position(|tag| *tag == stable)) {
        lines[at].push_str(": the latest stable one before what runs now");
    }
    Ok(lines)
}

/// What a tag's past says to somebody who is about to deploy it; `None` where nothing is known.
pub async fn past(look: &Look<'_>, tag: &str) -> Result<Option<Evidence>, Trouble> {
    let shape = declared::release(look.runbook)?;
    let (main, pulls) = futures::join!(history(look), bumps_of(look, tag));
    Ok(match deployed(shape, tag, None, &pulls, &main) {
        Deployed::Now(source) | Deployed::Before(source) => {
            Some(Evidence::verified(format!("{tag} was deployed before ({source})")))
        }
        Deployed::Probably(source) => Some(Evidence::warning(format!("{tag} was probably deployed before ({source})"))),
        Deployed::Never => Some(Evidence::warning(format!("{tag} was published and never deployed"))),
        Deployed::NotKnown => None,
    })
}

/// What main of the infrastructure repository held, and since when; empty where it cannot be read.
async fn history(look: &Look<'_>) -> Vec<(Timestamp, String)> {
    let Some(infrastructure) = &look.runbook.infrastructure else { return Vec::new() };
    let at = Location::from(&infrastructure.version);
    look.readers.checkout.literals_in_history(&infrastructure.main, &at, COMMITS).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "what was deployed before is not known");
        Vec::new()
    })
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

/// A bump pull request is opened after its apply, so what is on main was deployed, and even an open one means that the
/// tag probably ran.
fn deployed(
    shape: &ReleaseShape,
    tag: &str,
    running: Option<&RunningFact>,
    pulls: &[PullRequest],
    main: &[(Timestamp, String)],
) -> Deployed {
    if let Some(running) = running.filter(|running| running.tag == tag) {
        return if running.certain {
            Deployed::Now(running.source.clone())
        } else {
            Deployed::Probably(running.source.clone())
        };
    }
    let literal = format!("\"{tag}\"");
    if let Some((since, _)) = main.iter().find(|(_, held)| *held == literal) {
        return Deployed::Before(format!("on main since {}", since.strftime("%Y-%m-%d")));
    }
    if let Some(pull) = pulls.iter().find(|pull| pull.merged) {
        return Deployed::Before(format!("pull request #{} merged", pull.number));
    }
    match pulls.iter().find(|pull| pull.state == "open") {
        Some(pull) => Deployed::Probably(format!("pull request #{} open", pull.number)),
        None => {
            // A clone may be shallow: only a history that goes back to before the tag was made can deny it.
            let made = shape.version_of_image(tag).and_then(release::time_of);
            let reaches = made.is_some_and(|made| main.iter().any(|(since, _)| *since <= made));
            if reaches { Deployed::Never } else { Deployed::NotKnown }
        }
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
        assert_eq!(deployed(&shape(), TAG, Some(&running(true)), &[], &[]), Deployed::Now("state".into()));
        assert_eq!(deployed(&shape(), TAG, Some(&running(false)), &[], &[]), Deployed::Probably("state".into()));
        assert_eq!(
            deployed(&shape(), TAG, None, &[pull("closed", true)], &[]),
            Deployed::Before("pull request #12 merged".into())
        );
        assert_eq!(
            deployed(&shape(), TAG, None, &[pull("open", false)], &[]),
            Deployed::Probably("pull request #12 open".into())
        );
        assert_eq!(deployed(&shape(), TAG, None, &[pull("closed", false)], &[]), Deployed::NotKnown);
    }

    #[test]
    fn main_tells_what_was_deployed_and_denies_only_what_it_would_show() {
        let at = |time: &str, tag: &str| (time.parse::<Timestamp>().unwrap(), format!("\"{tag}\""));
        let main = [
            at("2024-09-10T08:00:00Z", "rel-2024.09.09.23.00.57"),
            at("2024-06-14T09:00:00Z", "rel-2024.06.13.17.07.54"),
        ];
        let past = |tag: &str| deployed(&shape(), tag, None, &[], &main);
        assert_eq!(past("rel-2024.06.13.17.07.54"), Deployed::Before("on main since 2024-06-14".into()));
        assert_eq!(past(TAG), Deployed::Never);
        assert_eq!(past("rel-2023.12.20.22.19.13"), Deployed::NotKnown, "from before this history");
    }

    #[test]
    fn tags_stand_below_the_advice() {
        let refusal = with_tags(Refusal { what: "x".into(), next: "choose".into() }, &["a".into(), "b".into()]);
        assert_eq!(refusal.next, "choose; recent tags:\n  a\n  b");
    }
}
