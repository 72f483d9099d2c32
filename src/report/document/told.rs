//! A whole run gathered from its events, by what a report has sections for.

use jiff::Timestamp;

use crate::event::{AnsweredBy, EndFinding, Ended, Event, Mode, Stamped, StepHead, StepResult};
use crate::facts::{Facts, Held, Parameters};
use crate::report::held::StillHeld;

#[derive(Default)]
pub struct Told {
    pub start: Option<Start>,
    pub resumed: Vec<(Timestamp, String, String)>,
    /// The run that this one took over.
    pub took_over: Option<(Timestamp, String)>,
    /// What was overridden while the run went on, each in a sentence.
    pub overrides: Vec<(Timestamp, String)>,
    pub steps: Vec<Step>,
    pub gates: Vec<Gate>,
    pub effects: Vec<Effect>,
    pub taken: Vec<Taken>,
    pub held: StillHeld,
    pub facts: Facts,
    pub warnings: Vec<String>,
    pub end: Option<End>,
    pub closed: Option<String>,
}

pub struct Start {
    pub at: Timestamp,
    pub run: String,
    pub runbook: String,
    pub source: String,
    pub hash: String,
    pub title: String,
    pub mode: Mode,
    pub who: String,
    pub host: String,
    pub parameters: Parameters,
}

pub struct Step {
    pub head: StepHead,
    /// Of its last attempt.
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub result: Option<StepResult>,
}

pub struct Gate {
    pub at: Timestamp,
    pub gate: String,
    pub digest: String,
    pub answer: Option<(Timestamp, bool, AnsweredBy)>,
}

pub struct Effect {
    pub at: Timestamp,
    pub effect: String,
    pub what: String,
    pub ended: Option<Ended>,
}

pub struct Taken {
    pub at: Timestamp,
    pub held: Held,
    /// How it went back, or why it could not; the last try counts.
    pub returned: Option<Result<(Timestamp, String), String>>,
}

pub struct End {
    pub at: Timestamp,
    pub exit: u8,
    pub reason: String,
    pub message: String,
    pub next: Vec<String>,
    /// Each reason, where there are several.
    pub findings: Vec<EndFinding>,
}

impl Told {
    pub fn new(events: &[Stamped]) -> Self {
        let mut told = Self::default();
        events.iter().for_each(|stamped| told.event(stamped.at, &stamped.event));
        told
    }

    fn event(&mut self, at: Timestamp, event: &Event) {
        self.held.event(event);
        match event {
            Event::RunStarted { run, runbook, source, hash, title, mode, who, host, parameters, steps, .. } => {
                self.start = Some(Start {
                    at,
                    run: run.clone(),
                    runbook: runbook.clone(),
                    source: source.clone(),
                    hash: hash.clone(),
                    title: title.clone(),
                    mode: *mode,
                    who: who.clone(),
                    host: host.clone(),
                    parameters: parameters.clone(),
                });
                let step = |head: &StepHead| Step { head: head.clone(), started: None, ended: None, result: None };
                self.steps = steps.iter().map(step).collect();
            }
            Event::TookOver { adoption } => {
                self.took_over = Some((at, adoption.run.clone()));
                let taken = |held: &Held| Taken { at, held: held.clone(), returned: None };
                self.taken.extend(adoption.held.iter().map(taken));
            }
            Event::Overridden { step, given, by } => {
                let at_step = step.as_ref().map(|step| format!(", at {step}")).unwrap_or_default();
                let by = crate::report::words::overridden_by(*by);
                self.overrides.push((at, format!("{given} ({by}{at_step})")));
            }
            Event::RunResumed { who, host } => {
                self.resumed.push((at, who.clone(), host.clone()));
                self.end = None;
            }
            Event::StepStarted { step } => {
                self.step(step, |step| {
                    *step = Step { head: step.head.clone(), started: Some(at), ended: None, result: None }
                });
            }
            Event::StepFinished { step, result } => self.step(step, |step| {
                step.ended = Some(at);
                step.result = Some(result.clone());
            }),
            Event::GateAsked { question, .. } => {
                let (gate, digest) = (question.gate.clone(), question.digest.clone());
                self.gates.push(Gate { at, gate, digest, answer: None });
            }
            Event::GateAnswered { gate, yes, digest, by } => {
                let asked = self.gates.iter_mut().rev().find(|it| &it.gate == gate && it.answer.is_none());
                let answer = Some((at, *yes, *by));
                match asked {
                    Some(asked) => asked.answer = answer,
                    None => self.gates.push(Gate { at, gate: gate.clone(), digest: digest.clone(), answer }),
                }
            }
            Event::Intent { effect, what, holds, .. } => {
                self.effects.push(Effect { at, effect: effect.clone(), what: what.clone(), ended: None });
                self.taken.extend(holds.iter().map(|held| Taken { at, held: held.clone(), returned: None }));
            }
            Event::Outcome { effect, ended } => {
                if let Some(it) = self.effects.iter_mut().rev().find(|it| &it.effect == effect) {
                    it.ended = Some(ended.clone());
                }
            }
            Event::DoubtAnswered { step, took_effect } => {
                self.warnings.push(format!("{step}: {}", crate::report::words::doubt_answered(*took_effect)));
            }
            Event::GivenBack { held, how } => self.returned(held, Ok((at, how.clone()))),
            Event::NotGivenBack { held, why } => self.returned(held, Err(why.clone())),
            Event::Learned { fact, .. } => self.facts.learn(fact.clone()),
            Event::Warned { text } => self.warnings.push(text.clone()),
            Event::RunFinished { exit, reason, message, next, findings } => {
                let (reason, message) = (reason.clone(), message.clone());
                let (next, findings) = (next.clone(), findings.clone());
                self.end = Some(End { at, exit: *exit, reason, message, next, findings });
            }
            Event::RunClosed { why } => self.closed = Some(why.clone()),
            _ => {}
        }
    }

    fn step(&mut self, id: &str, how: impl FnOnce(&mut Step)) {
        if let Some(step) = self.steps.iter_mut().find(|step| step.head.id == id) {
            how(step);
        }
    }

    fn returned(&mut self, id: &str, how: Result<(Timestamp, String), String>) {
        if let Some(taken) = self.taken.iter_mut().rev().find(|taken| taken.held.id == id) {
            taken.returned = Some(how);
        }
    }
}
