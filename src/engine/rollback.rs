//! What to go back to, and what that means. Pure.

use crate::facts::{Check, Facts, RunningFact};
use crate::journal::status::RunState;

/// What ran before the deploy, where that is another tag than the one just deployed. It is never named without its source.
/// `None` as well where no one could see how production was with it: the deploy may have been made for that reason.
pub fn back_to(state: &RunState) -> Option<&RunningFact> {
    let deployed = state.facts.target.as_ref().map(|target| &target.tag);
    let unseen = state.parameters.overridden(Check::Airflow).is_some();
    state.facts.running.as_ref().filter(|running| !unseen && Some(&running.tag) != deployed)
}

/// What going back means for Airflow's database; `None` where both versions are known to be the same.
pub fn schema_warning(facts: &Facts) -> Option<String> {
    let now = facts.image.as_ref().and_then(|image| image.airflow_version.as_deref());
    let before = facts.running_image.as_ref().and_then(|image| image.airflow_version.as_deref());
    match (now, before) {
        (Some(now), Some(before)) if now.trim_start_matches('v') == before.trim_start_matches('v') => None,
        (Some(now), Some(before)) => Some(format!(
            "Airflow changes from {now} to {before}; a newer one upgrades the database schema, which does not go back by itself"
        )),
        _ => {
            Some("The Airflow versions of both images are not known; the database schema may have been upgraded".into())
        }
    }
}

/// Where what ran before is known, and from where: a tag is never named without its source.
pub(super) fn advice(state: &RunState, running: &RunningFact) -> String {
    let schema = schema_warning(&state.facts).map(|warning| format!("; {warning}")).unwrap_or_default();
    let RunningFact { tag, source, .. } = running;
    format!("to {tag} ({source}){schema}: catalog-deploy {} --tag {tag}", state.runbook)
}
