//! Gives back what the run holds, newest first, the lock last; on success, failure, Ctrl-C and `restore` alike.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;

use crate::event::Event;
use crate::facts::{Check, Held, Thing};
use crate::step::{Returned, Trouble};

use super::run::{PAUSE, Run, broke};

/// How long a service may be out of reach while something is given back to it: an instance that was just replaced takes
/// minutes to boot. Counted from the deploy, whoever has waited before; a further signal ends the wait. Runbook time.
const BOOT: Duration = Duration::from_secs(900);

/// A hiccup is waited for at least this long, however long ago the deploy was. Runbook time.
const HICCUP: Duration = Duration::from_secs(120);

/// How often the answer to giving one thing back may be lost.
const LOOKS_AGAIN: u32 = 3;

impl Run<'_> {
    /// Returns what could not be given back, and why. Whatever fails, the rest is still tried; only the lock stays while
    /// anything else does, so that nobody starts over a half-finished deploy.
    pub(super) async fn unwind(&self) -> Vec<(Held, String)> {
        let state = self.recorder.state();
        if let Some(step) = self.under_way() {
            // Nothing may move under its feet, the flag as little as a DAG.
            let why = format!("the apply of step {step} is still under way");
            let kept = state.held.into_iter().rev().map(|held| (held, why.clone())).collect::<Vec<_>>();
            for (held, why) in &kept {
                self.recorder.tell(Event::NotGivenBack { held: held.id.clone(), why: why.clone() });
            }
            return kept;
        }
        let (locks, mut others): (Vec<Held>, Vec<Held>) =
            state.held.into_iter().partition(|held| matches!(held.thing, Thing::Lock { .. }));
        others.reverse();
        // DAGs wait for the flag, also one that a resume paused when the flag was held already.
        others.sort_by_key(|held| matches!(held.thing, Thing::PausedDag { .. }));
        let mut kept = Vec::new();
        let since = self.readers().clock.now();
        for held in others {
            if let Err(why) = self.returned(&held, since).await {
                self.recorder.tell(Event::NotGivenBack { held: held.id.clone(), why: why.clone() });
                kept.push((held, why));
            }
        }
        let doubt = self.recorder.state().in_doubt();
        for held in locks {
            if !kept.is_empty() || doubt.iter().any(|step| *step != held.step) {
                let why = "kept until the rest is settled".to_owned();
                self.recorder.tell(Event::NotGivenBack { held: held.id.clone(), why: why.clone() });
                kept.push((held, why));
                continue;
            }
            let freed = match self.free_lock(&held).await {
                Ok(how) => self.given_back(&held, how),
                Err(trouble) => Err(trouble),
            };
            if let Err(trouble) = freed {
                self.recorder.tell(Event::NotGivenBack { held: held.id.clone(), why: trouble.to_string() });
                kept.push((held, trouble.to_string()));
            }
        }
        kept
    }

    /// When to give up on a service that does not answer, for all that is given back `since` then. None of it waits where
    /// the run has waited long enough, or where someone decided to continue without that service.
    fn deadline(&self, held: &Held, since: Timestamp) -> Timestamp {
        let check = match held.thing {
            Thing::PausedDag { .. } => Some(Check::Airflow),
            Thing::Lock { .. } => Some(Check::Lock),
            Thing::Attribute { .. } | Thing::Shell { .. } => None,
        };
        let overridden = check.is_some_and(|check| self.parameters().overridden(check).is_some());
        if self.has_waited_enough() || (overridden && !self.deployed()) {
            return since;
        }
        let clock = &self.readers().clock;
        (self.restarted() + clock.scaled(BOOT)).max(since + clock.scaled(HICCUP))
    }

    /// Airflow boots for minutes after an apply, and a network has hiccups: what is owed is tried again for a while. A
    /// second signal ends the patience, not what is owed.
    async fn patiently(&self, held: &Held, since: Timestamp) -> Result<Returned, Trouble> {
        let clock = &self.readers().clock;
        let deadline = self.deadline(held, since);
        let mut lost = 0;
        loop {
            let tried = AssertUnwindSafe(self.give_back_one(held)).catch_unwind().await;
            match tried.unwrap_or_else(|panic| Err(broke(&*panic))) {
                // Every try looks first, so a lost answer is looked up by the next one.
                Err(Trouble::InDoubt { .. }) if lost < LOOKS_AGAIN => {
                    lost += 1;
                    clock.sleep(PAUSE).await;
                }
                Err(trouble) if clock.now() < deadline => {
                    let Some(error) = trouble.passing() else { return Err(trouble) };
                    let pause = error.pause(PAUSE);
                    let (step, on) = (held.step.clone(), format!("an answer, to give back {held} ({error})"));
                    self.recorder.tell(Event::Waiting { step, on, since, deadline });
                    tokio::select! {
                        biased;
                        () = self.stop.again() => return Err(trouble),
                        () = clock.sleep(pause) => {}
                    }
                }
                tried => return tried,
            }
        }
    }

    async fn returned(&self, held: &Held, since: Timestamp) -> Result<(), String> {
        match self.patiently(held, since).await {
            Ok(Returned::Back(_)) => Ok(()),
            Ok(Returned::NotOurs(why)) => {
                self.recorder.tell(Event::Warned { text: format!("{held}: left alone, {why}") });
                Ok(())
            }
            Ok(Returned::NotYet(why)) => Err(why),
            Err(Trouble::InDoubt { what, .. }) => Err(what),
            Err(trouble) => Err(trouble.to_string()),
        }
    }
}
