//! What is wrong with a file: as data, and drawn with its line and a caret.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;

/// More than these are counted only: nobody reads on, and a generated file could hold thousands.
const KEPT: usize = 50;
/// Bytes of a line shown around the caret.
const WINDOW: usize = 400;

/// One thing that is wrong, before its place is known as line and column. `span` is in bytes of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    pub span: Option<Range<usize>>,
    pub message: String,
    /// Said at the caret.
    pub label: Option<String>,
    pub help: Option<String>,
    /// A second place that explains the first.
    pub also: Option<(Range<usize>, String)>,
}

impl Flaw {
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), message: message.into(), label: None, help: None, also: None }
    }
    /// A flaw of the file as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), label: None, help: None, also: None }
    }
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
    #[must_use]
    pub fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.also = Some((span, label.into()));
        self
    }
}

/// One problem as data, for JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub message: String,
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    pub help: Option<String>,
    #[serde(skip)]
    flaw: Flaw,
}

/// Everything that is wrong with one file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not use the runbook {origin}: {}", count(*total))]
pub struct Problems {
    origin: String,
    text: String,
    list: Vec<Problem>,
    /// Of the file, also those beyond `list`.
    total: usize,
}

impl Problems {
    /// `text` is what the spans count in.
    pub(super) fn new(origin: String, text: &str, mut flaws: Vec<Flaw>) -> Self {
        flaws.sort_by_key(|flaw| flaw.span.as_ref().map(|span| span.start));
        flaws.dedup();
        let total = flaws.len();
        let list: Vec<Problem> = flaws
            .into_iter()
            .take(KEPT)
            .map(|mut flaw| {
                flaw.span = flaw.span.map(|span| clamp(text, span));
                flaw.also = flaw.also.map(|(span, label)| (clamp(text, span), label));
                let start = flaw.span.as_ref().map_or(0, |span| span.start);
                let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
                Problem {
                    message: flaw.message.clone(),
                    line: text[..start].matches('\n').count() + 1,
                    column: text[line_start..start].chars().count() + 1,
                    help: flaw.help.clone(),
                    flaw,
                }
            })
            .collect();
        Self { origin, text: masked(text), list, total }
    }

    /// The first fifty, in the order of the file. Never empty.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// How many there are, also beyond [`Problems::list`].
    pub fn total(&self) -> usize {
        self.total
    }

    /// The file, or `NAME (built in)`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// All problems with line, caret and help, and a closing line that counts them. Ends with a newline.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for problem in &self.list {
            text.push_str(&renderer.render(&[self.group(problem)]));
            text.push_str("\n\n");
        }
        let more = self.total - self.list.len();
        if more > 0 {
            text.push_str(&format!("… and {more} more\n\n"));
        }
        let close = Level::ERROR.primary_title(self.to_string());
        text.push_str(&renderer.render(&[Group::with_title(close)]));
        text.push('\n');
        text
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let flaw = &problem.flaw;
        let group = Group::with_title(Level::ERROR.primary_title(flaw.message.as_str()));
        let group = match &flaw.span {
            Some(span) => group.element(self.snippet(problem, span)),
            None => group.element(Origin::path(self.origin.as_str())),
        };
        match &flaw.help {
            Some(help) => group.element(Level::HELP.message(help.as_str())),
            None => group,
        }
    }

    /// Only the lines that matter are handed over, so that a long file stays cheap and odd bytes elsewhere harmless.
    fn snippet<'a>(
        &'a self,
        problem: &'a Problem,
        span: &Range<usize>,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let also = problem.flaw.also.as_ref();
        let first = also.map_or(span.start, |(other, _)| other.start.min(span.start));
        let last = also.map_or(span.end, |(other, _)| other.end.max(span.end));
        let mut from = self.text[..first].rfind('\n').map_or(0, |newline| newline + 1);
        let mut to = self.text[last..].find('\n').map_or(self.text.len(), |newline| last + newline);
        if also.is_none() {
            from = floor(&self.text, from.max(first.saturating_sub(WINDOW)));
            to = floor(&self.text, to.min(last + WINDOW));
        }
        let line = self.text[..first].matches('\n').count() + 1;
        let shown = self.text[from..to].trim_end_matches('\r');
        let within = |span: &Range<usize>| (span.start - from).min(shown.len())..(span.end - from).min(shown.len());
        let mut snippet = Snippet::source(shown)
            .line_start(line)
            .path(self.origin.as_str())
            .annotation(AnnotationKind::Primary.span(within(span)).label(problem.flaw.label.as_deref()));
        if let Some((other, label)) = also {
            snippet = snippet.annotation(AnnotationKind::Context.span(within(other)).label(label.as_str()));
        }
        snippet
    }
}

/// Inside the text, on character boundaries and on one line: a caret under a paragraph points at nothing.
fn clamp(text: &str, span: Range<usize>) -> Range<usize> {
    let start = floor(text, span.start);
    let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |end| start + end);
    let end = floor(text, span.end).clamp(start, line_end.max(start));
    start..floor(text, end.min(start + WINDOW)).max(start)
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The text with user and password of every URL starred out, byte for byte, so that no drawn line shows them.
fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        shown.push_str(head);
        let end = tail.find(|it: char| it.is_whitespace() || "\"'/?#".contains(it)).unwrap_or(tail.len());
        let user = tail[..end].rfind('@').unwrap_or(0);
        shown.push_str(&"*".repeat(user));
        rest = &tail[user..];
    }
    shown + rest
}

fn count(problems: usize) -> String {
    if problems == 1 { "1 problem".into() } else { format!("{problems} problems") }
}

/// User text inside a message: control characters made visible, long text cut.
pub fn quoted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 2);
    shown.push('`');
    for letter in text.chars().take(60) {
        match letter.is_control() {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
    }
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown.push('`');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_addresses_are_not_drawn() {
        let text = "url = \"https://mé:p@ss@a.b/x@y\"\nother = 'http://c.d' # see http://u@e\n";
        let shown = masked(text);
        assert_eq!(shown, "url = \"https://********@a.b/x@y\"\nother = 'http://c.d' # see http://*@e\n");
        assert_eq!(shown.len(), text.len());
    }

    #[test]
    fn a_span_outside_the_text_or_inside_a_letter_is_brought_in() {
        let text = "é\n日本";
        for start in 0..12 {
            for end in 0..12 {
                let problems = Problems::new("x".into(), text, vec![Flaw::new(start..end, "m").also(end..start, "n")]);
                assert!(problems.render(false).contains("error: m"));
            }
        }
    }

    #[test]
    fn hidden_characters_of_a_name_are_shown() {
        assert_eq!(quoted("a\u{1b}[8mb"), "`a\\u{1b}[8mb`");
        assert_eq!(quoted(&"x".repeat(61)), format!("`{}…`", "x".repeat(60)));
    }
}
