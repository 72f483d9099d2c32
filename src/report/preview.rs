//! The report of a dry run, for stdout: what was seen, what would change, everything in the way, a verdict.
//!
//! Steps of a preview run side by side, so events are gathered by step and told in the order of the list.

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use super::Sink;
use super::text::{clean, clean_lines, count, date_and_time, wrap};
use super::words;
use crate::event::{Event, Evidence, Question, Refusal, Stamped, StepHead, StepResult};
use crate::facts::Parameters;

/// Kinds whose change lasts only for the time of a deploy, or that ask a person: alone they are no deploy.
const PASSING: [&str; 5] = ["lock", "set-flag", "dags-hold", "give-back", "manual"];

/// Gathers a preview's events; [`Preview::render`] gives the report.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    start: Option<Start>,
    steps: Vec<Seen>,
    warnings: Vec<String>,
    finished: Option<(u8, String, Vec<String>)>,
}

#[derive(Debug, Clone)]
struct Start {
    at: Timestamp,
    runbook: String,
    source: String,
    hash: String,
    title: String,
    who: String,
    host: String,
    parameters: Parameters,
}

#[derive(Debug, Clone)]
struct Seen {
    head: StepHead,
    evidence: Vec<Evidence>,
    question: Option<Question>,
    result: Option<StepResult>,
    looked: bool,
}

impl Seen {
    /// What of this step keeps a run from being done, with what to do.
    fn in_the_way(&self) -> Vec<Refusal> {
        let looked_at = |why: &str, word: &str| {
            vec![Refusal { what: format!("{word}: {why}"), next: "look at this step, then preview again".into() }]
        };
        match &self.result {
            Some(StepResult::Blocked { refusals }) => refusals.clone(),
            Some(StepResult::Failed { why }) => looked_at(why, "could not be looked at"),
            Some(StepResult::Stopped { why }) => looked_at(why, "was stopped"),
            None => looked_at(if self.looked { "it did not finish" } else { "it was not reached" }, "is not known"),
            Some(_) => Vec::new(),
        }
    }

    fn would_change(&self) -> bool {
        matches!(self.result, Some(StepResult::WouldChange))
    }
}

impl Sink for Preview {
    fn event(&mut self, stamped: &Stamped) {
        match &stamped.event {
            Event::RunStarted { runbook, source, hash, title, who, host, parameters, steps, .. } => {
                self.start = Some(Start {
                    at: stamped.at,
                    runbook: runbook.clone(),
                    source: source.clone(),
                    hash: hash.clone(),
                    title: title.clone(),
                    who: who.clone(),
                    host: host.clone(),
                    parameters: parameters.clone(),
                });
                self.steps = steps
                    .iter()
                    .map(|head| Seen {
                        head: head.clone(),
                        evidence: vec![],
                        question: None,
                        result: None,
                        looked: false,
                    })
                    .collect();
            }
            Event::StepStarted { step } => self.change(step, |seen| seen.looked = true),
            Event::Saw { step, evidence } => self.change(step, |seen| {
                // A step that waited has looked more than once.
                if !seen.evidence.contains(evidence) {
                    seen.evidence.push(evidence.clone());
                }
            }),
            Event::GateAsked { question, .. } => {
                self.change(&question.gate, |seen| seen.question = Some(question.clone()));
            }
            Event::StepFinished { step, result } => self.change(step, |seen| seen.result = Some(result.clone())),
            Event::Warned { text } => self.warnings.push(text.clone()),
            Event::RunFinished { exit, message, next, .. } => {
                self.finished = Some((*exit, message.clone(), next.clone()));
            }
            _ => {}
        }
    }
}

impl Preview {
    pub fn new() -> Self {
        Self::default()
    }

    /// The report, its lines at most `width` columns wide but for commands, which are never wrapped.
    pub fn render(&self, width: usize) -> String {
        let mut rows = Vec::new();
        self.heading(&mut rows, width);
        for (index, seen) in self.steps.iter().enumerate() {
            rows.push(String::new());
            step(&mut rows, index + 1, seen, width);
        }
        self.warned(&mut rows, width);
        self.refusals(&mut rows, width);
        self.verdict(&mut rows, width);
        rows.push(String::new());
        rows.join("\n")
    }

    /// Files with the whole story of a question: the full plan.
    pub fn details(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|seen| seen.question.as_ref()?.details.as_deref())
    }

    fn heading(&self, rows: &mut Vec<String>, width: usize) {
        let Some(start) = &self.start else { return };
        let title = clean(&start.title);
        rows.extend(wrap(&format!("Dry run of {}: {title}", start.runbook), "# ", width));
        rows.push(String::new());
        let when = date_and_time(start.at);
        let text = format!("Looked at by {} on {}, {when}. Nothing was changed.", start.who, start.host);
        rows.extend(wrap(&clean(&text), "", width));
        let hash: String = start.hash.chars().take(12).collect();
        rows.extend(wrap(&clean(&format!("Runbook: {} (sha256 {hash}).", start.source)), "", width));
        if let Some(tag) = &start.parameters.tag {
            rows.extend(wrap(&clean(&format!("Image: {tag}, as asked for with --tag.")), "", width));
        }
        for it in &start.parameters.overrides {
            rows.extend(wrap(&clean(&format!("Override: {it}.")), "", width));
        }
    }

    fn warned(&self, rows: &mut Vec<String>, width: usize) {
        if !self.warnings.is_empty() {
            rows.extend([String::new(), "## Warnings".into()]);
            rows.extend(self.warnings.iter().flat_map(|text| wrap(&clean(text), "- ", width)));
        }
    }

    fn refusals(&self, rows: &mut Vec<String>, width: usize) {
        let all = self.all_refusals();
        if all.is_empty() {
            return;
        }
        rows.extend([String::new(), "## In the way".into()]);
        for (index, (step, refusal)) in all.iter().enumerate() {
            let first = format!("{}. ", index + 1);
            let indent = " ".repeat(first.len());
            rows.extend(wrap(&format!("{step}: {}", clean(&refusal.what)), &first, width));
            rows.extend(next(&indent, &refusal.next));
        }
    }

    fn all_refusals(&self) -> Vec<(String, Refusal)> {
        let mut all: Vec<(String, Refusal)> = Vec::new();
        for seen in &self.steps {
            all.extend(seen.in_the_way().into_iter().map(|refusal| (seen.head.id.clone(), refusal)));
        }
        // Something outside the steps refused (credentials, the runbook, the lock).
        if let Some((exit, message, next)) = &self.finished
            && *exit != 0
            && all.is_empty()
        {
            all.push(("the run".into(), Refusal { what: message.clone(), next: next.join("; ") }));
        }
        all
    }

    fn verdict(&self, rows: &mut Vec<String>, width: usize) {
        rows.extend([String::new(), "## Verdict".into()]);
        let refusals = self.all_refusals().len();
        let text = if refusals > 0 {
            let verb = if refusals == 1 { "is" } else { "are" };
            format!("{} {verb} in the way.", count(refusals, "thing"))
        } else if self.nothing_would_change() {
            "Nothing would change: no service deployment is needed.".into()
        } else {
            let asks = self.steps.iter().filter(|seen| seen.would_change() && seen.head.gate).count();
            let asks = if asks > 0 { format!(" The run would ask {}.", times(asks)) } else { String::new() };
            format!("Nothing is in the way.{asks}")
        };
        rows.extend(wrap(&text, "", width));
    }

    /// No lasting change is left to make. A runbook made of manual steps alone says so only when none is left.
    fn nothing_would_change(&self) -> bool {
        let passing = |seen: &&Seen| PASSING.contains(&seen.head.kind.as_str());
        let (passing, lasting): (Vec<_>, Vec<_>) = self.steps.iter().partition(passing);
        let applies = lasting.iter().any(|seen| seen.head.kind == "apply");
        !lasting.iter().any(|seen| seen.would_change()) && (applies || !passing.iter().any(|seen| seen.would_change()))
    }

    fn change(&mut self, id: &str, how: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.steps.iter_mut().find(|seen| seen.head.id == id) {
            how(seen);
        }
    }
}

fn step(rows: &mut Vec<String>, number: usize, seen: &Seen, width: usize) {
    let lock = if seen.head.locked { "🔒 " } else { "" };
    let gate = if seen.head.gate { ", asks first" } else { "" };
    let title = format!("{lock}{} ({}{gate})", clean(&seen.head.title), seen.head.id);
    rows.extend(wrap(&title, &format!("## {number}. "), width));
    for evidence in &seen.evidence {
        let first = format!("- {}: ", words::label(evidence.label));
        rows.extend(item(&clean(&evidence.text), &first, width));
    }
    match &seen.result {
        Some(StepResult::Blocked { refusals }) => {
            for refusal in refusals {
                rows.extend(item(&clean(&refusal.what), "- in the way: ", width));
                rows.extend(next("  ", &refusal.next));
            }
        }
        Some(StepResult::WouldChange) => would_change(rows, seen.question.as_ref(), width),
        Some(StepResult::Satisfied) => rows.push("- nothing to do".into()),
        Some(StepResult::Unhealthy { why }) => rows.extend(item(&clean(why), "- warning: unhealthy: ", width)),
        Some(StepResult::Inconclusive { why }) => rows.extend(item(&clean(why), "- warning: not known: ", width)),
        Some(other) => rows.extend(item(&words::result_line(other), "- ", width)),
        None => rows.push("- not known: this step was not looked at to its end".into()),
    }
}

fn would_change(rows: &mut Vec<String>, question: Option<&Question>, width: usize) {
    let Some(question) = question else {
        rows.push("- would change".into());
        return;
    };
    rows.extend(item(&clean(&question.title), "- would change: ", width));
    for line in question.summary.iter().flat_map(|entry| clean_lines(entry)) {
        rows.extend(wrap(&line, "    - ", width));
    }
    if !question.expected {
        let text = "this holds more than the runbook expects; read it line by line";
        rows.extend(item(text, "- warning: ", width));
    }
    if let Some(details) = &question.details {
        rows.push(format!("    in full: {}", clean(details)));
    }
}

/// A list item whose further lines hang under its text, not under its label.
fn item(text: &str, first: &str, width: usize) -> Vec<String> {
    let rows = wrap(&format!("{first}{text}").replacen("- ", "", 1), "- ", width);
    rows.into_iter().collect()
}

/// What to do, and below it what there is to choose from.
fn next(indent: &str, command: &str) -> Vec<String> {
    let mut lines = clean_lines(command);
    if let Some(first) = lines.first_mut() {
        *first = format!("next: {first}");
    }
    lines.iter().map(|line| format!("{indent}{line}")).collect()
}

fn times(number: usize) -> String {
    if number == 1 { "once".into() } else { format!("{number} times") }
}
