//! GitHub's documented objects around a pull request, with every required field.

use serde_json::{Value, json};

use super::objects::{id_of, node_id, repository, time, user};
use crate::rehearsal::answer::{encode, extended};
use crate::rehearsal::infrastructure::git;
use crate::rehearsal::registry::sha256;
use crate::rehearsal::shared::{INFRASTRUCTURE, Shared, VIEWER};
use crate::rehearsal::state::{Pull, Review};

fn urls(shared: &Shared, pull: &Pull) -> (String, String, String) {
    let (api, full_name, number) = (shared.urls().github, &pull.repository, pull.number);
    let url = format!("{api}/repos/{full_name}/pulls/{number}");
    let html = format!("https://github.com/{full_name}/pull/{number}");
    (url, html, format!("{api}/repos/{full_name}"))
}

fn association(pull: &Pull) -> &'static str {
    if pull.head_owner == "WordPress" { "MEMBER" } else { "NONE" }
}

fn label(shared: &Shared, pull: &Pull, name: &str) -> Value {
    let id = id_of(name);
    json!({
        "id": id,
        "node_id": node_id("LA", id),
        "url": format!("{}/repos/{}/labels/{}", shared.urls().github, pull.repository,
            encode(name)),
        "name": name,
        "description": "",
        "color": "ededed",
        "default": false,
    })
}

fn end(shared: &Shared, pull: &Pull, head: bool) -> Value {
    let name = pull.repository.split_once('/').map_or("", |(_, name)| name);
    let (owner, reference) =
        if head { (pull.head_owner.as_str(), &pull.head_ref) } else { ("WordPress", &pull.base_ref) };
    let sha = if head { pull.head_sha.clone() } else { base_sha(shared, pull) };
    json!({
        "label": format!("{owner}:{reference}"),
        "ref": reference,
        "sha": sha,
        "user": user(shared, owner),
        "repo": repository(shared, &format!("{owner}/{name}"), owner == "WordPress"),
    })
}

fn base_sha(shared: &Shared, pull: &Pull) -> String {
    if pull.repository != INFRASTRUCTURE {
        return shared.state().commits.first().map(|commit| commit.sha.clone()).unwrap_or_default();
    }
    let reference = format!("refs/heads/{}", pull.base_ref);
    git(&shared.remote(), &["rev-parse", &reference]).map(|sha| sha.trim().to_owned()).unwrap_or_default()
}

/// PullRequestSimple: what lists hold.
pub(super) fn simple(shared: &Shared, pull: &Pull) -> Value {
    let (url, html, api) = urls(shared, pull);
    let (number, sha) = (pull.number, &pull.head_sha);
    let id = id_of(&url);
    let issue = format!("{api}/issues/{number}");
    let labels: Vec<Value> = pull.labels.iter().map(|name| label(shared, pull, name)).collect();
    let closed = (pull.state == "closed").then(|| time(pull.updated_at));
    let link = |href: String| json!({ "href": href });
    let links = json!({
        "self": link(url.clone()),
        "html": link(html.clone()),
        "issue": link(issue.clone()),
        "comments": link(format!("{issue}/comments")),
        "review_comments": link(format!("{url}/comments")),
        "review_comment": link(format!("{api}/pulls/comments{{/number}}")),
        "commits": link(format!("{url}/commits")),
        "statuses": link(format!("{api}/statuses/{sha}")),
    });
    let value = json!({
        "url": url,
        "id": id,
        "node_id": node_id("PR", id),
        "html_url": html,
        "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"),
        "issue_url": issue,
        "commits_url": format!("{url}/commits"),
        "review_comments_url": format!("{url}/comments"),
        "review_comment_url": format!("{api}/pulls/comments{{/number}}"),
        "comments_url": format!("{issue}/comments"),
        "statuses_url": format!("{api}/statuses/{sha}"),
        "number": number,
        "state": pull.state,
        "locked": false,
        "title": pull.title,
        "user": user(shared, &pull.author),
        "body": pull.body,
        "labels": labels,
        "milestone": null,
        "active_lock_reason": null,
    });
    let more = json!({
        "created_at": time(pull.created_at),
        "updated_at": time(pull.updated_at),
        "closed_at": closed,
        "merged_at": pull.merged.then(|| time(pull.updated_at)),
        "merge_commit_sha": null,
        "assignee": null,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "head": end(shared, pull, true),
        "base": end(shared, pull, false),
        "_links": links,
        "author_association": association(pull),
        "auto_merge": null,
        "draft": false,
    });
    extended(value, more)
}

/// PullRequest: what a single one is.
pub(super) fn full(shared: &Shared, pull: &Pull) -> Value {
    let changed = files(shared, pull);
    let sum = |field: &str| changed.iter().filter_map(|file| file[field].as_u64()).sum::<u64>();
    let red = pull.checks.iter().any(|(_, conclusion)| conclusion.as_deref() == Some("failure"));
    let more = json!({
        "merged": pull.merged,
        "mergeable": (!pull.merged).then_some(true),
        "rebaseable": (!pull.merged).then_some(true),
        "mergeable_state": if red { "unstable" } else { "blocked" },
        "merged_by": pull.merged.then(|| user(shared, VIEWER)),
        "comments": 0,
        "review_comments": 0,
        "maintainer_can_modify": pull.head_owner != "WordPress",
        "commits": 1,
        "additions": sum("additions"),
        "deletions": sum("deletions"),
        "changed_files": changed.len(),
    });
    extended(simple(shared, pull), more)
}

/// PullRequestReview
pub(super) fn review(shared: &Shared, pull: &Pull, review: &Review) -> Value {
    let (url, html, _) = urls(shared, pull);
    let page = format!("{html}#pullrequestreview-{}", review.id);
    json!({
        "id": review.id,
        "node_id": node_id("PRR", review.id),
        "user": user(shared, &review.user),
        "body": review.body,
        "state": review.state,
        "html_url": page,
        "pull_request_url": url,
        "_links": { "html": { "href": page }, "pull_request": { "href": url } },
        "submitted_at": time(review.submitted_at),
        "commit_id": review.commit_id,
        "author_association": "MEMBER",
    })
}

/// DiffEntry of every changed file.
pub(super) fn files(shared: &Shared, pull: &Pull) -> Vec<Value> {
    let entry = |name: &str, status: &str, additions: usize, deletions: usize, patch: String| {
        let api = format!("{}/repos/{}", shared.urls().github, pull.repository);
        let html = format!("https://github.com/{}", pull.repository);
        let sha = &pull.head_sha;
        json!({
            "sha": sha256(patch.as_bytes())[..40],
            "filename": name,
            "status": status,
            "additions": additions,
            "deletions": deletions,
            "changes": additions + deletions,
            "blob_url": format!("{html}/blob/{sha}/{name}"),
            "raw_url": format!("{html}/raw/{sha}/{name}"),
            "contents_url": format!("{api}/contents/{name}?ref={sha}"),
            "patch": patch,
        })
    };
    if pull.repository != INFRASTRUCTURE {
        let added = |text: &str| {
            let lines = text.lines().count();
            let body: Vec<String> = text.lines().map(|line| format!("+{line}")).collect();
            (lines, format!("@@ -0,0 +1,{lines} @@\n{}", body.join("\n")))
        };
        let all = pull.files.iter().map(|(name, text)| (name, added(text)));
        return all.map(|(name, (lines, patch))| entry(name, "added", lines, 0, patch)).collect();
    }
    // Three dots: against the merge base, as GitHub shows it.
    let range = format!("refs/heads/{}...{}", pull.base_ref, pull.head_sha);
    let names = git(&shared.remote(), &["diff", "--name-status", "--no-renames", &range]).unwrap_or_default();
    names
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(letter, name)| {
            let diff = git(&shared.remote(), &["diff", "--no-renames", &range, "--", name]).unwrap_or_default();
            let patch = diff.find("@@ ").map_or("", |at| &diff[at..]).trim_end().to_owned();
            let count = |sign: char| patch.lines().filter(|line| line.starts_with(sign)).count();
            let status = match letter {
                "A" => "added",
                "D" => "removed",
                _ => "modified",
            };
            entry(name, status, count('+'), count('-'), patch.clone())
        })
        .collect()
}
