//! Whether a draft's notes hold a change. The drafter writes headings and thanks even when nothing was merged.

/// Whether anything is left once headings, comments, rules and the drafter's own sentences are taken out.
pub fn hold_a_change(notes: &str) -> bool {
    let text = without_comments(notes);
    let mut contributors = false;
    text.lines().map(str::trim).any(|line| {
        if line.starts_with('#') {
            // Who is new is not a change.
            contributors = line.to_lowercase().contains("contributors");
            return false;
        }
        !contributors && !is_boilerplate(line)
    })
}

fn is_boilerplate(line: &str) -> bool {
    let bare: String = line
        .trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '-' | '_' | '+' | '>' | '.' | '`' | '='))
        .into();
    let bare = bare.to_lowercase();
    let only_markup = line.starts_with('<') && line.ends_with('>') && line.matches('<').count() == 1;
    bare.is_empty()
        || only_markup
        || matches!(bare.as_str(), "no changes" | "no change" | "no contributors" | "what's changed" | "what’s changed")
        || ["full changelog", "thanks to", "no changes since"].iter().any(|start| bare.starts_with(start))
}

/// Markdown without its HTML comments; an unclosed one reaches to the end.
fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        kept.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, after)| after);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_and_the_drafters_sentences_are_no_change() {
        for empty in [
            "",
            "## What's Changed\r\n\r\n**Full Changelog**: https://github.com/a/b/compare/x...y\r\n",
            "# Changes\n\n* No changes\n",
            "_No changes_",
            "<!-- nothing\nto see: - Fix the world -->\n---\n",
            "<!-- never closed\n- Fix the world",
            "## Credits\n\nThanks to No contributors",
            "<details>\n\n</details>",
            "## New Contributors\n* @somebody made their first contribution in https://github.com/x/y/pull/1",
        ] {
            assert!(!hold_a_change(empty), "{empty:?}");
        }
    }

    #[test]
    fn a_bullet_is_a_change() {
        for full in [
            "## What's Changed\n- Bump Airflow to 2.10.1 (#4321) @dev",
            "<!-- x -->Fix the Flickr DAG",
            "## New Contributors\n* @x\n## New Features\n* Add a DAG",
            "- No changes to the API, but the catalog retries",
        ] {
            assert!(hold_a_change(full), "{full:?}");
        }
    }
}
