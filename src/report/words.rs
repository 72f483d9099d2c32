//! The words of all views, in one place, so that a thing is called the same everywhere.

use crate::event::{AnsweredBy, Label, Mode, Question, StepResult, Strength};

use super::text::{clean, clean_lines, elapsed, limit, short_digest, wrap};

/// How a `manual` step's instructions begin.
const TO_DO: &str = "for you to do: ";

/// The sign of a finished step.
pub fn mark(result: &StepResult) -> char {
    match result {
        StepResult::Changed | StepResult::WouldChange => '✔',
        StepResult::Satisfied => '•',
        StepResult::Skipped { .. } => '↷',
        StepResult::Blocked { .. } | StepResult::Failed { .. } => '✘',
        StepResult::Stopped { .. } => '⏸',
        StepResult::Unhealthy { .. } | StepResult::Inconclusive { .. } | StepResult::Unfinished { .. } => '!',
        StepResult::Left { .. } => '☐',
    }
}

/// How a step ended, in a word or two, and why where there is a why.
pub fn result(result: &StepResult) -> (&'static str, Option<String>) {
    match result {
        StepResult::Satisfied => ("nothing to do", None),
        StepResult::Changed => ("done", None),
        StepResult::WouldChange => ("would change", None),
        StepResult::Skipped { why } => ("skipped", Some(clean(why))),
        StepResult::Blocked { refusals } => {
            let all: Vec<_> = refusals.iter().map(|refusal| clean(&refusal.what)).collect();
            ("refused", Some(all.join("; ")))
        }
        StepResult::Unhealthy { why } => ("deployed, but unhealthy", Some(clean(why))),
        StepResult::Inconclusive { why } => ("deployed, health unknown", Some(clean(why))),
        StepResult::Unfinished { why } => ("left open", Some(clean(why))),
        StepResult::Left { what } => ("left for you", Some(clean(what))),
        StepResult::Failed { why } => ("failed", Some(clean(why))),
        StepResult::Stopped { why } => ("stopped", Some(clean(why))),
    }
}

/// [`result`] as one sentence part: `failed: why`.
pub fn result_line(of: &StepResult) -> String {
    match result(of) {
        (word, Some(why)) => format!("{word}: {why}"),
        (word, None) => word.to_owned(),
    }
}

pub fn label(label: Label) -> &'static str {
    match label {
        Label::Verified => "verified",
        Label::Predicted => "predicted",
        Label::NotPreviewable => "not previewable",
        Label::Warning => "warning",
    }
}

/// A line of evidence, its label said where it is not the plain one.
pub fn evidence(of: &crate::event::Evidence) -> String {
    match of.label {
        Label::Verified => clean(&of.text),
        // A task is no warning; it is told as loudly as one.
        Label::Warning if of.text.starts_with(TO_DO) => clean(&of.text),
        other => format!("{}: {}", label(other), clean(&of.text)),
    }
}

pub fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Deploy => "deploy",
        Mode::Rollback => "deploy of an existing tag",
        Mode::Preview => "dry run, nothing is changed",
    }
}

pub fn answered_by(by: AnsweredBy) -> &'static str {
    match by {
        AnsweredBy::Terminal => "at the terminal",
        AnsweredBy::Flag => "by --approve",
        AnsweredBy::Rehearsal => "by --yes of the rehearsal",
    }
}

/// Who overrode a check.
pub fn overridden_by(by: AnsweredBy) -> &'static str {
    match by {
        AnsweredBy::Terminal => "at the terminal",
        AnsweredBy::Flag => "by --override",
        AnsweredBy::Rehearsal => "in the rehearsal",
    }
}

/// What a person said of an effect whose end nothing else could tell.
pub fn doubt_answered(took_effect: bool) -> &'static str {
    if took_effect { "a person looked: it took effect" } else { "a person looked: it took no effect" }
}

/// What has to be typed for a yes.
pub fn needed(question: &Question) -> &str {
    match &question.strength {
        Strength::Yes => "yes",
        Strength::Typed { text } => text,
    }
}

/// The flag that answers this question beforehand, and only this one.
pub fn approve_flag(question: &Question) -> String {
    format!("--approve {}@{}", question.gate, question.digest)
}

/// One line of a question's summary.
pub enum Entry {
    Point(String),
    /// Belongs to the point above it: an indented line, e.g. of release notes.
    Below(String),
}

/// A question's summary line by line.
pub fn summary(question: &Question) -> impl Iterator<Item = Entry> + '_ {
    let lines = question.summary.iter().flat_map(|entry| clean_lines(entry)).filter(|line| !line.is_empty());
    lines.map(|line| match line.strip_prefix(' ') {
        Some(below) => Entry::Below(below.trim_start().to_owned()),
        None => Entry::Point(line),
    })
}

/// How something was given back, with its name unless the sentence says it already.
pub fn given_back(name: &str, how: &str) -> String {
    if how.contains(name) || name.contains(how) { clean(how) } else { format!("{name}: {}", clean(how)) }
}

/// How long something has been waited for, and how long it will be: `, 31s of 30m`. Nothing where a rehearsal hurries so
/// much that no second passes.
pub fn waited(spent: std::time::Duration, most: std::time::Duration) -> String {
    if most.as_secs() == 0 { String::new() } else { format!(", {} of {}", elapsed(spent), limit(most)) }
}

/// A child's line without the boxes that Terraform draws around its diagnostics; empty where nothing else is in it.
pub fn unboxed(line: &str) -> String {
    clean(line).trim_start_matches(['╷', '╵', '│', ' ']).to_owned()
}

/// A question for reading, lines of at most `width` columns: what would happen, what exactly is approved.
pub fn question(question: &Question, width: usize) -> Vec<String> {
    let mut rows = wrap(&clean(&question.title), &format!("{}: ", question.gate), width);
    for entry in summary(question) {
        match entry {
            Entry::Point(text) => rows.extend(wrap(&text, "  - ", width)),
            Entry::Below(text) => rows.extend(wrap(&text, "      ", width)),
        }
    }
    if !question.expected {
        rows.extend(wrap("warning: this holds more than the runbook expects; read it line by line", "  ", width));
    }
    if !question.digest.is_empty() {
        rows.extend(wrap(&format!("digest {}", short_digest(&question.digest)), "  ", width));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By these marks a quiet view decides what it leaves out.
    #[test]
    fn only_what_is_as_it_should_be_has_a_mark_that_says_so() {
        let why = || "a reason".to_owned();
        let unwell = [
            StepResult::Unhealthy { why: why() },
            StepResult::Inconclusive { why: why() },
            StepResult::Unfinished { why: why() },
            StepResult::Left { what: why() },
            StepResult::Blocked { refusals: Vec::new() },
            StepResult::Failed { why: why() },
            StepResult::Stopped { why: why() },
        ];
        for result in unwell {
            assert!(!matches!(mark(&result), '✔' | '•' | '↷'), "{result:?}");
        }
        for result in [StepResult::Changed, StepResult::Satisfied, StepResult::Skipped { why: why() }] {
            assert!(matches!(mark(&result), '✔' | '•' | '↷'), "{result:?}");
        }
    }
}
