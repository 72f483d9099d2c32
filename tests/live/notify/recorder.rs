//! A server that writes down what it is asked and answers what it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

/// One request.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    /// Decoded, sorted.
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub fn one(&self, name: &str) -> &str {
        let mut found = self.query.iter().filter(|(key, _)| key == name);
        let (_, value) = found.next().unwrap_or_else(|| panic!("no {name} in {:?}", self.query));
        assert!(found.next().is_none(), "{name} twice in {:?}", self.query);
        value
    }
}

/// Status, headers, body.
pub type Told = (u16, Vec<(&'static str, String)>, String);

#[derive(Clone, Default)]
struct Shared {
    seen: Arc<Mutex<Vec<Seen>>>,
    told: Arc<Mutex<VecDeque<Told>>>,
}

pub struct Recorder {
    pub url: String,
    shared: Shared,
    serving: tokio::task::JoinHandle<()>,
}

impl Recorder {
    /// Gives these answers in turn, the last one for ever.
    pub async fn telling(told: Vec<Told>) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Shared { told: Arc::new(Mutex::new(told.into())), ..Shared::default() };
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, serving }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let url = reqwest::Url::parse(&format!("http://localhost{uri}")).unwrap();
    let mut query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    query.sort();
    let seen = Seen { method: method.to_string(), path: uri.path().to_owned(), query, headers, body };
    shared.seen.lock().unwrap().push(seen);
    let mut told = shared.told.lock().unwrap();
    let (status, extra, body) = if told.len() > 1 { told.pop_front().unwrap() } else { told[0].clone() };
    let mut response = (StatusCode::from_u16(status).unwrap(), Bytes::from(body)).into_response();
    for (name, value) in extra {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}
