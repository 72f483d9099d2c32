//! Sentry: unresolved issues of the organization, paged by `Link`. The fields and parameters are those that Sentry
//! publishes in `@sentry/api`.

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
        .route("/api/0/organizations/{organization}/issues/", get(issues))
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

/// Newest first seen first; the cursor is `0:OFFSET:0`. Only the project and the environment that have issues exist.
async fn issues(
    State(shared): State<Arc<Shared>>,
    Path(organization): Path<String>,
    Query(query): Query<Parameters>,
) -> Response {
    let all_of = |name| answer::all(&query, name);
    if organization != ORGANIZATION || all_of("environment").iter().any(|environment| environment != "production") {
        return detail(404, "The requested resource does not exist");
    }
    if all_of("project").iter().any(|project| ![PROJECT_ID, "-1"].contains(&project.as_str())) {
        return detail(400, "Invalid project parameter. Values must be numbers.");
    }
    let terms = one(&query, "query").unwrap_or("is:unresolved").split_whitespace();
    if let Some(other) = terms.filter_map(|term| term.strip_prefix("project:")).find(|slug| *slug != PROJECT) {
        return detail(400, &format!("Invalid query. Project(s) {other} do not exist or are not actively selected."));
    }
    let period = one(&query, "groupStatsPeriod").unwrap_or("24h");
    if !["", "24h", "14d", "auto"].contains(&period) {
        return detail(400, "Invalid stats_period. Valid choices are '', '24h', '14d' and 'auto'");
    }
    let limit = match one(&query, "limit").map(str::parse::<usize>) {
        None => LARGEST_PAGE,
        Some(Ok(limit)) if (1..=LARGEST_PAGE).contains(&limit) => limit,
        Some(_) => return detail(400, "Invalid per_page value. Must be between 1 and 100."),
    };
    let offset = match one(&query, "cursor").map(|cursor| cursor.split(':').nth(1).and_then(|at| at.parse().ok())) {
        None => 0,
        Some(Some(offset)) => offset,
        Some(None) => return detail(400, "Invalid cursor parameter."),
    };
    airflow::observe(&shared);
    let mut all = shared.state().issues.clone();
    all.sort_by_key(|issue| std::cmp::Reverse(issue.first_seen));
    let page: Vec<Value> = all.iter().skip(offset).take(limit).map(|issue| value(&shared, issue)).collect();
    let more = all.len() > offset + limit;
    let url = format!("{}/api/0/organizations/{ORGANIZATION}/issues/", shared.urls().sentry);
    let previous = offset.saturating_sub(limit);
    let link = format!(
        "<{url}?&cursor=0:{previous}:1>; rel=\"previous\"; results=\"{}\"; cursor=\"0:{previous}:1\", \
         <{url}?&cursor=0:{next}:0>; rel=\"next\"; results=\"{more}\"; cursor=\"0:{next}:0\"",
        offset > 0,
        next = offset + limit,
    );
    limited(with(answer::json(200, &Value::from(page)), "link", &link))
}

/// The limits that every answer tells. <https://docs.sentry.io/api/ratelimits/>
fn limited(answer: Response) -> Response {
    let reset = (Timestamp::now().as_second() + 1).to_string();
    [
        ("x-sentry-rate-limit-limit", "10"),
        ("x-sentry-rate-limit-remaining", "9"),
        ("x-sentry-rate-limit-reset", &reset),
        ("x-sentry-rate-limit-concurrentlimit", "25"),
        ("x-sentry-rate-limit-concurrentremaining", "24"),
    ]
    .into_iter()
    .fold(answer, |answer, (name, value)| with(answer, name, value))
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
        "priority": "high",
        "priorityLockedAt": null,
        "seerFixabilityScore": null,
        "seerAutofixLastTriggered": null,
        "project": { "id": PROJECT_ID, "name": PROJECT, "slug": PROJECT, "platform": "python" },
        "type": "error",
        "issueType": "error",
        "issueCategory": "error",
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
        "stats": {},
        "lifetime": {},
        "filtered": null,
    })
}
