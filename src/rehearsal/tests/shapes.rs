//! The world's Airflow answers have the keys and types of those recorded from real servers.

use super::*;

fn recorded(edition: &str, name: &str) -> Value {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(edition);
    serde_json::from_slice(&std::fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Same keys in the same order, same types; null stands for any type, since one recording cannot show them all.
fn same_shape(recorded: &Value, world: &Value, place: &str, wrong: &mut Vec<String>) {
    match (recorded, world) {
        // Whatever the task's author templated.
        _ if place.ends_with(".rendered_fields") || place.ends_with(".conf") => {}
        (Value::Object(expected), Value::Object(found)) => {
            let keys = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
            if keys(expected) != keys(found) {
                wrong.push(format!("{place}: keys {:?}, recorded {:?}", keys(found), keys(expected)));
            }
            for (key, value) in expected {
                same_shape(value, found.get(key).unwrap_or(&Value::Null), &format!("{place}.{key}"), wrong);
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            if let Some(first) = expected.first() {
                assert!(!found.is_empty() || place.ends_with(".tags"), "{place} is empty: nothing is compared");
                for item in found {
                    same_shape(first, item, &format!("{place}[]"), wrong);
                }
            }
        }
        (Value::Null, _) | (_, Value::Null) => {}
        _ if kind(recorded) != kind(world) => {
            wrong.push(format!("{place}: {}, recorded {}", kind(world), kind(recorded)));
        }
        _ => {}
    }
}

fn check(edition: &str, name: &str, world: &Value) {
    let mut wrong = Vec::new();
    same_shape(&recorded(edition, name), world, name, &mut wrong);
    assert!(wrong.is_empty(), "{edition}: {wrong:#?}");
}

#[test]
fn the_comparison_can_fail() {
    let mut wrong = Vec::new();
    same_shape(&json!({ "a": [{ "b": 1, "c": null }] }), &json!({ "a": [{ "b": "1", "c": 2 }] }), "x", &mut wrong);
    assert_eq!(wrong, ["x.a[].b: string, recorded number"]);
    wrong.clear();
    same_shape(&json!({ "a": 1, "b": 2 }), &json!({ "a": 1 }), "x", &mut wrong);
    assert_eq!(wrong.len(), 1);
}

#[tokio::test]
async fn airflow_2_answers_as_recorded() {
    let lab = Lab::start(&[Fault::WaitingRefreshes]).await;
    let get = async |path: &str| value(lab.airflow(Method::GET, path).send().await.unwrap()).await;
    let post =
        async |path: &str, body: Value| value(lab.airflow(Method::POST, path).json(&body).send().await.unwrap()).await;
    let edition = "airflow-2.10";
    check(edition, "health", &get("/health").await);
    check(edition, "version", &get("/api/v1/version").await);
    check(edition, "dags", &get("/api/v1/dags?limit=100").await);
    check(edition, "import-errors", &get("/api/v1/importErrors").await);
    check(edition, "not-found", &get("/api/v1/dags/nope").await);
    let runs = post("/api/v1/dags/~/dagRuns/list", json!({ "states": ["running", "queued"] })).await;
    assert_eq!(runs["total_entries"], 2);
    check(edition, "dag-runs-running", &runs);
    let body = json!({ "state": crate::adapters::airflow::ACTIVE_STATES, "page_limit": 100, "page_offset": 0 });
    let tasks = post("/api/v1/dags/~/dagRuns/~/taskInstances/list", body).await;
    assert_eq!((&tasks["total_entries"], &tasks["task_instances"][0]["operator"]), (&json!(2), &json!("HttpSensor")));
    check(edition, "task-instances-active", &tasks);
    for (paused, name) in [(true, "dag-pause"), (false, "dag-unpause")] {
        let request = lab.airflow(Method::PATCH, "/api/v1/dags/image_data_refresh?update_mask=is_paused");
        let answer = value(request.json(&json!({ "is_paused": paused })).send().await.unwrap()).await;
        assert_eq!(answer["is_paused"], paused);
        check(edition, name, &answer);
    }
    check(
        edition,
        "event-logs",
        &get("/api/v1/eventLogs?dag_id=image_data_refresh&included_events=api.patch_dag").await,
    );
    let url = format!("{}/api/v1/dags", lab.setting("airflow", "url"));
    let refused = lab.client.get(url).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    check(edition, "unauthorized", &value(refused).await);
}

#[tokio::test]
async fn airflow_3_answers_as_recorded() {
    let mut lab = Lab::with(AirflowEdition::V3, &[Fault::WaitingRefreshes]).await;
    let url = format!("{}/api/v2/dags", lab.setting("airflow", "url"));
    let refused = lab.client.get(url).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let edition = "airflow-3.1";
    check(edition, "unauthorized", &value(refused).await);
    lab.log_in().await;
    let get = async |path: &str| value(lab.airflow(Method::GET, path).send().await.unwrap()).await;
    check(edition, "auth-token", &json!({ "access_token": lab.jwt }));
    check(edition, "health", &get("/api/v2/monitor/health").await);
    check(edition, "version", &get("/api/v2/version").await);
    check(edition, "dags", &get("/api/v2/dags?limit=100").await);
    check(edition, "import-errors", &get("/api/v2/importErrors").await);
    check(edition, "not-found", &get("/api/v2/dags/nope").await);
    check(edition, "dag-runs-running", &get("/api/v2/dags/~/dagRuns?state=running&state=queued").await);
    let tasks = get("/api/v2/dags/~/dagRuns/~/taskInstances?state=running&state=up_for_reschedule").await;
    assert_eq!(tasks["total_entries"], 2);
    check(edition, "task-instances-active", &tasks);
    for (paused, name) in [(true, "dag-pause"), (false, "dag-unpause")] {
        let request = lab.airflow(Method::PATCH, "/api/v2/dags/image_data_refresh?update_mask=is_paused");
        let answer = value(request.json(&json!({ "is_paused": paused })).send().await.unwrap()).await;
        assert_eq!(answer["is_paused"], paused);
        check(edition, name, &answer);
    }
    check(edition, "event-logs", &get("/api/v2/eventLogs?dag_id=image_data_refresh&included_events=patch_dag").await);
}
