//! A GitHub that answers by a script, with the headers that GitHub always has.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use catalog_deploy::adapters::github::GithubClient;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::between::Between;
use super::description::description;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
}

pub struct Told {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Told {
    pub fn json(status: u16, value: &Value) -> Self {
        Self { status, headers: Vec::new(), body: value.to_string() }
            .with("content-type", "application/json; charset=utf-8")
    }

    /// GitHub's error object.
    pub fn message(status: u16, text: &str) -> Self {
        let value = json!({ "message": text, "documentation_url": "https://docs.github.com/rest", "status": status.to_string() });
        Self::json(status, &value)
    }

    pub fn html(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.to_owned() }.with("content-type", "text/html; charset=utf-8")
    }

    /// With this header, instead of another of that name.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_string()));
        self
    }
}

type Answering = dyn Fn(&Seen, usize) -> Told + Send + Sync;

#[derive(Clone)]
struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<Answering>,
}

pub struct Script {
    pub url: String,
    shared: Shared,
    serving: tokio::task::JoinHandle<()>,
}

impl Script {
    /// `script` is called with each request and its number, from 0.
    pub async fn start(script: impl Fn(&Seen, usize) -> Told + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Shared { seen: Arc::default(), script: Arc::new(script) };
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, serving }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The client with the description between it and this.
    pub fn watched(&self) -> (Between, GithubClient) {
        let between = Between::before(&self.url);
        let client = client(&between.url);
        (between, client)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub fn client(url: &str) -> GithubClient {
    GithubClient::new(url, Some(SecretString::from("github_pat_hidden"))).unwrap()
}

/// The first example that GitHub shows of an answer.
pub fn example(method: &str, path: &str, status: u16) -> Value {
    let operation = description().operation(method, path).unwrap();
    description().examples(operation.value, status)[0].clone()
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let seen = Seen { method: method.to_string(), target: uri.to_string(), headers };
    let told = {
        let mut log = shared.seen.lock().unwrap();
        log.push(seen.clone());
        (shared.script)(&seen, log.len() - 1)
    };
    let mut response = (StatusCode::from_u16(told.status).unwrap(), Bytes::from(told.body)).into_response();
    let always = [
        ("x-github-request-id", "C0:FE".to_owned()),
        ("x-github-media-type", "github.v3; format=json".to_owned()),
        ("x-ratelimit-limit", "5000".to_owned()),
        ("x-ratelimit-remaining", "4000".to_owned()),
        ("x-ratelimit-used", "1000".to_owned()),
        ("x-ratelimit-reset", "1924359991".to_owned()),
        ("x-ratelimit-resource", "core".to_owned()),
    ];
    for (name, value) in always.into_iter().chain(told.headers) {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
