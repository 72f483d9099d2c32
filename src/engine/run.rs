//! Carries a plan out, step by step: look, decide, ask, act, look again.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;

use crate::adapters::prompt::Prompt;
use crate::adapters::{Readers, World};
use crate::event::{Event, Evidence, StepResult};
use crate::facts::{Fact, Parameters};
use crate::journal::status::{LOCK_STEP, StepState};
use crate::plan::approval::Consent;
use crate::plan::{Plan, PlannedStep};
use crate::runbook::Runbook;
use crate::step::{Decision, Finding, Trouble, Undo, Wait};

use super::doubt::applies;
use super::outcome::{Failure, Outcome, judge, not_given_back, restored, step_result, still_at_work};
use super::{Recorder, StopSignal};

/// How often one step may act before it is told that acting does not help.
const MOST_ACTS: usize = 4;
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
    pub(super) parameters: Parameters,
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
        let parameters = recorder.state().parameters;
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
            parameters,
            lock_seen,
            under_way: Mutex::default(),
        }
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

    pub(super) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub(super) fn runbook_name(&self) -> String {
        self.recorder.state().runbook
    }

    pub(super) fn saw(&self, step: &str, evidence: Evidence) {
        self.recorder.tell(Event::Saw { step: step.to_owned(), evidence });
    }

    /// Runs to an end, whatever it is: everything held is given back, the lock last.
    pub async fn carry_out(&self) -> Outcome {
        let end = match self.take_lock().await {
            Ok(()) => match self.find_out_all().await {
                Ok(()) => self.steps().await,
                Err(failure) => Err(failure),
            },
            Err(trouble) => {
                let result = step_result(&trouble);
                self.recorder.tell(Event::StepFinished { step: LOCK_STEP.into(), result });
                Err(Failure { step: LOCK_STEP.into(), trouble })
            }
        };
        self.end(end).await
    }

    /// Gives back what is held and does nothing else.
    pub async fn give_up(&self) -> Outcome {
        // What stays in doubt stands in the way of giving back, and is told there.
        if let Err(failure) = self.find_out_all().await
            && !(self.stop.wanted() && self.under_way().is_some())
        {
            self.recorder.tell(Event::Warned { text: format!("{}: {}", failure.step, failure.trouble) });
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

    async fn end(&self, end: Result<(), Failure>) -> Outcome {
        // A step that failed may have left its effect in doubt, and DAGs stay paused while it is. (After any other end
        // the effect was looked up already, or nothing was attempted.)
        if let Err(Failure { trouble: Trouble::Failed { .. }, .. }) = &end
            && let Err(failure) = self.find_out_all().await
        {
            self.recorder.tell(Event::Warned { text: format!("{}: {}", failure.step, failure.trouble) });
        }
        let kept = self.unwind().await;
        let state = self.recorder.state();
        let outcome = match self.under_way() {
            Some(step) if self.stop.wanted() => still_at_work(&state, &step, "resume", &kept, self.stop),
            _ => judge(&state, end, &kept, self.stop),
        }
        .with_options(&self.options);
        let close = match outcome.exit {
            0 | 7 => Some("went through to its end".to_owned()),
            _ => None,
        };
        // The runbook's own words on whom to tell, where production may suffer.
        if let Some(incident) = &self.runbook.incident
            && matches!(outcome.exit, 1 | 7 | 9)
            && state.changed()
        {
            self.recorder.tell(Event::Warned { text: incident.clone() });
        }
        self.finish(outcome, close)
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
        });
        outcome
    }

    async fn steps(&self) -> Result<(), Failure> {
        for (index, planned) in self.plan.steps.iter().enumerate() {
            let id = &planned.head.id;
            let fail = |trouble| Failure { step: id.clone(), trouble };
            if self.past(index, planned) {
                continue;
            }
            if self.stop.wanted() {
                return Err(fail(Trouble::Stopped));
            }
            self.recorder.record(Event::StepStarted { step: id.clone() }).map_err(fail)?;
            let result = match &planned.skip {
                Some(why) => Ok(StepResult::Skipped { why: why.clone() }),
                // A bug in a step must end as a journalled failure with everything given back.
                None => AssertUnwindSafe(self.step(index, planned))
                    .catch_unwind()
                    .await
                    .unwrap_or_else(|panic| Err(broke(&*panic))),
            };
            match result {
                Ok(result) => {
                    let finished = Event::StepFinished { step: id.clone(), result };
                    self.recorder.record(finished).map_err(fail)?;
                }
                Err(trouble) => {
                    let result = step_result(&trouble);
                    self.recorder.tell(Event::StepFinished { step: id.clone(), result });
                    return Err(fail(trouble));
                }
            }
        }
        Ok(())
    }

    /// On resume: this step needs no second look. What was only looked at before the apply is looked at again; once the
    /// apply landed, everything up to it is over.
    fn past(&self, index: usize, planned: &PlannedStep) -> bool {
        let state = self.recorder.state();
        let ended = matches!(
            state.steps.get(&planned.head.id),
            Some(StepState::Ended(StepResult::Satisfied | StepResult::Changed | StepResult::Skipped { .. }))
        );
        let before_apply = self.plan.steps[index..].iter().any(applies);
        if state.facts.applied.is_some() && before_apply {
            return true;
        }
        let looks_only = planned.step.undo() == Undo::Nothing && !planned.head.gate;
        ended && !(looks_only && before_apply)
    }

    async fn step(&self, index: usize, planned: &PlannedStep) -> Result<StepResult, Trouble> {
        let id = &planned.head.id;
        let since = self.readers().clock.now();
        let mut approved: Option<(String, Consent)> = None;
        let mut lost: Option<String> = None;
        for acted in 0..=MOST_ACTS {
            let finding = if acted == 0 {
                // Nothing is under way yet, so a look can be given up at any moment.
                self.unless_stopped(self.look(planned, since, false)).await?
            } else {
                self.look(planned, since, true).await?
            };
            match finding.decision {
                Decision::Satisfied => {
                    self.settle(id, true)?;
                    return Ok(if acted > 0 || self.recorder.state().did(id) {
                        StepResult::Changed
                    } else {
                        StepResult::Satisfied
                    });
                }
                Decision::Unhealthy(why) => return Ok(StepResult::Unhealthy { why }),
                Decision::Inconclusive(why) => return Ok(StepResult::Inconclusive { why }),
                Decision::Blocked(refusals) => return Err(Trouble::Refused(refusals)),
                Decision::Unknown(refusal) => {
                    return Err(Trouble::InDoubt { what: refusal.what, next: refusal.next });
                }
                Decision::Wait(wait) => {
                    return Err(Trouble::Deadline { what: format!("still waiting for {}", wait.on), next: wait.next });
                }
                Decision::Change(question) => {
                    // Whatever was in doubt has been looked for and is not there.
                    self.settle(id, false)?;
                    let consent = match approved.take() {
                        Some((digest, consent)) if digest == question.digest => consent,
                        _ => self.consent(index, planned, &question).await?,
                    };
                    let made = self.act(planned, since, &question, &consent).await;
                    approved = Some((question.digest, consent));
                    match made {
                        Ok(()) => lost = None,
                        Err(Trouble::InDoubt { what, .. }) => {
                            self.find_out(planned, since).await?;
                            lost = Some(what);
                        }
                        Err(trouble) => return Err(trouble),
                    }
                }
            }
        }
        Err(match lost {
            Some(what) => Trouble::Failed {
                what: format!("tried {} times and looked up each time: it took no effect; {what}", MOST_ACTS + 1),
                next: "wait until the service answers as it should".into(),
            },
            None => Trouble::Failed {
                what: "it was changed, and still is not as wanted".into(),
                next: "look at the output above".into(),
            },
        })
    }

    /// Gives `look` up at once when a stop is wanted. Only for what changes nothing.
    pub(super) async fn unless_stopped<T>(&self, look: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
        tokio::select! {
            biased;
            () = self.stop.soon() => Err(Trouble::Stopped),
            found = look => found,
        }
    }

    /// Observes until there is something else to say than "wait", or the deadline passes (then the wait comes back).
    async fn look(&self, planned: &PlannedStep, since: Timestamp, acted: bool) -> Result<Finding, Trouble> {
        let clock = &self.readers().clock;
        let mut waiting: Option<Wait> = None;
        let mut unseen: Option<Timestamp> = None;
        loop {
            let glance = self.glance(planned, since);
            let finding = match planned.step.observe(glance.look()).await {
                Ok(finding) => finding,
                Err(Trouble::Service(error)) if error.passing() && (acted || waiting.is_some()) => {
                    let first = *unseen.get_or_insert(clock.now());
                    let patience = waiting.as_ref().map_or(PATIENCE, |wait| wait.at_most);
                    if clock.now() >= first + clock.scaled(patience) {
                        return Err(self.unseen(planned, error));
                    }
                    self.recorder.tell(Event::PollFailed { step: planned.head.id.clone(), why: error.to_string() });
                    self.pause(error.pause(waiting.as_ref().map_or(PAUSE, |wait| wait.poll))).await?;
                    continue;
                }
                Err(trouble) => return Err(trouble),
            };
            unseen = None;
            let Decision::Wait(wait) = &finding.decision else {
                self.told(planned, &finding)?;
                return Ok(finding);
            };
            let deadline = since + clock.scaled(wait.at_most);
            if clock.now() >= deadline {
                self.told(planned, &finding)?;
                if wait.refuse_after {
                    let what = format!("waited {} for {}", humantime::format_duration(wait.at_most), wait.on);
                    let refusal = crate::event::Refusal { what, next: wait.next.clone() };
                    return Ok(Finding { decision: Decision::Blocked(vec![refusal]), ..finding });
                }
                return Ok(finding);
            }
            for fact in &finding.learned {
                self.learn_new(&planned.head.id, fact)?;
            }
            let step = planned.head.id.clone();
            self.recorder.tell(Event::Waiting { step, on: wait.on.clone(), since, deadline });
            self.pause(wait.poll).await?;
            waiting = Some(wait.clone());
        }
    }

    /// Ends at once when a stop is wanted.
    pub(super) async fn pause(&self, poll: Duration) -> Result<(), Trouble> {
        tokio::select! {
            biased;
            () = self.stop.soon() => Err(Trouble::Stopped),
            () = self.readers().clock.sleep(poll) => Ok(()),
        }
    }

    fn told(&self, planned: &PlannedStep, finding: &Finding) -> Result<(), Trouble> {
        for evidence in &finding.evidence {
            self.saw(&planned.head.id, evidence.clone());
        }
        finding.learned.iter().try_for_each(|fact| self.learn_new(&planned.head.id, fact))
    }

    /// Facts that say nothing new are not written again at every poll.
    pub(super) fn learn_new(&self, step: &str, fact: &Fact) -> Result<(), Trouble> {
        let facts = self.recorder.state().facts;
        let mut after = facts.clone();
        after.learn(fact.clone());
        if after == facts {
            return Ok(());
        }
        self.recorder.record(Event::Learned { step: step.to_owned(), fact: fact.clone() })
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
