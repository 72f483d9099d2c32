//! What the world was asked: a line of JSON per request, appended before its answer leaves.

use std::io::Write;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::connection::Cut;
use super::shared::Shared;
use super::{Fault, Intervention};

/// No request of a deploy is near this.
const LARGEST_BODY: usize = 1024 * 1024;

/// One request as the world saw it. Times are milliseconds since the world's start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestLogEntry {
    /// `github`, `airflow`, `registry`, `sentry` or `slack`
    pub service: String,
    pub method: String,
    /// Path and query. A webhook's secret part is left out.
    pub path: String,
    /// 0 where the answer was lost on purpose.
    pub status: u16,
    pub started_ms: f64,
    pub ended_ms: f64,
    /// The JSON body of anything but GET and HEAD, passwords blanked out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<Value>,
}

impl RequestLogEntry {
    /// Whether it could have changed something: anything but GET, HEAD, a POST that only lists, and fetching a token.
    pub fn mutates(&self) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        match self.method.as_str() {
            "GET" | "HEAD" => false,
            "POST" => path != "/auth/token" && !(self.service == "airflow" && path.ends_with("/list")),
            _ => true,
        }
    }
}

/// Which service a listener is; the log's state.
#[derive(Clone)]
pub(super) struct Logged {
    pub(super) shared: Arc<Shared>,
    pub(super) service: &'static str,
}

/// An answer that must not arrive: the log says status 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lost;

/// Outermost layer of every service: delay, hiccups, the log.
pub(super) async fn record(State(Logged { shared, service }): State<Logged>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let (method, uri) = (parts.method.clone(), parts.uri.clone());
    let bytes = match to_bytes(body, LARGEST_BODY).await {
        Ok(bytes) => bytes,
        Err(_) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    };
    let reads = method == Method::GET || method == Method::HEAD;
    let logged_body = (!reads).then(|| redacted(&bytes)).flatten();
    if !shared.options.answer_delay.is_zero() {
        tokio::time::sleep(shared.options.answer_delay).await;
    }
    shared.advance();
    let path = match service {
        "slack" => uri.path().rsplit_once('/').map_or(uri.path(), |(before, _)| before).to_owned(),
        _ => uri.path_and_query().map_or(uri.path(), |whole| whole.as_str()).to_owned(),
    };
    let mut entry = RequestLogEntry {
        service: service.to_owned(),
        method: method.to_string(),
        path,
        status: 0,
        started_ms: shared.milliseconds(started),
        ended_ms: 0.0,
        body: logged_body,
    };
    let watcher = shared.watcher();
    let connection = parts.extensions.get::<ConnectInfo<Cut>>().map(|ConnectInfo(connection)| connection.clone());
    let early = watcher.before(&entry);
    let mut answer = if let Some(broken) = broken(early, connection.as_ref()) {
        broken
    } else if reads && shared.hiccups() {
        (StatusCode::BAD_GATEWAY, "<html><body><h1>502 Bad Gateway</h1></body></html>").into_response()
    } else {
        next.run(Request::from_parts(parts, Body::from(bytes))).await
    };
    if early == Intervention::None {
        entry.status = answer.status().as_u16();
        if let Some(broken) = broken(watcher.after(&entry), connection.as_ref()) {
            answer = broken;
        }
    }
    let lost = answer.extensions().get::<Lost>().is_some();
    entry.status = if lost { 0 } else { answer.status().as_u16() };
    entry.ended_ms = shared.milliseconds(Instant::now());
    if let (Some(watch), Some(connection)) = (watcher.0, &connection) {
        let entry = entry.clone();
        connection.when_sent(move || watch.answered(&entry));
    }
    shared.log(entry);
    answer
}

/// The answer to a request that somebody broke.
fn broken(how: Intervention, connection: Option<&Cut>) -> Option<Response> {
    let status = match how {
        Intervention::None => return None,
        Intervention::Answer(status) => StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY),
        Intervention::Cut => StatusCode::BAD_GATEWAY,
    };
    let mut response = (status, "<html><body><h1>Sorry</h1></body></html>").into_response();
    if let (Intervention::Cut, Some(connection)) = (how, connection) {
        connection.now();
        response.extensions_mut().insert(Lost);
    }
    Some(response)
}

fn redacted(bytes: &[u8]) -> Option<Value> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    if let Some(password) = value.get_mut("password") {
        *password = Value::from("***");
    }
    Some(value)
}

impl Shared {
    fn log(&self, entry: RequestLogEntry) {
        if let Ok(line) = serde_json::to_string(&entry) {
            let mut file = self.log_file.lock().unwrap_or_else(PoisonError::into_inner);
            // A full disk must not change what the services answer; the entry stays in memory.
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    fn milliseconds(&self, moment: Instant) -> f64 {
        (moment.duration_since(self.started).as_micros() as f64) / 1000.0
    }

    /// Every ninth read breaks with `poll-hiccup`, so that a second try always succeeds.
    fn hiccups(&self) -> bool {
        self.has(Fault::PollHiccup) && {
            let mut state = self.state();
            state.reads += 1;
            state.reads % 9 == 3
        }
    }
}
