//! Parts of the runbook and words that several release steps share.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::runbook::Runbook;
use crate::runbook::schema::{GithubService, RegistryService, ReleaseShape};
use crate::step::{Look, Trouble};

/// The runbook's `[github]`, or a failure that names what is missing.
pub fn github(runbook: &Runbook) -> Result<&GithubService, Trouble> {
    runbook.github.as_ref().ok_or_else(|| missing("github"))
}

/// The runbook's `[registry]`.
pub fn registry(runbook: &Runbook) -> Result<&RegistryService, Trouble> {
    runbook.registry.as_ref().ok_or_else(|| missing("registry"))
}

/// The runbook's `[release]`.
pub fn release(runbook: &Runbook) -> Result<&ReleaseShape, Trouble> {
    runbook.release.as_ref().ok_or_else(|| missing("release"))
}

fn missing(section: &str) -> Trouble {
    Trouble::Failed {
        what: format!("the runbook has no [{section}], which this step needs"),
        next: format!("add a [{section}] section and run `catalog-deploy runbook check`"),
    }
}

/// SHA-256 over the parts, each with its length before it so that no two lists of parts read the same. Lower case hex.
pub fn seal(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `sha256:0123456789ab…`, enough for a person to compare.
pub fn short_digest(digest: &str) -> String {
    match digest.split_once(':') {
        Some((algorithm, hex)) if hex.len() > 12 => format!("{algorithm}:{}…", &hex[..12.min(hex.len())]),
        _ => digest.to_owned(),
    }
}

/// The first 10 digits of a commit.
pub fn short_commit(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

/// At most `limit` lines of `text`, each indented; the rest is counted.
pub fn excerpt(text: &str, limit: usize) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut shown: Vec<String> = lines.iter().take(limit).map(|line| format!("  {line}")).collect();
    if lines.len() > limit {
        let rest = lines.len() - limit;
        shown.push(format!("  … and {rest} more line{}", if rest == 1 { "" } else { "s" }));
    }
    shown
}

/// A deadline of `span` from now for a [`Wait`](crate::step::Wait), which counts from the step's first look. A gate's
/// answer may have taken an hour in between, and a rehearsal's clock runs faster than the wall's.
pub fn from_now(look: &Look<'_>, span: Duration) -> Duration {
    let clock = &look.readers.clock;
    let passed = clock.now().duration_since(look.since);
    let passed = Duration::try_from(passed).unwrap_or(Duration::ZERO);
    runbook_time(passed, |hour| clock.scaled(hour)) + span
}

/// Wall time as the runbook counts it, on a clock that scales runbook time with `scaled`.
fn runbook_time(passed: Duration, scaled: impl Fn(Duration) -> Duration) -> Duration {
    let hour = Duration::from_secs(3600);
    let hurried = scaled(hour).as_secs_f64();
    if hurried <= 0.0 { passed } else { passed.mul_f64(hour.as_secs_f64() / hurried) }
}

/// Whether `span` of the runbook's time has passed since the step's first look.
pub fn has_passed(look: &Look<'_>, span: Duration) -> bool {
    let clock = &look.readers.clock;
    Duration::try_from(clock.now().duration_since(look.since)).is_ok_and(|passed| passed >= clock.scaled(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_does_not_run_parts_together() {
        assert_eq!(seal(&["a", "b"]), seal(&["a", "b"]));
        assert_ne!(seal(&["ab", "c"]), seal(&["a", "bc"]));
        assert_ne!(seal(&["a"]), seal(&["a", ""]));
        assert_eq!(seal(&["x"]).len(), 64);
    }

    #[test]
    fn an_excerpt_counts_what_it_leaves_out() {
        assert_eq!(excerpt("a\nb\nc", 3), ["  a", "  b", "  c"]);
        assert_eq!(excerpt("a\nb\nc", 2), ["  a", "  b", "  … and 1 more line"]);
    }

    #[test]
    fn a_hurried_clock_counts_more_time() {
        assert_eq!(runbook_time(Duration::from_secs(2), |hour| hour / 100), Duration::from_secs(200));
        assert_eq!(runbook_time(Duration::from_secs(2), |hour| hour), Duration::from_secs(2));
    }

    #[test]
    fn digests_are_shortened_for_reading_only() {
        assert_eq!(short_digest(&format!("sha256:{}", "ab".repeat(32))), "sha256:abababababab…");
        assert_eq!(short_digest("odd"), "odd");
    }
}
