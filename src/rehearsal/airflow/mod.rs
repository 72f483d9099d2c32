//! Airflow 2.x and 3.x behind a proxy: one instance that reboots when Terraform replaces it.

mod ask;
mod instance;
mod v2;
mod v3;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use axum::routing::any;

pub(super) use instance::{deployed_tag, observe, replaced};
pub(super) use v2::base64;

use super::answer::{self, Parameters};
use super::shared::{Shared, VIEWER};
use super::state::{Dag, DagRun, PauseEntry, Task};
use super::timeline::Happening;
use super::{AirflowEdition, Fault, seed};

const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in - Cloudflare Access</title></head>\
    <body><form method=\"post\"><input name=\"email\"></form></body></html>\n";
const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
/// The server never gives more, whatever is asked, and does not say so.
const LARGEST_PAGE: usize = 100;
/// From when it is first seen: well within the two minutes that a hurried run gives it (0.8 s).
const SHORT_RUN: Duration = Duration::from_millis(300);

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(any(answer)).with_state(shared)
}

/// A request taken apart: percent-decoded segments of its path.
struct Asked<'r> {
    method: &'r str,
    segments: Vec<String>,
    query: &'r Parameters,
    headers: &'r HeaderMap,
    body: &'r [u8],
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Query(query): Query<Parameters>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if shared.has(Fault::LoginPage) {
        return answer::typed(200, "text/html; charset=utf-8", LOGIN_PAGE);
    }
    if shared.was_planned() && shared.once(Fault::DagStartsAfterPlan) {
        shared.start_run("flickr_workflow", "running", &[("pull_data", "PythonOperator", "running")]);
    }
    if !observe(&shared) {
        return answer::typed(502, "text/html", BAD_GATEWAY);
    }
    let segments = uri.path().split('/').skip(1).map(decode).collect();
    let asked = Asked { method: method.as_str(), segments, query: &query, headers: &headers, body: &body };
    match shared.options.airflow {
        AirflowEdition::V2 => v2::answer(&shared, &asked),
        AirflowEdition::V3 => v3::answer(&shared, &asked),
    }
}

fn decode(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| segment.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Which runs or task instances a listing is about; empty lists do not filter.
#[derive(Debug, Default)]
struct Wanted {
    dags: Vec<String>,
    runs: Vec<String>,
    states: Vec<String>,
    limit: usize,
    offset: usize,
}

impl Wanted {
    fn of(&self, dag: &str, run: &str, state: &str) -> bool {
        let fits = |list: &[String], value: &str| list.is_empty() || list.iter().any(|known| known == value);
        fits(&self.dags, dag) && fits(&self.runs, run) && fits(&self.states, state)
    }

    /// One page, and how many there are in all.
    fn page<'t, T: Clone + 't>(&self, all: impl Iterator<Item = &'t T>) -> (Vec<T>, usize) {
        let end = self.offset.saturating_add(self.limit.min(LARGEST_PAGE));
        // Only the page is copied: lists of thousands are read in hundreds of pages.
        let (mut page, mut total) = (Vec::new(), 0);
        for item in all {
            if (self.offset..end).contains(&total) {
                page.push(item.clone());
            }
            total += 1;
        }
        (page, total)
    }
}

fn dags(shared: &Shared, wanted: &Wanted) -> (Vec<Dag>, usize) {
    let blind = shared.has(Fault::BlindAccount);
    wanted.page(shared.state().airflow.dags.iter().filter(|_| !blind))
}

fn runs(shared: &Shared, wanted: &Wanted) -> (Vec<DagRun>, usize) {
    if shared.once(Fault::ShortRunFinishes) {
        let first = shared.state().airflow.runs.first().cloned();
        if let Some(run) = first {
            shared.after(SHORT_RUN, Happening::RunEnds { dag: run.dag_id, run: run.run_id });
        }
    }
    let blind = shared.has(Fault::BlindAccount);
    let of = |run: &&DagRun| !blind && wanted.of(&run.dag_id, &run.run_id, &run.state);
    wanted.page(shared.state().airflow.runs.iter().filter(of))
}

fn tasks(shared: &Shared, wanted: &Wanted) -> (Vec<Task>, usize) {
    // 2.x keeps the DAG runs that an account may not read to itself, and not their task instances.
    let blind = shared.has(Fault::BlindAccount) && shared.options.airflow == AirflowEdition::V3;
    let of = |task: &&Task| !blind && wanted.of(&task.dag_id, &task.run_id, &task.state);
    wanted.page(shared.state().airflow.tasks.iter().filter(of))
}

/// What becomes of a request for one DAG.
enum Found {
    Dag(Dag),
    Unknown,
    /// It exists, and this account may not read it.
    Forbidden,
}

fn dag(shared: &Shared, dag_id: &str) -> Found {
    match shared.state().airflow.dags.iter().find(|dag| dag.dag_id == dag_id) {
        Some(_) if shared.has(Fault::BlindAccount) => Found::Forbidden,
        Some(dag) => Found::Dag(dag.clone()),
        None => Found::Unknown,
    }
}

/// Pausing of one DAG by the audit log, the newest first, each with its number; `None` where this account may not read it.
fn pause_log(shared: &Shared, dag_id: &str) -> Option<Vec<(usize, PauseEntry)>> {
    if shared.has(Fault::BlindAccount) {
        return None;
    }
    let state = shared.state();
    let of = state.airflow.pauses.iter().cloned().enumerate().filter(|(_, entry)| entry.dag_id == dag_id);
    Some(of.rev().take(LARGEST_PAGE).collect())
}

/// Sets it and lets follow what a fault has in store.
fn pause(shared: &Shared, dag_id: &str, paused: bool) -> Found {
    if let Found::Dag(_) = dag(shared, dag_id) {
        shared.state().airflow.set_paused(dag_id, paused, VIEWER);
    }
    if paused && dag_id == "image_data_refresh" && shared.once(Fault::RefreshMovesOn) {
        moves_on(shared, dag_id);
    }
    dag(shared, dag_id)
}

/// The sensor had just succeeded, so its follower was started before the pause took hold.
fn moves_on(shared: &Shared, dag_id: &str) {
    let run = {
        let mut state = shared.state();
        for task in state.airflow.tasks.iter_mut().filter(|task| task.dag_id == dag_id) {
            task.task_id = "data_refresh.promote".into();
            task.operator = "PythonOperator".into();
            task.state = "running".into();
        }
        state.airflow.runs.iter().find(|run| run.dag_id == dag_id).map(|run| run.run_id.clone())
    };
    if let Some(run) = run {
        shared.after(Duration::from_millis(1500), Happening::RunEnds { dag: dag_id.to_owned(), run });
    }
}

impl Shared {
    /// Adds a run; tasks are id, operator class, state.
    pub(super) fn start_run(&self, dag: &str, state: &str, tasks: &[(&str, &str, &str)]) -> String {
        let mut world = self.state();
        seed::run(&mut world.airflow, dag, state, tasks);
        world.airflow.runs.last().map(|run| run.run_id.clone()).unwrap_or_default()
    }
}
