//! Which step comes next. Up to the deploy each step needs the one before it; after the deploy none keeps another from
//! being tried, and one that only waits is put aside for the others.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;

use crate::event::{Event, StepResult};
use crate::journal::status::StepState;
use crate::plan::PlannedStep;
use crate::step::{Trouble, Undo};

use super::attempt::Attempted;
use super::doubt::applies;
use super::outcome::{Failure, step_result};
use super::run::{Run, broke};

/// How a turn of one step ended.
enum Turn {
    /// It has a result.
    Ended,
    /// It waits for something outside; to be tried again after this long.
    Aside(Duration),
    Failed(Trouble),
}

/// A step that waits while the others are tried.
struct Aside<'p> {
    index: usize,
    planned: &'p PlannedStep,
    /// Its first look.
    since: Timestamp,
}

impl<'a> Run<'a> {
    /// Gives every step that is due its turn, but for those that have failed already. Returns why some did not get done.
    pub(super) async fn sequence(&self, mut failures: Vec<Failure>) -> Vec<Failure> {
        let mut aside = Vec::new();
        for (index, planned) in self.plan.steps.iter().enumerate() {
            let failed = failures.iter().any(|failure| failure.step == planned.head.id);
            if failed || self.past(index, planned) {
                continue;
            }
            let since = self.readers().clock.now();
            match self.first_turn(index, planned, since).await {
                Turn::Ended if self.rolls_back().is_some() => return failures,
                Turn::Ended => {}
                Turn::Aside(_) => aside.push(Aside { index, planned, since }),
                Turn::Failed(trouble) => {
                    if self.failed(planned, trouble, &mut failures) {
                        return failures;
                    }
                }
            }
        }
        self.put_aside(aside, &mut failures).await;
        failures
    }

    /// Tries those that were put aside until each has a result. One is asked for as soon as it is ready, whatever the
    /// others still wait for.
    async fn put_aside(&self, mut aside: Vec<Aside<'a>>, failures: &mut Vec<Failure>) {
        while let Some(first) = aside.first().map(|it| it.planned) {
            let mut poll = Duration::MAX;
            let mut waiting = Vec::new();
            for it in aside {
                match self.turn(it.index, it.planned, it.since, true).await {
                    Turn::Ended if self.rolls_back().is_some() => return,
                    Turn::Ended => {}
                    Turn::Aside(pause) => {
                        poll = poll.min(pause);
                        waiting.push(it);
                    }
                    Turn::Failed(trouble) => {
                        if self.failed(it.planned, trouble, failures) {
                            return;
                        }
                    }
                }
            }
            aside = waiting;
            if aside.is_empty() {
                return;
            }
            if let Err(trouble) = self.pause(poll).await {
                let result = step_result(&trouble);
                self.recorder.tell(Event::StepFinished { step: first.head.id.clone(), result });
                self.failed(first, trouble, failures);
                return;
            }
        }
    }

    async fn first_turn(&self, index: usize, planned: &PlannedStep, since: Timestamp) -> Turn {
        if self.stop.wanted() {
            return Turn::Failed(Trouble::Stopped);
        }
        if let Err(trouble) = self.recorder.record(Event::StepStarted { step: planned.head.id.clone() }) {
            return Turn::Failed(trouble);
        }
        self.turn(index, planned, since, false).await
    }

    /// `again`: it was put aside before.
    async fn turn(&self, index: usize, planned: &PlannedStep, since: Timestamp, again: bool) -> Turn {
        let step = planned.head.id.clone();
        let attempted = match &planned.skip {
            Some(why) => Ok(Attempted::Ended(StepResult::Skipped { why: why.clone() })),
            // A bug in a step must end as a journalled failure with everything given back.
            None => AssertUnwindSafe(self.attempt(index, planned, since, again))
                .catch_unwind()
                .await
                .unwrap_or_else(|panic| Err(broke(&*panic))),
        };
        match attempted {
            Ok(Attempted::Aside(poll)) => Turn::Aside(poll),
            Ok(Attempted::Ended(result)) => {
                let unhealthy = match &result {
                    StepResult::Unhealthy { why } => Some(why.clone()),
                    _ => None,
                };
                if let Err(trouble) = self.recorder.record(Event::StepFinished { step, result }) {
                    return Turn::Failed(trouble);
                }
                match unhealthy {
                    Some(why) => self.offer_rollback(&why).await.map_or_else(Turn::Failed, |()| Turn::Ended),
                    None => Turn::Ended,
                }
            }
            Err(trouble) => {
                self.recorder.tell(Event::StepFinished { step, result: step_result(&trouble) });
                Turn::Failed(trouble)
            }
        }
    }

    /// Notes a failure. Returns whether no further step gets its turn.
    fn failed(&self, planned: &PlannedStep, trouble: Trouble, failures: &mut Vec<Failure>) -> bool {
        let ends = matches!(trouble, Trouble::Stopped | Trouble::Journal(_));
        failures.push(Failure { step: planned.head.id.clone(), trouble });
        ends || !self.deployed()
    }

    /// Whether what the run is for is done: from then on no step needs another one.
    pub(super) fn deployed(&self) -> bool {
        self.recorder.state().facts.applied.is_some()
    }

    /// On resume: this step needs no second look. Before the apply, what was only looked at or needed no change then is
    /// looked at again; once the apply landed, everything up to it is over.
    fn past(&self, index: usize, planned: &PlannedStep) -> bool {
        let state = self.recorder.state();
        let result = match state.steps.get(&planned.head.id) {
            Some(StepState::Ended(result)) => Some(result),
            _ => None,
        };
        let before_apply = self.plan.steps[index..].iter().any(applies);
        if state.facts.applied.is_some() && before_apply {
            return true;
        }
        let looks_only = planned.step.undo() == Undo::Nothing && !planned.head.gate;
        match result {
            Some(StepResult::Changed | StepResult::Skipped { .. }) => !(looks_only && before_apply),
            Some(StepResult::Satisfied) => !before_apply,
            _ => false,
        }
    }
}
