//! What stays on the screen above the list: warnings, failures in full, whatever does not fit into one row.

use std::collections::HashSet;

use console::Style;

use super::picture::Paint;
use crate::event::{AnsweredBy, Ended, Event, Label, Question, Stamped, StepResult};
use crate::report::held::{StillHeld, describe};
use crate::report::hint::hint;
use crate::report::steps::Steps;
use crate::report::text::{clean, wrap};
use crate::report::{ColorChoice, Verbosity, words};

/// How a run ends that nobody could be asked in, or whose answer was a no.
const NOT_ANSWERED: u8 = 5;

pub struct Printer {
    color: bool,
    verbosity: Verbosity,
    held: StillHeld,
    /// Asked and not answered yet; the terminal's prompt shows it itself.
    asked: Option<Question>,
    /// A step looks often; what it says is printed once.
    told: HashSet<(String, String)>,
}

impl Printer {
    pub fn new(color: ColorChoice, verbosity: Verbosity) -> Self {
        Self {
            color: color == ColorChoice::Always,
            verbosity,
            held: StillHeld::default(),
            asked: None,
            told: HashSet::new(),
        }
    }

    pub fn past(&mut self, stamped: &Stamped) {
        self.held.event(&stamped.event);
    }

    /// Lines that need what was true before the event (what something given back is called).
    pub fn before(&mut self, stamped: &Stamped, steps: &Steps, width: usize, paint: &Paint) -> Vec<String> {
        let rows = match &stamped.event {
            Event::Saw { step, evidence } => {
                let text = words::evidence(evidence);
                let warning = evidence.label == Label::Warning;
                let hidden = steps.get(step).is_none_or(|row| !paint.fits(row, &text, width));
                let wanted = match self.verbosity {
                    // The report of a preview tells it all, right after this.
                    Verbosity::Quiet | Verbosity::Normal if steps.preview() => false,
                    Verbosity::Quiet => warning,
                    Verbosity::Normal => warning || hidden,
                    Verbosity::Verbose => true,
                };
                if !wanted || !self.told.insert((step.clone(), text.clone())) {
                    Vec::new()
                } else {
                    let style = if warning { self.yellow() } else { Style::new() };
                    self.wrapped(&text, &lead(steps, step), width, &style)
                }
            }
            Event::GivenBack { held, how } if self.verbosity > Verbosity::Quiet => {
                let text = words::given_back(&self.held.name(held), how);
                self.wrapped(&text, "given back: ", width, &Style::new())
            }
            Event::NotGivenBack { held, why } => {
                let text = format!("{}: {}", self.held.name(held), clean(why));
                self.wrapped(&text, "could not give back: ", width, &self.red())
            }
            Event::Outcome { effect, ended: Ended::Refused { why } } => {
                let text = format!("{}: {}", self.held.effect(effect), clean(why));
                self.wrapped(&text, "took no effect: ", width, &self.yellow())
            }
            Event::Outcome { effect, ended: Ended::InDoubt { why } } => {
                let text = format!("{}: {}", self.held.effect(effect), clean(why));
                self.wrapped(&text, "not known whether it happened: ", width, &self.red())
            }
            _ => Vec::new(),
        };
        self.held.event(&stamped.event);
        rows
    }

    /// All other lines.
    pub fn after(&mut self, stamped: &Stamped, steps: &Steps, width: usize) -> Vec<String> {
        let normal = self.verbosity > Verbosity::Quiet;
        let verbose = self.verbosity == Verbosity::Verbose;
        match &stamped.event {
            Event::RunStarted { run, runbook, source, title, mode, who, host, .. } if normal => {
                let text = format!("{} ({})", clean(title), words::mode(*mode));
                let mut rows = self.wrapped(&text, &format!("{runbook}: "), width, &self.style().bold());
                let text = format!("run {run} · {who} on {host} · runbook {source}");
                rows.extend(self.wrapped(&clean(&text), "  ", width, &self.style().dim()));
                rows
            }
            Event::RunResumed { who, host } if normal => self.wrapped(
                &format!("{} on {} goes on with run {}", clean(who), clean(host), clean(steps.run())),
                "",
                width,
                &Style::new(),
            ),
            Event::TookOver { adoption } => {
                self.wrapped(&format!("took over run {}", clean(&adoption.run)), "", width, &Style::new())
            }
            Event::Overridden { step, given, by } => {
                let text = format!("overridden {}: {}", words::overridden_by(*by), clean(&given.to_string()));
                let lead = step.as_ref().map(|step| lead(steps, step)).unwrap_or_default();
                self.wrapped(&text, &lead, width, &self.yellow())
            }
            Event::PollFailed { step, why } if verbose => {
                self.wrapped(&format!("could not ask: {}", clean(why)), &lead(steps, step), width, &self.yellow())
            }
            Event::Output { step, line } if verbose => {
                self.wrapped(&clean(line), &format!("{}| ", lead(steps, step)), width, &self.style().dim())
            }
            Event::Intent { step, what, .. } if verbose => {
                self.wrapped(&clean(what), &lead(steps, step), width, &Style::new())
            }
            Event::DoubtAnswered { step, took_effect } => {
                self.wrapped(words::doubt_answered(*took_effect), &lead(steps, step), width, &Style::new())
            }
            Event::GateAsked { question, .. } if !steps.preview() => {
                self.asked = Some(question.clone());
                Vec::new()
            }
            Event::GateAnswered { gate, yes, by, .. } => {
                let asked = self.asked.take();
                if *by == AnsweredBy::Terminal {
                    return Vec::new();
                }
                let mut rows = asked.map(|question| words::question(&question, width)).unwrap_or_default();
                let answer = if *yes { "yes" } else { "no" };
                rows.push(format!("{gate}: {answer}, {}", words::answered_by(*by)));
                rows
            }
            Event::StepFinished { step, result } if verbose || !steps.preview() => {
                self.finished(&lead(steps, step), result, width)
            }
            Event::Warned { text } => self.wrapped(&clean(text), "warning: ", width, &self.yellow()),
            Event::Said { text } => self.wrapped(&clean(text), "", width, &Style::new()),
            Event::RunFinished { exit, message, next, .. } => self.ended(*exit, message, next, width),
            Event::RunClosed { why } if verbose => {
                self.wrapped(&clean(why), "this run is closed: ", width, &Style::new())
            }
            _ => Vec::new(),
        }
    }

    /// What to do next is said once, at the end.
    fn finished(&self, lead: &str, result: &StepResult, width: usize) -> Vec<String> {
        match result {
            StepResult::Blocked { refusals } => refusals
                .iter()
                .flat_map(|refusal| {
                    self.wrapped(&clean(&refusal.what), &format!("{lead}refused: "), width, &self.red())
                })
                .collect(),
            StepResult::Failed { .. } => self.wrapped(&words::result_line(result), lead, width, &self.red()),
            StepResult::Unhealthy { .. }
            | StepResult::Inconclusive { .. }
            | StepResult::Unfinished { .. }
            | StepResult::Left { .. }
            | StepResult::Stopped { .. } => self.wrapped(&words::result_line(result), lead, width, &self.yellow()),
            _ => Vec::new(),
        }
    }

    fn ended(&mut self, exit: u8, message: &str, commands: &[String], width: usize) -> Vec<String> {
        let style = if exit == 0 { self.style().green() } else { self.red() };
        let mut rows = Vec::new();
        // Whoever left with Ctrl-C has just read the question.
        if let Some(question) = self.asked.take().filter(|_| exit == NOT_ANSWERED) {
            rows.extend(words::question(&question, width));
            rows.extend(next(&format!("to answer beforehand: {}", words::approve_flag(&question)), width));
        }
        rows.extend(self.wrapped(&clean(message), "", width, &style.bold()));
        for held in self.held.all() {
            rows.extend(self.wrapped(&describe(held), "still held: ", width, &self.yellow()));
        }
        for what in self.held.in_doubt() {
            rows.extend(self.wrapped(&clean(what), "not known whether it happened: ", width, &self.yellow()));
        }
        rows.extend(commands.iter().flat_map(|command| next(command, width)));
        rows
    }

    fn wrapped(&self, text: &str, first: &str, width: usize, style: &Style) -> Vec<String> {
        let style = style.clone().force_styling(self.color);
        wrap(text, first, width).into_iter().map(|row| style.apply_to(row).to_string()).collect()
    }

    fn style(&self) -> Style {
        Style::new().force_styling(self.color)
    }
    fn yellow(&self) -> Style {
        self.style().yellow()
    }
    fn red(&self) -> Style {
        self.style().red()
    }
}

/// Which step says it: `10 apply: `.
fn lead(steps: &Steps, step: &str) -> String {
    match steps.number(step) {
        Some(number) => format!("{number:>2} {step}: "),
        None => format!("{step}: "),
    }
}

/// What to do next; nothing where there is nothing to do.
fn next(text: &str, width: usize) -> Vec<String> {
    if clean(text).is_empty() { Vec::new() } else { hint(text, "  next: ", width) }
}
