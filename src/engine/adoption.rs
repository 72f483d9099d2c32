//! A rollback takes over the run that is open: its lock, its paused DAGs, its flag, with the values from before it. They
//! are restored after the rollback's own deploy, so that it need not wait for services that the open run has broken.
//!
//! Until this run makes its first change the other one stays as it is: a rollback that is refused has changed nothing.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::event::{AdoptedEffect, Adoption, Event, Evidence, Stamped};
use crate::facts::{BaselineFact, Held, Thing};
use crate::journal::Journal;
use crate::journal::status::{LOCK_STEP, RunState};
use crate::plan::{Plan, PlannedStep};
use crate::step::{Trouble, Undo};

use super::run::Run;

/// The open run, whose journal this process keeps open so that no other one continues with it.
pub struct Adopting {
    state: RunState,
    directory: PathBuf,
    journal: Mutex<Journal>,
}

impl Adopting {
    pub fn new(state: RunState, directory: PathBuf, journal: Journal) -> Self {
        Self { state, directory, journal: Mutex::new(journal) }
    }

    pub fn run(&self) -> &str {
        &self.state.run
    }

    /// Whether that is the run, or one that it had taken over itself.
    fn knows(&self, run: &str) -> bool {
        self.state.run == run || self.state.predecessors.iter().any(|other| other == run)
    }

    /// Whether something that this step began may still be under way.
    fn in_doubt(&self, step: &str) -> bool {
        self.state.in_doubt().iter().any(|other| other == step) || self.state.unsettled_apply() == Some(step)
    }

    /// Writes into the other run's journal who has it now. Best effort: this run's own journal says so as well.
    fn close(&self, at: Timestamp, by: &str) -> Result<(), String> {
        let adopted = adoption(&self.state);
        let lost: Vec<&str> = self.state.doubts_apart_from(&adopted).collect();
        let mut why = format!("taken over by run {by}");
        if !lost.is_empty() {
            why.push_str(&format!("; not known whether it happened: {}", lost.join("; ")));
        }
        let closed = Stamped { at, event: Event::RunClosed { why } };
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).append(&closed).map_err(|error| error.to_string())
    }
}

/// What of `state` is taken over.
pub fn adoption(state: &RunState) -> Adoption {
    let holds = |step: &str| state.held.iter().any(|held| held.step == step);
    // What becomes of the lock each run finds out by looking who holds it.
    let effects = state.effects.iter().filter(|(_, effect)| effect.step != LOCK_STEP && holds(&effect.step));
    Adoption {
        run: state.run.clone(),
        before: state.predecessors.clone(),
        began: state.began(),
        held: state.held.clone(),
        effects: effects
            .map(|(id, effect)| AdoptedEffect {
                id: id.clone(),
                step: effect.step.clone(),
                what: effect.what.clone(),
                ended: effect.ended.clone(),
                returns: effect.returns.clone(),
                took: effect.took.clone(),
            })
            .collect(),
        // Taken after that run's deploy, or after one that it has taken over itself, it would show what it is there to find.
        baseline: state
            .facts
            .baseline
            .clone()
            .filter(|baseline| state.deploy_was_tried() || baseline.from_run.is_some())
            .map(|baseline| BaselineFact {
                from_run: baseline.from_run.or_else(|| Some(state.run.clone())),
                ..baseline
            }),
    }
}

/// What `plan` cannot restore of that which `state` holds: its runbook has no such step.
pub fn not_restorable<'s>(state: &'s RunState, plan: &Plan) -> Vec<&'s Held> {
    let restores = |held: &Held| {
        held.step == LOCK_STEP || plan.step(&held.step).is_some_and(|planned| planned.step.undo() == Undo::GivesBack)
    };
    state.held.iter().filter(|held| !restores(held)).collect()
}

impl Run<'_> {
    /// The state that steps look with: before the take-over with what would be taken over.
    pub(super) fn state_in_view(&self) -> RunState {
        let mut state = self.recorder.state();
        if let Some(adopting) = self.adopting.as_ref().filter(|_| state.took_over.is_none()) {
            // Ids of effects are those of the other run's steps, and this run has none of them yet.
            if let Err(why) = state.adopt(&adoption(&adopting.state)) {
                tracing::warn!(why, "what would be taken over is not shown");
            }
        }
        state
    }

    /// Whether the lock that names `run` is ours to use: this run's, or that of the run it takes over.
    pub(super) fn is_ours(&self, run: &str) -> bool {
        let state = self.recorder.state();
        state.run == run
            || state.predecessors.iter().any(|other| other == run)
            || self.adopting.as_ref().is_some_and(|adopting| adopting.knows(run))
    }

    /// Says what will be taken over, and waits for whatever the open run has left running: while its deploy is under way
    /// no check means anything.
    pub(super) async fn wait_for_adopted(&self) -> Result<(), (String, Trouble)> {
        let Some(adopting) = &self.adopting else { return Ok(()) };
        let state = &adopting.state;
        let text = format!("takes over run {} with its first change", state.run);
        self.saw(LOCK_STEP, Evidence::verified(text));
        for held in state.held.iter().filter(|held| !matches!(held.thing, Thing::Lock { .. })) {
            let held = held.to_string().replace("by this run", &format!("by run {}", state.run));
            self.saw(LOCK_STEP, Evidence::verified(format!("takes over {held}; restores it after the deploy")));
        }
        for planned in self.plan.steps.iter().filter(|planned| adopting.in_doubt(&planned.head.id)) {
            self.wait_for_children(planned, adopting).await.map_err(|trouble| (planned.head.id.clone(), trouble))?;
        }
        Ok(())
    }

    async fn wait_for_children(&self, planned: &PlannedStep, adopting: &Adopting) -> Result<(), Trouble> {
        let clock = &self.readers().clock;
        let since = clock.now();
        loop {
            let mut glance = self.glance(planned, since);
            glance.in_directory(&adopting.directory);
            let Some(wait) = planned.step.under_way(glance.look()).await? else { return Ok(()) };
            let deadline = since + clock.scaled(wait.at_most);
            if clock.now() >= deadline {
                return Err(Trouble::Deadline { what: format!("still waiting for {}", wait.on), next: wait.next });
            }
            self.recorder.tell(Event::Waiting { step: planned.head.id.clone(), on: wait.on, since, deadline });
            self.pause(wait.poll).await?;
        }
    }

    /// Before this run's first change: from now on what the open run held is this run's. Its own journal first, so that
    /// after a crash in between one of both owes it.
    pub(super) async fn take_over(&self) -> Result<(), Trouble> {
        let state = self.recorder.state();
        let Some(adopting) = self.adopting.as_ref().filter(|_| state.took_over.is_none()) else { return Ok(()) };
        self.recorder.record(Event::TookOver { adoption: adoption(&adopting.state) })?;
        if let Err(why) = adopting.close(self.readers().clock.now(), &state.run) {
            let text = format!("could not note in the journal of run {} that it was taken over: {why}", adopting.run());
            self.recorder.tell(Event::Warned { text });
        }
        self.rename_lock().await
    }
}
