//! Judges a plan against what the runbook expects: addresses, actions, and everything else that Terraform tells.

use std::collections::BTreeMap;

use crate::adapters::checkout::{Plan, PlannedChange};
use crate::runbook::schema::Infrastructure;

/// A plan, sorted into what the runbook expects and what a person must think about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    pub expected: Vec<PlannedChange>,
    pub unexpected: Vec<PlannedChange>,
    /// Names of changed outputs.
    pub outputs: Vec<String>,
    /// Reasons beyond resource changes, each a sentence.
    pub concerns: Vec<String>,
    /// The recipe targets one module, so the rest of the state was not looked at.
    pub targeted: bool,
}

impl Judgement {
    /// Applying it would change neither a resource nor an output.
    pub fn nothing(&self) -> bool {
        self.expected.is_empty() && self.unexpected.is_empty() && self.outputs.is_empty()
    }

    /// It holds what the runbook expects, and no more.
    pub fn as_expected(&self) -> bool {
        self.unexpected.is_empty() && self.concerns.is_empty()
    }

    /// What a person judges it by, one line each, the unexpected first.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![counts(self.expected.iter().chain(&self.unexpected))];
        lines.extend(self.unexpected.iter().map(|change| format!("NOT EXPECTED: {}", describe(change))));
        lines.extend(self.concerns.iter().map(|concern| format!("ATTENTION: {concern}")));
        lines.extend(self.expected.iter().map(describe));
        if !self.outputs.is_empty() {
            lines.push(format!("outputs: {}", self.outputs.join(", ")));
        }
        if self.targeted {
            lines.push("the recipe targets one module: nothing outside it was planned".into());
        }
        lines
    }
}

/// Pure; the same plan gives the same judgement.
pub fn judge_plan(plan: &Plan, infrastructure: &Infrastructure) -> Judgement {
    let is_expected = |change: &PlannedChange| {
        infrastructure
            .expected
            .iter()
            .any(|expected| matches(&expected.address, &change.address) && expected.actions.contains(&change.actions))
    };
    let (expected, unexpected): (Vec<_>, Vec<_>) = plan.changes.iter().cloned().partition(is_expected);
    let mut judgement =
        Judgement { expected, unexpected, outputs: plan.outputs.clone(), concerns: Vec::new(), targeted: false };
    judgement.concerns.extend(
        plan.drift
            .iter()
            .map(|drift| format!("changed outside of Terraform: {} ({})", drift.address, verb(&drift.actions))),
    );
    judgement.concerns.extend(plan.checks.iter().map(|(address, status)| format!("the check {address} says {status}")));
    if plan.errored {
        judgement.concerns.push("Terraform says that this plan ran into errors".into());
    }
    match (plan.complete, infrastructure.targets) {
        (true, _) => {}
        (false, true) => judgement.targeted = true,
        (false, false) => judgement.concerns.push(
            "Terraform calls this plan incomplete, and the runbook does not say that its recipe targets a module"
                .into(),
        ),
    }
    if !judgement.outputs.is_empty() && plan.changes.is_empty() {
        judgement.concerns.push("only outputs would change: no instance restarts, so no new version would run".into());
    }
    judgement
}

/// `*` in `pattern` stands for any run of characters.
pub fn matches(pattern: &str, address: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| address.strip_prefix(head)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Terraform's actions in one word.
pub fn verb(actions: &str) -> &str {
    match actions {
        "create" => "create",
        "update" => "update",
        "delete/create" | "create/delete" => "replace",
        "delete" => "destroy",
        other => other,
    }
}

fn counts<'a>(changes: impl Iterator<Item = &'a PlannedChange>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for change in changes {
        *counts.entry(verb(&change.actions)).or_default() += 1;
    }
    let fixed = ["create", "update", "replace", "destroy"];
    let mut parts: Vec<String> =
        fixed.iter().map(|verb| format!("{} to {verb}", counts.remove(verb).unwrap_or_default())).collect();
    parts.extend(counts.iter().map(|(verb, count)| format!("{count} to {verb}")));
    parts.join(", ")
}

fn describe(change: &PlannedChange) -> String {
    let why = change.reason.as_deref().map(|reason| format!(" ({})", reason.replace('_', " "))).unwrap_or_default();
    format!("{} {}{why}", verb(&change.actions), change.address)
}

#[cfg(test)]
#[path = "plan_judgement_tests.rs"]
mod tests;
