//! What every answer of GitHub has around it: media type, scopes, limits, and the tag of a conditional request.
//! <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api>

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode, header as names};
use axum::response::Response;
use jiff::Timestamp;

use crate::rehearsal::answer::{header, with};
use crate::rehearsal::registry::sha256;
use crate::rehearsal::shared::Shared;

const LIMIT: u64 = 5000;
/// Limits begin anew every hour.
const WINDOW: i64 = 3600;
/// No list of this world is near this.
const LARGEST: usize = 16 * 1024 * 1024;

pub(super) fn common(response: Response, asked: &HeaderMap) -> Response {
    let raw = header(asked, "accept").contains("raw");
    let media = if raw { "github.v3; param=raw; format=json" } else { "github.v3; format=json" };
    let response = with(response, "x-github-media-type", media);
    let response = with(response, "x-github-request-id", "CAFE:1234:ABCDEF:123456:66FA8B1C");
    with(response, "x-oauth-scopes", "repo, read:org")
}

/// A read's tag; 304 without a body where the asker has what would be answered.
pub(super) async fn conditional(response: Response, asked: &HeaderMap) -> Response {
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, LARGEST).await else { return Response::new(Body::empty()) };
    let tag = format!("W/\"{}\"", sha256(&bytes));
    let known = header(asked, "if-none-match").split(',').any(|known| known.trim() == tag);
    let body = if known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(names::CONTENT_TYPE);
        Body::empty()
    } else {
        Body::from(bytes)
    };
    with(Response::from_parts(parts, body), "etag", &tag)
}

/// Counts the request, unless nothing had changed.
pub(super) fn limits(shared: &Shared, response: Response) -> Response {
    let used = {
        let mut state = shared.state();
        if response.status() != StatusCode::NOT_MODIFIED {
            state.github_used += 1;
        }
        state.github_used.min(LIMIT)
    };
    let now = Timestamp::now().as_second();
    let limits = [
        ("x-ratelimit-limit", LIMIT.to_string()),
        ("x-ratelimit-remaining", (LIMIT - used).to_string()),
        ("x-ratelimit-used", used.to_string()),
        ("x-ratelimit-reset", (now - now.rem_euclid(WINDOW) + WINDOW).to_string()),
        ("x-ratelimit-resource", "core".to_owned()),
    ];
    limits.into_iter().fold(response, |response, (name, value)| with(response, name, &value))
}
