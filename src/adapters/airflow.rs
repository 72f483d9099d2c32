//! Airflow 2.x (`/api/v1`) and 3.x (`/api/v2`) behind one pair of traits; which one it is, is found out by asking.

mod address;
mod client;
mod paging;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::ServiceError;
pub use client::{AirflowAuth, AirflowClient};

pub type Result<T> = std::result::Result<T, ServiceError>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dag {
    pub dag_id: String,
    pub is_paused: bool,
}

/// One setting of a DAG's `is_paused`, as Airflow's audit log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseEntry {
    pub paused: bool,
    /// The account; for `airflow dags pause` the user of the machine.
    pub by: String,
    /// Whether that is this client's own account. `None` where it does not know its name (a token).
    pub ours: Option<bool>,
    /// By the server's clock.
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DagRun {
    pub dag_id: String,
    pub run_id: String,
    /// `running` or `queued`
    pub state: String,
    pub start_date: Option<Timestamp>,
}

/// A task instance in one of the active states. `operator` is the class name as Airflow says it, never a task's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskInstance {
    pub dag_id: String,
    pub run_id: String,
    pub task_id: String,
    /// -1 where the task is not mapped.
    pub map_index: i64,
    pub state: String,
    /// `None` where Airflow does not know it (old task instances): never good enough for an exception.
    pub operator: Option<String>,
}

/// States in which a task instance is or may soon be at work.
pub const ACTIVE_STATES: [&str; 7] =
    ["running", "queued", "scheduled", "restarting", "up_for_retry", "up_for_reschedule", "deferred"];

/// One reading of everything that is active.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activity {
    pub runs: Vec<DagRun>,
    pub tasks: Vec<TaskInstance>,
}

/// Parsed health. A component's `status` is `None` where it is not deployed (Airflow says null), which is not unhealthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    pub components: BTreeMap<String, Component>,
    /// The server's own clock at the answer (`Date` header), to judge heartbeats by.
    pub server_time: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    pub status: Option<String>,
    pub heartbeat: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportError {
    pub filename: String,
    /// First line of the last line of the trace: what a person recognises it by.
    pub summary: String,
}

#[async_trait]
pub trait AirflowRead: Send + Sync {
    /// The version as the server says it, e.g. `2.10.5`.
    async fn version(&self) -> Result<String>;
    async fn health(&self) -> Result<Health>;
    /// Running and queued runs and every active task instance: two requests plus paging, pages side by side.
    async fn activity(&self) -> Result<Activity>;
    /// `NotFound` also where this account may not see it.
    async fn dag(&self, dag_id: &str) -> Result<Dag>;
    /// Who set `is_paused`, by the audit log, the newest hundred, newest first. `Forbidden` for an account that may not
    /// read it. What came through the API is logged since 2.9.
    async fn pause_log(&self, dag_id: &str) -> Result<Vec<PauseEntry>>;
    async fn import_errors(&self) -> Result<Vec<ImportError>>;
}

#[async_trait]
pub trait AirflowWrite: AirflowRead {
    /// Set-to-value. Returns what the server says it is now.
    async fn set_paused(&self, dag_id: &str, paused: bool) -> Result<Dag>;
}
