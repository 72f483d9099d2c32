//! The few regular expressions that the schema uses: anchored sequences of literals and character classes, each with an
//! optional `+` or `*`. A whole engine for two patterns would cost more than it gives; a test in `definition.rs` holds
//! every pattern of the schema against this subset.

/// A pattern this module can judge.
#[derive(Debug, PartialEq)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, PartialEq)]
struct Part {
    set: Set,
    least: usize,
    many: bool,
}

#[derive(Debug, PartialEq)]
enum Set {
    One(char),
    Ranges(Vec<(char, char)>),
}

impl Set {
    fn has(&self, letter: char) -> bool {
        match self {
            Set::One(one) => *one == letter,
            Set::Ranges(ranges) => ranges.iter().any(|(from, to)| (*from..=*to).contains(&letter)),
        }
    }
}

impl Pattern {
    /// `None` where the pattern goes beyond the subset.
    pub fn parse(text: &str) -> Option<Self> {
        let inner: Vec<char> = text.strip_prefix('^')?.strip_suffix('$')?.chars().collect();
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(&letter) = inner.get(at) {
            let set = match letter {
                '[' => {
                    let end = at + inner[at..].iter().position(|&it| it == ']')?;
                    let set = Set::Ranges(ranges(&inner[at + 1..end])?);
                    at = end;
                    set
                }
                '\\' | '(' | ')' | '{' | '}' | '.' | '|' | '?' | '+' | '*' | '^' | '$' => return None,
                other => Set::One(other),
            };
            at += 1;
            let (least, many) = match inner.get(at) {
                Some('+') => (1, true),
                Some('*') => (0, true),
                Some('?' | '{') => return None,
                _ => (1, false),
            };
            at += usize::from(many);
            parts.push(Part { set, least, many });
        }
        Some(Self(parts))
    }

    pub fn matches(&self, text: &str) -> bool {
        // All positions reachable so far; no backtracking, so no text is slow.
        let letters: Vec<char> = text.chars().collect();
        let mut reached = vec![false; letters.len() + 1];
        reached[0] = true;
        for part in &self.0 {
            reached = part.advance(&letters, &reached);
        }
        reached[letters.len()]
    }
}

impl Part {
    fn advance(&self, letters: &[char], reached: &[bool]) -> Vec<bool> {
        let mut next = vec![false; reached.len()];
        for at in 0..reached.len() {
            if self.least == 0 && reached[at] {
                next[at] = true;
            }
            let came = at > 0 && self.set.has(letters[at - 1]);
            if came && (reached[at - 1] || (self.many && next[at - 1])) {
                next[at] = true;
            }
        }
        next
    }
}

fn ranges(class: &[char]) -> Option<Vec<(char, char)>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(&from) = class.get(at) {
        if from == '\\' || (at == 0 && from == '^') {
            return None;
        }
        match (class.get(at + 1), class.get(at + 2)) {
            (Some('-'), Some(&to)) => {
                found.push((from, to));
                at += 3;
            }
            _ => {
                found.push((from, from));
                at += 1;
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_whole_text() {
        let id = Pattern::parse("^[a-z][a-z0-9-]*$").unwrap();
        for good in ["a", "pull-request", "x9-"] {
            assert!(id.matches(good), "{good}");
        }
        for bad in ["", "9a", "Pull", "a b", "a\n", "é"] {
            assert!(!id.matches(bad), "{bad}");
        }
        let repository = Pattern::parse("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$").unwrap();
        assert!(repository.matches("WordPress/openverse"));
        for bad in ["WordPress", "/x", "a/", "a/b/c", "https://github.com/a/b"] {
            assert!(!repository.matches(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for beyond in ["a", "^(a|b)$", "^a.b$", r"^\d$", "^[^a]$", "^a?$", "^a{2}$", "^[a$"] {
            assert_eq!(Pattern::parse(beyond), None, "{beyond}");
        }
    }
}
