//! Asking a person, and looking again after the yes.

use futures::future::join_all;

use crate::event::{Event, Question, Refusal, StepResult};
use crate::journal::status::StepState;
use crate::plan::PlannedStep;
use crate::plan::approval::{Consent, NotApproved};
use crate::step::Trouble;

use super::run::Run;

impl Run<'_> {
    /// The right to make this change: none is asked of an ungated step, a person is asked for a gated one, and after a
    /// yes every earlier look must still hold.
    pub(super) async fn consent(
        &self,
        index: usize,
        planned: &PlannedStep,
        question: &Question,
    ) -> Result<Consent, Trouble> {
        if let Some(consent) = Consent::ungated(&planned.head) {
            return Ok(consent);
        }
        let waits = self.prompt.waits(question);
        self.recorder.record(Event::GateAsked { question: question.clone(), waits })?;
        let gate = &question.gate;
        let flag = if question.expected { gate.clone() } else { format!("{gate}@{}", question.digest) };
        let answer = self.unless_stopped(async { Ok(self.prompt.ask(question).await?) }).await?;
        let Some(answer) = answer else {
            if self.stop.wanted() || self.prompt.can_ask() {
                return Err(Trouble::Stopped);
            }
            return Err(Trouble::NotApproved {
                what: format!("the gate `{gate}` needs an answer, and there is no terminal to ask at"),
                next: format!("--approve {flag}"),
            });
        };
        let judged = Consent::answered(question, &answer);
        let (yes, digest) = (judged.is_ok(), question.digest.clone());
        self.recorder.record(Event::GateAnswered { gate: gate.clone(), yes, digest, by: answer.by })?;
        let consent = judged.map_err(|refused| match &refused {
            NotApproved::NeedsDigest { .. } | NotApproved::Stale { .. } => {
                Trouble::NotApproved { what: refused.to_string(), next: format!("--approve {flag}") }
            }
            NotApproved::Declined | NotApproved::OtherGate(_) => {
                Trouble::NotApproved { what: format!("the gate `{gate}` was declined"), next: String::new() }
            }
        })?;
        let guards = || self.unless_stopped(self.guards(index));
        let refusals = self.unless_overridden(&planned.head.id, guards).await?;
        if refusals.is_empty() { Ok(consent) } else { Err(Trouble::Refused(refusals)) }
    }

    /// Looks again at everything that was true before the question; a person may take an hour to answer.
    async fn guards(&self, index: usize) -> Result<Vec<Refusal>, Trouble> {
        let state = self.recorder.state();
        // Once the apply landed there is nothing left to guard: DAGs run again, and should.
        if state.facts.applied.is_some() {
            return Ok(Vec::new());
        }
        self.lock_is_ours().await?;
        let since = self.readers().clock.now();
        let earlier = self.plan.steps[..index].iter().filter(|planned| {
            let ended = state.steps.get(&planned.head.id);
            planned.skip.is_none()
                && matches!(ended, Some(StepState::Ended(StepResult::Satisfied | StepResult::Changed)))
        });
        let looks = earlier.map(|planned| async move {
            let glance = self.glance(planned, since);
            planned.step.guard(glance.look()).await
        });
        let mut refusals = Vec::new();
        for refusal in join_all(looks).await.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            // Two steps may look at the same thing.
            if !refusals.contains(&refusal) {
                refusals.push(refusal);
            }
        }
        Ok(refusals)
    }
}
