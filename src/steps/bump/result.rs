//! Judges what a bump wrote: the version, the whole version and nothing but the version.

/// A working tree before and after, as far as the judgement needs it.
#[derive(Debug, Clone, Copy)]
pub struct Bumped<'a> {
    /// The version file's bytes.
    pub before: &'a [u8],
    pub after: &'a [u8],
    /// The version's literal.
    pub prior: &'a str,
    pub now: &'a str,
    pub wanted: &'a str,
    /// Other files that the bump changed, made or removed.
    pub others: &'a [String],
}

/// What a bump did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BumpResult {
    /// Exactly the wanted version and no other byte.
    Exact,
    /// Nothing at all.
    Nothing,
    /// Only the version, but another one.
    Other(String),
    /// More than the version; each item completes "it changed …".
    More(Vec<String>),
}

/// The proof needs no HCL: the file after must be the file before with one occurrence of the earlier literal replaced,
/// and since the attribute itself now reads otherwise, that occurrence is the attribute.
pub fn judge_bump(bumped: &Bumped<'_>, file: &str) -> BumpResult {
    let mut more = bumped.others.to_vec();
    let same_file = bumped.before == bumped.after;
    if !same_file {
        if bumped.now == bumped.prior {
            more.push(format!("something else than the version in {file}"));
        } else if !only_replaced(bumped.before, bumped.after, bumped.prior, bumped.now) {
            more.push(format!("more than the version in {file} (which it set to {})", bumped.now));
        }
    }
    if !more.is_empty() {
        BumpResult::More(more)
    } else if same_file {
        BumpResult::Nothing
    } else if bumped.now == bumped.wanted {
        BumpResult::Exact
    } else {
        BumpResult::Other(bumped.now.to_owned())
    }
}

/// Whether `after` is `before` with exactly one occurrence of `old` replaced by `new`.
fn only_replaced(before: &[u8], after: &[u8], old: &str, new: &str) -> bool {
    let (old, new) = (old.as_bytes(), new.as_bytes());
    if old.is_empty() || before.len() + new.len() != after.len() + old.len() {
        return false;
    }
    before.windows(old.len()).enumerate().filter(|(_, window)| *window == old).any(|(at, _)| {
        let (head, tail) = (&before[..at], &before[at + old.len()..]);
        after.starts_with(head) && after[at..].starts_with(new) && after.ends_with(tail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "prod/catalog.tf";
    const OLD: &str = "\"rel-2024.06.13.17.07.54\"";
    const WANTED: &str = "\"rel-2024.08.22.20.53.01\"";

    fn text(ours: &str, sibling: &str) -> String {
        format!(
            "module \"catalog\" {{\r\n  tag = {ours} # set by bump\r\n}}\r\nmodule \"other\" {{\r\n  tag = {sibling}\r\n}}\r\n"
        )
    }

    fn judge(after: &str, now: &str, others: &[&str]) -> BumpResult {
        let before = text(OLD, OLD);
        let others: Vec<String> = others.iter().map(|&name| name.to_owned()).collect();
        let (before, after) = (before.as_bytes(), after.as_bytes());
        judge_bump(&Bumped { before, after, prior: OLD, now, wanted: WANTED, others: &others }, FILE)
    }

    #[test]
    fn the_wanted_tag_alone_is_exact() {
        assert_eq!(judge(&text(WANTED, OLD), WANTED, &[]), BumpResult::Exact);
    }

    #[test]
    fn another_tag_is_named() {
        for other in ["\"latest\"", "\"rel-2023.04.27.02.43.13\"", "var.tag"] {
            assert_eq!(judge(&text(other, OLD), other, &[]), BumpResult::Other(other.to_owned()));
        }
    }

    #[test]
    fn nothing_written_is_seen() {
        assert_eq!(judge(&text(OLD, OLD), OLD, &[]), BumpResult::Nothing);
    }

    #[test]
    fn anything_more_is_refused() {
        let cases = [
            ("another module", text(OLD, WANTED), OLD),
            ("both modules", text(WANTED, WANTED), WANTED),
            ("line ends", text(WANTED, OLD).replace("\r\n", "\n"), WANTED),
            ("white space", text(WANTED, OLD).replace("tag = ", "tag  = "), WANTED),
            ("a comment", text(WANTED, OLD).replace("set by bump", "SET by bump"), WANTED),
            ("a line at the end", text(WANTED, OLD) + "\n", WANTED),
        ];
        for (name, after, now) in cases {
            assert!(matches!(judge(&after, now, &[]), BumpResult::More(_)), "{name}");
        }
    }

    #[test]
    fn other_files_are_refused_even_beside_an_exact_version() {
        let more = judge(&text(WANTED, OLD), WANTED, &["prod/ingestion-server.tf"]);
        assert_eq!(more, BumpResult::More(vec!["prod/ingestion-server.tf".to_owned()]));
    }
}
