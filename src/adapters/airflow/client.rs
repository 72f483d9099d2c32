//! The requests: which version answers, credentials of each, one method per question.

use async_trait::async_trait;
use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::address::{self, HINT, encoded, hinted};
use super::paging::{self, Page};
use super::{
    ACTIVE_STATES, Activity, AirflowRead, AirflowWrite, Dag, Health, ImportError, PauseEntry, Result, ServiceError,
    wire,
};
use crate::adapters::Cause;
use crate::adapters::http::{self, Answer, Http, Patience};

/// Airflow's own maximum; a larger page is clamped to it without a word.
const PAGE: usize = 100;

/// How to show who we are.
#[derive(Debug, Clone)]
pub enum AirflowAuth {
    Anonymous,
    /// Sent as `Authorization: Bearer`.
    Token(SecretString),
    /// Basic auth for 2.x; exchanged for a JWT at `/auth/token` of 3.x.
    Password {
        username: String,
        password: SecretString,
    },
}

/// Which of its two REST APIs a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    /// 2.x
    V1,
    /// 3.x
    V2,
}

impl Generation {
    fn root(self) -> &'static str {
        match self {
            Generation::V1 => "/api/v1",
            Generation::V2 => "/api/v2",
        }
    }
}

/// What one request is sent with.
#[derive(Clone)]
enum Credentials {
    Nothing,
    Bearer(SecretString),
    Basic(String, SecretString),
}

/// Airflow 2.x or 3.x over HTTP.
pub struct AirflowClient {
    http: Http,
    client: Client,
    /// Without a slash at its end.
    base: String,
    auth: AirflowAuth,
    headers: HeaderMap,
    /// Found out once, and again only where a deploy may have changed it.
    generation: Mutex<Option<Generation>>,
    jwt: Mutex<Option<SecretString>>,
}

impl AirflowClient {
    /// `headers` go with every request (Cloudflare Access). Sends nothing yet.
    ///
    /// # Errors
    /// A URL that cannot be used (plain http is for loopback only, credentials never stand in it), a bad header.
    pub fn new(
        url: &str,
        auth: AirflowAuth,
        headers: Vec<(String, SecretString)>,
    ) -> std::result::Result<Self, ServiceError> {
        let http = Http::new("Airflow");
        let wrong = |why: String| http.error("configuration", Cause::Failed(why));
        let base = address::base(url).map_err(wrong)?;
        let headers = address::headers(&headers).map_err(wrong)?;
        Ok(Self {
            client: http::client(),
            base,
            auth,
            headers,
            generation: Mutex::new(None),
            jwt: Mutex::new(None),
            http,
        })
    }

    /// With other timeouts and tries, for loopback alone.
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.http = Http::with_patience("Airflow", patience);
        self.client = http::loopback_client(&patience);
        self
    }

    fn request(&self, method: &Method, path: &str, credentials: &Credentials, body: Option<&Value>) -> RequestBuilder {
        let mut request = self
            .client
            .request(method.clone(), format!("{}{path}", self.base))
            .headers(self.headers.clone())
            .header(ACCEPT, "application/json");
        request = match credentials {
            Credentials::Nothing => request,
            Credentials::Bearer(token) => request.bearer_auth(token.expose_secret()),
            Credentials::Basic(user, password) => request.basic_auth(user, Some(password.expose_secret())),
        };
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }

    async fn credentials(&self, generation: Generation) -> Result<Credentials> {
        match (&self.auth, generation) {
            (AirflowAuth::Anonymous, _) => Ok(Credentials::Nothing),
            (AirflowAuth::Token(token), _) => Ok(Credentials::Bearer(token.clone())),
            (AirflowAuth::Password { username, password }, Generation::V1) => {
                Ok(Credentials::Basic(username.clone(), password.clone()))
            }
            (AirflowAuth::Password { username, password }, Generation::V2) => {
                // Held while it is fetched, so requests side by side share one token.
                let mut jwt = self.jwt.lock().await;
                if let Some(token) = &*jwt {
                    return Ok(Credentials::Bearer(token.clone()));
                }
                let name = "POST /auth/token";
                let body = json!({ "username": username, "password": password.expose_secret() });
                let ask = || self.request(&Method::POST, "/auth/token", &Credentials::Nothing, Some(&body));
                let answer = self.http.read(name, ask).await.map_err(hinted)?;
                let token: wire::Token = self.json(name, &answer)?;
                let token = SecretString::from(token.access_token);
                *jwt = Some(token.clone());
                Ok(Credentials::Bearer(token))
            }
        }
    }

    /// Throws the JWT away, unless somebody renewed it meanwhile. True where asking again may help.
    async fn forget(&self, refused: &Credentials) -> bool {
        let (AirflowAuth::Password { .. }, Credentials::Bearer(refused)) = (&self.auth, refused) else { return false };
        let mut jwt = self.jwt.lock().await;
        if jwt.as_ref().is_some_and(|now| now.expose_secret() == refused.expose_secret()) {
            *jwt = None;
        }
        true
    }

    /// Which API the server has: both version endpoints are asked side by side.
    async fn generation(&self) -> Result<Generation> {
        let mut known = self.generation.lock().await;
        if let Some(generation) = *known {
            return Ok(generation);
        }
        let found = self.probe().await?;
        *known = Some(found);
        Ok(found)
    }

    /// Asks again which API there is: a deploy may bring 3.x where 2.x was. True where it changed.
    async fn generation_changed(&self, before: Generation) -> bool {
        let Ok(now) = self.probe().await else { return false };
        *self.generation.lock().await = Some(now);
        now != before
    }

    async fn probe(&self) -> Result<Generation> {
        let credentials = match &self.auth {
            AirflowAuth::Token(token) => Credentials::Bearer(token.clone()),
            // Version endpoints are public, and a JWT cannot be had before the version is known.
            _ => Credentials::Nothing,
        };
        let ask = async |path: &str| -> Result<wire::Version> {
            let name = format!("GET {path}");
            let answer = self.http.read(&name, || self.request(&Method::GET, path, &credentials, None)).await;
            self.json(&name, &answer.map_err(hinted)?)
        };
        match tokio::join!(ask("/api/v2/version"), ask("/api/v1/version")) {
            (Ok(_), _) => Ok(Generation::V2),
            (Err(_), Ok(_)) => Ok(Generation::V1),
            // "Not found" only says which API it is not.
            (Err(second), Err(first)) => Err(if second.not_found() { first } else { second }),
        }
    }

    /// A read, with one new JWT where the old one has run out.
    async fn ask(&self, generation: Generation, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let name = format!("{method} {}", path.split('?').next().unwrap_or(path));
        let mut renewed = false;
        loop {
            let credentials = self.credentials(generation).await?;
            let answer = self.http.read(&name, || self.request(&method, path, &credentials, body)).await;
            match answer {
                Err(error) if not_accepted(&error) && !renewed && self.forget(&credentials).await => {
                    renewed = true;
                }
                other => return other.map_err(hinted),
            }
        }
    }

    async fn get<T: DeserializeOwned>(&self, generation: Generation, path: &str) -> Result<T> {
        let answer = self.ask(generation, Method::GET, path, None).await?;
        self.json(&format!("GET {}", path.split('?').next().unwrap_or(path)), &answer)
    }

    /// Parses; what is not JSON at all is most likely a login page in front of Airflow.
    fn json<T: DeserializeOwned>(&self, name: &str, answer: &Answer) -> Result<T> {
        let parsed = self.http.json(name, answer);
        let kind = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if kind.contains("json") { parsed } else { parsed.map_err(hinted) }
    }

    /// One page of a list: a query of 3.x, or of 2.x where it has no reading POST.
    async fn page<L, T>(
        &self,
        generation: Generation,
        path: String,
        body: Option<Value>,
        open: impl Fn(L) -> (Vec<T>, usize),
    ) -> Result<Page<T>>
    where
        L: DeserializeOwned,
    {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let answer = self.ask(generation, method.clone(), &path, body.as_ref()).await?;
        let list: L = self.json(&format!("{method} {}", path.split('?').next().unwrap_or(&path)), &answer)?;
        let (items, total) = open(list);
        Ok(Page { items, total })
    }

    async fn runs(&self, generation: Generation) -> Result<Vec<wire::WireRun>> {
        let fetch = |offset: usize| {
            let (path, body) = match generation {
                Generation::V1 => (
                    "/api/v1/dags/~/dagRuns/list".to_owned(),
                    Some(json!({ "states": ["running", "queued"], "page_limit": PAGE, "page_offset": offset })),
                ),
                Generation::V2 => {
                    (format!("/api/v2/dags/~/dagRuns?state=running&state=queued&limit={PAGE}&offset={offset}"), None)
                }
            };
            self.page(generation, path, body, |list: wire::Runs| (list.dag_runs, list.total_entries))
        };
        let all = paging::all(fetch, |run| (run.dag_id.clone(), run.dag_run_id.clone())).await?;
        all.ok_or_else(|| self.moved("list of DAG runs"))
    }

    async fn tasks(&self, generation: Generation) -> Result<Vec<wire::WireTask>> {
        let fetch = |offset: usize| {
            let (path, body) = match generation {
                Generation::V1 => (
                    "/api/v1/dags/~/dagRuns/~/taskInstances/list".to_owned(),
                    Some(json!({ "state": ACTIVE_STATES, "page_limit": PAGE, "page_offset": offset })),
                ),
                Generation::V2 => {
                    let states: String = ACTIVE_STATES.iter().map(|state| format!("state={state}&")).collect();
                    let path = "/api/v2/dags/~/dagRuns/~/taskInstances";
                    (format!("{path}?{states}limit={PAGE}&offset={offset}"), None)
                }
            };
            self.page(generation, path, body, |list: wire::Tasks| (list.task_instances, list.total_entries))
        };
        let all = paging::all(fetch, wire::WireTask::key).await?;
        all.ok_or_else(|| self.moved("list of task instances"))
    }

    fn moved(&self, what: &str) -> ServiceError {
        let why = "it changed twice while its pages were read, so something may be missing from it; ask again";
        self.http.error(format!("the {what}"), Cause::NoAnswer(why.into()))
    }

    async fn health_of(&self, generation: Generation) -> Result<Health> {
        let path = match generation {
            Generation::V1 => "/health",
            Generation::V2 => "/api/v2/monitor/health",
        };
        let name = format!("GET {path}");
        let answer = self.ask(generation, Method::GET, path, None).await?;
        let parsed: Value = self.json(&name, &answer)?;
        let date = answer.headers.get(DATE).and_then(|value| wire::http_date(value.to_str().ok()?));
        wire::health(&parsed, date).ok_or_else(|| {
            self.http.error(name, Cause::Malformed(format!("it names neither a scheduler nor a database; {HINT}")))
        })
    }
}

#[async_trait]
impl AirflowRead for AirflowClient {
    async fn version(&self) -> Result<String> {
        let generation = self.generation().await?;
        let ask = async |generation: Generation| -> Result<String> {
            let version: wire::Version = self.get(generation, &format!("{}/version", generation.root())).await?;
            Ok(version.version)
        };
        match ask(generation).await {
            Err(error) if other_api(&error) && self.generation_changed(generation).await => {
                ask(self.generation().await?).await
            }
            other => other,
        }
    }

    async fn health(&self) -> Result<Health> {
        let generation = self.generation().await?;
        match self.health_of(generation).await {
            Err(error) if other_api(&error) && self.generation_changed(generation).await => {
                self.health_of(self.generation().await?).await
            }
            other => other,
        }
    }

    async fn activity(&self) -> Result<Activity> {
        let generation = self.generation().await?;
        let (runs, tasks) = tokio::try_join!(self.runs(generation), self.tasks(generation))?;
        Ok(wire::activity(runs, tasks))
    }

    async fn dag(&self, dag_id: &str) -> Result<Dag> {
        let generation = self.generation().await?;
        let dag: wire::WireDag =
            self.get(generation, &format!("{}/dags/{}", generation.root(), encoded(dag_id))).await?;
        Ok(dag.into())
    }

    async fn pause_log(&self, dag_id: &str) -> Result<Vec<PauseEntry>> {
        let generation = self.generation().await?;
        let events = match generation {
            // One parameter, and one for each.
            Generation::V1 => format!("included_events={}", wire::PAUSING.join(",")),
            Generation::V2 => wire::PAUSING.map(|event| format!("included_events={event}")).join("&"),
        };
        let dag = encoded(dag_id);
        let path = format!("{}/eventLogs?dag_id={dag}&{events}&order_by=-event_log_id&limit={PAGE}", generation.root());
        let log: wire::EventLogs = self.get(generation, &path).await?;
        let account = match &self.auth {
            AirflowAuth::Password { username, .. } => Some(username.as_str()),
            AirflowAuth::Anonymous | AirflowAuth::Token(_) => None,
        };
        Ok(log.event_logs.into_iter().filter_map(|entry| entry.pause(account)).collect())
    }

    async fn import_errors(&self) -> Result<Vec<ImportError>> {
        let generation = self.generation().await?;
        let fetch = |offset: usize| {
            let path = format!("{}/importErrors?limit={PAGE}&offset={offset}", generation.root());
            self.page(generation, path, None, |list: wire::ImportErrors| (list.import_errors, list.total_entries))
        };
        let all = paging::all(fetch, |error| (error.import_error_id, error.filename.clone())).await?;
        let all = all.ok_or_else(|| self.moved("list of import errors"))?;
        Ok(all.into_iter().map(ImportError::from).collect())
    }
}

#[async_trait]
impl AirflowWrite for AirflowClient {
    /// Sent exactly once, even where the JWT has just run out: whoever sets a value has read it before, which renews.
    async fn set_paused(&self, dag_id: &str, paused: bool) -> Result<Dag> {
        let generation = self.generation().await?;
        let path = format!("{}/dags/{}", generation.root(), encoded(dag_id));
        let name = format!("PATCH {path}");
        let credentials = self.credentials(generation).await?;
        let body = json!({ "is_paused": paused });
        let request = self.request(&Method::PATCH, &format!("{path}?update_mask=is_paused"), &credentials, Some(&body));
        let answer = match self.http.write(&name, request).await {
            Err(error) => {
                if not_accepted(&error) {
                    self.forget(&credentials).await;
                }
                return Err(hinted(error));
            }
            Ok(answer) => answer,
        };
        let dag: wire::WireDag = self.json(&name, &answer)?;
        Ok(dag.into())
    }
}

/// Whether a new token may help. 3.x says 401 to one that has run out, and 403 to one that another instance signed, as
/// the one before a deploy did (`resolve_user_from_token` in its `core_api/security.py`).
fn not_accepted(error: &ServiceError) -> bool {
    match &error.cause {
        Cause::Unauthorized(_) => true,
        Cause::Forbidden(message) => message.contains("Invalid JWT token"),
        _ => false,
    }
}

/// What the other version's API would answer here: a 404, or its pages for people.
fn other_api(error: &ServiceError) -> bool {
    matches!(error.cause, Cause::NotFound(_) | Cause::Malformed(_))
}
