//! Arguments that Terraform takes from `TF_CLI_ARGS` and `TF_CLI_ARGS_COMMAND`, as a shell would read them.

/// Like the real one: they stand before those of the command line.
#[expect(clippy::disallowed_methods, reason = "the stand-in is a process of its own, and its environment is its input")]
pub(super) fn from_environment(command: &str) -> Vec<String> {
    let variables = ["TF_CLI_ARGS".to_owned(), format!("TF_CLI_ARGS_{command}")];
    variables.iter().filter_map(|name| std::env::var(name).ok()).flat_map(|text| split(&text)).collect()
}

/// Words of `text`: quotes of both kinds hold a word together, a backslash outside single quotes keeps the next character.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match (quote, next) {
            (Some(open), close) if open == close => quote = None,
            (None, open @ ('\'' | '"')) => {
                quote = Some(open);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(rest.next()),
            (None, space) if space.is_whitespace() => words.extend(word.take()),
            (_, other) => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(
            split("-lock=false  '-out=/a b/p' \"c d\" e\\ f ''"),
            ["-lock=false", "-out=/a b/p", "c d", "e f", ""]
        );
        assert_eq!(split("  "), Vec::<String>::new());
    }
}
