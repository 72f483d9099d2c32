//! What to say when `--tag` names nothing that can be deployed: why, and which tags can be chosen.
//!
//! Everything here is best effort: it explains a refusal that stands already, so a failed read only makes it shorter.

use crate::adapters::github::Release;
use crate::event::{Evidence, Refusal};
use crate::facts::RunningFact;
use crate::release::Deployed;
use crate::runbook::schema::ReleaseShape;
use crate::step::{Look, Trouble};
use crate::steps::candidates::Candidates;
use crate::steps::declared;
use crate::steps::deploys::{Deploys, bumps_of};

/// The tags to choose from, one line each, with age and whether they were ever deployed.
pub async fn recent_tags(look: &Look<'_>, running: Option<&RunningFact>) -> Result<Vec<String>, Trouble> {
    let candidates = Candidates::read(look.readers, look.runbook, look.past, running).await?;
    Ok(candidates.lines(look.readers.clock.now()))
}

/// Whether a tag was ever deployed, as far as that is known.
pub async fn deployed(look: &Look<'_>, tag: &str, running: Option<&RunningFact>) -> Result<Deployed, Trouble> {
    let shape = declared::release(look.runbook)?;
    let (deploys, pulls) = futures::join!(
        Deploys::read(look.readers, look.runbook, look.past),
        bumps_of(look.readers, look.runbook, tag),
    );
    Ok(deploys.judge(shape, tag, running, &pulls))
}

/// What a tag's past says to somebody who is about to deploy it; `None` where nothing is known.
pub fn past(tag: &str, deployed: &Deployed) -> Option<Evidence> {
    match deployed {
        Deployed::Now(source) | Deployed::Before(source) => {
            Some(Evidence::verified(format!("{tag} ran before: {source}")))
        }
        Deployed::Unwell(source) => {
            Some(Evidence::warning(format!("{tag} ran before, and production was unhealthy: {source}")))
        }
        Deployed::Probably(source) => Some(Evidence::warning(format!("{tag} probably ran before: {source}"))),
        Deployed::Never => Some(Evidence::warning(format!("{tag} was published and never deployed"))),
        Deployed::NotKnown => None,
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
    fn tags_stand_below_the_advice() {
        let refusal = with_tags(Refusal { what: "x".into(), next: "choose".into() }, &["a".into(), "b".into()]);
        assert_eq!(refusal.next, "choose; recent tags:\n  a\n  b");
    }
}
