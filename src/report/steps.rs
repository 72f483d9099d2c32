//! The list of steps and where each stands: the fold that the live views share.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::event::{Event, Label, Mode, Stamped, StepHead, StepResult};

use super::text::clean;
use super::words;

/// Lines of a child's output that are kept for the screen.
pub const TAIL: usize = 6;

#[derive(Debug, Clone, Default, PartialEq)]
pub enum State {
    #[default]
    Pending,
    Running,
    /// Waits for a person.
    Asking,
    Ended(StepResult),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waited {
    pub on: String,
    pub since: Timestamp,
    pub deadline: Timestamp,
}

#[derive(Debug, Clone)]
pub struct Row {
    pub head: StepHead,
    pub state: State,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// The last thing it saw.
    pub evidence: Option<String>,
    pub waited: Option<Waited>,
    /// Why the last poll failed; gone with the next one that works.
    pub note: Option<String>,
    /// The last lines of its child.
    pub tail: VecDeque<String>,
}

impl Row {
    fn new(head: &StepHead) -> Self {
        Self {
            head: head.clone(),
            state: State::Pending,
            started: None,
            ended: None,
            evidence: None,
            waited: None,
            note: None,
            tail: VecDeque::new(),
        }
    }

    pub fn active(&self) -> bool {
        matches!(self.state, State::Running | State::Asking)
    }
}

/// All steps of a run, in order.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    run: String,
    rows: Vec<Row>,
    preview: bool,
}

impl Steps {
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The run's id.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// In a preview questions are told, not asked.
    pub fn preview(&self) -> bool {
        self.preview
    }

    /// A step's place in the list, counted from 1.
    pub fn number(&self, id: &str) -> Option<usize> {
        self.rows.iter().position(|row| row.head.id == id).map(|index| index + 1)
    }

    pub fn get(&self, id: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.head.id == id)
    }

    pub fn event(&mut self, stamped: &Stamped) {
        let at = stamped.at;
        match &stamped.event {
            Event::RunStarted { run, steps, mode, .. } => {
                self.run.clone_from(run);
                self.rows = steps.iter().map(Row::new).collect();
                self.preview = *mode == Mode::Preview;
            }
            // What did not get done is looked at anew.
            Event::RunResumed { .. } => {
                let undone = |row: &&mut Row| !matches!(row.state, State::Ended(ref result) if settled(result));
                self.rows.iter_mut().filter(undone).for_each(|row| *row = Row::new(&row.head));
            }
            Event::StepStarted { step } => self.change(step, |row| {
                *row = Row { state: State::Running, started: Some(at), ..Row::new(&row.head) };
            }),
            Event::Saw { step, evidence } => self.change(step, |row| {
                if evidence.label != Label::Warning || row.evidence.is_none() {
                    row.evidence = Some(clean(&evidence.text));
                }
            }),
            Event::Waiting { step, on, since, deadline } => self.change(step, |row| {
                row.waited = Some(Waited { on: clean(on), since: *since, deadline: *deadline });
                row.note = None;
            }),
            Event::PollFailed { step, why } => self.change(step, |row| row.note = Some(clean(why))),
            Event::Output { step, line } => self.change(step, |row| {
                row.waited = None;
                let line = words::unboxed(line);
                if line.is_empty() {
                    return;
                }
                if row.tail.len() == TAIL {
                    row.tail.pop_front();
                }
                row.tail.push_back(line);
            }),
            Event::GateAsked { question, .. } if !self.preview => self.change(&question.gate, |row| {
                row.state = State::Asking;
                row.waited = None;
                row.note = None;
            }),
            Event::GateAnswered { gate, .. } => self.change(gate, |row| row.state = State::Running),
            Event::Intent { step, .. } => self.change(step, |row| {
                row.waited = None;
                row.note = None;
            }),
            Event::StepFinished { step, result } => self.change(step, |row| {
                row.state = State::Ended(result.clone());
                row.ended = Some(at);
                row.waited = None;
                row.note = None;
            }),
            Event::RunFinished { .. } => {
                self.rows.iter_mut().filter(|row| row.active()).for_each(|row| {
                    row.state = State::Ended(StepResult::Stopped { why: "not finished".into() });
                    row.ended = Some(at);
                });
            }
            _ => {}
        }
    }

    fn change(&mut self, id: &str, how: impl FnOnce(&mut Row)) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.head.id == id) {
            how(row);
        }
    }
}

/// Done with, as far as this run is concerned.
fn settled(result: &StepResult) -> bool {
    matches!(result, StepResult::Satisfied | StepResult::Changed | StepResult::Skipped { .. } | StepResult::WouldChange)
}
