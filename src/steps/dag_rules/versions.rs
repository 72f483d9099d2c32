//! Versions as numbers: "2.10.0" is newer than "2.9.3".

use std::cmp::Ordering;

/// Compares two Airflow versions as numbers; a leading `v` and what follows a `+` (a build) do not count, missing parts
/// are zero, and a pre-release (`rc1`, `b2`, `.dev0`) is older than its release. `None` where one is not a version.
pub fn version_order(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (parse(a)?, parse(b)?);
    let length = a.0.len().max(b.0.len());
    let part = |numbers: &[u64], at: usize| numbers.get(at).copied().unwrap_or(0);
    let numbers = (0..length).map(|at| part(&a.0, at).cmp(&part(&b.0, at))).find(|order| order.is_ne());
    // A release (no suffix) is newer than any pre-release of it.
    let suffix = (a.1.is_empty(), &a.1).cmp(&(b.1.is_empty(), &b.1));
    Some(numbers.unwrap_or(suffix))
}

/// Whether both name the same version. Text that is no version is compared as it is.
pub fn same_version(a: &str, b: &str) -> bool {
    version_order(a, b).map_or_else(|| a.trim() == b.trim(), Ordering::is_eq)
}

/// Numbers, and what is left of a pre-release.
fn parse(text: &str) -> Option<(Vec<u64>, String)> {
    let text = text.trim().trim_start_matches(['v', 'V']);
    let text = text.split('+').next().unwrap_or(text);
    let mut numbers = Vec::new();
    let mut rest = text;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits == 0 {
            break;
        }
        numbers.push(rest[..digits].parse().ok()?);
        rest = &rest[digits..];
        match rest.strip_prefix('.') {
            Some(next) if next.starts_with(|c: char| c.is_ascii_digit()) => rest = next,
            _ => break,
        }
    }
    (!numbers.is_empty()).then(|| (numbers, rest.trim_start_matches(['.', '-']).to_owned()))
}
