//! What must hold of every history. Pure: a rule sees what the world saw, and the journal only as it lay on the disk at
//! the moment of a change.

mod ends;
mod foreign;
#[cfg(test)]
mod forged;
mod intent;
mod last;
mod lock;
mod once;
mod order;

use crate::history::{History, What};
use crate::scenario::Scenario;

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub what: String,
}

type Rule = fn(&History, Scenario) -> Vec<String>;

/// Every rule by its name.
pub const RULES: &[(&str, Rule)] = &[
    ("intent", intent::durable),
    ("lock", lock::held),
    ("once", once::at_most),
    ("unpause-late", order::flag_before_unpause),
    ("flag-in-apply", order::flag_during_apply),
    ("flag-left", last::flag_left),
    ("paused-stays", foreign::paused_stays),
    ("not-ours", foreign::not_ours),
    ("lock-left", last::lock_left),
    ("dags-left", last::dags_left),
    ("final-world", last::world),
    ("exit-code", ends::exit_code),
    ("next-command", ends::next_command),
    ("panic", ends::panic),
    ("doubt", ends::doubt),
    ("no-end", ends::no_end),
];

pub fn check(history: &History, scenario: Scenario) -> Vec<Violation> {
    let found = |(rule, judge): &(&'static str, Rule)| {
        let rule = *rule;
        judge(history, scenario).into_iter().map(move |what| Violation { rule, what })
    };
    RULES.iter().flat_map(found).collect()
}

/// The step of the runbook that makes such a change; `None` for what no step does.
fn step(what: &What, turns_flag: bool) -> Option<&'static str> {
    match what {
        What::Request { method, path, body, .. } => match method.as_str() {
            "PATCH" if path.contains("/releases/") => Some("publish"),
            "PATCH" if path.contains("/dags/") && !body["is_paused"].is_null() => Some("hold-dags"),
            "POST" if path.ends_with("/reviews") => Some("changelog"),
            "POST" if path.ends_with("/pulls") => Some("pull-request"),
            _ => None,
        },
        What::Ref { name, .. } if name == crate::facts::LOCK => Some("lock"),
        What::Ref { .. } => Some("pull-request"),
        What::Apply => Some("apply"),
        What::Bump => Some("bump"),
        What::Edit { .. } => Some(if turns_flag { "flag" } else { "bump" }),
    }
}

/// A change in words.
fn words(what: &What) -> String {
    match what {
        What::Request { method, path, body, .. } => format!("{method} {path} {body}"),
        What::Ref { name, old, new } => format!("{name} {}..{}", short(old), short(new)),
        What::Apply => "terraform apply".into(),
        What::Bump => "just bump".into(),
        What::Edit { file } => format!("edit of {file}"),
    }
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
