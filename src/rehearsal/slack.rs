//! Slack's incoming webhook: takes a JSON `text`, answers one word, which it calls `text/html`.
//! <https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks>

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use axum::routing::any;

use super::Fault;
use super::answer::{self, header, object};
use super::shared::Shared;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(any(webhook)).with_state(shared)
}

async fn webhook(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |status, text: &'static str| answer::typed(status, "text/html", text);
    if shared.has(Fault::SlackDown) {
        return text(500, "rollup_error");
    }
    if let Some((status, word)) = unknown(uri.path(), &shared.secrets.slack) {
        return text(status, word);
    }
    if method != Method::POST {
        return text(400, "invalid_payload");
    }
    if !header(&headers, "content-type").starts_with("application/json") {
        return text(400, "invalid_payload");
    }
    let Some(message) = object(&body) else { return text(400, "invalid_payload") };
    match message.get("text").and_then(|value| value.as_str()) {
        Some("") | None => text(400, "no_text"),
        Some(said) => {
            shared.state().slack.push(said.to_owned());
            text(200, "ok")
        }
    }
}

/// What is wrong with a path that is not the webhook's, `/services/TEAM/SERVICE/TOKEN`.
fn unknown(path: &str, known: &str) -> Option<(u16, &'static str)> {
    let wrong = path.split('/').zip(known.split('/')).position(|(part, known)| part != known);
    match wrong {
        None if path.len() == known.len() => None,
        Some(0..=2) => Some((404, "no_team")),
        Some(3) => Some((404, "no_service")),
        None | Some(_) => Some((403, "invalid_token")),
    }
}
