//! Recent image tags, for somebody who has to pick one in the night.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{age, time_of};
use crate::runbook::schema::ReleaseShape;

/// Whether a tag ever ran in production, as far as can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deployed {
    /// It runs now; where that was read.
    Now(String),
    /// It ran once; where that was read, e.g. `pull request #12 merged`.
    Before(String),
    /// It ran once, and production was unhealthy with it.
    Unwell(String),
    /// Probably; e.g. an open bump pull request.
    Probably(String),
    /// Published, and no sign of a deploy in a history that would show it.
    Never,
    NotKnown,
}

/// The newest `limit` image tags of a registry's list, newest first; everything that is no release left out.
pub fn recent(shape: &ReleaseShape, tags: &[String], limit: usize) -> Vec<String> {
    let mut releases: Vec<&String> = tags.iter().filter(|tag| shape.version_of_image(tag).is_some()).collect();
    releases.sort_by(|a, b| b.cmp(a));
    releases.dedup();
    releases.into_iter().take(limit).cloned().collect()
}

/// The newest tag older than `bad` that was really deployed: releases may be published and never deployed.
pub fn latest_stable<'a>(history: &'a BTreeMap<String, Deployed>, bad: &str) -> Option<&'a str> {
    let older = history.iter().filter(|(tag, deployed)| tag.as_str() < bad && matches!(deployed, Deployed::Before(_)));
    older.map(|(tag, _)| tag.as_str()).next_back()
}

/// One line per tag: the tag, its age, whether it was ever deployed. What is not in `history` is not known.
pub fn suggest(
    shape: &ReleaseShape,
    tags: &[String],
    history: &BTreeMap<String, Deployed>,
    now: Timestamp,
) -> Vec<String> {
    tags.iter()
        .map(|tag| {
            let age = shape
                .version_of_image(tag)
                .and_then(time_of)
                .map_or_else(|| "age not known".to_owned(), |then| age(now, then));
            let deployed = match history.get(tag).unwrap_or(&Deployed::NotKnown) {
                Deployed::Now(source) => format!("runs now ({source})"),
                Deployed::Before(source) => source.clone(),
                Deployed::Unwell(source) => format!("was unhealthy, {source}"),
                Deployed::Probably(source) => format!("probably deployed ({source})"),
                Deployed::Never => "published, never deployed".to_owned(),
                Deployed::NotKnown => "not known whether it was ever deployed".to_owned(),
            };
            format!("{tag}  {age}, {deployed}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::tests::shape;

    #[test]
    fn only_releases_newest_first() {
        let tags = ["latest", "rel-2023.11.14.18.24.16", "0123", "rel-2024.08.22.20.53.01", "rel-2024.06.13.17.07.54"]
            .map(String::from);
        assert_eq!(recent(&shape(), &tags, 2), ["rel-2024.08.22.20.53.01", "rel-2024.06.13.17.07.54"]);
    }

    #[test]
    fn the_latest_stable_tag_is_one_that_ran() {
        let history: BTreeMap<String, Deployed> = [
            ("rel-2024.09.09.23.00.57", Deployed::Before("later".into())),
            ("rel-2024.08.22.20.53.01", Deployed::Now("state".into())),
            ("rel-2024.06.13.17.07.54", Deployed::Never),
            ("rel-2023.12.20.22.19.13", Deployed::Probably("open".into())),
            ("rel-2023.11.14.18.24.16", Deployed::Before("main".into())),
            ("rel-2023.08.30.17.30.22", Deployed::Before("main".into())),
        ]
        .map(|(tag, deployed)| (tag.to_owned(), deployed))
        .into();
        assert_eq!(latest_stable(&history, "rel-2024.08.22.20.53.01"), Some("rel-2023.11.14.18.24.16"));
        assert_eq!(latest_stable(&history, "rel-2023.08.30.17.30.22"), None);
    }

    /// Trap 12: a tag may be published and never deployed, so the list says what is known and what is not.
    #[test]
    fn each_line_says_age_and_whether_it_ran() {
        let tags = ["rel-2024.08.22.20.53.01", "rel-2024.06.13.17.07.54", "rel-2023.11.14.18.24.16"].map(String::from);
        let history = BTreeMap::from([
            (tags[0].clone(), Deployed::Now("Terraform's state".into())),
            (tags[1].clone(), Deployed::Unwell("deployed on 2024-06-14, by Ana".into())),
        ]);
        let lines = suggest(&shape(), &tags, &history, "2024-09-10T00:00:00Z".parse().unwrap());
        assert_eq!(
            lines,
            [
                "rel-2024.08.22.20.53.01  18 days ago, runs now (Terraform's state)",
                "rel-2024.06.13.17.07.54  2 months ago, was unhealthy, deployed on 2024-06-14, by Ana",
                "rel-2023.11.14.18.24.16  9 months ago, not known whether it was ever deployed",
            ]
        );
    }
}
