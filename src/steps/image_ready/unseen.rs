//! A rollback while the registry does not answer: only to a tag that was deployed before, and only if someone decides so.

use super::advice;
use super::judge::relation;
use crate::adapters::ServiceError;
use crate::event::Refusal;
use crate::facts::{Check, Fact, TargetFact};
use crate::release::Deployed;
use crate::runbook::schema::RegistryService;
use crate::step::{Decision, Finding, Look, Trouble};
use crate::steps::declared;
use crate::steps::running::Running;

/// What it means to deploy `tag` without an answer of the registry.
pub(super) fn consequence(registry: &RegistryService, tag: &str) -> String {
    format!(
        "The image of {tag} cannot be checked. The new instance pulls it from {} when it starts: while that does not \
         answer, production does not come up",
        registry.url
    )
}

/// What follows where the registry could not be asked for `tag`.
pub(super) async fn unseen(
    look: &Look<'_>,
    tag: &str,
    error: ServiceError,
    running: &Running,
) -> Result<Finding, Trouble> {
    let shape = declared::release(look.runbook)?;
    let registry = declared::registry(look.runbook)?;
    let deployed = advice::deployed(look, tag, running.fact.as_ref()).await?;
    if !matches!(deployed, Deployed::Now(_) | Deployed::Before(_) | Deployed::Unwell(_)) {
        let refusal = Refusal {
            what: format!("{error}; and {tag} is not known to have been deployed before"),
            next: "wait for the registry, or choose a tag that was deployed before".into(),
        };
        let tags = advice::recent_tags(look, running.fact.as_ref()).await?;
        return Ok(Finding::new(Decision::Blocked(vec![advice::with_tags(refusal, &tags)])));
    }
    let consequence = consequence(registry, tag);
    let mut finding = Finding::new(Decision::Satisfied).saw(look.without(Check::Registry, error, &consequence)?);
    finding.evidence.extend(advice::past(tag, &deployed));
    finding.evidence.push(relation(shape, tag, true, running.fact.as_ref()));
    finding = finding.learned(Fact::Target(TargetFact { tag: tag.to_owned(), predicted: false }));
    // As an earlier run on this machine resolved it.
    let image = look.past.iter().rev().filter_map(|run| run.image.as_ref()).find(|image| image.tag == tag);
    Ok(match image {
        Some(image) => finding.learned(Fact::Image(image.clone())),
        None => finding,
    })
}
