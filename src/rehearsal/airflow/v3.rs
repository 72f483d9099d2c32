//! Airflow 3.x: `/api/v2` with a JWT from `/auth/token`, FastAPI's errors and strictness.

use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::ask::{self, RUN_STATES, TASK_STATES, Wrong};
use super::{Asked, Found, Wanted, instance, v2::base64};
use crate::rehearsal::answer::{self, all, header, object, one};
use crate::rehearsal::shared::{Shared, VIEWER};
use crate::rehearsal::state::{Dag, DagRun, Task};

/// What the server gives where no limit is asked for.
const FALLBACK_PAGE: usize = 50;
const FILTERS: [&str; 5] = ["order_by", "pool", "queue", "executor", "task_ids"];

pub(super) fn answer(shared: &Shared, asked: &Asked<'_>) -> Response {
    let segments: Vec<&str> = asked.segments.iter().map(String::as_str).collect();
    let is_get = asked.method == "GET";
    match segments.as_slice() {
        ["auth", "token"] if asked.method == "POST" => token(shared, asked),
        ["auth", "token"] => detail(405, "Method Not Allowed"),
        ["api", "v2", "monitor", "health"] if is_get => answer::json(200, &health(shared)),
        ["api", "v2", "version"] if is_get => {
            let version = &shared.state().airflow.instance.version;
            let git = format!(".release:{}", shared.commit(version));
            answer::json(200, &json!({ "version": version, "git_version": git }))
        }
        ["api", "v1", ..] => {
            nowhere("/api/v1 has been removed in Airflow 3, please use its upgraded version /api/v2 instead.")
        }
        ["api", "v2", rest @ ..] => match header(asked.headers, "authorization").strip_prefix("Bearer ") {
            None => detail(401, "Not authenticated"),
            Some(token) if !shared.state().airflow.tokens.contains(token) => detail(403, "Invalid JWT token"),
            Some(_) => api(shared, asked, rest, is_get),
        },
        // The single-page application takes every other path.
        _ if is_get => {
            answer::typed(200, "text/html; charset=utf-8", "<!doctype html><html><div id=\"root\"></div></html>")
        }
        _ => detail(405, "Method Not Allowed"),
    }
}

fn detail(status: u16, text: &str) -> Response {
    answer::json(status, &json!({ "detail": text }))
}

/// A path that no part of the API has.
fn nowhere(why: &str) -> Response {
    answer::json(404, &json!({ "error": why }))
}

fn unprocessable(kind: &str, wrong: &Wrong, place: &str) -> Response {
    let error = json!({ "type": kind, "loc": [place, wrong.field], "msg": wrong.why, "input": null });
    answer::json(422, &json!({ "detail": [error] }))
}

fn extra(field: &str) -> Response {
    let wrong = Wrong { field: field.to_owned(), why: "Extra inputs are not permitted".into() };
    unprocessable("extra_forbidden", &wrong, "body")
}

fn missing(field: &str) -> Response {
    unprocessable("missing", &Wrong { field: field.to_owned(), why: "Field required".into() }, "body")
}

fn token(shared: &Shared, asked: &Asked<'_>) -> Response {
    let Some(body) = object(asked.body) else { return missing("username") };
    if let Some(field) = body.keys().find(|key| !["username", "password"].contains(&key.as_str())) {
        return extra(field);
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let (Some(user), Some(password)) = (text("username"), text("password")) else {
        return missing(if text("username").is_none() { "username" } else { "password" });
    };
    if user != VIEWER || password != shared.secrets.airflow {
        return detail(401, "Invalid credentials");
    }
    let mut state = shared.state();
    let now = Timestamp::now().as_second();
    let claims = json!({ "sub": user, "iat": now, "exp": now + 86_400, "jti": state.id() });
    let url = |bytes: &[u8]| base64(bytes).replace('+', "-").replace('/', "_");
    let signature = crate::rehearsal::registry::sha256(format!("{claims}{}", shared.secrets.airflow).as_bytes());
    let token = format!(
        "{}.{}.{}",
        url(br#"{"alg":"HS512","typ":"JWT"}"#),
        url(claims.to_string().as_bytes()),
        url(signature.as_bytes())
    );
    state.airflow.tokens.insert(token.clone());
    answer::json(201, &json!({ "access_token": token }))
}

fn api(shared: &Shared, asked: &Asked<'_>, rest: &[&str], is_get: bool) -> Response {
    match (rest, asked.method) {
        (["dags"], _) if is_get => listed(asked, &[], |wanted| {
            let (dags, total) = super::dags(shared, wanted);
            json!({ "dags": dags.iter().map(dag).collect::<Vec<_>>(), "total_entries": total })
        }),
        (["dags", id], _) if is_get => one_dag(id, super::dag(shared, id)),
        (["dags", id], "PATCH") => patch(shared, asked, id),
        (["dags", id, "dagRuns"], _) if is_get => {
            listed(asked, RUN_STATES, |wanted| runs(shared, &within(wanted, ask::unless_all(id), Vec::new())))
        }
        (["dags", "~", "dagRuns", "list"], "POST") => {
            posted(asked, "states", RUN_STATES, |wanted| runs(shared, wanted))
        }
        (["dags", id, "dagRuns", run, "taskInstances"], _) if is_get => listed(asked, TASK_STATES, |wanted| {
            tasks(shared, &within(wanted, ask::unless_all(id), ask::unless_all(run)))
        }),
        (["dags", "~", "dagRuns", "~", "taskInstances", "list"], "POST") => {
            posted(asked, "state", TASK_STATES, |wanted| tasks(shared, wanted))
        }
        (["importErrors"], _) if is_get => listed(asked, &[], |wanted| import_errors(shared, wanted)),
        (["eventLogs"], _) if is_get => event_logs(shared, asked),
        (["dags"] | ["dags", _] | ["importErrors"] | ["eventLogs"] | ["dags", _, "dagRuns", ..], _) => {
            detail(405, "Method Not Allowed")
        }
        _ => nowhere("API route not found"),
    }
}

fn within(wanted: &Wanted, dags: Vec<String>, runs: Vec<String>) -> Wanted {
    Wanted { dags, runs, states: wanted.states.clone(), limit: wanted.limit, offset: wanted.offset }
}

fn listed(asked: &Asked<'_>, known: &[&str], value: impl Fn(&Wanted) -> Value) -> Response {
    match ask::from_query(asked.query, FALLBACK_PAGE, known) {
        Ok(wanted) => answer::json(200, &value(&wanted)),
        Err(wrong) => unprocessable("value_error", &wrong, "query"),
    }
}

fn posted(asked: &Asked<'_>, states: &str, known: &[&str], value: impl Fn(&Wanted) -> Value) -> Response {
    let Some(body) = object(asked.body) else { return missing("body") };
    match ask::from_body(&body, states, known, &FILTERS) {
        Ok(wanted) => answer::json(200, &value(&wanted)),
        Err(wrong) => unprocessable("value_error", &wrong, "body"),
    }
}

fn one_dag(id: &str, found: Found) -> Response {
    match found {
        Found::Dag(it) => answer::json(200, &dag(&it)),
        Found::Forbidden => detail(403, "Forbidden"),
        Found::Unknown => detail(404, &format!("The Dag with ID: `{id}` was not found")),
    }
}

fn patch(shared: &Shared, asked: &Asked<'_>, id: &str) -> Response {
    let Some(body) = object(asked.body) else { return missing("is_paused") };
    if let Some(field) = body.keys().find(|key| *key != "is_paused") {
        return extra(field);
    }
    let Some(paused) = body.get("is_paused").and_then(Value::as_bool) else { return missing("is_paused") };
    if one(asked.query, "update_mask").is_some_and(|mask| mask != "is_paused") {
        return detail(400, "Only `is_paused` field can be updated through the REST API");
    }
    one_dag(id, super::pause(shared, id, paused))
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

fn health(shared: &Shared) -> Value {
    let beat = instance::heartbeat(shared).strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string();
    json!({
        "metadatabase": { "status": "healthy" },
        "scheduler": { "status": "healthy", "latest_scheduler_heartbeat": beat },
        "triggerer": { "status": "healthy", "latest_triggerer_heartbeat": beat },
        "dag_processor": { "status": "healthy", "latest_dag_processor_heartbeat": beat },
    })
}

fn dag(dag: &Dag) -> Value {
    let tags: Vec<Value> = dag
        .tags
        .iter()
        .map(|tag| json!({ "name": tag, "dag_id": dag.dag_id, "dag_display_name": dag.dag_id }))
        .collect();
    json!({
        "dag_id": dag.dag_id,
        "dag_display_name": dag.dag_id,
        "is_paused": dag.paused,
        "is_stale": false,
        "last_parsed_time": time(Timestamp::now()),
        "last_parse_duration": 0.056_453,
        "last_expired": null,
        "bundle_name": "dags-folder",
        "bundle_version": null,
        "relative_fileloc": format!("{}.py", dag.dag_id),
        "fileloc": format!("/opt/airflow/catalog/dags/{}.py", dag.dag_id),
        "description": null,
        "timetable_summary": null,
        "timetable_description": "Never, external triggers only",
        "tags": tags,
        "max_active_tasks": 16,
        "max_active_runs": 16,
        "max_consecutive_failed_dag_runs": 0,
        "has_task_concurrency_limits": false,
        "has_import_errors": false,
        "next_dagrun_logical_date": null,
        "next_dagrun_data_interval_start": null,
        "next_dagrun_data_interval_end": null,
        "next_dagrun_run_after": null,
        "owners": ["airflow"],
        "file_token": "eyJidW5kbGVfbmFtZSI6ImRhZ3MtZm9sZGVyIn0.c2lnbmF0dXJl",
    })
}

/// The version of a DAG that its runs belong to.
fn dag_version(dag: &str) -> Value {
    let hash = crate::rehearsal::registry::sha256(dag.as_bytes());
    let id = format!("{}-{}-7{}-8{}-{}", &hash[..8], &hash[8..12], &hash[13..16], &hash[17..20], &hash[20..32]);
    json!({
        "id": id,
        "version_number": 1,
        "dag_id": dag,
        "bundle_name": "dags-folder",
        "bundle_version": null,
        "created_at": "2024-09-30T08:25:28.686419Z",
        "dag_display_name": dag,
        "bundle_url": null,
    })
}

fn runs(shared: &Shared, wanted: &Wanted) -> Value {
    let (runs, total) = super::runs(shared, wanted);
    json!({ "dag_runs": runs.iter().map(run).collect::<Vec<_>>(), "total_entries": total })
}

fn run(run: &DagRun) -> Value {
    let at = time(run.at);
    let ended = run.state == "success";
    json!({
        "dag_run_id": run.run_id,
        "dag_id": run.dag_id,
        "logical_date": null,
        "queued_at": at,
        "start_date": (run.state != "queued").then_some(&at),
        "end_date": ended.then(|| time(Timestamp::now())),
        "duration": ended.then_some(1.0),
        "data_interval_start": null,
        "data_interval_end": null,
        "run_after": at,
        "last_scheduling_decision": time(Timestamp::now()),
        "run_type": "scheduled",
        "state": run.state,
        "triggered_by": "timetable",
        "triggering_user_name": VIEWER,
        "conf": {},
        "note": null,
        "dag_versions": [dag_version(&run.dag_id)],
        "bundle_version": null,
        "dag_display_name": run.dag_id,
    })
}

fn tasks(shared: &Shared, wanted: &Wanted) -> Value {
    let (tasks, total) = super::tasks(shared, wanted);
    json!({ "task_instances": tasks.iter().map(task).collect::<Vec<_>>(), "total_entries": total })
}

fn task(task: &Task) -> Value {
    let now = time(Timestamp::now());
    let ended = task.state != "running";
    let version = dag_version(&task.dag_id);
    json!({
        "id": version["id"],
        "task_id": task.task_id,
        "dag_id": task.dag_id,
        "dag_run_id": task.run_id,
        "map_index": task.map_index,
        "logical_date": null,
        "run_after": now,
        "start_date": now,
        "end_date": ended.then_some(&now),
        "duration": ended.then_some(0.297_512),
        "state": task.state,
        "try_number": 1,
        "max_tries": 0,
        "task_display_name": task.task_id,
        "dag_display_name": task.dag_id,
        "hostname": "airflow",
        "unixname": "airflow",
        "pool": "default_pool",
        "pool_slots": 1,
        "queue": "default",
        "priority_weight": 2,
        "operator": task.operator,
        "operator_name": task.operator,
        "queued_when": now,
        "scheduled_when": now,
        "pid": 28940,
        "executor": null,
        "executor_config": "{}",
        "note": null,
        "rendered_map_index": null,
        "rendered_fields": {},
        "trigger": null,
        "triggerer_job": null,
        "dag_version": version,
    })
}

fn event_logs(shared: &Shared, asked: &Asked<'_>) -> Response {
    let logged = if all(asked.query, "included_events").contains(&"patch_dag".into()) {
        one(asked.query, "dag_id")
    } else {
        None
    };
    let Some(entries) = super::pause_log(shared, logged.unwrap_or_default()) else { return detail(403, "Forbidden") };
    let logs: Vec<Value> = entries
        .iter()
        .map(|(id, entry)| {
            json!({
                "event_log_id": id,
                "when": time(entry.at),
                "dag_id": entry.dag_id,
                "task_id": null,
                "run_id": null,
                "map_index": null,
                "try_number": null,
                "event": "patch_dag",
                "logical_date": null,
                "owner": entry.by,
                "extra": json!({ "update_mask": "is_paused", "is_paused": entry.paused, "method": "PATCH" }).to_string(),
                "dag_display_name": entry.dag_id,
                "task_display_name": null,
            })
        })
        .collect();
    answer::json(200, &json!({ "event_logs": logs, "total_entries": logs.len() }))
}

fn import_errors(shared: &Shared, wanted: &Wanted) -> Value {
    let (errors, total) = wanted.page(shared.state().airflow.import_errors.iter());
    let errors: Vec<Value> = (1..)
        .zip(&errors)
        .map(|(id, (file, trace))| {
            json!({
                "import_error_id": id,
                "timestamp": time(Timestamp::now()),
                // Relative to the bundle, where 2.x tells the whole path.
                "filename": file.strip_prefix("/opt/airflow/catalog/dags/").unwrap_or(file),
                "bundle_name": "dags-folder",
                "stack_trace": trace,
            })
        })
        .collect();
    json!({ "import_errors": errors, "total_entries": total })
}
