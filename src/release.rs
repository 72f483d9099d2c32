//! How versions are written: git tag, image tag, the date both carry, and what people type instead.
//!
//! Pure. One version `YYYY.MM.DD.HH.MM.SS` (UTC, zero-padded) is written as `catalog-VERSION` on GitHub and as
//! `rel-VERSION` on the registry; swapping the prefix is the only conversion, and lexical order is time order.

mod explain;
mod suggest;

use jiff::Timestamp;
use jiff::civil::date;
use jiff::tz::TimeZone;

use crate::runbook::schema::ReleaseShape;

pub use explain::explain;
pub use suggest::{Deployed, latest_stable, recent, suggest};

/// What a value is, judged by its shape alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written<'a> {
    /// The version of e.g. `rel-2024.08.22.20.53.01`.
    ImageTag(&'a str),
    /// The version of e.g. `catalog-2024.08.22.20.53.01`.
    GitTag(&'a str),
    /// A bare `2024.08.22.20.53.01`.
    Version(&'a str),
    /// `v1.2.3`, as releases were named in 2022.
    Semantic,
    /// 40 hex digits: the tag that CI gives the image of a commit.
    Commit,
    /// `sha256:` and 64 hex digits.
    Digest,
    Other,
}

/// Whether `text` is exactly `YYYY.MM.DD.HH.MM.SS` in ASCII digits.
pub fn is_version(text: &str) -> bool {
    let mut widths = Vec::with_capacity(6);
    for part in text.split('.') {
        if !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
        widths.push(part.len());
    }
    widths == [4, 2, 2, 2, 2, 2]
}

/// Whether `text` is a full commit hash, which is also the tag of its image.
pub fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether `text` is a content digest (`sha256:…`), not to be confused with a commit.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

fn is_semantic(text: &str) -> bool {
    text.strip_prefix('v').is_some_and(|rest| {
        let parts: Vec<&str> = rest.split('.').collect();
        parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

impl ReleaseShape {
    /// What `text` is under this shape.
    pub fn read<'a>(&self, text: &'a str) -> Written<'a> {
        let after = |prefix: &str| text.strip_prefix(prefix).filter(|rest| is_version(rest));
        if let Some(version) = after(&self.image_prefix) {
            Written::ImageTag(version)
        } else if let Some(version) = after(&self.git_prefix) {
            Written::GitTag(version)
        } else if is_version(text) {
            Written::Version(text)
        } else if is_commit(text) {
            Written::Commit
        } else if is_digest(text) {
            Written::Digest
        } else if is_semantic(text) {
            Written::Semantic
        } else {
            Written::Other
        }
    }

    /// The image tag of a version.
    pub fn image_tag(&self, version: &str) -> String {
        format!("{}{version}", self.image_prefix)
    }

    /// The git tag of a version.
    pub fn git_tag(&self, version: &str) -> String {
        format!("{}{version}", self.git_prefix)
    }

    /// The version in an image tag; `None` where it is not strictly one.
    pub fn version_of_image<'a>(&self, tag: &'a str) -> Option<&'a str> {
        tag.strip_prefix(&self.image_prefix).filter(|version| is_version(version))
    }

    /// The version in a release's git tag; `None` where it is not strictly one.
    pub fn version_of_git<'a>(&self, tag: &'a str) -> Option<&'a str> {
        tag.strip_prefix(&self.git_prefix).filter(|version| is_version(version))
    }

    /// `catalog-DATE` → `rel-DATE`.
    pub fn image_tag_of(&self, git_tag: &str) -> Option<String> {
        self.version_of_git(git_tag).map(|version| self.image_tag(version))
    }

    /// `rel-DATE` → `catalog-DATE`.
    pub fn git_tag_of(&self, image_tag: &str) -> Option<String> {
        self.version_of_image(image_tag).map(|version| self.git_tag(version))
    }

    /// Every image tag that occurs in `text` as a whole word, e.g. inside `ghcr.io/…:rel-DATE` or a pull request's
    /// title; sorted, each once.
    pub fn image_tags_in(&self, text: &str) -> Vec<String> {
        let part_of_tag = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let mut found: Vec<String> = text
            .split(|c| !part_of_tag(c))
            .map(|word| word.trim_end_matches(['.', '-', '_']))
            .filter(|word| self.version_of_image(word).is_some())
            .map(str::to_owned)
            .collect();
        found.sort();
        found.dedup();
        found
    }
}

/// The moment a version names, UTC. `None` where it is no date of the calendar (`2024.13.…`).
pub fn time_of(version: &str) -> Option<Timestamp> {
    if !is_version(version) {
        return None;
    }
    let parts: Vec<i16> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    let &[year, month, day, hour, minute, second] = parts.as_slice() else { return None };
    let small = |part: i16| i8::try_from(part).ok();
    let (month, day) = (small(month)?, small(day)?);
    let (hour, minute, second) = (small(hour)?, small(minute)?, small(second)?);
    if !(1..=12).contains(&month)
        || !(0..24).contains(&hour)
        || !(0..60).contains(&minute)
        || !(0..60).contains(&second)
    {
        return None;
    }
    if day < 1 || day > date(year, month, 1).days_in_month() {
        return None;
    }
    date(year, month, day).at(hour, minute, second, 0).to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// How long before `now` something happened, in words: `3 months ago`.
pub fn age(now: Timestamp, then: Timestamp) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let seconds = now.as_second() - then.as_second();
    let (count, unit) = match seconds {
        ..-60 => return "in the future".to_owned(),
        -60..MINUTE => return "just now".to_owned(),
        MINUTE..HOUR => (seconds / MINUTE, "minute"),
        HOUR..172_800 => (seconds / HOUR, "hour"),
        172_800..5_184_000 => (seconds / DAY, "day"),
        5_184_000..63_072_000 => (seconds * 12 / (DAY * 365), "month"),
        _ => (seconds / (DAY * 365), "year"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn shape() -> ReleaseShape {
        ReleaseShape { git_prefix: "catalog-".into(), image_prefix: "rel-".into() }
    }

    #[test]
    fn a_version_is_told_by_its_exact_shape() {
        for (text, good) in [
            ("2024.08.22.20.53.01", true),
            ("2024.8.22.20.53.01", false),
            ("2024.08.22.20.53", false),
            ("2024.08.22.20.53.01.07", false),
            ("2024.08.22.20.53.01 ", false),
            ("２０２４.08.22.20.53.01", false),
            // One Arabic digit is two bytes, as many as two ASCII digits.
            ("2024.08.22.20.53.٠", false),
            ("2024-08-22-20-53-01", false),
            ("", false),
        ] {
            assert_eq!(is_version(text), good, "{text:?}");
        }
    }

    #[test]
    fn what_a_value_is() {
        let shape = shape();
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, written) in [
            ("rel-2024.08.22.20.53.01", Written::ImageTag("2024.08.22.20.53.01")),
            ("catalog-2024.08.22.20.53.01", Written::GitTag("2024.08.22.20.53.01")),
            ("2024.08.22.20.53.01", Written::Version("2024.08.22.20.53.01")),
            ("v1.3.0", Written::Semantic),
            (commit, Written::Commit),
            (digest.as_str(), Written::Digest),
            ("latest", Written::Other),
            ("api-2024.08.22.20.53.01", Written::Other),
            ("xrel-2024.08.22.20.53.01", Written::Other),
        ] {
            assert_eq!(shape.read(text), written, "{text}");
        }
    }

    #[test]
    fn the_prefix_is_the_only_conversion() {
        let shape = shape();
        assert_eq!(shape.image_tag_of("catalog-2024.08.22.20.53.01").as_deref(), Some("rel-2024.08.22.20.53.01"));
        assert_eq!(shape.git_tag_of("rel-2024.08.22.20.53.01").as_deref(), Some("catalog-2024.08.22.20.53.01"));
        assert_eq!(shape.image_tag_of("rel-2024.08.22.20.53.01"), None);
        assert_eq!(shape.image_tag_of("catalog-2024.8.22.20.53.01"), None);
    }

    #[test]
    fn tags_are_found_inside_other_text() {
        let text =
            "docker run ghcr.io/wordpress/openverse-catalog:rel-2024.08.22.20.53.01 # was rel-2024.06.13.17.07.54.";
        assert_eq!(shape().image_tags_in(text), ["rel-2024.06.13.17.07.54", "rel-2024.08.22.20.53.01"]);
        assert!(shape().image_tags_in("barrel-2024.06.13.17.07.54 rel-2024.06.13.17.07.540").is_empty());
    }

    #[test]
    fn the_date_of_a_version() {
        assert_eq!(time_of("2024.08.22.20.53.01"), Some("2024-08-22T20:53:01Z".parse().unwrap()));
        for impossible in ["2024.13.01.00.00.00", "2023.02.29.00.00.00", "2024.08.22.24.00.00", "2024.00.10.00.00.00"] {
            assert_eq!(time_of(impossible), None, "{impossible}");
        }
    }

    #[test]
    fn age_in_words() {
        let now: Timestamp = "2024-09-10T00:00:00Z".parse().unwrap();
        for (then, words) in [
            ("2024-09-09T23:59:30Z", "just now"),
            ("2024-09-09T23:59:00Z", "1 minute ago"),
            ("2024-09-09T23:00:00Z", "1 hour ago"),
            ("2024-09-08T12:00:00Z", "36 hours ago"),
            ("2024-08-22T20:53:01Z", "18 days ago"),
            ("2024-06-13T17:07:54Z", "2 months ago"),
            ("2022-06-13T17:07:54Z", "2 years ago"),
            ("2024-09-11T00:00:00Z", "in the future"),
        ] {
            assert_eq!(age(now, then.parse().unwrap()), words, "{then}");
        }
    }
}
