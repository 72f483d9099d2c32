//! Airflow's answers as they come, both versions in one shape, and only the few fields that are used.
//!
//! Parsed defensively: a date that cannot be read is `None`, unknown fields and components are welcome.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Component, Dag, DagRun, Health, ImportError, PauseEntry, TaskInstance};

#[derive(Deserialize)]
pub(super) struct Version {
    pub version: String,
}

#[derive(Deserialize)]
pub(super) struct Token {
    pub access_token: String,
}

#[derive(Deserialize)]
pub(super) struct WireDag {
    dag_id: String,
    is_paused: bool,
}

impl From<WireDag> for Dag {
    fn from(wire: WireDag) -> Self {
        Self { dag_id: wire.dag_id, is_paused: wire.is_paused }
    }
}

/// Events of the audit log that set `is_paused`: of the API (`www/decorators.py` of 2.9 and 2.10 puts `api.` or `ui.`
/// before the name, 3.x does not), of the grid of 2.x, and of `airflow dags pause`. Not told by DAG, and so not seen:
/// `PATCH /dags` and `airflow dags pause --treat-dag-id-as-regex`.
pub(super) const PAUSING: [&str; 6] =
    ["patch_dag", "api.patch_dag", "ui.patch_dag", "paused", "cli_dag_pause", "cli_dag_unpause"];

#[derive(Deserialize)]
pub(super) struct EventLogs {
    pub event_logs: Vec<WireEventLog>,
}

#[derive(Deserialize)]
pub(super) struct WireEventLog {
    event: String,
    owner: Option<String>,
    when: Option<String>,
    /// JSON in a string: what was sent, without the DAG's id.
    extra: Option<String>,
}

impl WireEventLog {
    /// `None` where the entry is not about pausing, or cannot be read. `account` is our own.
    pub fn pause(self, account: Option<&str>) -> Option<PauseEntry> {
        let paused = match self.event.as_str() {
            "cli_dag_pause" => true,
            "cli_dag_unpause" => false,
            _ => serde_json::from_str::<Value>(self.extra.as_deref()?).ok()?.get("is_paused")?.as_bool()?,
        };
        let by = self.owner?;
        // A user of the machine may be named as the account is. FAB does not mind the case of a login.
        let ours = match self.event.starts_with("cli_") {
            true => Some(false),
            false => account.map(|account| account.eq_ignore_ascii_case(&by)),
        };
        Some(PauseEntry { paused, by, ours, at: timestamp(self.when.as_deref()?)? })
    }
}

#[derive(Deserialize)]
pub(super) struct Runs {
    pub dag_runs: Vec<WireRun>,
    pub total_entries: usize,
}

#[derive(Deserialize)]
pub(super) struct WireRun {
    pub dag_id: String,
    pub dag_run_id: String,
    state: String,
    start_date: Option<String>,
    execution_date: Option<String>,
}

impl From<WireRun> for DagRun {
    fn from(wire: WireRun) -> Self {
        Self {
            dag_id: wire.dag_id,
            run_id: wire.dag_run_id,
            state: wire.state,
            start_date: wire.start_date.as_deref().and_then(timestamp),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Tasks {
    pub task_instances: Vec<WireTask>,
    pub total_entries: usize,
}

#[derive(Deserialize)]
pub(super) struct WireTask {
    dag_id: String,
    /// Absent before Airflow 2.3, where only `execution_date` names the run.
    dag_run_id: Option<String>,
    execution_date: Option<String>,
    task_id: String,
    #[serde(default = "unmapped")]
    map_index: i64,
    state: Option<String>,
    operator: Option<String>,
}

/// -1: the task is not mapped.
fn unmapped() -> i64 {
    -1
}

impl WireTask {
    /// What tells two task instances of one list apart.
    pub fn key(&self) -> (String, Option<String>, Option<String>, String, i64) {
        let dates = self.execution_date.clone();
        (self.dag_id.clone(), self.dag_run_id.clone(), dates, self.task_id.clone(), self.map_index)
    }
}

/// Puts both lists together; a task instance without a run id gets that of the run with its execution date.
pub(super) fn activity(runs: Vec<WireRun>, tasks: Vec<WireTask>) -> super::Activity {
    let by_date: HashMap<(&str, &str), &str> = runs
        .iter()
        .filter_map(|run| Some(((run.dag_id.as_str(), run.execution_date.as_deref()?), run.dag_run_id.as_str())))
        .collect();
    let tasks = tasks
        .into_iter()
        .map(|task| {
            let date = task.execution_date.unwrap_or_default();
            let known = by_date.get(&(task.dag_id.as_str(), date.as_str())).map(|id| (*id).to_owned());
            TaskInstance {
                run_id: task.dag_run_id.or(known).unwrap_or(date),
                dag_id: task.dag_id,
                task_id: task.task_id,
                map_index: task.map_index,
                state: task.state.unwrap_or_else(|| "none".into()),
                operator: task.operator.filter(|operator| !operator.is_empty()),
            }
        })
        .collect();
    super::Activity { tasks, runs: runs.into_iter().map(DagRun::from).collect() }
}

#[derive(Deserialize)]
pub(super) struct ImportErrors {
    pub import_errors: Vec<WireImportError>,
    pub total_entries: usize,
}

#[derive(Deserialize)]
pub(super) struct WireImportError {
    #[serde(alias = "id")]
    pub import_error_id: Option<i64>,
    pub filename: Option<String>,
    stack_trace: Option<String>,
}

impl From<WireImportError> for ImportError {
    fn from(wire: WireImportError) -> Self {
        let trace = wire.stack_trace.unwrap_or_default();
        let last = trace.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        Self { filename: wire.filename.unwrap_or_else(|| "unknown file".into()), summary: without_addresses(last) }
    }
}

/// Memory addresses differ in every process, so an old error would look like a new one after a restart.
fn without_addresses(line: &str) -> String {
    let mut parts = line.split("0x");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("0x…");
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    }
    text
}

/// `None` where it holds neither a scheduler nor a database: whatever that is, it is not Airflow's health.
pub(super) fn health(answer: &Value, server_time: Option<Timestamp>) -> Option<Health> {
    let components: BTreeMap<String, Component> = answer
        .as_object()?
        .iter()
        .filter_map(|(name, value)| {
            let fields = value.as_object()?;
            let heartbeat = fields
                .iter()
                .find(|(key, _)| key.starts_with("latest_") && key.ends_with("_heartbeat"))
                .and_then(|(_, value)| timestamp(value.as_str()?));
            let status = fields.get("status").and_then(Value::as_str).map(str::to_owned);
            Some((name.clone(), Component { status, heartbeat }))
        })
        .collect();
    (components.contains_key("scheduler") || components.contains_key("metadatabase"))
        .then_some(Health { components, server_time })
}

/// ISO 8601 with an offset or `Z`.
fn timestamp(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// The `Date` header, e.g. `Fri, 20 Nov 2026 08:50:08 GMT`.
pub(super) fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}
