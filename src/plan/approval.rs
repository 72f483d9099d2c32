//! What a yes is, and what it allows. The only file in which a [`Consent`] or an [`Authority`] can come to be.
//!
//! A change needs both halves: a person's consent (or a step that the runbook lets go ungated) and an intent that is
//! durable in the journal. Neither type has a public field or another constructor, so no code path can write without.

use crate::event::{AnsweredBy, Question, StepHead, Strength};
use crate::facts::Held;
use crate::journal::DurableIntent;

/// A person's answer, before it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub gate: String,
    /// What was typed, or `yes` from a flag.
    pub text: String,
    /// Digest given with `--approve GATE@DIGEST`; a terminal's answer is to the digest on the screen.
    pub digest: Option<String>,
    pub by: AnsweredBy,
}

/// Why an answer is not a yes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApproved {
    #[error("declined")]
    Declined,
    #[error("approved {approved}, but what would happen now is {now}")]
    Stale { approved: String, now: String },
    #[error(
        "--approve {gate} answers only what the runbook expects; this holds more and needs --approve {gate}@{digest}"
    )]
    NeedsDigest { gate: String, digest: String },
    #[error("the answer is for the gate {0}")]
    OtherGate(String),
}

/// The right to change what one step is for.
#[derive(Debug)]
pub struct Consent {
    step: String,
}

impl Consent {
    /// For a step that the runbook lets go without asking; `None` for a gated one.
    pub fn ungated(head: &StepHead) -> Option<Self> {
        (!head.gate).then(|| Self { step: head.id.clone() })
    }

    /// For a gated step: judges `answer` against the question that was asked.
    pub fn answered(question: &Question, answer: &Answer) -> Result<Self, NotApproved> {
        if answer.gate != question.gate {
            return Err(NotApproved::OtherGate(answer.gate.clone()));
        }
        if let Some(approved) = &answer.digest
            && approved != &question.digest
        {
            return Err(NotApproved::Stale { approved: approved.clone(), now: question.digest.clone() });
        }
        let yes = match (answer.by, &question.strength) {
            (AnsweredBy::Terminal, Strength::Yes) => answer.text == "yes",
            (AnsweredBy::Terminal, Strength::Typed { text }) => &answer.text == text,
            (AnsweredBy::Flag, _) => {
                if answer.digest.is_none() && !question.expected {
                    return Err(NotApproved::NeedsDigest {
                        gate: question.gate.clone(),
                        digest: question.digest.clone(),
                    });
                }
                true
            }
            (AnsweredBy::Rehearsal, _) => true,
        };
        if yes { Ok(Self { step: question.gate.clone() }) } else { Err(NotApproved::Declined) }
    }

    /// Giving back what is owed needs no new yes: taking it was approved together with its return.
    pub fn to_give_back(held: &Held) -> Self {
        Self { step: held.step.clone() }
    }
}

/// Opens writers for one effect.
#[derive(Debug)]
pub struct Authority {
    effect: String,
}

impl Authority {
    /// `None` where consent and intent are not of the same step.
    pub fn grant(intent: &DurableIntent, consent: &Consent) -> Option<Self> {
        (intent.step() == consent.step).then(|| Self { effect: intent.effect().to_owned() })
    }

    /// The effect this was granted for.
    pub fn effect(&self) -> &str {
        &self.effect
    }
}
