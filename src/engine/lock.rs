//! The run lock, taken first and given back last.

use std::time::Duration;

use jiff::Timestamp;

use crate::adapters::lock::{LockRecord, LockState, Taken};
use crate::adapters::{ServiceError, Writers};
use crate::event::{Ended, Event, Evidence, StepHead, StepResult};
use crate::facts::{Check, Held, Place, Thing};
use crate::journal::status::LOCK_STEP;
use crate::plan::approval::{Authority, Consent};
use crate::step::{Effect, Trouble, without};

use super::run::Run;

const POLL: Duration = Duration::from_secs(10);
/// A lock that was looked at longer ago than this is looked at again before a change.
pub(super) const FRESH: Duration = Duration::from_secs(10);

/// The lock's own row in the list of steps.
pub fn head() -> StepHead {
    StepHead {
        id: LOCK_STEP.into(),
        title: "Nobody else deploys".into(),
        kind: "lock".into(),
        gate: false,
        locked: true,
    }
}

/// What it means to continue while the remote does not answer.
pub(super) const WITHOUT: &str = "Someone else may be deploying right now, and main of the infrastructure repository may have moved: \
                       this deploy could undo theirs. Only an apply that is bound to its plan file is allowed";

/// How one try for the lock ended.
enum Tried {
    Ours(LockState),
    /// It names the run that this one takes over.
    Adopted(LockState),
    Theirs(LockState),
    /// The remote did not answer, and someone decided to continue.
    Without(Evidence),
}

impl Run<'_> {
    /// Takes the lock, waiting for it as long as `--lock-wait` says.
    pub(super) async fn take_lock(&self) -> Result<(), Trouble> {
        self.recorder.record(Event::StepStarted { step: LOCK_STEP.into() })?;
        let Some(reference) = self.readers().lock.reference() else {
            return self.finish_lock(StepResult::Skipped { why: "this runbook is used by one person alone".into() });
        };
        let since = self.readers().clock.now();
        let patience = self.parameters().lock_wait.unwrap_or_default();
        let deadline = since + self.readers().clock.scaled(patience);
        let mut waited = false;
        loop {
            let asked = self.readers().clock.uptime();
            let tried = match self.try_or_ask(waited, deadline, &reference).await {
                // A failed poll is not a failed wait. Nothing was pushed: the look comes first.
                Err(trouble) if trouble.passing().is_some() && self.may_ask_again(waited, deadline) => {
                    let why = trouble.to_string();
                    self.recorder.tell(Event::PollFailed { step: LOCK_STEP.into(), why });
                    self.pause(POLL).await?;
                    continue;
                }
                tried => tried?,
            };
            match tried {
                Tried::Ours(state) => {
                    self.lock_seen_at(asked);
                    self.saw(LOCK_STEP, Evidence::verified(format!("{reference} taken ({})", short(&state.commit))));
                    return self.finish_lock(StepResult::Changed);
                }
                Tried::Adopted(state) => {
                    self.lock_seen_at(asked);
                    self.saw(LOCK_STEP, Evidence::verified(format!("{reference} is held by run {}", state.record.run)));
                    self.finish_lock(StepResult::Satisfied)?;
                    let over = self.recorder.state().took_over.is_some();
                    return if over { self.rename_lock().await } else { Ok(()) };
                }
                Tried::Without(evidence) => {
                    self.saw(LOCK_STEP, evidence);
                    let why = "the remote does not answer, and the check is overridden".to_owned();
                    return self.finish_lock(StepResult::Skipped { why });
                }
                Tried::Theirs(state) if self.readers().clock.now() >= deadline => {
                    let age = age(&state, self.readers().clock.now());
                    return Err(locked(&state, &age, &self.runbook_name()));
                }
                Tried::Theirs(state) => {
                    let on =
                        format!("{} on {} to finish run {}", state.record.who, state.record.host, state.record.run);
                    self.recorder.tell(Event::Waiting { step: LOCK_STEP.into(), on, since, deadline });
                    waited = true;
                    self.pause(POLL).await?;
                }
            }
        }
    }

    /// Someone is asked to continue without the remote only where it is not asked again by itself.
    async fn try_or_ask(&self, waited: bool, deadline: Timestamp, reference: &str) -> Result<Tried, Trouble> {
        if self.may_ask_again(waited, deadline) {
            return self.try_lock(reference).await;
        }
        self.unless_overridden(LOCK_STEP, || self.try_lock(reference)).await
    }

    fn may_ask_again(&self, waited: bool, deadline: Timestamp) -> bool {
        waited
            && !self.recorder.state().in_doubt().iter().any(|step| step == LOCK_STEP)
            && self.readers().clock.now() < deadline
    }

    fn finish_lock(&self, result: StepResult) -> Result<(), Trouble> {
        self.recorder.record(Event::StepFinished { step: LOCK_STEP.into(), result })
    }

    /// What follows where the remote did not answer.
    fn without_lock(&self, error: ServiceError) -> Result<Evidence, Trouble> {
        without(&self.parameters(), Check::Lock, error, WITHOUT)
    }

    /// Looks, and if it is free takes it: intent first.
    async fn try_lock(&self, reference: &str) -> Result<Tried, Trouble> {
        let state = self.recorder.state();
        let holder = self.unless_stopped(async { Ok(self.readers().lock.holder().await) }).await?;
        let holder = match holder {
            Ok(holder) => holder,
            Err(error) => return self.without_lock(error).map(Tried::Without),
        };
        if let Some(found) = holder {
            // Our own from before a crash: the record names the run, the journal the commit.
            if found.record.run == state.run {
                self.settle(LOCK_STEP, true)?;
                return Ok(Tried::Ours(found));
            }
            if !self.is_ours(&found.record.run) {
                return Ok(Tried::Theirs(found));
            }
            // This run's own name was not put on it.
            self.settle(LOCK_STEP, false)?;
            return Ok(Tried::Adopted(found));
        }
        self.settle(LOCK_STEP, false)?;
        let held = Held {
            id: LOCK_STEP.into(),
            step: LOCK_STEP.into(),
            thing: Thing::Lock { reference: reference.to_owned(), commit: String::new() },
            place: Place::World,
        };
        let effect = Effect { what: format!("take {reference}"), holds: vec![held], keeps: Vec::new() };
        let record = self.lock_record();
        match self.write_lock(&effect, |writers| async move { writers.lock.take(&record).await }).await? {
            Taken::Ours(state) => Ok(Tried::Ours(state)),
            Taken::Theirs(state) => {
                self.recorder.record(Event::StepStarted { step: LOCK_STEP.into() })?;
                Ok(Tried::Theirs(state))
            }
        }
    }

    /// Puts this run's name on the lock that it has taken over, so that others see who has it.
    pub(super) async fn rename_lock(&self) -> Result<(), Trouble> {
        let state = self.recorder.state();
        if self.readers().lock.reference().is_none() || !self.holds_lock() {
            return Ok(());
        }
        let asked = self.readers().clock.uptime();
        let found = match self.readers().lock.holder().await {
            Ok(found) => found,
            Err(error) => {
                let evidence = self.without_lock(error)?;
                self.saw(LOCK_STEP, evidence);
                return Ok(());
            }
        };
        let found = match found {
            Some(found) if found.record.run == state.run => return Ok(()),
            Some(found) if self.is_ours(&found.record.run) => found,
            Some(found) => return Err(locked(&found, &age(&found, self.readers().clock.now()), &self.runbook_name())),
            None => return Err(gone()),
        };
        self.recorder.record(Event::StepStarted { step: LOCK_STEP.into() })?;
        let effect = Effect::new(format!("put run {} on {}", state.run, found.reference));
        let record = self.lock_record();
        let replace = |writers: Writers| async move { writers.lock.replace(&found.commit, &record).await };
        match self.write_lock(&effect, replace).await? {
            Taken::Ours(_) => {
                self.lock_seen_at(asked);
                self.finish_lock(StepResult::Changed)
            }
            Taken::Theirs(state) => {
                let age = age(&state, self.readers().clock.now());
                Err(locked(&state, &age, &self.runbook_name()))
            }
        }
    }

    fn holds_lock(&self) -> bool {
        self.recorder.state().held.iter().any(|held| matches!(held.thing, Thing::Lock { .. }))
    }

    fn lock_record(&self) -> LockRecord {
        let state = self.recorder.state();
        let now = self.readers().clock.now();
        LockRecord {
            run: state.run,
            runbook: state.runbook,
            who: self.who.clone(),
            host: self.host.clone(),
            step: None,
            taken_at: now,
            heartbeat_at: now,
            // The adapter fills it at random.
            nonce: String::new(),
        }
    }

    /// One write of the lock: intent, effect, outcome.
    async fn write_lock<F>(&self, effect: &Effect, write: impl FnOnce(Writers) -> F) -> Result<Taken, Trouble>
    where
        F: Future<Output = Result<Taken, ServiceError>>,
    {
        let intent = self.recorder.intend(LOCK_STEP, effect, None, false)?;
        let id = intent.effect().to_owned();
        let writers = self.writers(&intent, &Consent::ungated(&head()))?;
        let taken = write(writers).await;
        let ended = match &taken {
            Ok(Taken::Ours(_)) => Ended::Done,
            Ok(Taken::Theirs(state)) => Ended::Refused { why: format!("{} was faster", state.record.who) },
            Err(error) if error.surely_refused() => Ended::Refused { why: error.to_string() },
            Err(error) => Ended::InDoubt { why: error.to_string() },
        };
        self.recorder.ended(&id, ended)?;
        Ok(taken?)
    }

    /// Before a change: the lock still names this run. Asked again only when the last answer is older than [`FRESH`].
    pub(super) async fn lock_is_ours(&self) -> Result<(), Trouble> {
        let readers = self.readers();
        if readers.lock.reference().is_none() || readers.clock.uptime().saturating_sub(self.lock_seen()) < FRESH {
            return Ok(());
        }
        let holder = match self.holder().await {
            Ok(holder) => holder,
            Err(error) => return self.without_lock(error).map(|_| ()),
        };
        match holder {
            Some(state) if self.is_ours(&state.record.run) => Ok(()),
            Some(state) => {
                let age = age(&state, readers.clock.now());
                Err(locked(&state, &age, &self.runbook_name()))
            }
            // Never taken, since the remote did not answer then.
            None if self.parameters().overridden(Check::Lock).is_some() && !self.holds_lock() => Ok(()),
            None => Err(gone()),
        }
    }

    /// Before something is given back: what is in this checkout is ours alone, whoever holds the lock by now; what is in
    /// the world must wait while somebody else deploys over it. A lock that is free keeps nobody from it.
    pub(super) async fn nobody_else_deploys(&self, held: &Held) -> Result<(), Trouble> {
        if matches!(held.place, Place::Checkout { .. }) {
            return Ok(());
        }
        let readers = self.readers();
        if readers.lock.reference().is_none() || readers.clock.uptime().saturating_sub(self.lock_seen()) < FRESH {
            return Ok(());
        }
        match self.holder().await {
            Ok(Some(state)) if !self.is_ours(&state.record.run) => {
                let age = age(&state, readers.clock.now());
                Err(locked(&state, &age, &self.runbook_name()))
            }
            Ok(_) => Ok(()),
            Err(error) => self.without_lock(error).map(|_| ()),
        }
    }

    /// Who holds the lock. An answer is as old as its question: a laptop that slept in between asks once more.
    async fn holder(&self) -> Result<Option<LockState>, ServiceError> {
        let readers = self.readers();
        let ask = async || -> Result<_, ServiceError> {
            let asked = readers.clock.uptime();
            let holder = readers.lock.holder().await?;
            if holder.as_ref().is_some_and(|state| self.is_ours(&state.record.run)) {
                self.lock_seen_at(asked);
            }
            Ok((holder, readers.clock.uptime().saturating_sub(asked)))
        };
        match ask().await? {
            (holder, age) if age < FRESH => Ok(holder),
            _ => Ok(ask().await?.0),
        }
    }

    /// Frees the lock if it still is ours.
    pub(super) async fn free_lock(&self, held: &Held) -> Result<String, Trouble> {
        let found = match self.readers().lock.holder().await? {
            Some(found) if self.is_ours(&found.record.run) => found,
            Some(found) => return Ok(format!("left alone: it is {}'s now", found.record.who)),
            None => return Ok("free already".into()),
        };
        let effect = Effect::new(format!("free {}", found.reference));
        let intent = self.recorder.intend(LOCK_STEP, &effect, Some(held.id.clone()), false)?;
        let id = intent.effect().to_owned();
        let writers = self.writers(&intent, &Some(Consent::to_give_back(held)))?;
        match writers.lock.free(&found.commit).await {
            Ok(true) => {
                self.recorder.ended(&id, Ended::Done)?;
                Ok("free".into())
            }
            Ok(false) => {
                self.recorder.ended(&id, Ended::Refused { why: "not ours any more".into() })?;
                Ok("left alone: it is not ours any more".into())
            }
            Err(error) => {
                self.recorder.ended(&id, Ended::InDoubt { why: error.to_string() })?;
                Err(error.into())
            }
        }
    }

    pub(super) fn writers(
        &self,
        intent: &crate::journal::DurableIntent,
        consent: &Option<Consent>,
    ) -> Result<Writers, Trouble> {
        let authority = consent.as_ref().and_then(|consent| Authority::grant(intent, consent));
        authority.map(|authority| self.world.writers(&authority)).ok_or_else(|| Trouble::Failed {
            what: "no approval covers this change".into(),
            next: "report this as a bug".into(),
        })
    }
}

fn gone() -> Trouble {
    Trouble::Locked {
        what: "the run lock is gone: somebody freed it while this run was at work".into(),
        next: "ask who did; then go on with `catalog-deploy resume`".into(),
    }
}

/// The refusal that names holder, age and the way out.
pub fn locked(state: &LockState, age: &str, runbook: &str) -> Trouble {
    let LockRecord { run, who, host, step, .. } = &state.record;
    let at = step.as_ref().map_or(String::new(), |step| format!(", at {step}"));
    Trouble::Locked {
        what: format!("{who} on {host} is deploying: run {run}{at}, since {age}"),
        next: format!(
            "ask {who}; wait for it with --lock-wait 30m; or, if that run is surely dead: catalog-deploy unlock {runbook} --run {run}"
        ),
    }
}

/// How long ago the lock was taken, in words.
pub fn age(state: &LockState, now: jiff::Timestamp) -> String {
    let seconds = now.duration_since(state.record.taken_at).as_secs().max(0).unsigned_abs();
    format!("{} ago", humantime::format_duration(Duration::from_secs(seconds)))
}

fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
