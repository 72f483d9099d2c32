//! A proxy that stands between the client and a GitHub and holds every exchange against the description. The first one
//! that breaks it is answered with what is wrong, so that the run ends there.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method, Uri};
use axum::response::{IntoResponse, Response};
use reqwest::{Client, StatusCode};
use tokio::sync::oneshot;

use super::exchange::Exchange;
use super::violations::violations;

/// Headers of one connection, which is not the other one.
const OF_THE_CONNECTION: [&str; 4] = ["host", "content-length", "transfer-encoding", "connection"];

#[derive(Clone)]
struct Shared {
    own: String,
    upstream: String,
    hidden: Option<&'static str>,
    client: Client,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
    wrong: Arc<Mutex<Vec<String>>>,
}

pub struct Between {
    pub url: String,
    shared: Shared,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Between {
    pub fn before(upstream: &str) -> Self {
        Self::hiding(upstream, None)
    }

    /// Leaves a header of every answer out.
    pub fn hiding(upstream: &str, hidden: Option<&'static str>) -> Self {
        let (started, address) = std::sync::mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let upstream = upstream.trim_end_matches('/').to_owned();
        // A thread of its own: whoever drives the product blocks.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
                let own = format!("http://{}", listener.local_addr().unwrap());
                let client = catalog_deploy::adapters::http::client_for(&own.parse().unwrap());
                let (exchanges, wrong) = Default::default();
                let shared = Shared { own, upstream, hidden, client, exchanges, wrong };
                started.send(shared.clone()).unwrap();
                let router = Router::new().fallback(pass).with_state(shared);
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = ended => {}
                }
            });
        });
        let shared = address.recv().unwrap();
        Self { url: shared.own.clone(), shared, end: Some(end), thread: Some(thread) }
    }

    /// Every exchange so far; fails with the first violation.
    pub fn exchanges(&self) -> Vec<Exchange> {
        let wrong = self.shared.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "GitHub's description is broken:\n{}", wrong.join("\n"));
        self.shared.exchanges.lock().unwrap().clone()
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            let _gone = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

async fn pass(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path_and_query().map_or("/", |it| it.as_str());
    let url = reqwest::Url::parse(&format!("{}{path}", shared.upstream)).unwrap();
    let request = shared.client.request(method.clone(), url.clone()).headers(passed(&headers)).body(body.clone());
    // An answer that is lost on one side is lost on the other.
    let Ok(answer) = request.send().await else { return lost() };
    let (status, answered) = (answer.status(), answer.headers().clone());
    let Ok(bytes) = answer.bytes().await else { return lost() };
    let exchange = Exchange {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        asked: headers,
        sent: body.to_vec(),
        status: status.as_u16(),
        headers: answered.clone(),
        answer: bytes.to_vec(),
    };
    let found = violations(&exchange);
    shared.exchanges.lock().unwrap().push(exchange);
    if !found.is_empty() {
        let text = found.join("\n");
        shared.wrong.lock().unwrap().extend(found);
        return (StatusCode::NOT_ACCEPTABLE, text).into_response();
    }
    let mut response = Response::new(Body::from(shared.renamed(&bytes)));
    *response.status_mut() = status;
    for (name, value) in passed(&answered).iter().filter(|(name, _)| Some(name.as_str()) != shared.hidden) {
        let value = shared.renamed(value.as_bytes());
        response.headers_mut().append(name, value.try_into().unwrap());
    }
    response
}

fn passed(headers: &HeaderMap) -> HeaderMap {
    let other = |name: &HeaderName| !OF_THE_CONNECTION.contains(&name.as_str());
    headers.iter().filter(|(name, _)| other(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn lost() -> Response {
    let broken = futures::stream::once(async { Err::<Bytes, _>(std::io::Error::other("lost")) });
    Response::new(Body::from_stream(broken))
}

impl Shared {
    /// What is behind is known by the proxy's address: where a list goes on, where a renamed repository is.
    fn renamed(&self, bytes: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(bytes) {
            Ok(text) => text.replace(&self.upstream, &self.own).into_bytes(),
            Err(_) => bytes.to_vec(),
        }
    }
}
