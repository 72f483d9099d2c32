//! What all services over HTTP share: one client, timeouts, bounded bodies, and one reading of failures.
//!
//! [`Http::read`] asks again a few times after a passing failure; [`Http::write`] sends exactly once. Redirects are
//! never followed here: a login page hides behind them. Logs and errors name a request by method and path only, never
//! by its query, headers or body, so no secret gets into them.

mod failure;
mod link;
#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod tests;
mod url;

use std::sync::OnceLock;
use std::time::Duration;

use futures::StreamExt;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

use super::{Cause, ServiceError};
pub use failure::{refusal, transport};
pub(in crate::adapters) use link::parameter;
pub use link::{NextPage, next_page, page_elsewhere};
pub use url::{check_url, is_loopback, is_loopback_text, path_of, same_origin, with_path};

/// No answer of these services is near this; more is a fault, and memory stays flat.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// How long one request may take, and how often a read is tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until the connection stands.
    pub connect: Duration,
    /// From sending to the last byte of the answer.
    pub answer: Duration,
    /// Tries of one read, the first included.
    pub tries: u32,
    /// Pause after the first failed try; doubles, with jitter.
    pub first_pause: Duration,
    /// A service that wants us to wait longer than this within one read is told to the person instead.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            tries: 3,
            first_pause: Duration::from_millis(400),
            longest_pause: Duration::from_secs(20),
        }
    }
}

/// No service of a rehearsal is hurried beyond this: the machine that plays all of them may be busy.
const LEAST_ANSWER: Duration = Duration::from_secs(2);

impl Patience {
    /// For rehearsals: `hurry` times shorter, as their waits are. What a service itself asks to wait stays as it is.
    pub fn hurried(hurry: u32) -> Self {
        let (usual, hurry) = (Self::default(), hurry.max(1));
        Self {
            connect: (usual.connect / hurry).max(LEAST_ANSWER),
            answer: (usual.answer / hurry).max(LEAST_ANSWER),
            first_pause: usual.first_pause / hurry,
            ..usual
        }
    }
}

/// The one client of this process, made on first use: TLS by rustls and the platform's certificates.
pub fn client() -> Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| build_client(&Patience::default(), false)).clone()
}

/// [`client`], except that loopback is never asked through the proxy that the environment names, and needs no
/// certificates of the platform (a container may have none).
pub fn client_for(url: &reqwest::Url) -> Client {
    static LOOPBACK: OnceLock<Client> = OnceLock::new();
    if is_loopback(url) { LOOPBACK.get_or_init(|| build_client(&Patience::default(), true)).clone() } else { client() }
}

/// A client of its own with other timeouts, for loopback alone.
pub fn loopback_client(patience: &Patience) -> Client {
    build_client(patience, true)
}

fn build_client(patience: &Patience, loopback: bool) -> Client {
    // Several parts of one process may get here first; a provider that is installed already is the same one.
    let _already = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        Client::builder()
            .user_agent(concat!("catalog-deploy/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.connect)
            .timeout(patience.answer)
            .redirect(reqwest::redirect::Policy::none())
            // Whether a request is sent again is decided in this file alone.
            .retry(reqwest::retry::never())
    };
    let trusting_nobody = || builder().tls_certs_only([]);
    if loopback {
        return trusting_nobody().no_proxy().build().unwrap_or_default();
    }
    builder().build().unwrap_or_else(|error| {
        // Without the platform's certificates every https request fails and says so; loopback still works.
        tracing::error!(%error, "could not load the platform's certificates");
        trusting_nobody().build().unwrap_or_default()
    })
}

/// A complete answer, whatever its status.
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
    patience: Patience,
}

impl Http {
    pub fn new(service: impl Into<String>) -> Self {
        Self::with_patience(service, Patience::default())
    }

    pub fn with_patience(service: impl Into<String>, patience: Patience) -> Self {
        Self { service: service.into(), patience }
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
        let answer = self.ask(request, || self.exchange(request, build())).await?;
        self.judge(request, answer)
    }

    /// Sent exactly once, whatever happens. Statuses outside 2xx are errors.
    pub async fn write(&self, request: &str, builder: RequestBuilder) -> Result<Answer, ServiceError> {
        let answer = self.exchange(request, builder).await?;
        self.judge(request, answer)
    }

    /// Calls `once` until it gives an answer that would be the same the next time, which is given back whatever its
    /// status: for readers that have their own use for 304, 401 or a redirect.
    pub async fn ask<F>(&self, request: &str, once: impl Fn() -> F) -> Result<Answer, ServiceError>
    where
        F: Future<Output = Result<Answer, ServiceError>>,
    {
        let mut attempt = 1;
        loop {
            let (error, asked) = match once().await {
                Ok(answer) => {
                    let error = self.error(request, refusal(answer.status, &answer.headers, &answer.body));
                    if answer.status.is_success() || !error.passing() {
                        return Ok(answer);
                    }
                    (error, failure::asked_to_wait(&answer.headers))
                }
                Err(error) => (error, None),
            };
            let asked = match &error.cause {
                Cause::RateLimited { retry_after } => Some(*retry_after),
                _ => asked,
            };
            if !error.passing()
                || attempt >= self.patience.tries
                || asked.is_some_and(|asked| asked > self.patience.longest_pause)
            {
                return Err(error);
            }
            tracing::debug!(%error, attempt, "asking again");
            tokio::time::sleep(asked.unwrap_or_else(|| failure::backoff(self.patience.first_pause, attempt))).await;
            attempt += 1;
        }
    }

    /// One request, one complete answer of whatever status.
    pub async fn exchange(&self, request: &str, builder: RequestBuilder) -> Result<Answer, ServiceError> {
        let response = builder.send().await.map_err(|error| self.error(request, transport(&error)))?;
        self.receive(request, response).await
    }

    /// The whole body of an answer that has begun, up to the largest that is believable.
    pub async fn receive(&self, request: &str, response: Response) -> Result<Answer, ServiceError> {
        let (status, headers) = (response.status(), response.headers().clone());
        let too_long = || {
            let cause = Cause::Malformed(format!("an answer of more than {} MiB", LARGEST_BODY / 1024 / 1024));
            self.error(request, cause)
        };
        // What is promised need not be waited for.
        if response.content_length().is_some_and(|length| length > LARGEST_BODY as u64) {
            return Err(too_long());
        }
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| self.error(request, transport(&error)))?;
            if body.len() + chunk.len() > LARGEST_BODY {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
        tracing::debug!(service = self.service, request, status = status.as_u16(), bytes = body.len(), "answered");
        Ok(Answer { status, headers, body })
    }

    /// Passes 2xx on and sorts everything else.
    pub fn judge(&self, request: &str, answer: Answer) -> Result<Answer, ServiceError> {
        if answer.status.is_success() {
            return Ok(answer);
        }
        Err(self.error(request, refusal(answer.status, &answer.headers, &answer.body)))
    }

    /// Parses a JSON answer; a login page, a wrong content type or a missing field is `Malformed` with its place. JSON
    /// itself is never quoted: it may hold a token.
    pub fn json<T: DeserializeOwned>(&self, request: &str, answer: &Answer) -> Result<T, ServiceError> {
        let kind = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.contains("json") {
            let cause = Cause::Malformed(format!(
                "content type {kind:?} instead of JSON (a login page or a proxy may stand in between): {}",
                failure::excerpt(&answer.body)
            ));
            return Err(self.error(request, cause));
        }
        self.parse(request, &answer.body)
    }

    /// [`Http::json`] where the content type says nothing, e.g. a blob.
    pub fn parse<T: DeserializeOwned>(&self, request: &str, body: &[u8]) -> Result<T, ServiceError> {
        serde_json::from_slice(body).map_err(|error| {
            let quoted = if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() {
                String::new()
            } else {
                format!(": {}", failure::excerpt(body))
            };
            self.error(request, Cause::Malformed(format!("{error}{quoted}")))
        })
    }
}
