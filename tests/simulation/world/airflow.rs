//! DAGs with their runs, and the instance that Airflow is on.

use std::collections::BTreeMap;

use catalog_deploy::adapters::airflow::{Activity, DagRun, PauseEntry, TaskInstance};

use super::infra::moment;

pub struct Airflow {
    /// Whether each DAG is paused.
    pub dags: BTreeMap<String, bool>,
    /// Who set `is_paused` of each DAG, oldest first.
    pub pauses: BTreeMap<String, Vec<PauseEntry>>,
    /// Our account may read that.
    pub audit: bool,
    /// It was asked for, and not told.
    pub untold: bool,
    pub runs: Vec<DagRun>,
    /// Since when each DAG has a task at work.
    working: BTreeMap<String, i64>,
    pub tasks: Vec<TaskInstance>,
    pub version: String,
    /// When the instance answers (`None`: there is none), and its scheduler beats from then on.
    pub up_from: Option<i64>,
    /// Its clock minus the true time.
    pub skew: i64,
}

pub const REFRESHES: [&str; 2] = ["image_data_refresh", "audio_data_refresh"];

impl Airflow {
    pub fn new() -> Self {
        let names = ["audio_data_refresh", "flickr_workflow", "image_data_refresh"];
        let short = "production_elasticsearch_cluster_healthcheck";
        let dags = names.into_iter().chain([short]).map(|dag| (dag.to_owned(), false)).collect();
        let pauses = BTreeMap::new();
        let up_from = Some(-3_600_000);
        Self {
            dags,
            pauses,
            runs: Vec::new(),
            working: BTreeMap::new(),
            tasks: Vec::new(),
            version: "2.9.3".into(),
            up_from,
            skew: 0,
            audit: true,
            untold: false,
        }
    }

    pub fn up(&self, now: i64) -> bool {
        self.up_from.is_some_and(|from| now >= from)
    }

    /// What it was before; `None` where there is no such DAG.
    pub fn set_paused(&mut self, dag: &str, paused: bool, ours: bool, now: i64) -> Option<bool> {
        let known = self.dags.get_mut(dag)?;
        let by = if ours { "maintainer" } else { "bob" }.to_owned();
        let at = moment(now + self.skew);
        self.pauses.entry(dag.into()).or_default().push(PauseEntry { paused, by, ours: Some(ours), at });
        Some(std::mem::replace(known, paused))
    }

    /// One run with one task; a refresh waits on its sensor.
    pub fn start(&mut self, dag: &str, now: i64) {
        if self.dags.get(dag) != Some(&false) {
            return;
        }
        let refresh = REFRESHES.contains(&dag);
        if !refresh {
            self.working.entry(dag.to_owned()).or_insert(now);
        }
        let run_id = format!("scheduled__{now}");
        let (task_id, operator, state) =
            if refresh { ("wait", "HttpSensor", "up_for_reschedule") } else { ("work", "PythonOperator", "running") };
        self.tasks.push(TaskInstance {
            dag_id: dag.into(),
            run_id: run_id.clone(),
            task_id: task_id.into(),
            map_index: -1,
            state: state.into(),
            operator: Some(operator.into()),
        });
        self.runs.push(DagRun { dag_id: dag.into(), run_id, state: "running".into(), start_date: Some(moment(now)) });
    }

    pub fn end(&mut self, dag: &str) {
        self.working.remove(dag);
        self.runs.retain(|run| run.dag_id != dag);
        self.tasks.retain(|task| task.dag_id != dag);
    }

    /// The sensor is through, and the task behind it works.
    pub fn moves_on(&mut self, dag: &str, now: i64) {
        if self.tasks.iter().any(|task| task.dag_id == dag) {
            self.working.entry(dag.to_owned()).or_insert(now);
        }
        for task in self.tasks.iter_mut().filter(|task| task.dag_id == dag) {
            task.operator = Some("PythonOperator".into());
            task.state = "running".into();
        }
    }

    pub fn busy(&self) -> Vec<(String, i64)> {
        self.working.iter().map(|(dag, since)| (dag.clone(), *since)).collect()
    }

    pub fn activity(&self) -> Activity {
        Activity { runs: self.runs.clone(), tasks: self.tasks.clone() }
    }

    /// The instance goes: whatever worked on it is killed, what waits in the database waits on.
    pub fn destroyed(&mut self) {
        self.up_from = None;
        let killed: Vec<String> =
            self.tasks.iter().filter(|task| task.state == "running").map(|task| task.dag_id.clone()).collect();
        for dag in killed {
            self.end(&dag);
        }
    }
}
