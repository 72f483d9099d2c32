//! GitHub's REST API, as far as a deploy and its tests need it, with whole objects and its refusals.

mod actions;
mod commits;
mod headers;
mod objects;
mod page;
mod pull_objects;
mod pulls;
mod releases;
mod repositories;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Map, Value, json};

pub(super) use pulls::all as all_pulls;

use super::Fault;
use super::answer::{self, header, with};
use super::shared::{APPLICATION, INFRASTRUCTURE, Shared};

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/user", get(repositories::user))
        .route("/rate_limit", get(repositories::rate_limit))
        .route("/repos/{owner}/{name}", get(repositories::repository))
        .route("/repos/{owner}/{name}/branches/{branch}", get(commits::branch))
        .route("/repos/{owner}/{name}/commits", get(commits::list))
        .route("/repos/{owner}/{name}/commits/{sha}", get(commits::one))
        .route("/repos/{owner}/{name}/commits/{sha}/check-runs", get(commits::check_runs))
        .route("/repos/{owner}/{name}/commits/{sha}/status", get(commits::status))
        .route("/repos/{owner}/{name}/contents/{*path}", get(repositories::contents))
        .route("/repos/{owner}/{name}/releases", get(releases::list))
        .route("/repos/{owner}/{name}/releases/latest", get(releases::latest))
        .route("/repos/{owner}/{name}/releases/tags/{tag}", get(releases::by_tag))
        .route("/repos/{owner}/{name}/releases/{id}", get(releases::one).patch(releases::update))
        .route("/repos/{owner}/{name}/actions/runs", get(actions::all))
        .route("/repos/{owner}/{name}/actions/runs/{id}", get(actions::one))
        .route("/repos/{owner}/{name}/actions/runs/{id}/jobs", get(actions::jobs))
        .route("/repos/{owner}/{name}/actions/workflows/{file}/runs", get(actions::of_workflow))
        .route("/repos/{owner}/{name}/pulls", get(pulls::list).post(pulls::open))
        .route("/repos/{owner}/{name}/pulls/{number}", get(pulls::one))
        .route("/repos/{owner}/{name}/pulls/{number}/files", get(pulls::files))
        .route("/repos/{owner}/{name}/pulls/{number}/reviews", get(pulls::reviews).post(pulls::review))
        .route("/repos/{owner}/{name}/actions/workflows/{file}/dispatches", post(|| async { not_found() }))
        .fallback(|| async { not_found() })
        .method_not_allowed_fallback(|| async { not_found() })
        .layer(from_fn_with_state(shared.clone(), authenticate))
        .with_state(shared)
}

/// Agent, token, limit, then the answer.
async fn authenticate(State(shared): State<Arc<Shared>>, headers: HeaderMap, request: Request, next: Next) -> Response {
    if header(&headers, "user-agent").is_empty() {
        let text =
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header.\n";
        return answer::typed(403, "text/html", text);
    }
    let given = header(&headers, "authorization");
    let token = given.strip_prefix("Bearer ").or_else(|| given.strip_prefix("token "));
    if token != Some(shared.secrets.github.as_str()) {
        let text = if given.is_empty() { "Requires authentication" } else { "Bad credentials" };
        return headers::common(message(401, text), &headers);
    }
    let reads = request.method() == Method::GET;
    let response = if shared.once(Fault::SecondaryLimit) {
        let text = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
        with(message(403, text), "retry-after", "1")
    } else {
        next.run(request).await
    };
    let response = if reads { headers::conditional(response, &headers).await } else { response };
    headers::limits(&shared, headers::common(response, &headers))
}

/// GitHub's error object.
fn message(status: u16, text: &str) -> Response {
    let body = json!({
        "message": text,
        "documentation_url": "https://docs.github.com/rest",
        "status": status.to_string(),
    });
    answer::json(status, &body)
}

fn not_found() -> Response {
    message(404, "Not Found")
}

/// 422 with one error.
fn invalid(error: Value) -> Response {
    let body = json!({
        "message": "Validation Failed",
        "errors": [error],
        "documentation_url": "https://docs.github.com/rest",
        "status": "422",
    });
    answer::json(422, &body)
}

/// 422 of a field that must be given.
fn missing(resource: &str, field: &str) -> Response {
    invalid(json!({ "resource": resource, "code": "missing_field", "field": field }))
}

/// The body as an object that holds no other keys than `permitted`.
fn fields(body: &[u8], permitted: &[&str]) -> Result<Map<String, Value>, Box<Response>> {
    let Some(body) = answer::object(body) else { return Err(Box::new(message(400, "Problems parsing JSON"))) };
    match body.keys().find(|key| !permitted.contains(&key.as_str())) {
        Some(key) => Err(Box::new(message(422, &format!("Invalid request.\n\n\"{key}\" is not a permitted key.")))),
        None => Ok(body),
    }
}

/// The repository as GitHub spells it; names are compared without regard to case.
fn known(owner: &str, name: &str) -> Option<&'static str> {
    let asked = format!("{owner}/{name}");
    [APPLICATION, INFRASTRUCTURE].into_iter().find(|known| known.eq_ignore_ascii_case(&asked))
}
