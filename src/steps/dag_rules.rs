//! Which running DAGs allow a deploy. Pure: a reading of Airflow and the runbook's rules in, a verdict out.
//!
//! A deploy kills every running task. The one exception: a refresh DAG may run while *every* active task of *every* run
//! of it is a waiting sensor, told by its operator's class and never by its name; it is paused for the time of the deploy.

mod refusals;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::{BTreeMap, BTreeSet};

use crate::adapters::airflow::{Activity, TaskInstance};
use crate::facts::{Override, Subject};
use crate::runbook::schema::AirflowService;

pub use refusals::{evidence, names, refusals};
pub use versions::{same_version, version_order};

/// States in which a sensor in reschedule mode waits: between two pokes, during one, or deferred to the triggerer.
const WAITING_STATES: [&str; 3] = ["up_for_reschedule", "running", "deferred"];

/// What the runbook says of DAGs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// DAGs that may be paused and deployed over while they wait.
    pub refresh_dags: Vec<String>,
    /// Operator classes that wait.
    pub waiting_operators: Vec<String>,
    /// DAGs whose runs take seconds.
    pub short_dags: Vec<String>,
}

impl From<&AirflowService> for Rules {
    fn from(service: &AirflowService) -> Self {
        Self {
            refresh_dags: service.refresh_dags.clone(),
            waiting_operators: service.waiting_operators.clone(),
            short_dags: service.short_dags.clone(),
        }
    }
}

/// Why a run is in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The run's state, for a DAG that is not in the exception.
    Runs { state: String },
    /// A refresh without any active task: what it does next cannot be known.
    NoActiveTask { state: String },
    /// A refresh with a task that is not a waiting sensor, the first such.
    Task { task: String, operator: Option<String>, state: String },
}

/// All active runs of one DAG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub dag: String,
    pub runs: usize,
    /// Id of the run that `reason` is about.
    pub run: String,
    pub reason: Reason,
}

/// A refresh of which every run waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub dag: String,
    pub runs: usize,
    /// The waiting task and its operator's class.
    pub task: String,
    pub operator: String,
}

/// A DAG that may be killed, and the reason a person gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    pub running: Running,
    pub reason: String,
}

/// Each active DAG in exactly one of four lists, each sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// In the way.
    pub blocking: Vec<Running>,
    /// In the way for seconds.
    pub short: Vec<Running>,
    /// Allowed once they are paused.
    pub waiting: Vec<Waiting>,
    pub overridden: Vec<Overridden>,
    /// Overrides that hit nothing, one sentence each.
    pub warnings: Vec<String>,
}

impl Verdict {
    /// Nothing is in the way, not even for seconds.
    pub fn clear(&self) -> bool {
        self.blocking.is_empty() && self.short.is_empty()
    }

    /// Whether this DAG is in the way now.
    pub fn blocks(&self, dag: &str) -> bool {
        self.blocking.iter().chain(&self.short).any(|running| running.dag == dag)
    }

    /// Every DAG that runs and is allowed to, with the reason: what the run records.
    pub fn allowed(&self) -> Vec<String> {
        let waiting = self.waiting.iter().map(|it| format!("{}: waits on {} ({})", it.dag, it.task, it.operator));
        let overridden = self.overridden.iter().map(|it| format!("{}: overridden, {}", it.running.dag, it.reason));
        waiting.chain(overridden).collect()
    }
}

/// One active run with its active tasks.
#[derive(Default)]
struct Run<'a> {
    state: Option<&'a str>,
    tasks: Vec<&'a TaskInstance>,
}

/// Judges one reading.
///
/// A run counts when it is listed (running or queued: queued runs start under the deploy) *or* has an active task: both
/// lists are read side by side, so a run that began in between is in one of them only.
pub fn judge(activity: &Activity, rules: &Rules, overrides: &[Override]) -> Verdict {
    let mut dags: BTreeMap<&str, BTreeMap<&str, Run<'_>>> = BTreeMap::new();
    for run in &activity.runs {
        dags.entry(&run.dag_id).or_default().entry(&run.run_id).or_default().state = Some(&run.state);
    }
    for task in &activity.tasks {
        dags.entry(&task.dag_id).or_default().entry(&task.run_id).or_default().tasks.push(task);
    }
    let mut verdict = Verdict::default();
    for (dag, runs) in &dags {
        let refresh = rules.refresh_dags.iter().any(|name| name == dag);
        let running = match worst(runs, refresh, rules) {
            Err(waiting) => {
                verdict.waiting.push(Waiting { dag: (*dag).to_owned(), runs: runs.len(), ..waiting });
                continue;
            }
            Ok((run, reason)) => Running { dag: (*dag).to_owned(), runs: runs.len(), run: run.to_owned(), reason },
        };
        if let Some((_, reason)) = dags_of(overrides).find(|(given, _)| given == dag) {
            verdict.overridden.push(Overridden { running, reason: reason.to_owned() });
        } else if rules.short_dags.iter().any(|name| name == dag) {
            verdict.short.push(running);
        } else {
            verdict.blocking.push(running);
        }
    }
    let active: BTreeSet<&str> = dags.keys().copied().collect();
    verdict.warnings =
        dags_of(overrides).filter(|(dag, _)| !active.contains(dag)).map(|(dag, _)| unused(dag, &active)).collect();
    verdict
}

/// The DAGs among what was overridden, each with the reason.
fn dags_of(overrides: &[Override]) -> impl Iterator<Item = (&str, &str)> {
    overrides.iter().filter_map(|given| match &given.subject {
        Subject::Dag { dag } => Some((dag.as_str(), given.reason.as_str())),
        Subject::Check { .. } => None,
    })
}

/// The run that is in the way and why; `Err` where all of them wait, with one sensor as the evidence.
fn worst<'a>(runs: &BTreeMap<&'a str, Run<'a>>, refresh: bool, rules: &Rules) -> Result<(&'a str, Reason), Waiting> {
    let mut sensor = None;
    for (id, run) in runs {
        let state = run.state.unwrap_or("ending, but still has tasks at work").to_owned();
        if !refresh {
            return Ok((id, Reason::Runs { state }));
        }
        let Some(first) = run.tasks.first() else { return Ok((id, Reason::NoActiveTask { state })) };
        if let Some(task) = run.tasks.iter().find(|task| !waits(task, rules)) {
            let name =
                if task.map_index < 0 { task.task_id.clone() } else { format!("{}[{}]", task.task_id, task.map_index) };
            return Ok((id, Reason::Task { task: name, operator: task.operator.clone(), state: task.state.clone() }));
        }
        sensor = sensor.or_else(|| Some((first.task_id.clone(), first.operator.clone().unwrap_or_default())));
    }
    let (task, operator) = sensor.unwrap_or_default();
    Err(Waiting { dag: String::new(), runs: 0, task, operator })
}

/// An operator that is not known is never good enough.
fn waits(task: &TaskInstance, rules: &Rules) -> bool {
    task.operator.as_ref().is_some_and(|operator| rules.waiting_operators.contains(operator))
        && WAITING_STATES.contains(&task.state.as_str())
}

fn unused(dag: &str, active: &BTreeSet<&str>) -> String {
    let near = active
        .iter()
        .map(|name| (distance(dag, name), *name))
        .min()
        .filter(|(distance, _)| *distance <= 1 + dag.chars().count() / 8);
    match near {
        Some((_, name)) => format!("--override {dag}: no such DAG is running; did you mean {name}?"),
        None => format!("--override {dag}: this DAG is not running, so there was nothing to override"),
    }
}

/// Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
