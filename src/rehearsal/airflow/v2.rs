//! Airflow 2.x: `/api/v1` with basic auth, problem+json errors, marshmallow's strictness.

use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::ask::{self, RUN_STATES, TASK_STATES, Wrong};
use super::{Asked, Found, Wanted, instance};
use crate::rehearsal::answer::{self, header, object, one, with};
use crate::rehearsal::shared::{Shared, VIEWER};
use crate::rehearsal::state::{Dag, DagRun, Task};

const DATES: [&str; 9] = [
    "order_by",
    "execution_date_gte",
    "execution_date_lte",
    "start_date_gte",
    "start_date_lte",
    "end_date_gte",
    "end_date_lte",
    "updated_at_gte",
    "updated_at_lte",
];
const TASK_FILTERS: [&str; 15] = [
    "order_by",
    "execution_date_gte",
    "execution_date_lte",
    "start_date_gte",
    "start_date_lte",
    "end_date_gte",
    "end_date_lte",
    "updated_at_gte",
    "updated_at_lte",
    "duration_gte",
    "duration_lte",
    "pool",
    "queue",
    "executor",
    "task_ids",
];

pub(super) fn answer(shared: &Shared, asked: &Asked<'_>) -> Response {
    let segments: Vec<&str> = asked.segments.iter().map(String::as_str).collect();
    let is_get = asked.method == "GET" || asked.method == "HEAD";
    match segments.as_slice() {
        ["health"] | ["api", "v1", "health"] if is_get => answer::json(200, &health(shared)),
        ["api", "v1", "version"] if is_get => {
            let version = &shared.state().airflow.instance.version;
            let git = format!(".release:{}", shared.commit(version));
            answer::json(200, &json!({ "git_version": git, "version": version }))
        }
        ["api", "v1", rest @ ..] => {
            if !authenticated(shared, asked) {
                let refusal = problem(shared, 401, "Unauthorized", "Unauthenticated", None);
                return with(refusal, "www-authenticate", "Basic");
            }
            api(shared, asked, rest, is_get)
        }
        _ => answer::typed(404, "text/html; charset=utf-8", "<html><body><h1>Airflow 404</h1></body></html>"),
    }
}

fn authenticated(shared: &Shared, asked: &Asked<'_>) -> bool {
    let expected = base64(format!("{VIEWER}:{}", shared.secrets.airflow).as_bytes());
    header(asked.headers, "authorization")
        .strip_prefix("Basic ")
        .is_some_and(|given| given.trim_end_matches('=') == expected)
}

/// Standard alphabet, without padding.
pub(in crate::rehearsal) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0_u8; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, word[0], word[1], word[2]]);
        for index in 0..=chunk.len() {
            let shift = 18 - 6 * u32::try_from(index).unwrap_or(0);
            encoded.push(char::from(ALPHABET[usize::try_from((bits >> shift) & 63).unwrap_or(0)]));
        }
    }
    encoded
}

fn problem(shared: &Shared, status: u16, title: &str, kind: &str, detail: Option<String>) -> Response {
    let version = shared.state().airflow.instance.version.clone();
    let kind = format!(
        "https://airflow.apache.org/docs/apache-airflow/{version}/stable-rest-api-ref.html#section/Errors/{kind}"
    );
    let body = json!({ "detail": detail, "status": status, "title": title, "type": kind });
    answer::typed(status, "application/problem+json", body.to_string())
}

fn bad(shared: &Shared, detail: String) -> Response {
    problem(shared, 400, "Bad Request", "BadRequest", Some(detail))
}

fn invalid(shared: &Shared, wrong: &Wrong) -> Response {
    bad(shared, format!("{{'{}': ['{}']}}", wrong.field, wrong.why))
}

fn api(shared: &Shared, asked: &Asked<'_>, rest: &[&str], is_get: bool) -> Response {
    let allowed = match rest {
        ["dags"] => &["limit", "offset", "tags", "only_active", "paused", "order_by", "dag_id_pattern", "fields"][..],
        ["dags", _, "dagRuns"] => &["limit", "offset", "state", "order_by", "start_date_gte", "fields"],
        ["dags", _, "dagRuns", _, "taskInstances"] => &["limit", "offset", "state", "order_by", "pool", "queue"],
        ["importErrors"] => &["limit", "offset", "order_by"],
        ["eventLogs"] => &["limit", "offset", "order_by", "dag_id", "event", "owner", "after", "included_events"],
        ["dags", _] => &["update_mask", "fields"],
        _ => &[],
    };
    // The server runs its API description strictly.
    if let Some((extra, _)) = asked.query.iter().find(|(key, _)| !allowed.contains(&key.as_str())) {
        return bad(shared, format!("Extra query parameter(s) {extra} not in spec"));
    }
    match (rest, asked.method) {
        (["dags"], _) if is_get => listed(shared, asked, RUN_STATES, |wanted| {
            let (dags, total) = super::dags(shared, wanted);
            json!({ "dags": dags.iter().map(dag).collect::<Vec<_>>(), "total_entries": total })
        }),
        (["dags", id], _) if is_get => one_dag(shared, id, super::dag(shared, id)),
        (["dags", id], "PATCH") => patch(shared, asked, id),
        (["dags", id, "dagRuns"], _) if is_get => listed(shared, asked, RUN_STATES, |wanted| {
            runs(shared, &Wanted { dags: ask::unless_all(id), ..copy(wanted) })
        }),
        (["dags", "~", "dagRuns", "list"], "POST") => {
            posted(shared, asked, "states", RUN_STATES, &DATES, |wanted| runs(shared, wanted))
        }
        (["dags", id, "dagRuns", run, "taskInstances"], _) if is_get => listed(shared, asked, TASK_STATES, |wanted| {
            tasks(shared, &Wanted { dags: ask::unless_all(id), runs: ask::unless_all(run), ..copy(wanted) })
        }),
        (["dags", "~", "dagRuns", "~", "taskInstances", "list"], "POST") => {
            posted(shared, asked, "state", TASK_STATES, &TASK_FILTERS, |wanted| tasks(shared, wanted))
        }
        (["importErrors"], _) if is_get => listed(shared, asked, RUN_STATES, |wanted| import_errors(shared, wanted)),
        (["eventLogs"], _) if is_get => event_logs(shared, asked),
        (["dags"] | ["dags", _] | ["importErrors"] | ["eventLogs"] | ["dags", _, "dagRuns", ..], _) => problem(
            shared,
            405,
            "Method Not Allowed",
            "MethodNotAllowed",
            Some("The method is not allowed for the requested URL.".into()),
        ),
        _ => {
            problem(shared, 404, "Not Found", "NotFound", Some("The requested URL was not found on the server.".into()))
        }
    }
}

fn copy(wanted: &Wanted) -> Wanted {
    Wanted { states: wanted.states.clone(), limit: wanted.limit, offset: wanted.offset, ..Wanted::default() }
}

fn listed(shared: &Shared, asked: &Asked<'_>, known: &[&str], value: impl Fn(&Wanted) -> Value) -> Response {
    match ask::from_query(asked.query, 100, known) {
        Ok(wanted) => answer::json(200, &value(&wanted)),
        Err(wrong) => invalid(shared, &wrong),
    }
}

fn posted(
    shared: &Shared,
    asked: &Asked<'_>,
    states: &str,
    known: &[&str],
    others: &[&str],
    value: impl Fn(&Wanted) -> Value,
) -> Response {
    if !header(asked.headers, "content-type").starts_with("application/json") {
        let detail = "Invalid Content-type, expected JSON data".to_owned();
        return problem(shared, 415, "Unsupported Media Type", "UnsupportedMediaType", Some(detail));
    }
    let Some(body) = object(asked.body) else { return bad(shared, "Request body is not valid JSON".into()) };
    match ask::from_body(&body, states, known, others) {
        Ok(wanted) => answer::json(200, &value(&wanted)),
        Err(wrong) => invalid(shared, &wrong),
    }
}

fn one_dag(shared: &Shared, id: &str, found: Found) -> Response {
    match found {
        Found::Dag(it) => answer::json(200, &dag(&it)),
        Found::Forbidden => problem(shared, 403, "Forbidden", "PermissionDenied", None),
        Found::Unknown => {
            let detail = format!("The DAG with dag_id: {id} was not found");
            problem(shared, 404, "DAG not found", "NotFound", Some(detail))
        }
    }
}

fn patch(shared: &Shared, asked: &Asked<'_>, id: &str) -> Response {
    let Some(body) = object(asked.body) else { return bad(shared, "Request body is not valid JSON".into()) };
    if let Some(field) = body.keys().find(|key| *key != "is_paused") {
        return bad(shared, format!("{{'{field}': ['Unknown field.']}}"));
    }
    let Some(paused) = body.get("is_paused").and_then(Value::as_bool) else {
        return bad(shared, "{'is_paused': ['Not a valid boolean.']}".into());
    };
    if one(asked.query, "update_mask").is_some_and(|mask| mask != "is_paused") {
        return bad(shared, "Only `is_paused` field can be updated through the REST API".into());
    }
    one_dag(shared, id, super::pause(shared, id, paused))
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

fn health(shared: &Shared) -> Value {
    json!({
        "dag_processor": { "latest_dag_processor_heartbeat": null, "status": null },
        "metadatabase": { "status": "healthy" },
        "scheduler": { "latest_scheduler_heartbeat": time(instance::heartbeat(shared)), "status": "healthy" },
        "triggerer": { "latest_triggerer_heartbeat": null, "status": null },
    })
}

fn dag(dag: &Dag) -> Value {
    json!({
        "dag_display_name": dag.dag_id,
        "dag_id": dag.dag_id,
        "default_view": "grid",
        "description": null,
        "file_token": "Ii9vcHQvYWlyZmxvdy9kYWdzIg.c2lnbmF0dXJl",
        "fileloc": format!("/opt/airflow/catalog/dags/{}.py", dag.dag_id),
        "has_import_errors": false,
        "has_task_concurrency_limits": false,
        "is_active": true,
        "is_paused": dag.paused,
        "is_subdag": false,
        "last_expired": null,
        "last_parsed_time": time(Timestamp::now()),
        "last_pickled": null,
        "max_active_runs": 16,
        "max_active_tasks": 16,
        "max_consecutive_failed_dag_runs": 0,
        "next_dagrun": null,
        "next_dagrun_create_after": null,
        "next_dagrun_data_interval_end": null,
        "next_dagrun_data_interval_start": null,
        "owners": ["airflow"],
        "pickle_id": null,
        "root_dag_id": null,
        "schedule_interval": null,
        "scheduler_lock": null,
        "tags": dag.tags.iter().map(|tag| json!({ "name": tag })).collect::<Vec<_>>(),
        "timetable_description": "Never, external triggers only",
    })
}

fn runs(shared: &Shared, wanted: &Wanted) -> Value {
    let (runs, total) = super::runs(shared, wanted);
    json!({ "dag_runs": runs.iter().map(run).collect::<Vec<_>>(), "total_entries": total })
}

fn run(run: &DagRun) -> Value {
    let at = time(run.at);
    json!({
        "conf": {},
        "dag_id": run.dag_id,
        "dag_run_id": run.run_id,
        "data_interval_end": at,
        "data_interval_start": at,
        "end_date": (run.state == "success").then(|| time(Timestamp::now())),
        "execution_date": at,
        "external_trigger": false,
        "last_scheduling_decision": time(Timestamp::now()),
        "logical_date": at,
        "note": null,
        "run_type": "scheduled",
        "start_date": (run.state != "queued").then_some(&at),
        "state": run.state,
    })
}

fn tasks(shared: &Shared, wanted: &Wanted) -> Value {
    let (tasks, total) = super::tasks(shared, wanted);
    json!({ "task_instances": tasks.iter().map(task).collect::<Vec<_>>(), "total_entries": total })
}

fn task(task: &Task) -> Value {
    let now = time(Timestamp::now());
    // A rescheduled sensor shows its last poke's times.
    let ended = task.state != "running";
    json!({
        "dag_id": task.dag_id,
        "dag_run_id": task.run_id,
        "duration": ended.then_some(0.355_06),
        "end_date": ended.then_some(&now),
        "execution_date": task.run_id.split_once("__").map(|(_, at)| at),
        "executor": null,
        "executor_config": "{}",
        "hostname": "airflow",
        "map_index": task.map_index,
        "max_tries": 0,
        "note": null,
        "operator": task.operator,
        "pid": 28934,
        "pool": "default_pool",
        "pool_slots": 1,
        "priority_weight": 2,
        "queue": "default",
        "queued_when": now,
        "rendered_fields": {},
        "rendered_map_index": null,
        "sla_miss": null,
        "start_date": now,
        "state": task.state,
        "task_display_name": task.task_id,
        "task_id": task.task_id,
        "trigger": null,
        "triggerer_job": null,
        "try_number": 1,
        "unixname": "airflow",
    })
}

fn event_logs(shared: &Shared, asked: &Asked<'_>) -> Response {
    let events = one(asked.query, "included_events").unwrap_or_default();
    let logged =
        if events.split(',').any(|event| event == "api.patch_dag") { one(asked.query, "dag_id") } else { None };
    let Some(entries) = super::pause_log(shared, logged.unwrap_or_default()) else {
        return problem(shared, 403, "Forbidden", "PermissionDenied", None);
    };
    let logs: Vec<Value> = entries
        .iter()
        .map(|(id, entry)| {
            json!({
                "dag_id": entry.dag_id,
                "event": "api.patch_dag",
                "event_log_id": id,
                "execution_date": null,
                "extra": json!({ "update_mask": "is_paused", "is_paused": entry.paused }).to_string(),
                "map_index": null,
                "owner": entry.by,
                "run_id": null,
                "task_id": null,
                "try_number": null,
                "when": time(entry.at),
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
            json!({ "filename": file, "import_error_id": id, "stack_trace": trace, "timestamp": time(Timestamp::now()) })
        })
        .collect();
    json!({ "import_errors": errors, "total_entries": total })
}
