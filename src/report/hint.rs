//! What to do next, at a terminal: sentences are wrapped, commands in them stay whole, so that they can be copied.

use super::text::{clean, wrap_whole};

/// Programs whose command lines hints hold, unquoted at their start or after a colon.
const PROGRAMS: [&str; 6] = ["catalog-deploy ", "git ", "terraform ", "just ", "sed ", "--"];

/// `text` in lines of at most `width` columns where no command is longer. The first starts with `first`.
pub fn hint(text: &str, first: &str, width: usize) -> Vec<String> {
    wrap_whole(&parts(&clean(text)), first, width)
}

/// Words, and whole commands: what stands in backticks, and from a program's name to the end of its clause.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    // Whether a command may begin here.
    let mut fresh = true;
    while !rest.is_empty() {
        let end = match command(rest, fresh) {
            Some(end) => end,
            None => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        let (part, after) = rest.split_at(end);
        fresh = part.ends_with(':');
        parts.push(part);
        rest = after.trim_start();
    }
    parts
}

/// Where the command ends with which `text` begins, the punctuation after it included.
fn command(text: &str, fresh: bool) -> Option<usize> {
    let start = text.trim_start_matches('(');
    let opened = text.len() - start.len();
    if let Some(quoted) = start.strip_prefix('`') {
        let close = opened + 1 + quoted.find('`')? + 1;
        return Some(close + text[close..].find(char::is_whitespace).unwrap_or(text.len() - close));
    }
    if !fresh || !PROGRAMS.iter().any(|program| text.starts_with(program)) {
        return None;
    }
    let clause = [", ", "; "].iter().filter_map(|end| text.find(end)).min();
    Some(clause.map_or(text.len(), |end| end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_part() {
        let cases: [(&str, &[&str]); 7] = [
            ("catalog-deploy resume prod-1 --approve a", &["catalog-deploy resume prod-1 --approve a"]),
            ("go on: catalog-deploy resume prod-1", &["go", "on:", "catalog-deploy resume prod-1"]),
            ("look (`git log -p a b`), then go", &["look", "(`git log -p a b`),", "then", "go"]),
            ("terraform -chdir=a init, look", &["terraform -chdir=a init,", "look"]),
            ("to answer beforehand: --approve a@b", &["to", "answer", "beforehand:", "--approve a@b"]),
            ("cut it: sed -i.damaged '7,$d' 'a b'", &["cut", "it:", "sed -i.damaged '7,$d' 'a b'"]),
            // Where nothing is quoted, only the place tells a command from a sentence.
            ("what git says, or `half", &["what", "git", "says,", "or", "`half"]),
        ];
        for (text, expected) in cases {
            assert_eq!(parts(text), expected);
        }
    }

    #[test]
    fn sentences_are_wrapped_and_commands_are_not() {
        let rows = hint(
            "find out what was changed by whom, then go on: catalog-deploy resume prod-20240909-230057-adal",
            "  next: ",
            40,
        );
        assert_eq!(
            rows,
            [
                "  next: find out what was changed by",
                "        whom, then go on:",
                "        catalog-deploy resume prod-20240909-230057-adal",
            ]
        );
    }
}
