//! Sentry: unresolved issues of the catalog's project, paged by `Link`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{self, Parameters, header, one, with};
use super::shared::Shared;
use super::state::SentryIssue;
use super::{Fault, airflow};

const ORGANIZATION: &str = "openverse";
const PROJECT: &str = "catalog";
const PROJECT_ID: &str = "4505100000000000";
const LARGEST_PAGE: usize = 100;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/0/", get(root))
        .route("/api/0/projects/{organization}/{project}/", get(project))
        .route("/api/0/projects/{organization}/{project}/issues/", get(project_issues))
        .route("/api/0/organizations/{organization}/issues/", get(organization_issues))
        .fallback(|| async { detail(404, "The requested resource does not exist") })
        .method_not_allowed_fallback(|| async { detail(405, "Method not allowed.") })
        .layer(from_fn_with_state(shared.clone(), authenticate))
        .with_state(shared)
}

fn detail(status: u16, text: &str) -> Response {
    answer::json(status, &json!({ "detail": text }))
}

async fn authenticate(State(shared): State<Arc<Shared>>, headers: HeaderMap, request: Request, next: Next) -> Response {
    if shared.has(Fault::SentryDown) {
        return detail(503, "Internal Error");
    }
    match header(&headers, "authorization").strip_prefix("Bearer ") {
        None => detail(401, "Authentication credentials were not provided."),
        Some(token) if token != shared.secrets.sentry => detail(401, "Invalid token"),
        Some(_) => next.run(request).await,
    }
}

async fn root() -> Response {
    answer::json(200, &json!({ "version": "0", "auth": { "scopes": ["event:read", "project:read"] }, "user": null }))
}

async fn project(Path((organization, project)): Path<(String, String)>) -> Response {
    if organization != ORGANIZATION || project != PROJECT {
        return detail(404, "The requested resource does not exist");
    }
    answer::json(200, &project_value())
}

fn project_value() -> Value {
    json!({ "id": PROJECT_ID, "slug": PROJECT, "name": PROJECT, "platform": "python" })
}

async fn project_issues(
    State(shared): State<Arc<Shared>>,
    Path((organization, project)): Path<(String, String)>,
    Query(query): Query<Parameters>,
) -> Response {
    if organization != ORGANIZATION || project != PROJECT {
        return detail(404, "The requested resource does not exist");
    }
    if let Some(period) = one(&query, "statsPeriod")
        && !["", "24h", "14d"].contains(&period)
    {
        return detail(400, "Invalid stats_period. Valid choices are '', '24h', and '14d'");
    }
    issues(&shared, &query, &format!("/api/0/projects/{ORGANIZATION}/{PROJECT}/issues/"))
}

async fn organization_issues(
    State(shared): State<Arc<Shared>>,
    Path(organization): Path<String>,
    Query(query): Query<Parameters>,
) -> Response {
    if organization != ORGANIZATION {
        return detail(404, "The requested resource does not exist");
    }
    if let Some(project) = one(&query, "project")
        && ![PROJECT_ID, "-1"].contains(&project)
    {
        return detail(400, "Invalid project parameter. Values must be numbers.");
    }
    issues(&shared, &query, &format!("/api/0/organizations/{ORGANIZATION}/issues/"))
}

/// Newest first seen first; nothing in another environment than production; the cursor is `0:OFFSET:0`.
fn issues(shared: &Shared, query: &Parameters, path: &str) -> Response {
    let limit = match one(query, "limit").or(one(query, "per_page")).map(str::parse::<usize>) {
        None => LARGEST_PAGE,
        Some(Ok(limit)) if (1..=LARGEST_PAGE).contains(&limit) => limit,
        Some(_) => return detail(400, "Invalid per_page value. Must be between 1 and 100."),
    };
    let offset = match one(query, "cursor").map(|cursor| cursor.split(':').nth(1).and_then(|at| at.parse().ok())) {
        None => 0,
        Some(Some(offset)) => offset,
        Some(None) => return detail(400, "Invalid cursor parameter."),
    };
    airflow::observe(shared);
    let mut all = shared.state().issues.clone();
    if one(query, "environment").is_some_and(|environment| environment != "production") {
        all.clear();
    }
    all.sort_by_key(|issue| std::cmp::Reverse(issue.first_seen));
    let page: Vec<Value> = all.iter().skip(offset).take(limit).map(|issue| value(shared, issue)).collect();
    let more = all.len() > offset + limit;
    let url = format!("{}{path}", shared.urls().sentry);
    let previous = offset.saturating_sub(limit);
    let link = format!(
        "<{url}?&cursor=0:{previous}:1>; rel=\"previous\"; results=\"{}\"; cursor=\"0:{previous}:1\", \
         <{url}?&cursor=0:{next}:0>; rel=\"next\"; results=\"{more}\"; cursor=\"0:{next}:0\"",
        offset > 0,
        next = offset + limit,
    );
    with(answer::json(200, &Value::from(page)), "link", &link)
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

fn value(shared: &Shared, issue: &SentryIssue) -> Value {
    let id = issue.id.to_string();
    let (kind, message) = issue.title.split_once(": ").unwrap_or((issue.title.as_str(), ""));
    json!({
        "id": id,
        "shareId": null,
        "shortId": format!("CATALOG-{}", issue.id % 1000),
        "title": issue.title,
        "culprit": issue.culprit,
        "permalink": format!("{}/organizations/{ORGANIZATION}/issues/{id}/", shared.urls().sentry),
        "logger": "airflow.task",
        "level": "error",
        "status": "unresolved",
        "statusDetails": {},
        "substatus": "ongoing",
        "isPublic": false,
        "platform": "python",
        "project": project_value(),
        "type": "error",
        "metadata": { "type": kind, "value": message, "filename": "dags/common.py", "function": "execute" },
        "numComments": 0,
        "assignedTo": null,
        "isBookmarked": false,
        "isSubscribed": false,
        "subscriptionDetails": null,
        "hasSeen": true,
        "annotations": [],
        "isUnhandled": true,
        "count": issue.count.to_string(),
        "userCount": 0,
        "firstSeen": time(issue.first_seen),
        "lastSeen": time(issue.last_seen),
        "stats": { "24h": [] },
    })
}
