//! Answers that no one gives: someone may decide to continue without them, at the terminal or with `--override`.

use crate::event::{AnsweredBy, Event, Question, Strength};
use crate::facts::{Override, Subject};
use crate::plan::approval::Consent;
use crate::step::{Missing, Trouble};

use super::run::Run;

impl Run<'_> {
    /// Looks until there is an answer, or someone has decided to continue without it.
    pub(super) async fn unless_overridden<T, F>(&self, step: &str, look: impl Fn() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        loop {
            match look().await {
                Err(Trouble::Missing(missing)) => self.ask_override(step, *missing).await?,
                found => return found,
            }
        }
    }

    /// Shows what it means to continue without this answer and has it typed. `--approve` never answers this.
    ///
    /// # Errors
    /// [`Trouble::Missing`] again, where no one is there or it was declined.
    pub(super) async fn ask_override(&self, step: &str, missing: Missing) -> Result<(), Trouble> {
        let check = missing.check;
        // Overridden already, and missed all the same: asking again would not help.
        if self.parameters().overridden(check).is_some() {
            return Err(missing.error.into());
        }
        let question = question(step, &missing, &self.runbook.environment);
        let answer = self.unless_stopped(async { Ok(self.prompt.ask_person(&question).await?) }).await?;
        if answer.is_none_or(|answer| Consent::answered(&question, &answer).is_err()) {
            return Err(if self.stop.wanted() { Trouble::Stopped } else { Trouble::Missing(Box::new(missing)) });
        }
        let reason = format!("typed at the terminal by {} after: {}", self.who, missing.error);
        let given = Override { subject: Subject::Check { check }, reason };
        self.recorder.record(Event::Overridden { step: Some(step.to_owned()), given, by: AnsweredBy::Terminal })
    }
}

fn question(step: &str, missing: &Missing, environment: &str) -> Question {
    let check = missing.check;
    let mut summary = vec![missing.error.to_string()];
    if missing.hidden() {
        summary.push("The service may be healthy; this machine cannot see it.".into());
    }
    summary.push(missing.consequence.clone());
    let typed = if missing.hidden() { environment } else { check.name() };
    Question {
        gate: step.to_owned(),
        title: format!("Continue without the check `{check}`?"),
        summary,
        digest: String::new(),
        expected: true,
        strength: Strength::Typed { text: typed.to_owned() },
        details: None,
    }
}
