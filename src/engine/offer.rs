//! Going back to what ran before, offered as soon as production turns out to be unhealthy.

use std::sync::PoisonError;

use crate::event::Event;
use crate::step::Trouble;

use super::rollback::{back_to, schema_warning};
use super::run::Run;

impl Run<'_> {
    /// Where this run's choice to roll back is remembered for whoever started it.
    pub(super) fn rolls_back(&self) -> Option<String> {
        self.roll_back_to.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// At a terminal: offers to go back to what ran before, at once, before anything else is asked.
    pub(super) async fn offer_rollback(&self, why: &str) -> Result<(), Trouble> {
        let state = self.recorder.state();
        let Some(running) = back_to(&state).filter(|_| self.deployed()) else { return Ok(()) };
        let tag = running.tag.clone();
        let schema = schema_warning(&state.facts).map(|warning| format!(". {warning}")).unwrap_or_default();
        let told = format!("{tag} ran before this deploy ({}){schema}", running.source);
        let options = [
            format!("Roll back to {tag} now"),
            "Continue with the remaining steps".to_owned(),
            "Stop here; `catalog-deploy resume` continues later".to_owned(),
        ];
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        if !self.prompt.attended() {
            return Ok(());
        }
        self.recorder.tell(Event::Warned { text: told });
        let text = format!("Production is unhealthy: {why}. What next?");
        match self.unless_stopped(async { Ok(self.prompt.choose(&text, &options).await?) }).await? {
            Some(0) => {
                *self.roll_back_to.lock().unwrap_or_else(PoisonError::into_inner) = Some(tag);
                Ok(())
            }
            Some(2) => Err(Trouble::Stopped),
            _ if self.stop.wanted() => Err(Trouble::Stopped),
            _ => Ok(()),
        }
    }
}
