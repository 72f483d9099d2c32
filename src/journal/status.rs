//! What the events of a run mean: the one table of legal histories, and the state that is folded through it.
//!
//! The live run and every replay go through [`RunState::apply`], so a journal that no run could have written is found
//! out as damage instead of being acted on.

mod questions;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::event::{Adoption, AnsweredBy, Ended, Event, Mode, Question, Stamped, StepHead, StepResult};
use crate::facts::{Approval, Facts, Held, Parameters, Thing};

/// Where one step stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StepState {
    /// Not begun, or begun and taken back.
    #[default]
    Idle,
    Looking,
    Asked,
    Approved,
    /// An effect is under way.
    Acting,
    /// Effects have been tried; to be looked at again.
    Acted,
    Ended(StepResult),
}

/// The parts of an event that move a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    Start,
    Ask,
    Yes,
    No,
    Intend,
    Outcome,
    Finish,
}

/// The table: which move is legal in which state, and where it leads. `None` is no legal history.
fn next(state: &StepState, step: Move, result: Option<&StepResult>) -> Option<StepState> {
    use StepState::{Acted, Acting, Approved, Asked, Ended, Idle, Looking};
    match (state, step) {
        // A process may die in any state; the next one starts the step again by looking.
        (_, Move::Start) => Some(Looking),
        (Looking | Acted, Move::Ask) => Some(Asked),
        (Asked, Move::Yes) => Some(Approved),
        (Asked, Move::No) => Some(Looking),
        (Looking | Approved | Acted, Move::Intend) => Some(Acting),
        (Acting, Move::Outcome) => Some(Acted),
        // A lost answer that was looked up later.
        (Looking | Acted, Move::Outcome) => Some(state.clone()),
        (Idle | Looking | Asked | Approved | Acting | Acted, Move::Finish) => result.cloned().map(Ended),
        _ => None,
    }
}

/// One change of the world, as far as it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectState {
    pub step: String,
    pub what: String,
    /// `None`: intended, and nobody wrote down how it ended.
    pub ended: Option<Ended>,
    pub returns: Option<String>,
    /// Obligations (by id) that came with it: not owed where it was surely refused.
    pub took: Vec<String>,
    /// What it made permanent, with its place among what is held: owed again where it turns out to have had no effect.
    pub kept: Vec<(usize, Held)>,
    /// Its step cannot take it back.
    pub forever: bool,
}

impl EffectState {
    /// Surely refused, or looked up and not seen.
    pub fn without_effect(&self) -> bool {
        self.ended.as_ref().is_some_and(Ended::without_effect)
    }

    pub fn in_doubt(&self) -> bool {
        !self.ended.as_ref().is_some_and(|ended| *ended == Ended::Done || ended.without_effect())
    }
}

/// How the last process of a run ended it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    pub at: Timestamp,
    pub exit: u8,
    pub reason: String,
    pub message: String,
    pub next: Vec<String>,
}

/// A run as its events tell it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    pub run: String,
    pub runbook: String,
    pub source: String,
    pub hash: String,
    pub title: String,
    pub mode: Mode,
    pub who: String,
    pub host: String,
    pub started_at: Timestamp,
    /// Whoever carries it out since the last resume, e.g. `ada on laptop`.
    acting: String,
    /// The latest yes of each gate, in the order in which they were given.
    pub approvals: Vec<Approval>,
    /// What was asked last, until it is answered.
    asked: Option<Question>,
    /// The run whose obligations this one has taken over, and when that one began.
    pub took_over: Option<(String, Timestamp)>,
    /// That run, and those that it had taken over itself; the newest first.
    pub predecessors: Vec<String>,
    /// With what was overridden since.
    pub parameters: Parameters,
    pub heads: Vec<StepHead>,
    pub steps: BTreeMap<String, StepState>,
    pub facts: Facts,
    /// In the order in which they were taken.
    pub held: Vec<Held>,
    pub effects: BTreeMap<String, EffectState>,
    pub finish: Option<Finish>,
    pub closed: Option<String>,
}

/// An event that no run could have written at this point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {number} ({event}) does not follow from what stands before it: {why}")]
pub struct Illegal {
    /// 1-based.
    pub number: usize,
    pub event: String,
    pub why: String,
}

/// The run lock's place in the list of steps.
pub const LOCK_STEP: &str = "lock";

impl RunState {
    /// Folds a whole journal. `Ok(None)` for an empty one.
    pub fn replay(events: &[Stamped]) -> Result<Option<Self>, Illegal> {
        let Some((first, rest)) = events.split_first() else { return Ok(None) };
        let illegal =
            |number: usize, stamped: &Stamped, why: String| Illegal { number, event: name(&stamped.event), why };
        let mut state = Self::begin(first).map_err(|why| illegal(1, first, why))?;
        for (index, stamped) in rest.iter().enumerate() {
            state.apply(stamped).map_err(|why| illegal(index + 2, stamped, why))?;
        }
        Ok(Some(state))
    }

    /// What is owed by a run of which only a part can be read, a newer version having written the rest: moves that are
    /// not told are taken as made. Good for giving back, not for going on.
    pub fn owed(events: &[Stamped]) -> Result<Option<Self>, String> {
        let Some((first, rest)) = events.split_first() else { return Ok(None) };
        let mut state = Self::begin(first)?;
        for stamped in rest {
            let (step, before) = match &stamped.event {
                Event::Intent { step, .. } => (step.clone(), StepState::Looking),
                Event::Outcome { effect, .. } => match state.effects.get(effect) {
                    Some(effect) => (effect.step.clone(), StepState::Acting),
                    None => continue,
                },
                Event::GivenBack { .. }
                | Event::Learned { .. }
                | Event::TookOver { .. }
                | Event::Overridden { .. }
                | Event::RunClosed { .. } => (String::new(), StepState::Idle),
                _ => continue,
            };
            if let Some(known) = state.steps.get_mut(&step) {
                *known = before;
            }
            // What does not fit even so, this version does not understand.
            let _strange = state.apply(stamped);
        }
        Ok(Some(state))
    }

    /// The state after the first event.
    pub fn begin(stamped: &Stamped) -> Result<Self, String> {
        let Event::RunStarted { run, runbook, source, hash, title, mode, who, host, parameters, steps, .. } =
            &stamped.event
        else {
            return Err("a journal begins with the start of its run".into());
        };
        Ok(Self {
            run: run.clone(),
            runbook: runbook.clone(),
            source: source.clone(),
            hash: hash.clone(),
            title: title.clone(),
            mode: *mode,
            who: who.clone(),
            host: host.clone(),
            started_at: stamped.at,
            acting: format!("{who} on {host}"),
            approvals: Vec::new(),
            asked: None,
            took_over: None,
            predecessors: Vec::new(),
            parameters: parameters.clone(),
            heads: steps.clone(),
            steps: steps.iter().map(|head| (head.id.clone(), StepState::Idle)).collect(),
            facts: Facts::default(),
            held: Vec::new(),
            effects: BTreeMap::new(),
            finish: None,
            closed: None,
        })
    }

    /// Moves on by one event.
    pub fn apply(&mut self, stamped: &Stamped) -> Result<(), String> {
        // Its last words are the one thing that may follow: whoever reads them knows that it is closed.
        let last_words = matches!(stamped.event, Event::RunFinished { .. }) && self.finish.is_none();
        if self.closed.is_some() && !last_words {
            return Err("the run is closed".into());
        }
        match &stamped.event {
            Event::RunStarted { .. } => return Err("a run starts once".into()),
            Event::RunResumed { who, host } => {
                self.finish = None;
                self.acting = format!("{who} on {host}");
            }
            Event::TookOver { adoption } => self.adopt(adoption)?,
            Event::Overridden { given, .. } => self.parameters.overrides.push(given.clone()),
            Event::StepStarted { step } => self.move_step(step, Move::Start, None)?,
            Event::GateAsked { question, .. } => {
                self.move_step(&question.gate, Move::Ask, None)?;
                self.asked = Some(question.clone());
            }
            Event::GateAnswered { gate, yes, digest, by } => {
                self.move_step(gate, if *yes { Move::Yes } else { Move::No }, None)?;
                self.answered(gate, *yes, digest, *by);
            }
            Event::Intent { step, effect, what, holds, keeps, returns, forever } => {
                let state = EffectState {
                    step: step.clone(),
                    what: what.clone(),
                    ended: None,
                    returns: returns.clone(),
                    took: Vec::new(),
                    kept: Vec::new(),
                    forever: *forever,
                };
                self.intend(effect, state, holds, keeps)?;
            }
            Event::Outcome { effect, ended } => self.outcome(effect, ended)?,
            Event::DoubtAnswered { step, .. } if self.open_effects(step).is_empty() => {
                return Err(format!("nothing of {step} is in doubt"));
            }
            Event::Learned { fact, .. } => self.facts.learn(fact.clone()),
            Event::GivenBack { held, .. } => self.given_back(held)?,
            Event::StepFinished { step, result } => self.move_step(step, Move::Finish, Some(result))?,
            Event::RunFinished { exit, reason, message, next, .. } => {
                self.finish = Some(Finish {
                    at: stamped.at,
                    exit: *exit,
                    reason: reason.clone(),
                    message: message.clone(),
                    next: next.clone(),
                });
            }
            Event::RunClosed { why } => self.closed = Some(why.clone()),
            Event::Saw { .. }
            | Event::Waiting { .. }
            | Event::PollFailed { .. }
            | Event::Output { .. }
            | Event::NotGivenBack { .. }
            | Event::DoubtAnswered { .. }
            | Event::Warned { .. }
            | Event::Said { .. } => {}
        }
        Ok(())
    }

    /// What another run holds becomes this run's. Its own lock, where it has one already, stays the newest.
    pub fn adopt(&mut self, adoption: &Adoption) -> Result<(), String> {
        if let Some((run, _)) = &self.took_over {
            return Err(format!("{run} was taken over before"));
        }
        for effect in &adoption.effects {
            let state = EffectState {
                step: effect.step.clone(),
                what: effect.what.clone(),
                ended: effect.ended.clone(),
                returns: effect.returns.clone(),
                took: effect.took.clone(),
                kept: Vec::new(),
                forever: false,
            };
            if self.effects.insert(effect.id.clone(), state).is_some() {
                return Err(format!("{} was intended before", effect.id));
            }
        }
        let own = std::mem::take(&mut self.held);
        self.held = adoption.held.clone();
        self.held.extend(own.into_iter().filter(|held| !adoption.held.iter().any(|it| it.id == held.id)));
        if self.facts.baseline.is_none() {
            self.facts.baseline.clone_from(&adoption.baseline);
        }
        self.took_over = Some((adoption.run.clone(), adoption.began));
        self.predecessors = [vec![adoption.run.clone()], adoption.before.clone()].concat();
        Ok(())
    }

    /// When this run began, or the one that it has taken over: nothing that it holds was taken before.
    pub fn began(&self) -> Timestamp {
        self.took_over.as_ref().map_or(self.started_at, |(_, began)| *began)
    }

    fn answered(&mut self, gate: &str, yes: bool, digest: &str, by: AnsweredBy) {
        let Some(question) = self.asked.take().filter(|question| yes && question.gate == gate) else { return };
        self.approvals.retain(|earlier| earlier.gate != gate);
        let how = match by {
            AnsweredBy::Terminal => "at the terminal",
            AnsweredBy::Flag => "beforehand, by --approve",
            AnsweredBy::Rehearsal => "by --yes of the rehearsal",
        };
        self.approvals.push(Approval {
            gate: gate.to_owned(),
            by: format!("{}, {how}", self.acting),
            digest: digest.to_owned(),
            summary: question.summary,
        });
    }

    fn move_step(&mut self, step: &str, moved: Move, result: Option<&StepResult>) -> Result<(), String> {
        let state = self.steps.get_mut(step).ok_or_else(|| format!("no step is called {step}"))?;
        *state = next(state, moved, result).ok_or_else(|| format!("{step} is {state:?}"))?;
        Ok(())
    }

    fn intend(&mut self, id: &str, mut effect: EffectState, holds: &[Held], keeps: &[String]) -> Result<(), String> {
        if self.effects.contains_key(id) {
            return Err(format!("{id} was intended before"));
        }
        match &effect.returns {
            // Giving back happens whenever it is due, whatever its step is doing.
            Some(held) => {
                let held = self.held.iter().find(|it| &it.id == held).ok_or_else(|| format!("{held} is not held"))?;
                // Not only once it is back: a process may die in between, and the next one must not take a step for
                // done whose change may be gone.
                let step = held.step.clone();
                self.due_again(&step);
            }
            None => self.move_step(&effect.step, Move::Intend, None)?,
        }
        for held in holds {
            let known = self.held.iter().position(|it| it.id == held.id);
            // Another value written over one that is held already: from now on that one is to be set back.
            let superseded =
                known.filter(|at| self.held[*at] != *held && matches!(held.thing, Thing::Attribute { .. }));
            if let Some(at) = superseded {
                effect.kept.push((at, std::mem::replace(&mut self.held[at], held.clone())));
            }
            // Taken again after a resume: the first reading is the value from before this run, so it stays.
            if known.is_none() {
                self.held.push(held.clone());
                effect.took.push(held.id.clone());
            }
        }
        for id in keeps {
            if let Some(at) = self.held.iter().position(|held| &held.id == id) {
                effect.kept.push((at, self.held.remove(at)));
            }
        }
        self.effects.insert(id.to_owned(), effect);
        Ok(())
    }

    fn outcome(&mut self, effect: &str, ended: &Ended) -> Result<(), String> {
        let known = self.effects.get_mut(effect).ok_or_else(|| format!("{effect} was never intended"))?;
        if !known.in_doubt() {
            return Err(format!("{effect} has ended already"));
        }
        known.ended = Some(ended.clone());
        if matches!(ended, Ended::Refused { .. }) {
            let took = std::mem::take(&mut known.took);
            self.held.retain(|held| !took.contains(&held.id));
        }
        if ended.without_effect() {
            while let Some((at, held)) = known.kept.pop() {
                self.held.retain(|it| it.id != held.id);
                self.held.insert(at.min(self.held.len()), held);
            }
        }
        if known.returns.is_none() {
            let step = known.step.clone();
            self.move_step(&step, Move::Outcome, None)?;
        }
        Ok(())
    }

    fn given_back(&mut self, id: &str) -> Result<(), String> {
        let at = self.held.iter().position(|held| held.id == id).ok_or_else(|| format!("{id} is not held"))?;
        let held = self.held.remove(at);
        // However the effects that took it ended: nothing of them is left. (A lock may still arrive: it is looked for again
        // before the run is over.)
        let settled = !matches!(held.thing, Thing::Lock { .. });
        let took = |effect: &&mut EffectState| settled && effect.in_doubt() && effect.took.contains(&held.id);
        for effect in self.effects.values_mut().filter(took) {
            effect.took.retain(|taken| *taken != held.id);
            if effect.took.is_empty() && effect.returns.is_none() {
                effect.ended = Some(Ended::NotSeen);
            }
        }
        self.due_again(&held.step);
        Ok(())
    }

    /// Before the apply landed, what was given back must be done again by a resume; afterwards its time is over.
    fn due_again(&mut self, step: &str) {
        if self.facts.applied.is_none()
            && let Some(state @ StepState::Ended(_)) = self.steps.get_mut(step)
        {
            *state = StepState::Idle;
        }
    }
}

/// The event's tag, for messages.
fn name(event: &Event) -> String {
    serde_json::to_value(event)
        .ok()
        .and_then(|value| value.get("event").and_then(|tag| tag.as_str().map(str::to_owned)))
        .unwrap_or_else(|| "event".into())
}
