//! What a yes is bound to: one SHA-256 over all parts that the person judged.

use sha2::{Digest, Sha256};

/// Length of [`short`]: enough to tell two plans of one run apart by eye.
const SHORT: usize = 12;

/// SHA-256 over `parts`, 64 hex characters. Each part goes in with its length, so moving text from one part to the next
/// gives another digest.
pub fn digest<P: AsRef<[u8]>>(parts: &[P]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        let bytes = part.as_ref();
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first characters of a digest, for people.
pub fn short(digest: &str) -> &str {
    digest.get(..SHORT).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_between_parts_count() {
        assert_eq!(digest(&["ab", "c"]), digest(&["ab", "c"]));
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["ab"]), digest(&["ab", ""]));
        assert_eq!(digest(&["ab"]).len(), 64);
    }

    #[test]
    fn short_digests_are_prefixes() {
        let whole = digest(&["plan"]);
        assert_eq!(short(&whole).len(), 12);
        assert!(whole.starts_with(short(&whole)));
        assert_eq!(short("abc"), "abc");
    }
}
