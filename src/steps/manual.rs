//! A step that a person does: a note to read, or, with a gate, something to do and to confirm.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::event::{Evidence, Question, Strength};
use crate::plan::digest::digest;
use crate::step::{Act, Decision, Finding, Look, Step, Trouble, Undo};

pub struct Manual {
    title: String,
    instructions: String,
    gate: bool,
    /// A confirmation leaves no trace in the world to look for. Later processes skip the step by its journalled result.
    confirmed: AtomicBool,
}

impl Manual {
    /// With `gate`, the run waits for the person's word; without, it only shows the note.
    pub fn new(title: String, instructions: String, gate: bool) -> Self {
        Self { title, instructions, gate, confirmed: AtomicBool::new(false) }
    }

    fn lines(&self) -> Vec<String> {
        self.instructions.trim().lines().map(|line| line.trim_end().to_owned()).collect()
    }
}

#[async_trait]
impl Step for Manual {
    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        if !self.gate {
            let mut finding = Finding::new(Decision::Satisfied);
            finding.evidence.push(Evidence::warning(format!("for you to do: {}", self.lines().join(" "))));
            return Ok(finding);
        }
        if self.confirmed.load(Ordering::SeqCst) {
            return Ok(Finding::satisfied("you confirmed that it is done"));
        }
        Ok(Finding::new(Decision::Change(Question {
            gate: look.step.to_owned(),
            title: self.title.clone(),
            summary: self.lines(),
            digest: digest(&[look.step, &self.instructions]),
            expected: true,
            strength: Strength::Yes,
            details: None,
        })))
    }

    async fn act(&self, _act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        self.confirmed.store(true, Ordering::SeqCst);
        Ok(())
    }
}
