//! What a person probably meant by a value that does not fit `--tag`.

use super::{Written, is_version};
use crate::event::Refusal;
use crate::runbook::schema::ReleaseShape;

/// `None` where `value` is an image tag. Otherwise what it is instead, and what to pass.
pub fn explain(shape: &ReleaseShape, value: &str) -> Option<Refusal> {
    let form = format!("{}YYYY.MM.DD.HH.MM.SS", shape.image_prefix);
    let meant = |version: &str| {
        let tag = shape.image_tag(version);
        (tag.clone(), format!("if that is the one you mean, pass --tag {tag}"))
    };
    let pick = format!("pass the image tag of a release, {form}");
    let (what, next) = match shape.read(value) {
        Written::ImageTag(_) => return None,
        Written::GitTag(version) => {
            let (tag, next) = meant(version);
            (format!("{value} is the release's git tag; the image tag is {tag}"), next)
        }
        Written::Version(version) => {
            let (tag, next) = meant(version);
            (format!("{value} is only the version; the image tag is {tag}"), next)
        }
        Written::Commit => (format!("{value} is a commit; releases are deployed by their tag, {form}"), pick),
        Written::Digest => (format!("{value} is an image's digest; releases are deployed by their tag, {form}"), pick),
        Written::Semantic => {
            (format!("{value} is how releases were named until 2022; image tags are written {form} now"), pick)
        }
        Written::Other if value.trim() == "latest" => {
            ("latest is not a version: it moves with every build of main".to_owned(), pick)
        }
        Written::Other => match near_miss(shape, value) {
            Some((version, slips)) => {
                let (tag, next) = meant(&version);
                (format!("{value:?} is not an image tag ({}); {tag} would be one", slips.join(", ")), next)
            }
            None => (format!("{value:?} is not an image tag; they are written {form}"), pick),
        },
    };
    Some(Refusal { what, next })
}

/// The version that `value` is one or more slips away from, with the slips in words.
fn near_miss(shape: &ReleaseShape, value: &str) -> Option<(String, Vec<&'static str>)> {
    let mut slips = Vec::new();
    let mut text = value.to_owned();
    let mut slip = |text: &mut String, changed: String, name: &'static str| {
        if *text != changed {
            *text = changed;
            slips.push(name);
        }
    };
    let trimmed = text.trim().trim_matches(['"', '\'', '`']).trim().to_owned();
    slip(&mut text, trimmed, "spaces or quotes around it");
    let ascii = text.chars().map(|c| ascii_digit(c).unwrap_or(c)).collect();
    slip(&mut text, ascii, "digits that are not ASCII");
    let lower = text.to_lowercase();
    slip(&mut text, lower, "upper case letters");
    if let Some((_, tag)) = text.clone().rsplit_once(':').filter(|(before, _)| before.contains('/')) {
        slip(&mut text, tag.to_owned(), "the image's name before it");
    }
    let bare = [&shape.image_prefix, &shape.git_prefix]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix.trim_end_matches('-')))
        .map(|rest| rest.trim_start_matches(['-', '_', ' ', '.']).to_owned());
    let had_prefix = bare.is_some();
    let rest = bare.unwrap_or(text);
    let groups: Vec<&str> = rest.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
    let only_date =
        rest.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | ':' | ' ' | 't' | 'z' | '/'));
    if groups.len() != 6 || !only_date || groups[0].len() != 4 || groups[1..].iter().any(|group| group.len() > 2) {
        return None;
    }
    if groups[1..].iter().any(|group| group.len() == 1) {
        slips.push("a number without its leading zero");
    }
    if rest.split('.').count() != 6 || rest.chars().any(|c| !c.is_ascii_digit() && c != '.') {
        slips.push("other separators than dots");
    }
    if !had_prefix {
        slips.push("no prefix");
    } else if slips.is_empty() {
        slips.push("another prefix");
    }
    let version =
        format!("{}{}", groups[0], groups[1..].iter().map(|group| format!(".{group:0>2}")).collect::<String>());
    is_version(&version).then_some((version, slips))
}

/// Decimal digits of other scripts that a copied text may hold: full width, Arabic-Indic (both), Devanagari.
fn ascii_digit(c: char) -> Option<char> {
    [0xFF10_u32, 0x0660, 0x06F0, 0x0966]
        .into_iter()
        .find_map(|zero| (c as u32).checked_sub(zero).filter(|digit| *digit < 10))
        .and_then(|digit| char::from_digit(digit, 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::tests::shape;

    #[test]
    fn an_image_tag_needs_no_explanation() {
        assert_eq!(explain(&shape(), "rel-2024.08.22.20.53.01"), None);
    }

    /// Trap 12.
    #[test]
    fn rollback_asked_with_the_git_tag_or_a_bare_date() {
        let refusal = explain(&shape(), "catalog-2024.08.22.20.53.01").unwrap();
        assert_eq!(
            refusal.what,
            "catalog-2024.08.22.20.53.01 is the release's git tag; the image tag is rel-2024.08.22.20.53.01"
        );
        assert_eq!(refusal.next, "if that is the one you mean, pass --tag rel-2024.08.22.20.53.01");
        let refusal = explain(&shape(), "2024.08.22.20.53.01").unwrap();
        assert!(
            refusal.what.contains("only the version; the image tag is rel-2024.08.22.20.53.01"),
            "{}",
            refusal.what
        );
    }

    #[test]
    fn near_misses_name_the_slip_and_the_tag() {
        for (value, slip) in [
            ("REL-2024.08.22.20.53.01", "upper case"),
            ("Rel-2024.08.22.20.53.01", "upper case"),
            ("rel-2024.8.22.20.53.1", "leading zero"),
            (" rel-2024.08.22.20.53.01", "spaces"),
            ("rel-2024.08.22.20.53.01\n", "spaces"),
            ("rel-２０２４.08.22.20.53.01", "not ASCII"),
            ("rel-2024.08.22.20.53.٠١", "not ASCII"),
            ("rel-2024-08-22-20-53-01", "separators"),
            ("2024-08-22T20:53:01Z", "separators"),
            ("rel2024.08.22.20.53.01", "prefix"),
            ("ghcr.io/wordpress/openverse-catalog:rel-2024.08.22.20.53.01", "the image's name"),
        ] {
            let refusal = explain(&shape(), value).unwrap_or_else(|| panic!("{value:?} fits?"));
            assert!(refusal.what.contains(slip), "{value:?}: {}", refusal.what);
            assert!(refusal.next.ends_with("--tag rel-2024.08.22.20.53.01"), "{value:?}: {}", refusal.next);
        }
    }

    #[test]
    fn what_is_no_slip_gets_the_form() {
        let commit = "0123456789abcdef0123456789abcdef01234567".to_owned();
        let digest = format!("sha256:{}", "0".repeat(64));
        for (value, word) in [
            (commit.as_str(), "is a commit"),
            (digest.as_str(), "digest"),
            ("v1.3.0", "until 2022"),
            ("latest", "moves with every build"),
            ("", "not an image tag"),
            ("rel-2024.08.22", "not an image tag"),
            ("api-2024.08.22.20.53.01", "not an image tag"),
        ] {
            let refusal = explain(&shape(), value).unwrap();
            assert!(refusal.what.contains(word), "{value:?}: {}", refusal.what);
            assert!(refusal.next.contains("rel-YYYY.MM.DD.HH.MM.SS"), "{}", refusal.next);
        }
    }
}
