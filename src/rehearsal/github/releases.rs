//! Releases: drafts only for those who may push, publishing exactly once.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::Uri;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{fields, invalid, known, message, not_found, objects, page};
use crate::rehearsal::Fault;
use crate::rehearsal::answer::{self, Parameters};
use crate::rehearsal::connection::Cut;
use crate::rehearsal::log::Lost;
use crate::rehearsal::shared::{APPLICATION, Shared};
use crate::rehearsal::state::Release;

const PERMITTED: [&str; 8] =
    ["tag_name", "target_commitish", "name", "body", "draft", "prerelease", "make_latest", "discussion_category_name"];

fn visible(shared: &Shared, owner: &str, name: &str) -> Vec<Release> {
    if known(owner, name) != Some(APPLICATION) {
        return Vec::new();
    }
    let mut releases = shared.state().releases.clone();
    releases.retain(|release| !release.draft || !shared.has(Fault::WeakToken));
    releases
}

/// The draft changes right after it was first seen.
fn seen(shared: &Shared) {
    if shared.once(Fault::DraftRenamed) {
        shared.rename_draft();
    }
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Path((owner, name)): Path<(String, String)>,
    Query(query): Query<Parameters>,
) -> Response {
    if known(&owner, &name).is_none() {
        return not_found();
    }
    let all = visible(&shared, &owner, &name).iter().map(|release| objects::release(&shared, release)).collect();
    seen(&shared);
    page::list(&shared, &uri, &query, all)
}

pub(super) async fn latest(State(shared): State<Arc<Shared>>, Path((owner, name)): Path<(String, String)>) -> Response {
    let mut published = visible(&shared, &owner, &name);
    published.retain(|release| !release.draft && !release.prerelease);
    match published.iter().max_by_key(|release| release.created_at) {
        Some(release) => answer::json(200, &objects::release(&shared, release)),
        None => not_found(),
    }
}

/// Never finds a draft, whoever asks.
pub(super) async fn by_tag(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, tag)): Path<(String, String, String)>,
) -> Response {
    match visible(&shared, &owner, &name).iter().find(|release| !release.draft && release.tag_name == tag) {
        Some(release) => answer::json(200, &objects::release(&shared, release)),
        None => not_found(),
    }
}

pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, id)): Path<(String, String, u64)>,
) -> Response {
    match visible(&shared, &owner, &name).iter().find(|release| release.id == id) {
        Some(release) => answer::json(200, &objects::release(&shared, release)),
        None => not_found(),
    }
}

pub(super) async fn update(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, id)): Path<(String, String, u64)>,
    ConnectInfo(connection): ConnectInfo<Cut>,
    body: Bytes,
) -> Response {
    let releases = visible(&shared, &owner, &name);
    let Some(before) = releases.iter().find(|release| release.id == id) else { return not_found() };
    if shared.has(Fault::WeakToken) {
        return message(403, "Resource not accessible by personal access token");
    }
    let body = match fields(&body, &PERMITTED) {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
    let flag = |field: &str| body.get(field).and_then(Value::as_bool);
    let mut after = before.clone();
    after.tag_name = text("tag_name").unwrap_or(after.tag_name);
    after.name = text("name").unwrap_or(after.name);
    after.body = text("body").unwrap_or(after.body);
    after.target_commitish = text("target_commitish").unwrap_or(after.target_commitish);
    after.prerelease = flag("prerelease").unwrap_or(after.prerelease);
    after.draft = flag("draft").unwrap_or(after.draft);
    let taken = |other: &&Release| other.id != id && !other.draft && other.tag_name == after.tag_name;
    let publishes_again = flag("draft") == Some(false) && !before.draft;
    if publishes_again || (!after.draft && releases.iter().any(|other| taken(&other))) {
        return invalid(json!({ "resource": "Release", "code": "already_exists", "field": "tag_name" }));
    }
    let publishes = before.draft && !after.draft;
    if publishes {
        after.published_at = Some(Timestamp::now());
    }
    let value = objects::release(&shared, &after);
    if let Some(release) = shared.state().releases.iter_mut().find(|release| release.id == id) {
        *release = after;
    }
    if publishes {
        shared.published(id);
        if shared.once(Fault::PublishAnswerLost) {
            return lose(&connection);
        }
    }
    answer::json(200, &value)
}

/// The effect stays, the answer never arrives.
pub(super) fn lose(connection: &Cut) -> Response {
    connection.now();
    let mut response = message(502, "lost");
    response.extensions_mut().insert(Lost);
    response
}
