//! Which run a rollback takes over, from the command line's side: the one that is open, or that left its end open.

use crate::engine::Adopting;
use crate::engine::adoption::not_restorable;
use crate::event::{Event, Stamped};
use crate::facts::Parameters;
use crate::journal::runs::{RunsError, StoredRun};
use crate::journal::status::RunState;
use crate::journal::store::JournalError;
use crate::plan::Plan;

use super::error::CliError;
use super::session::{Session, busy};

impl Session {
    /// What this run takes over; `None` where nothing is open.
    ///
    /// # Errors
    /// The refusal of a run that may not begin while another one is open.
    pub(super) fn adopting(&self, parameters: &Parameters, plan: &Plan) -> Result<Option<Adopting>, CliError> {
        match self.adoptable(parameters)? {
            Some(stored) => self.adopt(&stored, plan).map(Some),
            None => Ok(None),
        }
    }

    /// The run that a rollback takes over.
    ///
    /// # Errors
    /// As for [`Session::adopting`].
    pub(super) fn adoptable(&self, parameters: &Parameters) -> Result<Option<StoredRun>, CliError> {
        let rollback = parameters.tag.is_some();
        match self.open_run()? {
            Some(open) => match open.run {
                Some(stored) if rollback => Ok(Some(stored)),
                _ => Err(open.refusal),
            },
            None if rollback => self.left_open(),
            None => Ok(None),
        }
    }

    /// The newest run, where it deployed and left steps open that a rollback makes pointless.
    fn left_open(&self) -> Result<Option<StoredRun>, CliError> {
        let (runs, _broken) = self.runs.all()?;
        let newest = runs.into_iter().rfind(|run| run.state.runbook == self.loaded.name);
        Ok(newest.filter(|run| run.state.deployed_unfinished() && !run.busy))
    }

    /// Keeps the other run's journal open, so that no other process continues with it.
    pub(super) fn adopt(&self, stored: &StoredRun, plan: &Plan) -> Result<Adopting, CliError> {
        let run = &stored.state.run;
        let (journal, events) = self.runs.open(run).map_err(|error| match error {
            JournalError::Busy { .. } => busy(run),
            error => RunsError::from(error).into(),
        })?;
        let state = RunState::replay(&events).map_err(|error| CliError::failed(error.to_string()))?;
        let state = state.filter(|state| state.closed.is_none()).ok_or_else(|| {
            CliError::refused(format!("run {run} was ended by another process just now")).next("catalog-deploy history")
        })?;
        let left: Vec<String> = not_restorable(&state, plan).into_iter().map(ToString::to_string).collect();
        if !left.is_empty() {
            let what = format!("run {run} holds what this runbook cannot restore: {}", left.join("; "));
            return Err(CliError::refused(format!("{what}. Nothing was changed"))
                .next(format!("restore it by the runbook of that run: catalog-deploy restore {run}")));
        }
        Ok(Adopting::new(state, stored.directory.clone(), journal))
    }

    /// Notes in the journal of the run that `state` took over that it is over, where a crash came in between.
    pub(super) fn close_taken_over(&self, state: &RunState) {
        let Some((other, _)) = &state.took_over else { return };
        let Ok((mut journal, events)) = self.runs.open(other) else { return };
        let open = RunState::replay(&events).ok().flatten().is_some_and(|other| other.closed.is_none());
        if open {
            let why = format!("taken over by run {}", state.run);
            let closed = Stamped { at: self.clock.now(), event: Event::RunClosed { why } };
            if let Err(error) = journal.append(&closed) {
                tracing::warn!(%error, other, "could not note that it was taken over");
            }
        }
    }
}
