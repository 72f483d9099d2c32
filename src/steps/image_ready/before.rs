//! What runs before this deploy, and whether that is still so.

use super::judge::Earlier;
use crate::adapters::ServiceError;
use crate::event::Refusal;
use crate::facts::Fact;
use crate::release;
use crate::step::{Finding, Look, Trouble};
use crate::steps::running::{Running, by_state, running_tag};

/// Whether another tag runs than when this run first looked: somebody deployed meanwhile, and this run's plan, rollback
/// tag and comparison afterwards were all made for what ran before. The run's own tag is no surprise: an apply that
/// took effect in part leaves it.
pub(super) async fn deployed_meanwhile(look: &Look<'_>) -> Result<Option<Refusal>, Trouble> {
    let Some(before) = look.facts.running.as_ref().filter(|before| before.certain) else { return Ok(None) };
    if look.facts.applied.is_some() {
        return Ok(None);
    }
    let now = by_state(look.readers, look.runbook).await?;
    let target = look.facts.target.as_ref().map(|target| target.tag.as_str());
    let other = now.ok().filter(|now| now.tag != before.tag && Some(now.tag.as_str()) != target);
    Ok(other.map(|now| Refusal {
        what: format!(
            "{} ran when this run first looked, now {} runs: somebody deployed meanwhile",
            before.tag, now.tag
        ),
        next: "find out who and why; then give this run up (`catalog-deploy restore`) and start a new one".into(),
    }))
}

/// What ran before this deploy: as read earlier in this run, since after the apply another tag runs.
pub(super) async fn running_now(look: Look<'_>) -> Result<Running, Trouble> {
    match &look.facts.running {
        Some(fact) => Ok(Running { fact: Some(fact.clone()), evidence: Vec::new() }),
        None => running_tag(look.readers, look.runbook, look.past).await,
    }
}

pub(super) fn teach_running(mut finding: Finding, running: Running) -> Finding {
    finding.evidence.extend(running.evidence);
    match running.fact {
        Some(fact) => finding.learned(Fact::Running(fact)),
        None => finding,
    }
}

/// The newest release on the registry that is older than `tag`.
pub(super) async fn previous_release(look: &Look<'_>, tag: &str) -> Result<Option<Earlier>, ServiceError> {
    let (Some(shape), Some(registry)) = (&look.runbook.release, &look.runbook.registry) else { return Ok(None) };
    let tags = look.readers.registry.tags(&registry.image).await?;
    let older: Vec<String> = tags.into_iter().filter(|other| other.as_str() < tag).collect();
    let Some(previous) = release::recent(shape, &older, 1).pop() else { return Ok(None) };
    let manifest = look.readers.registry.manifest(&registry.image, &previous).await?;
    Ok(manifest.map(|manifest| Earlier { tag: previous, manifest }))
}
