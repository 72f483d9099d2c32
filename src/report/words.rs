//! The words of all views, in one place, so that a thing is called the same everywhere.

use crate::event::{AnsweredBy, Label, Mode, Question, StepResult, Strength};

use super::text::{clean, clean_lines, short_digest, wrap};

/// The sign of a finished step.
pub fn mark(result: &StepResult) -> char {
    match result {
        StepResult::Changed | StepResult::WouldChange => '✔',
        StepResult::Satisfied => '•',
        StepResult::Skipped { .. } => '↷',
        StepResult::Blocked { .. } | StepResult::Failed { .. } => '✘',
        StepResult::Stopped { .. } => '⏸',
        StepResult::Unhealthy { .. } | StepResult::Inconclusive { .. } => '!',
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

/// A question for reading, lines of at most `width` columns: what would happen, what exactly is approved.
pub fn question(question: &Question, width: usize) -> Vec<String> {
    let mut rows = wrap(&clean(&question.title), &format!("{}: ", question.gate), width);
    for line in question.summary.iter().flat_map(|entry| clean_lines(entry)) {
        rows.extend(wrap(&line, "  - ", width));
    }
    if !question.expected {
        rows.extend(wrap("warning: this holds more than the runbook expects; read it line by line", "  ", width));
    }
    if !question.digest.is_empty() {
        rows.extend(wrap(&format!("digest {}", short_digest(&question.digest)), "  ", width));
    }
    rows
}
