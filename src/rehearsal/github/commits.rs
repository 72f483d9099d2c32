//! Commits of the application's main branch, and what was checked on a commit.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::Response;
use serde_json::json;

use super::objects;
use super::{known, message, not_found, page};
use crate::rehearsal::answer::{self, Parameters, one as parameter};
use crate::rehearsal::shared::{APPLICATION, Shared};
use crate::rehearsal::state::Commit;

/// Commits reachable from a branch, a release's tag or a commit, newest first.
pub(super) fn reachable(shared: &Shared, reference: &str) -> Option<Vec<Commit>> {
    let state = shared.state();
    let commits = &state.commits;
    if reference == "main" || state.releases.iter().any(|release| !release.draft && release.tag_name == reference) {
        return Some(commits.clone());
    }
    let at = commits.iter().position(|commit| commit.sha == reference)?;
    Some(commits[at..].to_vec())
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Path((owner, name)): Path<(String, String)>,
    Query(query): Query<Parameters>,
) -> Response {
    if known(&owner, &name) != Some(APPLICATION) {
        return not_found();
    }
    let Some(mut commits) = reachable(&shared, parameter(&query, "sha").unwrap_or("main")) else { return not_found() };
    if let Some(path) = parameter(&query, "path") {
        let folder = format!("{}/", path.trim_end_matches('/'));
        commits.retain(|commit| commit.files.iter().any(|file| file == path || file.starts_with(&folder)));
    }
    let values = commits.iter().map(|commit| objects::commit(&shared, commit)).collect();
    page::list(&shared, &uri, &query, values)
}

pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, sha)): Path<(String, String, String)>,
) -> Response {
    if known(&owner, &name) != Some(APPLICATION) {
        return not_found();
    }
    let Some(commit) = reachable(&shared, &sha).and_then(|commits| commits.into_iter().next()) else {
        return message(422, &format!("No commit found for SHA: {sha}"));
    };
    let mut value = objects::commit(&shared, &commit);
    value["stats"] = json!({ "total": 2, "additions": 1, "deletions": 1 });
    value["files"] = json!([]);
    answer::json(200, &value)
}

pub(super) async fn branch(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, branch)): Path<(String, String, String)>,
) -> Response {
    let head = reachable(&shared, "main").and_then(|commits| commits.into_iter().next());
    let (Some(APPLICATION), "main", Some(head)) = (known(&owner, &name), branch.as_str(), head) else {
        return message(404, "Branch not found");
    };
    let url = format!("{}/repos/{APPLICATION}/branches/main", shared.urls().github);
    answer::json(
        200,
        &json!({
            "name": "main",
            "commit": objects::commit(&shared, &head),
            "_links": { "self": url, "html": format!("https://github.com/{APPLICATION}/tree/main") },
            "protected": true,
            "protection": { "enabled": true,
                "required_status_checks": { "enforcement_level": "non_admins", "contexts": [], "checks": [] } },
            "protection_url": format!("{url}/protection"),
        }),
    )
}

/// Name and conclusion of every check of a commit; `None` where the commit is unknown.
fn checks(shared: &Shared, full_name: &str, sha: &str) -> Option<Vec<(String, Option<String>)>> {
    let pulls = super::pulls::all(shared, full_name);
    if let Some(pull) = pulls.iter().find(|pull| pull.head_sha == sha) {
        return Some(pull.checks.clone());
    }
    let known = full_name == APPLICATION && reachable(shared, sha).is_some();
    known.then(|| vec![("Determine images to build and publish".to_owned(), Some("success".to_owned()))])
}

pub(super) async fn check_runs(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Path((owner, name, sha)): Path<(String, String, String)>,
    Query(query): Query<Parameters>,
) -> Response {
    let Some(full_name) = known(&owner, &name) else { return not_found() };
    let Some(checks) = checks(&shared, full_name, &sha) else {
        return message(422, &format!("No commit found for SHA: {sha}"));
    };
    let values = checks
        .iter()
        .map(|(check, conclusion)| objects::check_run(&shared, full_name, &sha, check, conclusion.as_deref()))
        .collect();
    page::wrapped(&shared, &uri, &query, values, |page, total| json!({ "total_count": total, "check_runs": page }))
}

/// CombinedStatus: classic statuses, of which this repository has none, so GitHub says pending.
pub(super) async fn status(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, sha)): Path<(String, String, String)>,
) -> Response {
    let Some(full_name) = known(&owner, &name) else { return not_found() };
    if checks(&shared, full_name, &sha).is_none() {
        return message(422, &format!("No commit found for SHA: {sha}"));
    }
    let url = format!("{}/repos/{full_name}/commits/{sha}", shared.urls().github);
    let repository = objects::minimal_repository(&shared, full_name);
    answer::json(
        200,
        &json!({
            "state": "pending",
            "statuses": [],
            "sha": sha,
            "total_count": 0,
            "repository": repository,
            "commit_url": url,
            "url": format!("{url}/status"),
        }),
    )
}
