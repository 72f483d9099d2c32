//! What lies ahead, said once before the first change: which approvals follow and when, what is held meanwhile, and whether
//! the credentials work that are needed on the way. Whoever starts a deploy can still stop without a trace.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::event::{Event, StepHead, StepResult};
use crate::facts::Thing;
use crate::journal::status::StepState;
use crate::plan::PlannedStep;

use super::doubt::applies;
use super::run::Run;

/// Services that do not answer must not hold up a rollback. Runbook time.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was found about one credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// What it is for, and what it may: `GitHub account: maintainer`.
    pub text: String,
    pub works: bool,
}

/// A question that was asked while the first steps looked.
pub type Credentials = JoinSet<Vec<Credential>>;

/// Said once per process.
#[derive(Default)]
pub(super) struct Outlook(Mutex<Option<Option<Credentials>>>);

impl Outlook {
    pub(super) fn with(credentials: Option<Credentials>) -> Self {
        Self(Mutex::new(Some(credentials)))
    }

    /// The first time; `None` afterwards.
    fn take(&self) -> Option<Option<Credentials>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Run<'_> {
    /// Says it before the first change of the step at `index`, unless it was said.
    pub(super) async fn look_ahead(&self, index: usize) {
        let Some(credentials) = self.outlook.take() else { return };
        for line in self.ahead(index) {
            self.recorder.tell(Event::Said { text: line });
        }
        let Some(mut credentials) = credentials else { return };
        let found = tokio::select! {
            found = credentials.join_next() => found.and_then(Result::ok),
            () = self.stop.soon() => return,
            () = self.readers().clock.sleep(PATIENCE) => None,
        };
        let Some(found) = found else {
            let text = "not known whether the credentials work: a service does not answer".to_owned();
            self.recorder.tell(Event::Warned { text });
            return;
        };
        let works: Vec<&str> = found.iter().filter(|it| it.works).map(|it| it.text.as_str()).collect();
        if !works.is_empty() {
            self.recorder.tell(Event::Said { text: format!("credentials that work: {}", works.join("; ")) });
        }
        for broken in found.iter().filter(|it| !it.works) {
            let text = format!("a credential that this run may need: {}", broken.text);
            self.recorder.tell(Event::Warned { text });
        }
    }

    fn ahead(&self, index: usize) -> Vec<String> {
        let state = self.recorder.state();
        let over = |head: &StepHead| {
            let state = state.steps.get(&head.id);
            matches!(state, Some(StepState::Ended(StepResult::Changed | StepResult::Satisfied)))
        };
        let ahead = &self.plan.steps[index..];
        let due: Vec<&PlannedStep> = ahead.iter().filter(|it| it.skip.is_none() && !over(&it.head)).collect();
        let deploy = due.iter().position(|planned| applies(planned));
        let (before, after) = due.split_at(deploy.map_or(0, |at| at + 1));
        let mut lines = Vec::new();
        let gates = |steps: &[&PlannedStep]| {
            let gates = steps.iter().filter(|planned| planned.head.gate);
            gates.map(|planned| planned.head.id.clone()).collect::<Vec<_>>()
        };
        let (before_gates, after_gates) = (gates(before), gates(after));
        let parts = [(&before_gates, "up to the deploy"), (&after_gates, "after it")];
        let parts = parts.iter().filter(|(gates, _)| !gates.is_empty());
        let parts: Vec<String> = match deploy {
            Some(_) => parts.map(|(gates, when)| format!("{} {when}", gates.join(", "))).collect(),
            None => parts.map(|(gates, _)| gates.join(", ")).collect(),
        };
        let number = before_gates.len() + after_gates.len();
        match number {
            0 => lines.push("no approval follows".to_owned()),
            1 => lines.push(format!("1 approval follows: {}", parts.join("; "))),
            _ => lines.push(format!("{number} approvals follow: {}", parts.join("; "))),
        }
        let parameters = self.parameters();
        let held: Vec<String> = before.iter().filter_map(|it| it.step.holds(self.runbook, &parameters)).collect();
        if !held.is_empty() {
            lines.push(format!("held until after the deploy: {}", held.join("; ")));
        }
        // As soon as this run makes its change, what it takes over is its own.
        let view = self.state_in_view();
        if view.held.iter().any(|held| matches!(held.thing, Thing::Lock { .. })) {
            lines.push("held until this run ends: the run lock, so that no one else deploys".into());
        }
        lines
    }
}
