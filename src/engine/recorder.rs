//! The one mouth of a run: every event goes to the state, the journal and the watchers, in this order.

use std::sync::{Mutex, MutexGuard};

use crate::adapters::clock::Clock;
use crate::adapters::redact::Redactor;
use crate::event::{Ended, Event, Stamped};
use crate::journal::status::RunState;
use crate::journal::store::JournalError;
use crate::journal::{DurableIntent, Journal};
use crate::report::Sink;
use crate::step::{Effect, Trouble};

struct Inner {
    journal: Journal,
    state: RunState,
    sink: Box<dyn Sink>,
}

impl Inner {
    /// The state moves only with what is on disk: an intent that could not be written was never had, and must not pass
    /// for an effect in doubt.
    fn write<T>(
        &mut self,
        stamped: &Stamped,
        write: impl FnOnce(&mut Journal, &Stamped) -> Result<T, JournalError>,
    ) -> Result<T, Trouble> {
        let mut next = self.state.clone();
        next.apply(stamped).map_err(Trouble::Journal)?;
        let written = write(&mut self.journal, stamped).map_err(|error| Trouble::Journal(error.to_string()))?;
        self.state = next;
        Ok(written)
    }
}

/// Shared by all parts of one run.
pub struct Recorder {
    clock: std::sync::Arc<dyn Clock>,
    redactor: Redactor,
    inner: Mutex<Inner>,
}

impl Recorder {
    /// Begins a new journal with `start`, a [`Event::RunStarted`].
    pub fn begin(
        mut journal: Journal,
        start: Event,
        mut sink: Box<dyn Sink>,
        clock: std::sync::Arc<dyn Clock>,
    ) -> Result<Self, Trouble> {
        let stamped = Stamped { at: clock.now(), event: start };
        let state = RunState::begin(&stamped).map_err(Trouble::Journal)?;
        journal.append(&stamped).map_err(|error| Trouble::Journal(error.to_string()))?;
        sink.event(&stamped);
        Ok(Self { clock, redactor: Redactor::default(), inner: Mutex::new(Inner { journal, state, sink }) })
    }

    /// Goes on with an existing journal. Watchers are told what happened so far, to know it, not to tell it again.
    pub fn resume(
        journal: Journal,
        events: &[Stamped],
        state: RunState,
        mut sink: Box<dyn Sink>,
        clock: std::sync::Arc<dyn Clock>,
    ) -> Self {
        for stamped in events {
            sink.past(stamped);
        }
        Self { clock, redactor: Redactor::default(), inner: Mutex::new(Inner { journal, state, sink }) }
    }

    /// From now on no event holds a secret that `redactor` knows, wherever it goes.
    #[must_use]
    pub fn without_secrets(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while holding it leaves plain data behind; the journal guards itself.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Tells one event. What the journal keeps is on disk when this returns.
    pub fn record(&self, event: Event) -> Result<(), Trouble> {
        let mut inner = self.lock();
        let stamped = Stamped { at: self.clock.now(), event: self.redactor.event(event) };
        if !stamped.event.durable() && !matches!(stamped.event, Event::Output { .. }) {
            // The journal does not keep it.
            tracing::debug!(event = ?stamped.event);
        }
        let written = if stamped.event.durable() {
            inner.write(&stamped, |journal, stamped| journal.append(stamped))
        } else {
            Ok(())
        };
        inner.sink.event(&stamped);
        written
    }

    /// Tells what can be lost: a failing disk shows at the next intent.
    pub fn tell(&self, event: Event) {
        if let Err(error) = self.record(event) {
            tracing::warn!(%error, "an event was not journalled");
        }
    }

    /// The state as of now.
    pub fn state(&self) -> RunState {
        self.lock().state.clone()
    }

    /// Journals an intent under a fresh id and returns the proof.
    pub(super) fn intend(
        &self,
        step: &str,
        effect: &Effect,
        returns: Option<String>,
        forever: bool,
    ) -> Result<DurableIntent, Trouble> {
        let mut inner = self.lock();
        let number = inner.state.effects.values().filter(|it| it.step == step).count() + 1;
        let stamped = Stamped {
            at: self.clock.now(),
            event: self.redactor.event(Event::Intent {
                step: step.to_owned(),
                effect: format!("{step}/{number}"),
                what: effect.what.clone(),
                holds: effect.holds.clone(),
                keeps: effect.keeps.clone(),
                returns,
                forever,
            }),
        };
        let intent = inner.write(&stamped, |journal, stamped| journal.intend(stamped))?;
        inner.sink.event(&stamped);
        Ok(intent)
    }

    /// Writes down how an effect of this or an earlier process ended.
    pub(super) fn ended(&self, effect: &str, ended: Ended) -> Result<(), Trouble> {
        self.record(Event::Outcome { effect: effect.to_owned(), ended })
    }

    /// As if the disk had failed just now.
    #[cfg(test)]
    pub(super) fn break_journal(&self) {
        self.lock().journal.break_off();
    }
}
