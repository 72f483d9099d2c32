//! Reading the queries and bodies of listings, and refusing what the real server refuses, in words both editions use.

use serde_json::{Map, Value};

use super::Wanted;
use crate::rehearsal::answer::{Parameters, all, one};

/// What is wrong with a request: which field, and why.
pub(super) struct Wrong {
    pub(super) field: String,
    pub(super) why: String,
}

fn wrong(field: &str, why: impl Into<String>) -> Wrong {
    Wrong { field: field.to_owned(), why: why.into() }
}

pub(super) const RUN_STATES: &[&str] = &["queued", "running", "success", "failed"];
pub(super) const TASK_STATES: &[&str] = &[
    "success",
    "running",
    "failed",
    "upstream_failed",
    "skipped",
    "up_for_retry",
    "up_for_reschedule",
    "queued",
    "none",
    "scheduled",
    "deferred",
    "removed",
    "restarting",
];

fn check_states(field: &str, states: &[String], known: &[&str]) -> Result<(), Wrong> {
    match states.iter().find(|state| !known.contains(&state.as_str())) {
        Some(state) => Err(wrong(field, format!("'{state}' is not one of {known:?}"))),
        None => Ok(()),
    }
}

/// The path's `~` stands for all.
pub(super) fn unless_all(segment: &str) -> Vec<String> {
    if segment == "~" { Vec::new() } else { vec![segment.to_owned()] }
}

/// `limit`, `offset` and `state` of a GET.
pub(super) fn from_query(query: &Parameters, fallback: usize, known: &[&str]) -> Result<Wanted, Wrong> {
    let number = |name: &str, default: usize| match one(query, name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| wrong(name, "Input should be a valid integer")),
    };
    let states = all(query, "state");
    check_states("state", &states, known)?;
    let limit = match number("limit", fallback)? {
        0 => fallback,
        limit => limit,
    };
    Ok(Wanted { dags: Vec::new(), runs: Vec::new(), states, limit, offset: number("offset", 0)? })
}

/// The body of a POST that lists. `states` is the field's name: plural for runs, singular for task instances.
pub(super) fn from_body(
    body: &Map<String, Value>,
    states: &str,
    known: &[&str],
    others: &[&str],
) -> Result<Wanted, Wrong> {
    let read = ["dag_ids", "dag_run_ids", "page_limit", "page_offset", states];
    if let Some(field) = body.keys().find(|key| !read.contains(&key.as_str()) && !others.contains(&key.as_str())) {
        return Err(wrong(field, "Unknown field."));
    }
    let list = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong(name, "Not a valid string.")))
            .collect(),
        Some(_) => Err(wrong(name, "Not a valid list.")),
    };
    let number = |name: &str, default: usize, least: u64| match body.get(name) {
        None => Ok(default),
        Some(value) => match value.as_u64() {
            Some(number) if number >= least => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
            _ => Err(wrong(name, format!("Must be greater than or equal to {least}."))),
        },
    };
    let wanted = Wanted {
        dags: list("dag_ids")?,
        runs: list("dag_run_ids")?,
        states: list(states)?,
        limit: number("page_limit", 100, 1)?,
        offset: number("page_offset", 0, 0)?,
    };
    check_states(states, &wanted.states, known)?;
    Ok(wanted)
}
