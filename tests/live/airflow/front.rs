//! Two servers of the test: the gate that sensors ask, and a proxy in front of Airflow that can misbehave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use catalog_deploy::adapters::http::{Patience, loopback_client};

/// Answers 404 to every path, 500 to `/broken`, and 200 to those that were opened.
#[derive(Clone, Default)]
pub struct Gate {
    open: Arc<Mutex<Vec<String>>>,
}

impl Gate {
    pub async fn start() -> (Self, String) {
        let gate = Self::default();
        let url = serve(Router::new().fallback(knock).with_state(gate.clone())).await;
        (gate, url)
    }

    pub fn open(&self, path: &str) {
        self.open.lock().unwrap().push(path.to_owned());
    }
}

async fn knock(State(gate): State<Gate>, uri: Uri) -> StatusCode {
    match uri.path().trim_start_matches('/') {
        "broken" => StatusCode::INTERNAL_SERVER_ERROR,
        path if gate.open.lock().unwrap().iter().any(|open| open == path) => StatusCode::OK,
        _ => StatusCode::NOT_FOUND,
    }
}

/// What a front does with a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manner {
    #[default]
    Pass,
    /// The session at the access proxy has ended: its page for people, with 200.
    LoginPage,
    /// The first token seen is spoiled wherever it comes again, so Airflow takes it for one of another instance.
    SpoilFirstToken,
}

/// A proxy on loopback. Counts what it passed on.
#[derive(Clone)]
pub struct Front {
    pub url: String,
    state: Arc<Mutex<Seen>>,
    behind: String,
    client: reqwest::Client,
}

#[derive(Default)]
struct Seen {
    manner: Manner,
    first_token: Option<String>,
    requests: HashMap<String, usize>,
}

impl Front {
    pub async fn start(behind: &str) -> Self {
        let client = loopback_client(&Patience::default());
        let mut front = Self { url: String::new(), state: Arc::default(), behind: behind.to_owned(), client };
        front.url = serve(Router::new().fallback(pass).with_state(front.clone())).await;
        front
    }

    pub fn set(&self, manner: Manner) {
        *self.state.lock().unwrap() = Seen { manner, ..Seen::default() };
    }

    /// How often `METHOD /path` came since the manner was set.
    pub fn count(&self, request: &str) -> usize {
        self.state.lock().unwrap().requests.get(request).copied().unwrap_or(0)
    }

    /// Notes the request; the credentials to send on.
    fn note(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> (Manner, Option<String>) {
        let mut seen = self.state.lock().unwrap();
        *seen.requests.entry(format!("{method} {}", uri.path())).or_default() += 1;
        let mut given = headers.get(header::AUTHORIZATION).map(|it| it.to_str().unwrap().to_owned());
        if seen.manner == Manner::SpoilFirstToken {
            if seen.first_token.is_none() {
                seen.first_token = given.clone();
            }
            if seen.first_token == given {
                // The end of its signature.
                given = given.map(|token| format!("{}AAAA", &token[..token.len() - 4]));
            }
        }
        (seen.manner, given)
    }
}

async fn pass(State(front): State<Front>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let (manner, credentials) = front.note(&method, &uri, &headers);
    if manner == Manner::LoginPage {
        let page = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><form></form></body></html>";
        return ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response();
    }
    let mut request = front.client.request(method, format!("{}{uri}", front.behind)).body(body);
    for name in [header::ACCEPT, header::CONTENT_TYPE] {
        request = headers.get(&name).into_iter().fold(request, |request, value| request.header(&name, value));
    }
    let answer = credentials.iter().fold(request, |request, it| request.header(header::AUTHORIZATION, it)).send().await;
    let answer = answer.unwrap();
    let mut response = Response::builder().status(answer.status());
    for name in [header::CONTENT_TYPE, header::DATE] {
        response = answer.headers().get(&name).into_iter().fold(response, |response, it| response.header(&name, it));
    }
    response.body(Body::from(answer.bytes().await.unwrap())).unwrap()
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}
