//! Runs of workflows, filtered as GitHub filters them.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::json;

use super::{known, message, not_found, objects, page};
use crate::rehearsal::answer::{self, Parameters, one as parameter};
use crate::rehearsal::shared::{APPLICATION, Shared};
use crate::rehearsal::state::WorkflowRun;
use crate::rehearsal::timeline::{DRAFTING_TAKES, Happening};
use crate::rehearsal::{Fault, seed};

pub(super) async fn all(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Path((owner, name)): Path<(String, String)>,
    Query(query): Query<Parameters>,
) -> Response {
    if known(&owner, &name) != Some(APPLICATION) {
        return not_found();
    }
    let runs = shared.state().workflow_runs.clone();
    filtered(&shared, &uri, &query, runs)
}

pub(super) async fn of_workflow(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Path((owner, name, file)): Path<(String, String, String)>,
    Query(query): Query<Parameters>,
) -> Response {
    if file == seed::DRAFT_WORKFLOW && shared.once(Fault::DraftRunPending) {
        // From when it is first asked for, however long the world took to start.
        shared.after(DRAFTING_TAKES, Happening::RunsEnd { workflow: file.clone() });
    }
    let mut runs = shared.state().workflow_runs.clone();
    runs.retain(|run| run.workflow == file || objects::id_of(&run.workflow).to_string() == file);
    if known(&owner, &name) != Some(APPLICATION) || runs.is_empty() {
        return not_found();
    }
    filtered(&shared, &uri, &query, runs)
}

pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, id)): Path<(String, String, u64)>,
) -> Response {
    let run = shared.state().workflow_runs.iter().find(|run| run.id == id).cloned();
    match run {
        Some(run) if known(&owner, &name) == Some(APPLICATION) => answer::json(200, &value(&shared, &run)),
        _ => not_found(),
    }
}

/// The jobs of a run of CI: what builds, what pushes the catalog's image, and what takes half an hour afterwards.
const JOBS: [&str; 3] =
    ["Determine images to build and publish", "Publish Docker images (catalog)", "Deploy staging frontend"];

pub(super) async fn jobs(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Path((owner, name, id)): Path<(String, String, u64)>,
    Query(query): Query<Parameters>,
) -> Response {
    let run = shared.state().workflow_runs.iter().find(|run| run.id == id).cloned();
    let Some(run) = run.filter(|_| known(&owner, &name) == Some(APPLICATION)) else { return not_found() };
    let over =
        if run.status == "completed" { JOBS.len() } else { 1 + usize::from(shared.has(Fault::BuildDeploysStaging)) };
    let values = JOBS.iter().enumerate().map(|(index, job)| objects::job(&shared, &run, job, index < over)).collect();
    page::wrapped(&shared, &uri, &query, values, |page, total| json!({ "total_count": total, "jobs": page }))
}

fn value(shared: &Shared, run: &WorkflowRun) -> serde_json::Value {
    let commits = shared.state().commits.clone();
    let message = commits.iter().find(|commit| commit.sha == run.head_sha).map_or(run.title.as_str(), |it| &it.message);
    objects::workflow_run(shared, run, message)
}

fn filtered(shared: &Shared, uri: &Uri, query: &Parameters, mut runs: Vec<WorkflowRun>) -> Response {
    let fits = |field: &str, value: &str| parameter(query, field).is_none_or(|wanted| wanted == value);
    let created = match parameter(query, "created").map(Created::parse) {
        Some(None) => return message(422, "Invalid value for `created`"),
        created => created.flatten(),
    };
    runs.retain(|run| {
        let status = parameter(query, "status")
            .is_none_or(|wanted| run.status == wanted || run.conclusion.as_deref() == Some(wanted));
        fits("event", &run.event)
            && fits("branch", &run.head_branch)
            && fits("head_sha", &run.head_sha)
            && fits("actor", &run.actor)
            && status
            && created.as_ref().is_none_or(|created| created.holds(run.created_at))
    });
    runs.sort_by_key(|run| std::cmp::Reverse(run.created_at));
    let values = runs.iter().map(|run| value(shared, run)).collect();
    page::wrapped(shared, uri, query, values, |page, total| json!({ "total_count": total, "workflow_runs": page }))
}

/// GitHub's date search: `>=2024-09-30T10:20:30Z`, `2024-09-30..2024-10-01`, …
struct Created {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Created {
    fn parse(text: &str) -> Option<Self> {
        // `+00:00` loses its sign in a query that was not encoded, as it does at GitHub.
        let moment = |text: &str| match text {
            "*" => Some(None),
            _ => text.parse().ok().or_else(|| format!("{text}T00:00:00Z").parse().ok()).map(Some),
        };
        if let Some((from, to)) = text.split_once("..") {
            return Some(Self { from: moment(from)?, to: moment(to)? });
        }
        if let Some(from) = text.strip_prefix(">=").or_else(|| text.strip_prefix('>')) {
            return Some(Self { from: moment(from)?, to: None });
        }
        if let Some(to) = text.strip_prefix("<=").or_else(|| text.strip_prefix('<')) {
            return Some(Self { from: None, to: moment(to)? });
        }
        moment(text).map(|at| Self { from: at, to: at })
    }

    fn holds(&self, at: Timestamp) -> bool {
        // GitHub compares whole seconds.
        let seconds = at.as_second();
        self.from.is_none_or(|from| seconds >= from.as_second()) && self.to.is_none_or(|to| seconds <= to.as_second())
    }
}
