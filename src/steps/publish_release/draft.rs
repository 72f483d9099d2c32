//! Which draft is to be published. Pure: judges one list of releases.

use super::notes;
use crate::adapters::github::Release;
use crate::event::Refusal;
use crate::runbook::schema::ReleaseShape;

/// The one draft that can be published, or everything that is in the way.
pub fn choose<'a>(
    shape: &ReleaseShape,
    releases: &'a [Release],
    allow_empty: bool,
) -> Result<&'a Release, Vec<Refusal>> {
    let ours = |release: &&Release| {
        release.tag_name.starts_with(&shape.git_prefix)
            || release.name.as_deref().is_some_and(|name| name.starts_with(&shape.git_prefix))
    };
    let drafts: Vec<&Release> = releases.iter().filter(|release| release.draft).filter(ours).collect();
    let newest = newest_published(shape, releases);
    match drafts.as_slice() {
        [] => Err(vec![nothing_drafted(shape, newest)]),
        [draft] => {
            let refusals = judge(shape, draft, newest, allow_empty);
            if refusals.is_empty() { Ok(draft) } else { Err(refusals) }
        }
        several => {
            let named: Vec<String> =
                several.iter().map(|draft| format!("{} ({})", draft.tag_name, draft.html_url)).collect();
            Err(vec![Refusal {
                what: format!(
                    "{} drafted releases start with {}: {}",
                    several.len(),
                    shape.git_prefix,
                    named.join(", ")
                ),
                next: "compare their notes, delete the stale draft on GitHub, then run again".into(),
            }])
        }
    }
}

/// The published release with the highest version.
pub fn newest_published<'a>(shape: &ReleaseShape, releases: &'a [Release]) -> Option<&'a Release> {
    releases
        .iter()
        .filter(|release| !release.draft)
        .filter_map(|release| shape.version_of_git(&release.tag_name).map(|version| (version, release)))
        .max_by_key(|(version, _)| *version)
        .map(|(_, release)| release)
}

fn nothing_drafted(shape: &ReleaseShape, newest: Option<&Release>) -> Refusal {
    let next = match newest.and_then(|release| shape.image_tag_of(&release.tag_name).map(|tag| (release, tag))) {
        Some((release, tag)) => {
            format!("deploy an existing tag with --tag {tag} (the newest published release is {})", release.tag_name)
        }
        None => format!("merge a change first, or deploy an existing tag with --tag {}…", shape.image_prefix),
    };
    Refusal { what: format!("there is no drafted {}… release: nothing to release", shape.git_prefix), next }
}

fn judge(shape: &ReleaseShape, draft: &Release, newest: Option<&Release>, allow_empty: bool) -> Vec<Refusal> {
    let (tag, url) = (&draft.tag_name, &draft.html_url);
    let mut refusals = Vec::new();
    let mut refuse = |what: String, next: String| refusals.push(Refusal { what, next });
    match shape.version_of_git(tag) {
        None => refuse(
            format!("the draft's tag is {tag:?}, not {}YYYY.MM.DD.HH.MM.SS", shape.git_prefix),
            format!("look at {url}; the drafter sets the tag at the next push to main"),
        ),
        Some(version) => {
            if let Some(published) = newest
                && let Some(there) = shape.version_of_git(&published.tag_name)
                && there >= version
            {
                let relation = if there == version { "is published already" } else { "is published and newer" };
                refuse(
                    format!("the draft is {tag}, but {} {relation} ({})", published.tag_name, published.html_url),
                    format!(
                        "deploy the published one with --tag {}, or wait until the drafter has renewed the draft",
                        shape.image_tag(there)
                    ),
                );
            }
        }
    }
    if draft.prerelease {
        refuse(
            format!("the draft {tag} is marked as a pre-release: publishing it would start no tagging workflow"),
            format!("clear the pre-release mark at {url}"),
        );
    }
    if !allow_empty && !notes::hold_a_change(&draft.body) {
        refuse(
            format!("the notes of the draft {tag} hold no change: nothing to release ({url})"),
            "for a change of configuration deploy the tag that runs now with --tag; to publish it all the same, pass \
             --allow-empty-release"
                .into(),
        );
    }
    refusals
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn shape() -> ReleaseShape {
        ReleaseShape { git_prefix: "catalog-".into(), image_prefix: "rel-".into() }
    }

    pub fn release(id: u64, tag: &str, draft: bool) -> Release {
        Release {
            id,
            tag_name: tag.into(),
            name: Some(tag.into()),
            draft,
            prerelease: false,
            body: "## New features\n- Retry Flickr (#1)".into(),
            target_commitish: "main".into(),
            html_url: format!("https://github.test/releases/{id}"),
            published_at: None,
            created_at: None,
        }
    }

    const OLD: &str = "catalog-2024.06.13.17.07.54";
    const NEW: &str = "catalog-2024.08.22.20.53.01";

    fn refused(releases: &[Release]) -> String {
        let refusals = choose(&shape(), releases, false).unwrap_err();
        refusals.iter().map(|refusal| format!("{} → {}\n", refusal.what, refusal.next)).collect()
    }

    #[test]
    fn the_one_draft_of_this_application_is_chosen() {
        let releases = [release(1, "api-2024.08.23.00.00.00", true), release(2, NEW, true), release(3, OLD, false)];
        assert_eq!(choose(&shape(), &releases, false).unwrap().id, 2);
    }

    #[test]
    fn no_draft_names_the_newest_published() {
        let text = refused(&[release(1, OLD, false), release(2, NEW, false), release(3, "catalog-2023.01", false)]);
        assert!(text.contains("nothing to release") && text.contains("--tag rel-2024.08.22.20.53.01"), "{text}");
        assert!(refused(&[]).contains("--tag rel-…"));
    }

    /// Trap 9.
    #[test]
    fn two_catalog_drafts_are_both_named() {
        let text = refused(&[release(1, OLD, true), release(2, NEW, true)]);
        for part in [OLD, NEW, "releases/1", "releases/2", "delete the stale draft"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn an_empty_draft_needs_the_option() {
        let mut draft = release(1, NEW, true);
        draft.body = "## What's Changed\n\n**Full Changelog**: x".into();
        assert!(refused(std::slice::from_ref(&draft)).contains("--allow-empty-release"));
        assert!(choose(&shape(), &[draft], true).is_ok());
    }

    #[test]
    fn a_draft_older_than_what_is_published_is_stale() {
        assert!(refused(&[release(1, OLD, true), release(2, NEW, false)]).contains("published and newer"));
        assert!(refused(&[release(1, NEW, true), release(2, NEW, false)]).contains("published already"));
    }

    #[test]
    fn all_problems_of_a_draft_are_told_at_once() {
        let mut draft = release(1, "catalog-2024.8.22", true);
        draft.prerelease = true;
        draft.body.clear();
        assert_eq!(choose(&shape(), &[draft], false).unwrap_err().len(), 3);
    }
}
