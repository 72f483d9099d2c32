//! octocrab on our shared client: which headers go out, what is asked again, what is kept, what is followed.
//!
//! The service stack is put together here layer by layer and holds no retry and no redirect layer: a change is sent
//! exactly once. Reads are asked again by [`Http::ask`], follow a renamed repository within the same origin, and are
//! conditional: a 304 costs nothing of the rate limit.
//! <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use octocrab::service::middleware::auth_header::AuthHeaderLayer;
use octocrab::service::middleware::base_uri::BaseUriLayer;
use octocrab::service::middleware::extra_headers::ExtraHeadersLayer;
use octocrab::service::middleware::reqwest_connector::ReqwestConnector;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use reqwest::header::{ACCEPT, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION};
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::Result;
use crate::adapters::http::{self, Answer, Http, NextPage};
use crate::adapters::{Cause, ServiceError};

const JSON: &str = "application/vnd.github+json";
const RAW: &str = "application/vnd.github.raw+json";
/// GitHub asks for a second between changes.
pub(super) const BETWEEN_CHANGES: Duration = Duration::from_secs(1);
/// Redirects followed for one read.
const MOST_REDIRECTS: usize = 3;
/// Answers kept for conditional requests; a run asks far fewer different questions.
const MOST_KEPT: usize = 256;

/// octocrab's answer as reqwest's, so that one place reads bodies.
macro_rules! as_response {
    ($sent:expr) => {
        $sent.await.map(|response| reqwest::Response::from(response.map(reqwest::Body::wrap)))
    };
}

pub(super) struct Transport {
    http: Http,
    base: Url,
    json: Octocrab,
    raw: Octocrab,
    /// The last answer to each URL that came with an ETag.
    kept: Mutex<HashMap<(bool, Url), (HeaderValue, Answer)>>,
    between_changes: Duration,
    last_change: tokio::sync::Mutex<Option<Instant>>,
    /// Why the token could not be read: then nothing is sent.
    pub(super) locked_out: Option<String>,
}

impl Transport {
    /// Must be called within a tokio runtime, which octocrab's queue lives in.
    pub(super) fn new(
        http: Http,
        base: Url,
        client: Client,
        token: Option<&SecretString>,
        between_changes: Duration,
    ) -> Result<Self> {
        let failed = |why: String| http.error("the client", Cause::Failed(format!("could not be made: {why}")));
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(failed("no async runtime is running".into()));
        }
        let authorization = token.map(bearer).transpose().map_err(failed)?;
        let stack = |accept: &'static str| -> std::result::Result<Octocrab, String> {
            let uri = |text: &str| text.parse().map_err(|error| format!("the API's URL is not one: {error}"));
            let headers = vec![(ACCEPT, HeaderValue::from_static(accept))];
            let built = OctocrabBuilder::new_empty()
                .with_service(ReqwestConnector::new(client.clone()))
                .with_layer(&ExtraHeadersLayer::new(Arc::new(headers)))
                .with_layer(&BaseUriLayer::new(uri(base.as_str())?))
                .with_layer(&AuthHeaderLayer::new(authorization.clone(), uri(base.as_str())?, uri(base.as_str())?))
                .with_auth(AuthState::None)
                .build();
            match built {
                Ok(octocrab) => Ok(octocrab),
                Err(never) => match never {},
            }
        };
        Ok(Self {
            json: stack(JSON).map_err(failed)?,
            raw: stack(RAW).map_err(failed)?,
            kept: Mutex::default(),
            between_changes,
            last_change: tokio::sync::Mutex::default(),
            http,
            base,
            locked_out: None,
        })
    }

    /// `/repos/{owner}/{name}/…`, every segment percent-encoded.
    pub(super) fn repo<'a>(&self, repo: &'a str, rest: impl IntoIterator<Item = &'a str>) -> Url {
        self.route(["repos"].into_iter().chain(repo.split('/')).chain(rest))
    }

    pub(super) fn route<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Url {
        http::with_path(&self.base, segments)
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T> {
        Ok(self.told(url).await?.0)
    }

    /// [`Transport::get`] where the headers tell something, too.
    pub(super) async fn told<T: DeserializeOwned>(&self, url: Url) -> Result<(T, HeaderMap)> {
        let request = name("GET", &url);
        let answer = self.read(&request, url, false).await?.1;
        Ok((self.http.json(&request, &answer)?, answer.headers))
    }

    /// A list over all its pages, up to `most` items; `items` takes them out of a page.
    pub(super) async fn pages<P, T>(&self, mut url: Url, most: usize, items: impl Fn(P) -> Vec<T>) -> Result<Vec<T>>
    where
        P: DeserializeOwned,
    {
        let request = name("GET", &url);
        let mut all = Vec::new();
        loop {
            let (asked, answer) = self.read(&request, url, false).await?;
            let page = items(self.http.json(&request, &answer)?);
            let empty = page.is_empty();
            all.extend(page);
            match http::next_page(&asked, &answer.headers) {
                NextPage::At(next) if next != asked && !empty && all.len() < most => url = next,
                NextPage::At(_) | NextPage::None => break,
                NextPage::Elsewhere(next) => return Err(self.http.error(request, http::page_elsewhere(&next))),
            }
        }
        all.truncate(most);
        Ok(all)
    }

    /// A file's bytes. A directory is answered with a listing, a proxy with a page: neither is the file.
    pub(super) async fn file(&self, url: Url) -> Result<Vec<u8>> {
        let request = name("GET", &url);
        let answer = self.read(&request, url, true).await?.1;
        let kind = answer.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if ["raw", "octet-stream", "text/plain"].iter().any(|part| kind.contains(part)) {
            return Ok(answer.body);
        }
        let cause =
            Cause::Malformed(format!("content type {kind:?} instead of a file's bytes; is the path a directory?"));
        Err(self.http.error(request, cause))
    }

    pub(super) async fn patch<B: Serialize + Sync, T: DeserializeOwned>(&self, url: Url, body: &B) -> Result<T> {
        let request = name("PATCH", &url);
        let send = async { as_response!(self.json._patch(url.as_str(), Some(body))) };
        let answer = self.change(&request, send).await?;
        self.http.json(&request, &answer)
    }

    pub(super) async fn post<B: Serialize + Sync, T: DeserializeOwned>(&self, url: Url, body: &B) -> Result<T> {
        let request = name("POST", &url);
        let send = async { as_response!(self.json._post(url.as_str(), Some(body))) };
        let answer = self.change(&request, send).await?;
        self.http.json(&request, &answer)
    }

    /// Waits for its turn, then sends once. A redirect means that nothing happened: the repository has another name.
    async fn change(
        &self,
        request: &str,
        send: impl Future<Output = octocrab::Result<reqwest::Response>>,
    ) -> Result<Answer> {
        self.may_send(request)?;
        let mut last = self.last_change.lock().await;
        if let Some(last) = *last {
            tokio::time::sleep_until(last + self.between_changes).await;
        }
        let sent = self.answer(request, send.await).await;
        *last = Some(Instant::now());
        drop(last);
        let answer = sent?;
        if answer.status.is_redirection() {
            let cause = Cause::Rejected {
                status: answer.status.as_u16(),
                message:
                    "the repository was renamed or moved and nothing was changed; put its new name into the runbook"
                        .into(),
            };
            return Err(self.http.error(request, cause));
        }
        self.http.judge(request, answer)
    }

    /// The answer to a GET and the URL it was found at.
    async fn read(&self, request: &str, mut url: Url, raw: bool) -> Result<(Url, Answer)> {
        self.may_send(request)?;
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.conditional(request, &url, raw).await?;
            if !matches!(answer.status.as_u16(), 301 | 302 | 307 | 308) {
                return Ok((url, self.http.judge(request, answer)?));
            }
            let next = answer.headers.get(LOCATION).and_then(|to| url.join(to.to_str().ok()?).ok());
            match next {
                Some(next) if http::same_origin(&url, &next) => {
                    tracing::debug!(request, status = answer.status.as_u16(), "renamed; following");
                    url = next;
                }
                // Another host is no renamed repository; the refusal names where it leads.
                _ => return Err(self.http.judge(request, answer).err().unwrap_or_else(|| self.lost(request))),
            }
        }
        let cause = Cause::Malformed(format!("redirected more than {MOST_REDIRECTS} times"));
        Err(self.http.error(request, cause))
    }

    /// Asks whether what is kept is still so, and gives that back as if it had been answered anew.
    async fn conditional(&self, request: &str, url: &Url, raw: bool) -> Result<Answer> {
        let key = (raw, url.clone());
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let octocrab = if raw { &self.raw } else { &self.json };
        let answer = self
            .http
            .ask(request, || async {
                let condition = kept.as_ref().map(|(etag, _)| HeaderMap::from_iter([(IF_NONE_MATCH, etag.clone())]));
                self.answer(request, as_response!(octocrab._get_with_headers(url.as_str(), condition))).await
            })
            .await?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return kept.map(|(_, answer)| answer).ok_or_else(|| self.lost(request));
        }
        if let (true, Some(etag)) = (answer.status.is_success(), answer.headers.get(ETAG)) {
            let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= MOST_KEPT {
                all.clear();
            }
            all.insert(key, (etag.clone(), answer.clone()));
        }
        Ok(answer)
    }

    fn may_send(&self, request: &str) -> Result<()> {
        match &self.locked_out {
            Some(why) => Err(self.http.error(request, Cause::NoCredentials(why.clone()))),
            None => Ok(()),
        }
    }

    fn lost(&self, request: &str) -> ServiceError {
        self.http.error(request, Cause::Malformed("not modified, though nothing was asked about".into()))
    }

    async fn answer(&self, request: &str, sent: octocrab::Result<reqwest::Response>) -> Result<Answer> {
        match sent {
            Ok(response) => self.http.receive(request, response).await,
            Err(error) => Err(self.http.error(request, cause(&error))),
        }
    }
}

/// `METHOD /path` for errors and logs.
fn name(method: &str, url: &Url) -> String {
    format!("{method} {}", url.path())
}

/// The header's value, never shown by `Debug`.
fn bearer(token: &SecretString) -> std::result::Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret().trim()))
        .map_err(|_| "the token holds characters that no token has; look at how it is configured".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// octocrab prints only "Service Error"; what happened is reqwest's error beneath.
fn cause(error: &octocrab::Error) -> Cause {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut text = error.to_string();
    while let Some(inner) = source {
        if let Some(transport) = inner.downcast_ref::<reqwest::Error>() {
            return http::transport(transport);
        }
        text = inner.to_string();
        source = inner.source();
    }
    Cause::NoAnswer(text)
}
