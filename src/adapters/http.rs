//! What all services over HTTP share: one client, timeouts, bounded bodies, and one reading of failures.
//!
//! [`Http::read`] asks again a few times after a passing failure; [`Http::write`] sends exactly once. Redirects are
//! never followed here: a login page hides behind them.

use std::sync::OnceLock;
use std::time::Duration;

use futures::StreamExt;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

use super::{Cause, ServiceError};

/// No answer of these services is near this; more is a fault, and memory stays flat.
const LARGEST_BODY: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Tries of one read, the first included.
const TRIES: u32 = 3;
/// A service that wants us to wait longer than this within one read is told to the person instead.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(20);

/// The one client of this process, made on first use: TLS by rustls and the platform's certificates.
pub fn client() -> Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(build_client).clone()
}

fn build_client() -> Client {
    // Several parts of one process may get here first; a provider that is installed already is the same one.
    let _already = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("catalog-deploy/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap_or_default()
}

/// A complete answer with a 2xx status (or one that the caller asked to see).
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// One service, for its name in errors.
#[derive(Debug, Clone)]
pub struct Http {
    service: String,
}

impl Http {
    pub fn new(service: impl Into<String>) -> Self {
        Self { service: service.into() }
    }

    pub fn service(&self) -> &str {
        &self.service
    }

    pub fn error(&self, request: impl Into<String>, cause: Cause) -> ServiceError {
        ServiceError::new(&self.service, request, cause)
    }

    /// A GET, HEAD or reading POST: tried again after a passing failure, with backoff and jitter. `request` names it in
    /// errors: method and path, no query secrets. Statuses outside 2xx are errors.
    pub async fn read(&self, request: &str, build: impl Fn() -> RequestBuilder) -> Result<Answer, ServiceError> {
        let mut attempt = 1;
        loop {
            let error = match self.write(request, build()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let pause = match &error.cause {
                Cause::RateLimited { retry_after } if *retry_after <= LONGEST_RETRY_AFTER => *retry_after,
                Cause::RateLimited { .. } => return Err(error),
                _ => backoff(attempt),
            };
            if !error.passing() || attempt == TRIES {
                return Err(error);
            }
            tracing::debug!(%error, attempt, "asking again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Sent exactly once, whatever happens.
    pub async fn write(&self, request: &str, builder: RequestBuilder) -> Result<Answer, ServiceError> {
        let response = builder.send().await.map_err(|error| self.error(request, transport(&error)))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| self.error(request, transport(&error)))?;
            if body.len() + chunk.len() > LARGEST_BODY {
                let cause = Cause::Malformed(format!("more than {} MiB", LARGEST_BODY / 1024 / 1024));
                return Err(self.error(request, cause));
            }
            body.extend_from_slice(&chunk);
        }
        tracing::debug!(service = self.service, request, status = status.as_u16(), "answered");
        if status.is_success() {
            return Ok(Answer { status, headers, body });
        }
        Err(self.error(request, refusal(status, &headers, &body)))
    }

    /// Parses a JSON answer; a login page, a wrong content type or a missing field is `Malformed` with its place.
    pub fn json<T: DeserializeOwned>(&self, request: &str, answer: &Answer) -> Result<T, ServiceError> {
        let kind = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.contains("json") {
            let cause = Cause::Malformed(format!(
                "content type {kind:?} instead of JSON (a login page or a proxy may stand in between): {}",
                excerpt(&answer.body)
            ));
            return Err(self.error(request, cause));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| self.error(request, Cause::Malformed(format!("{error}: {}", excerpt(&answer.body)))))
    }
}

/// Doubles from 400 ms, with jitter so that several readers do not come back together.
fn backoff(attempt: u32) -> Duration {
    let base = 400_u64 << attempt.min(6).saturating_sub(1);
    let mut byte = [0_u8];
    let jitter = if getrandom::fill(&mut byte).is_ok() { u64::from(byte[0]) } else { 0 };
    Duration::from_millis(base + base * jitter / 512)
}

/// Sorts a transport error into "nothing was sent" and "nobody knows".
pub fn transport(error: &reqwest::Error) -> Cause {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    if error.is_builder() {
        Cause::Failed(text)
    } else if error.is_connect() {
        Cause::Unreachable(text)
    } else if error.is_timeout() {
        Cause::NoAnswer("no answer in time".into())
    } else {
        Cause::NoAnswer(text)
    }
}

/// Sorts an answer outside 2xx. A 403 or 429 is a limit where the headers say so.
pub fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Cause {
    let message = message(body);
    let limited = headers.contains_key(RETRY_AFTER)
        || headers.get("x-ratelimit-remaining").is_some_and(|left| left.as_bytes() == b"0");
    match status.as_u16() {
        429 => Cause::RateLimited { retry_after: retry_after(headers) },
        403 if limited => Cause::RateLimited { retry_after: retry_after(headers) },
        401 => Cause::Unauthorized(message),
        403 => Cause::Forbidden(message),
        404 => Cause::NotFound(message),
        300..=399 => Cause::Malformed(format!(
            "redirected ({status}) to {}: a login page or a renamed resource",
            headers
                .get("location")
                .and_then(|to| to.to_str().ok())
                .map_or("nowhere", |to| to.split('?').next().unwrap_or(to))
        )),
        code @ 500..=599 => Cause::Broken { status: code, message },
        code => Cause::Rejected { status: code, message },
    }
}

/// `Retry-After` in seconds, else `x-ratelimit-reset` (epoch seconds), else a minute.
fn retry_after(headers: &HeaderMap) -> Duration {
    let number = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()?.parse::<i64>().ok());
    let seconds = number("retry-after")
        .or_else(|| number("x-ratelimit-reset").map(|reset| reset - jiff::Timestamp::now().as_second()))
        .unwrap_or(60);
    Duration::from_secs(seconds.max(1).unsigned_abs())
}

/// The message of a JSON error body in the shapes of GitHub, Airflow 2 (`title`, `detail`) and 3 (`detail`), and OCI.
fn message(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else { return excerpt(body) };
    let text = |key: &str| value.get(key).and_then(|found| found.as_str()).map(str::to_owned);
    let first = value.pointer("/errors/0").map(|error| match error.get("message").unwrap_or(error) {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let parts: Vec<String> =
        [text("message"), text("detail").or_else(|| text("title")), first].into_iter().flatten().collect();
    if parts.is_empty() { excerpt(body) } else { parts.join(": ") }
}

/// The first 120 characters on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(600)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "empty answer".into() } else { line.chars().take(120).collect() }
}
