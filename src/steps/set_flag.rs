//! Sets the flag that lets a plan succeed, for the time of the apply only.

use std::sync::Arc;

use async_trait::async_trait;

use super::infrastructure::{give_back_attribute, held_at, infrastructure, to_hold};
use crate::adapters::checkout::{Attribute, Location, Tree};
use crate::event::{Evidence, Question, Strength};
use crate::facts::{Fact, FactKind, Held, Parameters};
use crate::plan::digest::digest;
use crate::runbook::Runbook;
use crate::step::{Act, Decision, Effect, Finding, Look, Returned, Step, Trouble, Undo};

/// Holds the flag from `false` to `true`.
pub struct SetFlag {
    needs: &'static [FactKind],
}

impl SetFlag {
    /// `after_bump`: the runbook bumps first, and both change the same working files.
    pub fn new(after_bump: bool) -> Self {
        Self { needs: if after_bump { &[FactKind::Bumped] } else { &[] } }
    }
}

/// What the flag's literal says.
#[derive(Debug, PartialEq, Eq)]
enum Flag {
    SetByUs,
    SetBySomebody,
    Clear,
    Other,
}

fn judge(literal: &str, held_by_us: bool) -> Flag {
    match literal {
        "true" if held_by_us => Flag::SetByUs,
        "true" => Flag::SetBySomebody,
        "false" => Flag::Clear,
        _ => Flag::Other,
    }
}

fn location(look: &Look<'_>) -> Result<Location, Trouble> {
    infrastructure(look)?.flag.as_ref().map(Location::from).ok_or_else(|| {
        super::infrastructure::refused(
            "the runbook names no flag",
            "add [infrastructure.flag] to the runbook, or remove this step",
        )
    })
}

fn find(look: &Look<'_>, at: &Location, now: &Attribute) -> Finding {
    let Location { file, attribute, .. } = at;
    let line = now.line;
    match judge(&now.literal, held_at(look, at).is_some()) {
        Flag::SetByUs => Finding::satisfied(format!("{attribute} is true ({file}:{line}), set by this run"))
            .learned(Fact::FlagSet(true)),
        Flag::SetBySomebody => Finding::blocked(
            format!(
                "{attribute} is true already ({file}:{line}), and this run did not set it: an earlier deploy forgot it"
            ),
            format!(
                "find out who deployed last (`git log -p {file}`), make sure that nobody deploys now, and set it to false"
            ),
        ),
        Flag::Other => Finding::blocked(
            format!("{attribute} is {} ({file}:{line}), neither true nor false", now.literal),
            "write the literal false there, or correct [infrastructure.flag] in the runbook",
        ),
        Flag::Clear => Finding::new(Decision::Change(Question {
            gate: look.step.to_owned(),
            title: format!("Set {attribute} to true"),
            summary: vec![format!("{file}:{line}: {attribute} = false → true, until the apply is over")],
            digest: digest(&[look.step, file, attribute, &now.literal]),
            expected: true,
            strength: Strength::Yes,
            details: None,
        })),
    }
}

#[async_trait]
impl Step for SetFlag {
    fn needs(&self) -> &'static [FactKind] {
        self.needs
    }
    fn gives(&self) -> &'static [FactKind] {
        &[FactKind::FlagSet]
    }
    fn undo(&self) -> Undo {
        Undo::GivesBack
    }

    fn holds(&self, runbook: &Runbook, _: &Parameters) -> Option<String> {
        Some(format!("{} = true", runbook.infrastructure.as_ref()?.flag.as_ref()?.attribute))
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        let at = location(&look)?;
        let now = look.readers.checkout.attribute(&at).await?;
        Ok(find(&look, &at, &now))
    }

    /// Judges the checkout's flag, and sets it in the copy so that the plan can be previewed.
    async fn preview(&self, look: Look<'_>, scratch: &Arc<dyn Tree>) -> Result<Finding, Trouble> {
        let at = location(&look)?;
        let now = look.readers.checkout.attribute(&at).await?;
        let finding = find(&look, &at, &now);
        scratch.set_attribute(&at, "true").await?;
        let finding = finding.saw(Evidence::verified(format!("{} can be set in a copy of the checkout", at.attribute)));
        Ok(finding.learned(Fact::FlagSet(true)))
    }

    async fn act(&self, act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        let at = location(&act.look)?;
        let held = to_hold(&act.look, "flag", &at, "false", "true");
        let effect = Effect {
            what: format!("set {} in {} to true", at.attribute, at.file),
            holds: vec![held],
            keeps: Vec::new(),
        };
        act.change(effect, |writers| async move { writers.checkout.tree().set_attribute(&at, "true").await }).await?;
        Ok(())
    }

    async fn give_back(&self, act: &Act<'_>, held: &Held) -> Result<Returned, Trouble> {
        give_back_attribute(act, held).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_true_flag_is_ours_only_when_held() {
        for (literal, held, expected) in [
            ("true", true, Flag::SetByUs),
            ("true", false, Flag::SetBySomebody),
            ("false", false, Flag::Clear),
            ("false", true, Flag::Clear),
            ("var.cleared", true, Flag::Other),
            ("\"true\"", true, Flag::Other),
        ] {
            assert_eq!(judge(literal, held), expected, "{literal} {held}");
        }
    }
}
