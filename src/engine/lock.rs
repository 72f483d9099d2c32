//! The run lock, taken first and given back last.

use std::time::Duration;

use crate::adapters::lock::{LockRecord, LockState, Taken};
use crate::event::{Ended, Event, Evidence, StepHead, StepResult};
use crate::facts::{Held, Place, Thing};
use crate::journal::status::LOCK_STEP;
use crate::plan::approval::{Authority, Consent};
use crate::step::{Effect, Trouble};

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
            let tried = match self.try_lock(&reference).await {
                // A failed poll is not a failed wait. Nothing was pushed: the look comes first.
                Err(Trouble::Service(error))
                    if waited
                        && error.passing()
                        && !self.recorder.state().in_doubt().iter().any(|step| step == LOCK_STEP)
                        && self.readers().clock.now() < deadline =>
                {
                    self.recorder.tell(Event::PollFailed { step: LOCK_STEP.into(), why: error.to_string() });
                    self.pause(POLL).await?;
                    continue;
                }
                tried => tried?,
            };
            match tried {
                Taken::Ours(state) => {
                    self.lock_seen_at(asked);
                    self.saw(LOCK_STEP, Evidence::verified(format!("{reference} taken ({})", short(&state.commit))));
                    return self.finish_lock(StepResult::Changed);
                }
                Taken::Theirs(state) if self.readers().clock.now() >= deadline => {
                    let age = age(&state, self.readers().clock.now());
                    return Err(locked(&state, &age, &self.runbook_name()));
                }
                Taken::Theirs(state) => {
                    let on =
                        format!("{} on {} to finish run {}", state.record.who, state.record.host, state.record.run);
                    self.recorder.tell(Event::Waiting { step: LOCK_STEP.into(), on, since, deadline });
                    waited = true;
                    self.pause(POLL).await?;
                }
            }
        }
    }

    fn finish_lock(&self, result: StepResult) -> Result<(), Trouble> {
        self.recorder.record(Event::StepFinished { step: LOCK_STEP.into(), result })
    }

    /// Looks, and if it is free takes it: intent first.
    async fn try_lock(&self, reference: &str) -> Result<Taken, Trouble> {
        let state = self.recorder.state();
        let holder = self.unless_stopped(async { Ok(self.readers().lock.holder().await?) }).await?;
        if let Some(found) = holder {
            // Our own from before a crash: the record names the run, the journal the commit.
            if found.record.run == state.run {
                self.settle(LOCK_STEP, true)?;
                return Ok(Taken::Ours(found));
            }
            return Ok(Taken::Theirs(found));
        }
        self.settle(LOCK_STEP, false)?;
        let record = LockRecord {
            run: state.run.clone(),
            runbook: state.runbook.clone(),
            who: self.who.clone(),
            host: self.host.clone(),
            step: None,
            taken_at: self.readers().clock.now(),
            heartbeat_at: self.readers().clock.now(),
            // The adapter fills it at random.
            nonce: String::new(),
        };
        let held = Held {
            id: LOCK_STEP.into(),
            step: LOCK_STEP.into(),
            thing: Thing::Lock { reference: reference.to_owned(), commit: String::new() },
            place: Place::World,
        };
        let effect = Effect { what: format!("take {reference}"), holds: vec![held], keeps: Vec::new() };
        let intent = self.recorder.intend(LOCK_STEP, &effect, None, false)?;
        let id = intent.effect().to_owned();
        let writers = self.writers(&intent, &Consent::ungated(&head()))?;
        match writers.lock.take(&record).await {
            Ok(Taken::Ours(state)) => {
                self.recorder.ended(&id, Ended::Done)?;
                Ok(Taken::Ours(state))
            }
            Ok(Taken::Theirs(state)) => {
                let why = format!("{} was faster", state.record.who);
                self.recorder.ended(&id, Ended::Refused { why })?;
                self.recorder.record(Event::StepStarted { step: LOCK_STEP.into() })?;
                Ok(Taken::Theirs(state))
            }
            Err(error) => {
                let ended = if error.surely_refused() {
                    Ended::Refused { why: error.to_string() }
                } else {
                    Ended::InDoubt { why: error.to_string() }
                };
                self.recorder.ended(&id, ended)?;
                Err(error.into())
            }
        }
    }

    /// Before a change: the lock still names this run. Asked again only when the last answer is older than [`FRESH`].
    pub(super) async fn lock_is_ours(&self) -> Result<(), Trouble> {
        let readers = self.readers();
        if readers.lock.reference().is_none() || readers.clock.uptime().saturating_sub(self.lock_seen()) < FRESH {
            return Ok(());
        }
        let run = self.recorder.state().run;
        match self.holder().await? {
            Some(state) if state.record.run == run => Ok(()),
            Some(state) => {
                let age = age(&state, readers.clock.now());
                Err(locked(&state, &age, &self.runbook_name()))
            }
            None => Err(Trouble::Locked {
                what: "the run lock is gone: somebody freed it while this run was at work".into(),
                next: "ask who did; then go on with `catalog-deploy resume`".into(),
            }),
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
        let run = self.recorder.state().run;
        match self.holder().await? {
            Some(state) if state.record.run != run => {
                let age = age(&state, readers.clock.now());
                Err(locked(&state, &age, &self.runbook_name()))
            }
            _ => Ok(()),
        }
    }

    /// Who holds the lock. An answer is as old as its question: a laptop that slept in between asks once more.
    async fn holder(&self) -> Result<Option<LockState>, Trouble> {
        let readers = self.readers();
        let ask = async || -> Result<_, Trouble> {
            let asked = readers.clock.uptime();
            let holder = readers.lock.holder().await?;
            if holder.as_ref().is_some_and(|state| state.record.run == self.recorder.state().run) {
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
        let run = self.recorder.state().run;
        let found = match self.readers().lock.holder().await? {
            Some(found) if found.record.run == run => found,
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
    ) -> Result<crate::adapters::Writers, Trouble> {
        let authority = consent.as_ref().and_then(|consent| Authority::grant(intent, consent));
        authority.map(|authority| self.world.writers(&authority)).ok_or_else(|| Trouble::Failed {
            what: "no approval covers this change".into(),
            next: "report this as a bug".into(),
        })
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
