//! Pull requests. Those of the infrastructure repository live in its bare remote: heads and files are read by git.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::Uri;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::releases::lose;
use super::{fields, invalid, known, message, missing, not_found, page, pull_objects};
use crate::rehearsal::Fault;
use crate::rehearsal::answer::{self, Parameters, one as parameter};
use crate::rehearsal::connection::Cut;
use crate::rehearsal::infrastructure::git;
use crate::rehearsal::shared::{INFRASTRUCTURE, Shared, VIEWER};
use crate::rehearsal::state::{Pull, Review};

/// Pull requests of a repository as they are now: a pushed branch has moved its pull request's head.
pub(in crate::rehearsal) fn all(shared: &Shared, full_name: &str) -> Vec<Pull> {
    let mut pulls = shared.state().pulls.clone();
    pulls.retain(|pull| pull.repository == full_name);
    if full_name == INFRASTRUCTURE {
        for pull in &mut pulls {
            if let Some(sha) = branch(shared, &pull.head_ref) {
                pull.head_sha = sha;
            }
        }
    }
    pulls
}

/// Commit of a branch on the bare remote.
fn branch(shared: &Shared, name: &str) -> Option<String> {
    let reference = format!("refs/heads/{name}^{{commit}}");
    git(&shared.remote(), &["rev-parse", "--verify", "--quiet", &reference]).ok().map(|sha| sha.trim().to_owned())
}

fn find(shared: &Shared, owner: &str, name: &str, number: u64) -> Option<Pull> {
    all(shared, known(owner, name)?).into_iter().find(|pull| pull.number == number)
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Path((owner, name)): Path<(String, String)>,
    Query(query): Query<Parameters>,
) -> Response {
    let Some(full_name) = known(&owner, &name) else { return not_found() };
    let state = parameter(&query, "state").unwrap_or("open");
    if !["open", "closed", "all"].contains(&state) {
        return message(422, "Invalid value for `state`");
    }
    let mut pulls = all(&shared, full_name);
    pulls.retain(|pull| state == "all" || pull.state == state);
    pulls.retain(|pull| parameter(&query, "base").is_none_or(|base| base == pull.base_ref));
    // A head without its owner filters nothing, as at GitHub.
    if let Some((head_owner, head_ref)) = parameter(&query, "head").and_then(|head| head.split_once(':')) {
        pulls.retain(|pull| pull.head_owner.eq_ignore_ascii_case(head_owner) && pull.head_ref == head_ref);
    }
    pulls.sort_by_key(|pull| std::cmp::Reverse(pull.number));
    let values = pulls.iter().map(|pull| pull_objects::simple(&shared, pull)).collect();
    page::list(&shared, &uri, &query, values)
}

pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, number)): Path<(String, String, u64)>,
) -> Response {
    match find(&shared, &owner, &name, number) {
        Some(pull) => answer::json(200, &pull_objects::full(&shared, &pull)),
        None => not_found(),
    }
}

pub(super) async fn files(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Path((owner, name, number)): Path<(String, String, u64)>,
    Query(query): Query<Parameters>,
) -> Response {
    match find(&shared, &owner, &name, number) {
        Some(pull) => page::list(&shared, &uri, &query, pull_objects::files(&shared, &pull)),
        None => not_found(),
    }
}

pub(super) async fn reviews(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    Path((owner, name, number)): Path<(String, String, u64)>,
    Query(query): Query<Parameters>,
) -> Response {
    let Some(pull) = find(&shared, &owner, &name, number) else { return not_found() };
    let values = pull.reviews.iter().map(|review| pull_objects::review(&shared, &pull, review)).collect();
    page::list(&shared, &uri, &query, values)
}

pub(super) async fn review(
    State(shared): State<Arc<Shared>>,
    Path((owner, name, number)): Path<(String, String, u64)>,
    ConnectInfo(connection): ConnectInfo<Cut>,
    body: Bytes,
) -> Response {
    let Some(pull) = find(&shared, &owner, &name, number) else { return not_found() };
    let body = match fields(&body, &["commit_id", "body", "event", "comments"]) {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    let refused = |why: &str| {
        let errors = json!({ "message": "Unprocessable Entity", "errors": [why],
            "documentation_url": "https://docs.github.com/rest/pulls/reviews#create-a-review-for-a-pull-request",
            "status": "422" });
        answer::json(422, &errors)
    };
    let state = match text("event") {
        Some("APPROVE") => "APPROVED",
        Some("REQUEST_CHANGES") => "CHANGES_REQUESTED",
        Some("COMMENT") => "COMMENTED",
        None => "PENDING",
        Some(_) => return refused("Variable $event of type PullRequestReviewEvent was provided invalid value"),
    };
    if pull.author == VIEWER && state == "APPROVED" {
        return refused("Review Can not approve your own pull request");
    }
    if pull.author == VIEWER && state == "CHANGES_REQUESTED" {
        return refused("Review Can not request changes on your own pull request");
    }
    if ["CHANGES_REQUESTED", "COMMENTED"].contains(&state) && text("body").is_none_or(str::is_empty) {
        return refused("Review body can't be blank");
    }
    let commit_id = text("commit_id").unwrap_or(&pull.head_sha).to_owned();
    if commit_id != pull.head_sha {
        return refused("The commit_id is not part of the pull request");
    }
    let mut world = shared.state();
    let review = Review {
        id: world.id(),
        user: VIEWER.into(),
        state: state.into(),
        body: text("body").unwrap_or_default().into(),
        commit_id,
        submitted_at: Timestamp::now(),
    };
    let stored = world.pulls.iter_mut().find(|it| it.repository == pull.repository && it.number == number);
    if let Some(pull) = stored {
        pull.reviews.push(review.clone());
        pull.updated_at = review.submitted_at;
    }
    drop(world);
    if shared.once(Fault::ApproveAnswerLost) {
        return lose(&connection);
    }
    answer::json(200, &pull_objects::review(&shared, &pull, &review))
}

pub(super) async fn open(
    State(shared): State<Arc<Shared>>,
    Path((owner, name)): Path<(String, String)>,
    ConnectInfo(connection): ConnectInfo<Cut>,
    body: Bytes,
) -> Response {
    let permitted = ["title", "body", "head", "base", "head_repo", "issue", "draft", "maintainer_can_modify"];
    let body = match fields(&body, &permitted) {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    // Branches exist only where there is a git repository behind.
    if known(&owner, &name) != Some(INFRASTRUCTURE) {
        return not_found();
    }
    let text = |field: &str| body.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(title) = text("title") else { return missing("PullRequest", "title") };
    let Some(head) = text("head") else { return missing("PullRequest", "head") };
    let Some(base) = text("base") else { return missing("PullRequest", "base") };
    let head_ref = head.split_once(':').map_or(head, |(_, reference)| reference);
    let field = |field: &str| invalid(json!({ "resource": "PullRequest", "field": field, "code": "invalid" }));
    let custom = |text: String| invalid(json!({ "resource": "PullRequest", "code": "custom", "message": text }));
    let Some(head_sha) = branch(&shared, head_ref) else { return field("head") };
    if branch(&shared, base).is_none() {
        return field("base");
    }
    let range = format!("refs/heads/{base}..refs/heads/{head_ref}");
    if git(&shared.remote(), &["rev-list", "--count", &range]).is_ok_and(|count| count.trim() == "0") {
        return custom(format!("No commits between {base} and {head_ref}"));
    }
    let mut world = shared.state();
    let open = |pull: &Pull| {
        pull.repository == INFRASTRUCTURE
            && pull.state == "open"
            && pull.head_ref == head_ref
            && pull.base_ref == base
            && pull.head_owner == "WordPress"
    };
    if world.pulls.iter().any(open) {
        return custom(format!("A pull request already exists for WordPress:{head_ref}."));
    }
    let now = Timestamp::now();
    let pull = Pull {
        repository: INFRASTRUCTURE.into(),
        number: world.next_pull_number(INFRASTRUCTURE),
        title: title.into(),
        body: text("body").unwrap_or_default().into(),
        state: "open".into(),
        merged: false,
        head_owner: "WordPress".into(),
        head_ref: head_ref.into(),
        head_sha,
        base_ref: base.into(),
        author: VIEWER.into(),
        labels: Vec::new(),
        created_at: now,
        updated_at: now,
        files: Vec::new(),
        reviews: Vec::new(),
        checks: vec![("Terraform format".into(), Some("success".into()))],
    };
    world.pulls.push(pull.clone());
    drop(world);
    if shared.once(Fault::PullRequestAnswerLost) {
        return lose(&connection);
    }
    answer::json(201, &pull_objects::full(&shared, &pull))
}
