//! Something that only people can see, e.g. a channel of alerts: whoever is there looks and says whether all is well.

use async_trait::async_trait;

use crate::adapters::checkout::Tree;
use crate::event::{Evidence, Question, StepResult};
use crate::step::{Act, Decision, Finding, Inquiry, Look, Step, Trouble, Undo};

/// `kind = "person-check"`.
pub struct PersonCheck {
    title: String,
    instructions: String,
    link: Option<String>,
}

impl PersonCheck {
    pub fn new(title: String, instructions: String, link: Option<String>) -> Self {
        Self { title, instructions, link }
    }

    fn lines(&self) -> Vec<String> {
        let instructions = self.instructions.trim().lines().map(|line| line.trim_end().to_owned());
        instructions.chain(self.link.iter().map(|link| format!("Look at {link}"))).collect()
    }

    fn left(&self) -> StepResult {
        let link = self.link.as_ref().map(|link| format!(": {link}")).unwrap_or_default();
        StepResult::Left { what: format!("check \"{}\"{link}", self.title) }
    }
}

#[async_trait]
impl Step for PersonCheck {
    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        if look.facts.applied.as_ref().is_some_and(|applied| !applied.changed) {
            return Ok(Finding::satisfied("nothing was deployed, so there is nothing to look for"));
        }
        let unhealthy = StepResult::Unhealthy { why: format!("\"{}\" was answered with no", self.title) };
        Ok(Finding::new(Decision::Ask(Inquiry {
            instructions: self.lines(),
            question: format!("{}: is all well?", self.title),
            answers: vec![
                ("Yes, all is well".into(), StepResult::Satisfied),
                ("No, something is wrong since the deploy".into(), unhealthy),
                ("I have not looked; list it as left to do".into(), self.left()),
            ],
            otherwise: self.left(),
        })))
    }

    async fn preview(&self, _look: Look<'_>, _scratch: &std::sync::Arc<dyn Tree>) -> Result<Finding, Trouble> {
        let mut finding = Finding::new(Decision::Satisfied);
        finding.evidence = self.lines().into_iter().map(Evidence::not_previewable).collect();
        Ok(finding)
    }

    async fn act(&self, _act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        // `observe` never finds anything to change.
        Ok(())
    }
}
