//! A run from its lock to its end: what it is made of, and how it ends. `sequence.rs` gives each step its turn.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::adapters::prompt::Prompt;
use crate::adapters::{Readers, World};
use crate::event::{Event, Evidence, StepResult};
use crate::facts::{Parameters, PastRun};
use crate::journal::status::{LOCK_STEP, StepState};
use crate::plan::Plan;
use crate::runbook::Runbook;
use crate::step::{Trouble, Undo};

use super::adoption::Adopting;
use super::doubt::applies;
use super::judge::judge;
use super::outcome::{Failure, Outcome, not_given_back, restored, step_result, still_at_work};
use super::outlook::{Credentials, Outlook};
use super::{Recorder, StopSignal};

/// How long a service may be out of reach while the end of an effect is looked up. Runbook time.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
pub(super) const PAUSE: Duration = Duration::from_secs(3);

/// One run, fresh or resumed.
pub struct Run<'a> {
    pub runbook: &'a Runbook,
    pub plan: &'a Plan,
    pub world: &'a World,
    pub recorder: &'a Arc<Recorder>,
    pub prompt: &'a dyn Prompt,
    pub stop: &'a StopSignal,
    /// The run's private directory.
    pub workspace: PathBuf,
    pub who: String,
    pub host: String,
    /// Options that every command of this run needs, e.g. ` --config FILE`; for the commands that are printed.
    pub options: String,
    /// The open run that this one takes over with its first change.
    pub adopting: Option<Adopting>,
    /// Earlier runs of this runbook on this machine, oldest first.
    pub past: Vec<PastRun>,
    pub(super) outlook: Outlook,
    /// When this process began with it.
    began: Timestamp,
    /// A deadline that several waits share has passed: nothing is waited for any longer.
    waited_enough: AtomicBool,
    /// Chosen at the terminal when production turned out to be unhealthy.
    pub(super) roll_back_to: Mutex<Option<String>>,
    /// Uptime at which the lock was last seen to be ours.
    lock_seen: Mutex<Duration>,
    /// The step whose apply, begun by an earlier process, was still under way when it was last looked at.
    under_way: Mutex<Option<String>>,
}

impl<'a> Run<'a> {
    pub fn new(
        runbook: &'a Runbook,
        plan: &'a Plan,
        world: &'a World,
        recorder: &'a Arc<Recorder>,
        prompt: &'a dyn Prompt,
        stop: &'a StopSignal,
        workspace: PathBuf,
        (who, host): (String, String),
    ) -> Self {
        let began = world.readers().clock.now();
        let lock_seen = Mutex::new(Duration::ZERO);
        Self {
            runbook,
            plan,
            world,
            recorder,
            prompt,
            stop,
            workspace,
            who,
            host,
            options: String::new(),
            adopting: None,
            past: Vec::new(),
            outlook: Outlook::with(None),
            began,
            waited_enough: AtomicBool::new(false),
            roll_back_to: Mutex::default(),
            lock_seen,
            under_way: Mutex::default(),
        }
    }

    /// What is found about credentials is said before the first change.
    #[must_use]
    pub fn asking_about(self, credentials: Credentials) -> Self {
        Self { outlook: Outlook::with(Some(credentials)), ..self }
    }

    pub(super) fn lock_seen(&self) -> Duration {
        *self.lock_seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lock_seen_at(&self, uptime: Duration) {
        *self.lock_seen.lock().unwrap_or_else(PoisonError::into_inner) = uptime;
    }

    pub(super) fn under_way(&self) -> Option<String> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_under_way(&self, step: Option<String>) {
        *self.under_way.lock().unwrap_or_else(PoisonError::into_inner) = step;
    }

    pub(super) fn readers(&self) -> &Readers {
        self.world.readers()
    }

    /// With what was overridden since the run began.
    pub(super) fn parameters(&self) -> Parameters {
        self.recorder.state().parameters
    }

    /// What the deploy restarted is waited for from here on, by whoever waits.
    pub(super) fn restarted(&self) -> Timestamp {
        let applied = self.recorder.state().facts.applied;
        applied.map_or(self.began, |applied| applied.ended_at.max(self.began))
    }

    /// The shared deadline has passed.
    pub(super) fn waited_enough(&self) {
        self.waited_enough.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_waited_enough(&self) -> bool {
        self.waited_enough.load(Ordering::Relaxed)
    }

    pub(super) fn runbook_name(&self) -> String {
        self.recorder.state().runbook
    }

    pub(super) fn saw(&self, step: &str, evidence: Evidence) {
        self.recorder.tell(Event::Saw { step: step.to_owned(), evidence });
    }

    /// Runs to an end, whatever it is: everything held is given back, the lock last.
    pub async fn carry_out(&self) -> Outcome {
        let failures = match self.begin().await {
            Ok(()) => match self.find_out_all().await {
                // After the deploy nothing keeps the other steps from being tried.
                Ok(()) => self.sequence(Vec::new()).await,
                Err(failures) if self.deployed() => self.sequence(failures).await,
                Err(failures) => failures,
            },
            Err(failure) => vec![failure],
        };
        self.end(failures).await
    }

    /// The lock, and whatever an open run that is to be taken over has left running.
    async fn begin(&self) -> Result<(), Failure> {
        let fail = |step: &str, trouble: Trouble| {
            let result = step_result(&trouble);
            self.recorder.tell(Event::StepFinished { step: step.to_owned(), result });
            Failure { step: step.to_owned(), trouble }
        };
        self.take_lock().await.map_err(|trouble| fail(LOCK_STEP, trouble))?;
        self.wait_for_adopted().await.map_err(|(step, trouble)| fail(&step, trouble))
    }

    /// Gives back what is held and does nothing else.
    pub async fn give_up(&self) -> Outcome {
        // What stays in doubt stands in the way of giving back, and is told there.
        let found = self.find_out_all().await;
        if !(self.stop.wanted() && self.under_way().is_some()) {
            self.warn_of(found);
        }
        let kept = self.unwind().await;
        let over = kept.is_empty() && self.under_way().is_none();
        if over {
            self.tell_what_was_found_out();
        }
        let state = self.recorder.state();
        let outcome = match self.under_way() {
            Some(step) if self.stop.wanted() || kept.is_empty() => {
                still_at_work(&state, &step, "restore", &kept, self.stop)
            }
            _ if over => restored(&state),
            _ => not_given_back(&state, &kept),
        };
        self.finish(outcome.with_options(&self.options), over.then(|| "restored".to_owned()))
    }

    /// Nobody goes on with steps whose lost end was looked up, so that this was their end is said here.
    fn tell_what_was_found_out(&self) {
        let state = self.recorder.state();
        for planned in &self.plan.steps {
            let id = &planned.head.id;
            let forever = matches!(planned.step.undo(), Undo::Never(_));
            let looked = matches!(state.steps.get(id), Some(StepState::Looking | StepState::Acted));
            if !forever || !looked || state.in_doubt().contains(id) {
                continue;
            }
            let result = if applies(planned) && state.facts.applied.is_none() && state.facts.applied_in_part {
                StepResult::Stopped { why: "it took effect in part".into() }
            } else if state.did(id) {
                StepResult::Changed
            } else {
                StepResult::Stopped { why: "it took no effect".into() }
            };
            self.recorder.tell(Event::StepFinished { step: id.clone(), result });
        }
    }

    async fn end(&self, failures: Vec<Failure>) -> Outcome {
        // A step that failed may have left its effect in doubt, and DAGs stay paused while it is. (After any other end
        // the effect was looked up already, or nothing was attempted.)
        if failures.iter().any(|failure| matches!(failure.trouble, Trouble::Failed { .. })) {
            self.warn_of(self.find_out_all().await);
        }
        let roll_back = self.rolls_back();
        // A rollback takes over what is held, and restores it after its own deploy.
        let kept = if roll_back.is_some() { Vec::new() } else { self.unwind().await };
        let state = self.recorder.state();
        let outcome = match self.under_way() {
            Some(step) if self.stop.wanted() => still_at_work(&state, &step, "resume", &kept, self.stop),
            _ => judge(&state, failures, &kept, self.stop),
        }
        .with_options(&self.options);
        let through = state.went_through(outcome.exit) && roll_back.is_none();
        // The runbook's own words on whom to tell, where production may suffer.
        if let Some(incident) = &self.runbook.incident
            && matches!(outcome.exit, 1 | 7 | 9)
            && outcome.reason != "unfinished"
            && state.changed()
        {
            self.recorder.tell(Event::Warned { text: incident.clone() });
        }
        // What follows is the rollback, and nothing else is to be done meanwhile.
        let outcome = if roll_back.is_some() { Outcome { next: Vec::new(), ..outcome } } else { outcome };
        let outcome = self.finish(outcome, through.then(|| "went through to its end".to_owned()));
        Outcome { roll_back, ..outcome }
    }

    fn warn_of(&self, found: Result<(), Vec<Failure>>) {
        for failure in found.err().into_iter().flatten() {
            self.recorder.tell(Event::Warned { text: format!("{}: {}", failure.step, failure.trouble) });
        }
    }

    /// Closes the run and says how it ended. An end that nobody could write down is none: the next process would find the
    /// run open, after this one had said that all is done.
    fn finish(&self, mut outcome: Outcome, close: Option<String>) -> Outcome {
        if let Some(why) = close
            && let Err(trouble) = self.recorder.record(Event::RunClosed { why })
        {
            let run = self.recorder.state().run;
            outcome =
                Outcome::new(1, "journal", format!("{}, but this could not be noted: {trouble}", outcome.message))
                    .next("free the disk or mend it")
                    .next(format!("catalog-deploy resume {run}"))
                    .with_options(&self.options);
        }
        // The last event of every stream says how it ended.
        self.recorder.tell(Event::RunFinished {
            exit: outcome.exit,
            reason: outcome.reason.to_owned(),
            message: outcome.message.clone(),
            next: outcome.next.clone(),
            findings: outcome.findings.clone(),
        });
        outcome
    }
}

/// A bug in a step, as the end of it.
pub(super) fn broke(panic: &(dyn std::any::Any + Send)) -> Trouble {
    let next = "report this as a bug, with the run's journal".into();
    Trouble::Failed { what: format!("the step broke: {}", said(panic)), next }
}

/// What a panic said.
pub fn said(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}
