//! The client over real HTTP: recorded answers of both versions, and servers that misbehave.

use std::sync::{Arc, Mutex as Std};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;
use crate::adapters::Cause;

/// One request as the server saw it.
#[derive(Debug, Clone)]
struct Seen {
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: Value,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }
}

type Answerer = dyn Fn(&Seen) -> Response + Send + Sync;

#[derive(Clone)]
struct Server {
    url: String,
    log: Arc<Std<Vec<Seen>>>,
    answer: Arc<Answerer>,
}

impl Server {
    async fn start(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let server = Self { url, log: Arc::default(), answer: Arc::new(answer) };
        let router = Router::new().fallback(handle).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn client(&self, auth: AirflowAuth) -> AirflowClient {
        let headers = vec![("CF-Access-Client-Id".to_owned(), SecretString::from("access"))];
        AirflowClient::new(&self.url, auth, headers).expect("a client")
    }

    fn log(&self) -> Vec<Seen> {
        self.log.lock().expect("log").clone()
    }

    fn lines(&self) -> Vec<String> {
        self.log().iter().map(|seen| format!("{} {}", seen.method, seen.uri)).collect()
    }
}

async fn handle(State(server): State<Server>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let seen = Seen { method, uri: uri.to_string(), headers, body };
    server.log.lock().expect("log").push(seen.clone());
    (server.answer)(&seen)
}

fn answer(status: u16, body: &str) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let headers = [("content-type", "application/json"), ("date", "Fri, 20 Nov 2026 08:50:08 GMT")];
    (status, headers, body.to_owned()).into_response()
}

fn recorded(name: &str) -> String {
    let path = format!("{}/tests/recorded/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).expect(&path)
}

/// Airflow 2.10 as it was recorded; wants basic auth.
fn two(seen: &Seen) -> Response {
    let path = seen.uri.split('?').next().unwrap_or_default();
    let name = match (seen.method.as_str(), path) {
        ("GET", "/api/v1/version") => "version",
        ("GET", "/health") => "health",
        // admin:secret
        _ if path.starts_with("/api/v1/") && seen.header("authorization") != "Basic YWRtaW46c2VjcmV0" => {
            return answer(401, &recorded("airflow-2.10/unauthorized"));
        }
        ("POST", "/api/v1/dags/~/dagRuns/list") => "dag-runs-running",
        ("POST", "/api/v1/dags/~/dagRuns/~/taskInstances/list") => "task-instances-active",
        ("GET", "/api/v1/importErrors") => "import-errors",
        ("GET", "/api/v1/eventLogs") => "event-logs",
        ("GET", "/api/v1/dags/image_data_refresh") => "dag-unpause",
        ("PATCH", "/api/v1/dags/image_data_refresh") => "dag-pause",
        ("GET", "/api/v1/dags/nope") => return answer(404, &recorded("airflow-2.10/not-found")),
        _ => return (StatusCode::NOT_FOUND, [("content-type", "text/html")], "lots of circles").into_response(),
    };
    answer(200, &recorded(&format!("airflow-2.10/{name}")))
}

/// Airflow 3.1 as it was recorded; wants the token that `/auth/token` gives.
fn three(seen: &Seen) -> Response {
    let path = seen.uri.split('?').next().unwrap_or_default();
    let name = match (seen.method.as_str(), path) {
        ("GET", "/api/v2/version") => "version",
        ("GET", "/api/v2/monitor/health") => "health",
        ("POST", "/auth/token") => {
            assert_eq!(seen.body, json!({ "username": "admin", "password": "secret" }));
            return answer(201, &recorded("airflow-3.1/auth-token"));
        }
        _ if path.starts_with("/api/v2/") && seen.header("authorization") != "Bearer eyJ..." => {
            return answer(401, &recorded("airflow-3.1/unauthorized"));
        }
        ("GET", "/api/v2/dags/~/dagRuns") => "dag-runs-running",
        ("GET", "/api/v2/dags/~/dagRuns/~/taskInstances") => "task-instances-active",
        ("GET", "/api/v2/importErrors") => "import-errors",
        ("GET", "/api/v2/eventLogs") => "event-logs",
        ("GET", "/api/v2/dags/image_data_refresh") => "dag-unpause",
        ("PATCH", "/api/v2/dags/image_data_refresh") => "dag-pause",
        _ => return answer(404, &recorded("airflow-3.1/not-found")),
    };
    answer(200, &recorded(&format!("airflow-3.1/{name}")))
}

fn admin() -> AirflowAuth {
    AirflowAuth::Password { username: "admin".into(), password: SecretString::from("secret") }
}

#[tokio::test]
async fn both_versions_tell_the_same() {
    // Run ids and moments differ between the two recordings; what is running does not.
    let bare = |activity: Activity| {
        let runs: Vec<_> = activity.runs.iter().map(|run| (run.dag_id.clone(), run.state.clone())).collect();
        let tasks: Vec<_> = activity
            .tasks
            .into_iter()
            .map(|task| {
                assert!(activity.runs.iter().any(|run| run.run_id == task.run_id && run.dag_id == task.dag_id));
                (task.dag_id, task.task_id, task.map_index, task.state, task.operator)
            })
            .collect();
        (runs, tasks)
    };
    let (old, new) = (Server::start(two).await, Server::start(three).await);
    let (old_client, new_client) = (old.client(admin()), new.client(admin()));
    let (before, after) = (old_client.activity().await.expect("2.x"), new_client.activity().await.expect("3.x"));
    assert!(before.runs[0].start_date.is_some() && after.runs[0].start_date.is_some());
    let (before, after) = (bare(before), bare(after));
    assert_eq!(before, after);
    assert_eq!(before.1[0].4.as_deref(), Some("HttpSensor"));
    assert_eq!(before.1[0].3, "up_for_reschedule");
    assert_eq!(old_client.version().await.expect("version"), "2.10.5");
    assert_eq!(new_client.version().await.expect("version"), "3.1.8");
    for client in [&old_client, &new_client] {
        assert!(!client.dag("image_data_refresh").await.expect("dag").is_paused);
        assert!(client.set_paused("image_data_refresh", true).await.expect("dag").is_paused);
        assert!(client.dag("nope").await.expect_err("no such DAG").not_found());
        assert!(client.import_errors().await.expect("import errors").is_empty());
        let health = client.health().await.expect("health");
        assert_eq!(health.server_time.map(|time| time.to_string()).as_deref(), Some("2026-11-20T08:50:08Z"));
        assert_eq!(health.components["metadatabase"].status.as_deref(), Some("healthy"));
        assert!(health.components["scheduler"].heartbeat.is_some());
    }
    let triggerer = &old_client.health().await.expect("health").components["triggerer"];
    assert_eq!((&triggerer.status, triggerer.heartbeat), (&None, None), "not deployed");
    for server in [old, new] {
        assert!(server.log().iter().all(|seen| seen.header("cf-access-client-id") == "access"));
        let patches: Vec<_> = server.log().into_iter().filter(|seen| seen.method == Method::PATCH).collect();
        assert_eq!(patches.len(), 1);
        assert!(patches[0].uri.ends_with("?update_mask=is_paused"));
        assert_eq!(patches[0].body, json!({ "is_paused": true }));
    }
}

#[tokio::test]
async fn the_audit_log_tells_who_paused() {
    for server in [Server::start(two).await, Server::start(three).await] {
        let told = async |username: &str| {
            let auth = AirflowAuth::Password { username: username.into(), password: SecretString::from("secret") };
            let entries = server.client(auth).pause_log("outside the_exception").await.expect("entries");
            entries.into_iter().map(|entry| (entry.paused, entry.by, entry.ours)).collect::<Vec<_>>()
        };
        let by_hand = (true, "root".to_owned(), Some(false));
        assert_eq!(told("admin").await, [by_hand, (true, "admin".to_owned(), Some(true))]);
        let asked = server.lines().into_iter().find(|line| line.contains("eventLogs")).expect("asked");
        for part in ["dag_id=outside%20the_exception", "patch_dag", "order_by=-event_log_id", "limit=100"] {
            assert!(asked.contains(part), "no {part} in {asked}");
        }
    }
    // A token has no name; its owner's machine neither.
    let server = Server::start(three).await;
    let client = server.client(AirflowAuth::Token(SecretString::from("eyJ...")));
    let entries = client.pause_log("outside_the_exception").await.expect("entries");
    assert_eq!(entries.iter().map(|entry| entry.ours).collect::<Vec<_>>(), [Some(false), None]);
}

#[tokio::test]
async fn an_activity_is_two_requests_and_one_token() {
    let server = Server::start(three).await;
    let client = server.client(admin());
    client.activity().await.expect("activity");
    client.activity().await.expect("activity");
    let lines = server.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("/version")).count(), 2, "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line.contains("/auth/token")).count(), 1, "{lines:?}");
    assert_eq!(lines.len(), 7, "{lines:?}");
}

#[tokio::test]
async fn wrong_and_weak_credentials() {
    let server = Server::start(two).await;
    let error = server.client(AirflowAuth::Anonymous).activity().await.expect_err("401");
    assert!(matches!(error.cause, Cause::Unauthorized(_)), "{error}");
    let server = Server::start(|seen: &Seen| match seen.uri.as_str() {
        "/api/v1/version" => answer(200, &recorded("airflow-2.10/version")),
        "/api/v2/version" => answer(404, "{}"),
        _ => answer(403, r#"{"title":"Forbidden","detail":null}"#),
    })
    .await;
    let error = server.client(admin()).activity().await.expect_err("403");
    assert!(matches!(error.cause, Cause::Forbidden(_)), "{error}");
}

/// A 3.x server with `total` runs, which clamps its pages; `shift` moves the list between two pages.
fn many(total: usize, shift: impl Fn(usize) -> usize + Send + Sync + 'static) -> impl Fn(&Seen) -> Response {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    move |seen: &Seen| {
        let number = |key: &str| {
            let at = seen.uri.find(&format!("{key}=")).map(|at| at + key.len() + 1).unwrap_or(seen.uri.len());
            seen.uri[at..].split('&').next().and_then(|text| text.parse::<usize>().ok()).unwrap_or(0)
        };
        if seen.uri == "/api/v2/version" {
            return answer(200, &recorded("airflow-3.1/version"));
        }
        if seen.uri.contains("/taskInstances") {
            return answer(200, r#"{"task_instances": [], "total_entries": 0}"#);
        }
        if !seen.uri.contains("/dagRuns") {
            return answer(404, "{}");
        }
        let moved = shift(asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst));
        let from = number("offset") + moved;
        let runs: Vec<Value> = (from..(from + number("limit").min(100)).min(total))
            .map(|at| json!({ "dag_id": "batched_update", "dag_run_id": format!("manual__{at}+00:00"), "state": "running" }))
            .collect();
        answer(200, &json!({ "dag_runs": runs, "total_entries": total }).to_string())
    }
}

#[tokio::test]
async fn two_hundred_and_fifty_runs_are_all_read() {
    let server = Server::start(many(250, |_| 0)).await;
    let activity = server.client(AirflowAuth::Anonymous).activity().await.expect("activity");
    assert_eq!(activity.runs.len(), 250);
    assert_eq!(activity.runs[249].run_id, "manual__249+00:00");
    assert_eq!(server.lines().iter().filter(|line| line.contains("/dagRuns?")).count(), 3);
}

#[tokio::test]
async fn a_list_that_moves_is_read_again_and_never_half_believed() {
    // The second page of the first reading skips one item.
    let server = Server::start(many(250, |asked| usize::from(asked == 1))).await;
    let activity = server.client(AirflowAuth::Anonymous).activity().await.expect("activity");
    assert_eq!(activity.runs.len(), 250);
    assert_eq!(server.lines().iter().filter(|line| line.contains("/dagRuns?")).count(), 6);
    let server = Server::start(many(250, |asked| usize::from(asked % 3 == 1))).await;
    let error = server.client(AirflowAuth::Anonymous).activity().await.expect_err("moves for ever");
    assert!(error.to_string().contains("changed twice"), "{error}");
    assert!(error.passing(), "worth asking again");
}

#[tokio::test]
async fn a_list_answered_whole_is_taken_whole() {
    // The task instance list of 2.x ignores the page it was asked for.
    let tasks: Vec<Value> = (0..250)
        .map(|at| json!({ "dag_id": "d", "dag_run_id": "r", "task_id": "t", "map_index": at, "state": "running", "operator": null }))
        .collect();
    let body = json!({ "task_instances": tasks, "total_entries": 250 }).to_string();
    let server = Server::start(move |seen: &Seen| match seen.uri.as_str() {
        "/api/v1/dags/~/dagRuns/~/taskInstances/list" => answer(200, &body),
        _ => two(seen),
    })
    .await;
    let activity = server.client(admin()).activity().await.expect("activity");
    assert_eq!(activity.tasks.len(), 250);
    assert_eq!(activity.tasks[0].operator, None);
    assert_eq!(server.lines().iter().filter(|line| line.contains("taskInstances")).count(), 1);
}

#[tokio::test]
async fn a_login_page_and_a_redirect_are_told_as_such() {
    let page = |_: &Seen| (StatusCode::OK, [("content-type", "text/html")], "<html>Sign in").into_response();
    let server = Server::start(page).await;
    let client = server.client(admin());
    for error in [client.activity().await.map(drop), client.health().await.map(drop), client.version().await.map(drop)]
    {
        let error = error.expect_err("a login page").to_string();
        assert!(error.contains("login page") && error.contains("CF-Access-Client-Id"), "{error}");
    }
    let redirect = |_: &Seen| (StatusCode::FOUND, [("location", "https://login.example/?kid=secret")]).into_response();
    let server = Server::start(redirect).await;
    let error = server.client(admin()).activity().await.expect_err("a redirect").to_string();
    assert!(error.contains("https://login.example/") && error.contains("CF-Access-Client-Id"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[tokio::test]
async fn health_is_parsed_and_not_only_answered() {
    let server = Server::start(|seen: &Seen| match seen.uri.as_str() {
        "/health" => answer(200, r#"{"status": "ok"}"#),
        _ => two(seen),
    })
    .await;
    let error = server.client(admin()).health().await.expect_err("not Airflow's").to_string();
    assert!(error.contains("neither a scheduler nor a database"), "{error}");
}

#[tokio::test]
async fn a_jwt_that_ran_out_is_renewed_once() {
    let tokens = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let given = tokens.clone();
    let server = Server::start(move |seen: &Seen| {
        use std::sync::atomic::Ordering::SeqCst;
        match seen.uri.as_str() {
            "/api/v2/version" => answer(200, &recorded("airflow-3.1/version")),
            "/auth/token" => {
                answer(201, &json!({ "access_token": format!("t{}", given.fetch_add(1, SeqCst) + 1) }).to_string())
            }
            // The first has run out, the second is of an instance before a deploy.
            "/api/v2/dags/old" if seen.header("authorization") == "Bearer t1" => answer(401, "{}"),
            "/api/v2/dags/old" => answer(200, r#"{"dag_id": "old", "is_paused": true}"#),
            "/api/v2/dags/deployed" if seen.header("authorization") == "Bearer t2" => {
                answer(403, r#"{"detail":"Invalid JWT token"}"#)
            }
            "/api/v2/dags/deployed" => answer(200, r#"{"dag_id": "deployed", "is_paused": false}"#),
            "/api/v2/dags/hidden" => answer(403, r#"{"detail":"Forbidden"}"#),
            _ => answer(401, "{}"),
        }
    })
    .await;
    let client = server.client(admin());
    assert!(client.dag("old").await.expect("renewed").is_paused);
    assert!(!client.dag("deployed").await.expect("renewed").is_paused);
    client.dag("hidden").await.expect_err("the account may not see it, with whatever token");
    assert_eq!(tokens.load(std::sync::atomic::Ordering::SeqCst), 3);
    let error = client.dag("other").await.expect_err("refused with a new token as well");
    assert!(matches!(error.cause, Cause::Unauthorized(_)), "{error}");
    assert_eq!(tokens.load(std::sync::atomic::Ordering::SeqCst), 4, "once, not for ever");
    let before = server.log().len();
    client.set_paused("other", true).await.expect_err("401");
    let sent = server.log().iter().skip(before).filter(|seen| seen.method == Method::PATCH).count();
    assert_eq!(sent, 1, "a change is sent exactly once");
}

#[tokio::test]
async fn a_deploy_that_brings_the_other_api_is_noticed() {
    let upgraded = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let now = upgraded.clone();
    let server = Server::start(
        move |seen: &Seen| {
            if now.load(std::sync::atomic::Ordering::SeqCst) { three(seen) } else { two(seen) }
        },
    )
    .await;
    let client = server.client(admin());
    assert_eq!(client.version().await.expect("version"), "2.10.5");
    upgraded.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(client.health().await.is_ok());
    assert_eq!(client.version().await.expect("version"), "3.1.8");
    assert_eq!(client.activity().await.expect("activity").runs.len(), 2);
}

#[tokio::test]
async fn ids_are_encoded_and_secrets_stay_out_of_urls() {
    let server = Server::start(two).await;
    let error = server.client(admin()).dag("a+b:c/d é").await.expect_err("no such DAG");
    assert!(
        server.lines().iter().any(|line| line == "GET /api/v1/dags/a%2Bb%3Ac%2Fd%20%C3%A9"),
        "{:?}",
        server.lines()
    );
    assert!(!error.to_string().contains("secret"));
    let bad = |url: &str| AirflowClient::new(url, AirflowAuth::Anonymous, vec![]).err().map(|error| error.to_string());
    assert!(bad("http://airflow.example").expect("refused").contains("loopback"));
    assert!(bad("https://me:pw@airflow.example").expect("refused").contains("username"));
    assert_eq!(bad("http://[::1]:8080/"), None);
}

#[test]
fn an_import_error_is_known_by_its_last_line_without_addresses() {
    let list: wire::ImportErrors = serde_json::from_value(json!({
        "import_errors": [{
            "import_error_id": 7,
            "filename": "/opt/airflow/dags/a.py",
            "stack_trace": "Traceback:\n  File \"a.py\"\nTypeError: <Task at 0x7f00ab12> is odd\n\n",
            "timestamp": "2026-11-20T08:27:16Z",
        }],
        "total_entries": 1,
    }))
    .expect("parses");
    let error: ImportError = list.import_errors.into_iter().next().expect("one").into();
    assert_eq!(error.summary, "TypeError: <Task at 0x…> is odd");
}

#[test]
fn a_task_of_an_old_airflow_finds_its_run_by_date() {
    let runs: wire::Runs = serde_json::from_value(json!({
        "dag_runs": [{ "dag_id": "d", "dag_run_id": "manual__1", "state": "running", "execution_date": "E" }],
        "total_entries": 1,
    }))
    .expect("parses");
    let tasks: wire::Tasks = serde_json::from_value(json!({
        "task_instances": [{ "dag_id": "d", "task_id": "t", "execution_date": "E", "state": null }],
        "total_entries": 1,
    }))
    .expect("parses");
    let activity = wire::activity(runs.dag_runs, tasks.task_instances);
    assert_eq!((activity.tasks[0].run_id.as_str(), activity.tasks[0].map_index), ("manual__1", -1));
    assert_eq!(activity.tasks[0].state, "none");
}
