//! GitHub's documented objects, with every required field: users, repositories, releases, workflow runs, commits, checks.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::rehearsal::answer::extended;
use crate::rehearsal::registry::sha256;
use crate::rehearsal::shared::{APPLICATION, Shared};
use crate::rehearsal::state::{Commit, Release, WorkflowRun};

/// `2024-09-30T10:20:30Z`
pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A number that is always the same for a name.
pub(super) fn id_of(name: &str) -> u64 {
    u64::from_str_radix(&sha256(name.as_bytes())[..7], 16).unwrap_or(1)
}

pub(super) fn node_id(kind: &str, id: u64) -> String {
    format!("{kind}_kwDO{id:08x}")
}

/// SimpleUser
pub(super) fn user(shared: &Shared, login: &str) -> Value {
    let (id, url) = (id_of(login), format!("{}/users/{login}", shared.urls().github));
    json!({
        "login": login,
        "id": id,
        "node_id": node_id("U", id),
        "avatar_url": format!("https://avatars.githubusercontent.com/u/{id}?v=4"),
        "gravatar_id": "",
        "url": url,
        "html_url": format!("https://github.com/{login}"),
        "followers_url": format!("{url}/followers"),
        "following_url": format!("{url}/following{{/other_user}}"),
        "gists_url": format!("{url}/gists{{/gist_id}}"),
        "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{url}/subscriptions"),
        "organizations_url": format!("{url}/orgs"),
        "repos_url": format!("{url}/repos"),
        "events_url": format!("{url}/events{{/privacy}}"),
        "received_events_url": format!("{url}/received_events"),
        "type": if login == "WordPress" { "Organization" } else { "User" },
        "user_view_type": "public",
        "site_admin": false,
    })
}

/// MinimalRepository, which the whole repository and a pull request's are made from.
pub(super) fn minimal_repository(shared: &Shared, full_name: &str) -> Value {
    let (owner, name) = full_name.split_once('/').unwrap_or(("", full_name));
    let (id, url) = (id_of(full_name), format!("{}/repos/{full_name}", shared.urls().github));
    let mut value = json!({
        "id": id,
        "node_id": node_id("R", id),
        "name": name,
        "full_name": full_name,
        "private": full_name != APPLICATION,
        "owner": user(shared, owner),
        "html_url": format!("https://github.com/{full_name}"),
        "description": null,
        "fork": owner != "WordPress",
        "url": url,
    });
    let templates = [
        ("forks", ""),
        ("keys", "{/key_id}"),
        ("collaborators", "{/collaborator}"),
        ("teams", ""),
        ("hooks", ""),
        ("issue_events", "{/number}"),
        ("events", ""),
        ("assignees", "{/user}"),
        ("branches", "{/branch}"),
        ("tags", ""),
        ("blobs", "{/sha}"),
        ("git_tags", "{/sha}"),
        ("git_refs", "{/sha}"),
        ("trees", "{/sha}"),
        ("statuses", "{/sha}"),
        ("languages", ""),
        ("stargazers", ""),
        ("contributors", ""),
        ("subscribers", ""),
        ("subscription", ""),
        ("commits", "{/sha}"),
        ("git_commits", "{/sha}"),
        ("comments", "{/number}"),
        ("issue_comment", "{/number}"),
        ("contents", "{+path}"),
        ("compare", "{base}...{head}"),
        ("merges", ""),
        ("archive", "{archive_format}{/ref}"),
        ("downloads", ""),
        ("issues", "{/number}"),
        ("pulls", "{/number}"),
        ("milestones", "{/number}"),
        ("notifications", "{?since,all,participating}"),
        ("labels", "{/name}"),
        ("releases", "{/id}"),
        ("deployments", ""),
    ];
    for (what, template) in templates {
        let path = match what {
            "git_tags" | "git_refs" | "git_commits" => what.replacen('_', "/", 1),
            "blobs" | "trees" => format!("git/{what}"),
            "issue_events" => "issues/events".into(),
            "issue_comment" => "issues/comments".into(),
            _ => what.to_owned(),
        };
        value[format!("{what}_url")] = json!(format!("{url}/{path}{template}"));
    }
    value
}

/// Repository, with what this token may do: also what a pull request holds of it.
pub(super) fn repository(shared: &Shared, full_name: &str, push: bool) -> Value {
    let more = json!({
        "git_url": format!("git://github.com/{full_name}.git"),
        "ssh_url": format!("git@github.com:{full_name}.git"),
        "clone_url": format!("https://github.com/{full_name}.git"),
        "svn_url": format!("https://github.com/{full_name}"),
        "mirror_url": null,
        "homepage": null,
        "language": "Python",
        "forks_count": 190,
        "forks": 190,
        "stargazers_count": 240,
        "watchers_count": 240,
        "watchers": 240,
        "size": 80_000,
        "default_branch": "main",
        "open_issues_count": 120,
        "open_issues": 120,
        "is_template": false,
        "topics": [],
        "has_issues": true,
        "has_projects": true,
        "has_wiki": false,
        "has_pages": false,
        "has_downloads": true,
        "has_discussions": true,
        "archived": false,
        "disabled": false,
    });
    let rules = json!({
        "visibility": if full_name == APPLICATION { "public" } else { "private" },
        "pushed_at": "2024-09-30T10:20:00Z",
        "created_at": "2021-04-20T10:00:00Z",
        "updated_at": "2024-09-30T10:20:00Z",
        "permissions": { "admin": false, "maintain": false, "push": push, "triage": push, "pull": true },
        "allow_rebase_merge": false,
        "allow_squash_merge": true,
        "allow_merge_commit": false,
        "allow_forking": true,
        "web_commit_signoff_required": false,
        "license": null,
    });
    extended(extended(minimal_repository(shared, full_name), more), rules)
}

/// FullRepository: what only the repository's own route tells.
pub(super) fn full_repository(shared: &Shared, full_name: &str, push: bool) -> Value {
    extended(repository(shared, full_name, push), json!({ "subscribers_count": 12, "network_count": 190 }))
}

/// Release
pub(super) fn release(shared: &Shared, release: &Release) -> Value {
    let (api, id, tag) = (&shared.urls().github, release.id, &release.tag_name);
    let url = format!("{api}/repos/{APPLICATION}/releases/{id}");
    // A draft's page has no tag yet.
    let page = if release.draft { format!("untagged-{}", &sha256(tag.as_bytes())[..20]) } else { tag.clone() };
    let archive = |kind: &str| (!release.draft).then(|| format!("{api}/repos/{APPLICATION}/{kind}/{tag}"));
    json!({
        "url": url,
        "assets_url": format!("{url}/assets"),
        "upload_url": format!("https://uploads.github.com/repos/{APPLICATION}/releases/{id}/assets{{?name,label}}"),
        "html_url": format!("https://github.com/{APPLICATION}/releases/tag/{page}"),
        "id": id,
        "author": user(shared, &release.author),
        "node_id": node_id("RE", id),
        "tag_name": tag,
        "target_commitish": release.target_commitish,
        "name": release.name,
        "draft": release.draft,
        "immutable": false,
        "prerelease": release.prerelease,
        "created_at": time(release.created_at),
        "updated_at": time(release.published_at.unwrap_or(release.created_at)),
        "published_at": release.published_at.map(time),
        "assets": [],
        "tarball_url": archive("tarball"),
        "zipball_url": archive("zipball"),
        "body": release.body,
    })
}

/// WorkflowRun
pub(super) fn workflow_run(shared: &Shared, run: &WorkflowRun, message: &str) -> Value {
    let (api, id) = (&shared.urls().github, run.id);
    let url = format!("{api}/repos/{APPLICATION}/actions/runs/{id}");
    let workflow = id_of(&run.workflow);
    let suite = id + 1_000_000;
    let value = json!({
        "id": id,
        "name": match run.workflow.as_str() {
            "ci_cd.yml" => "CI + CD",
            "draft_releases.yml" => "Draft releases",
            _ => "Tag Docker image and trigger deployment",
        },
        "node_id": node_id("WFR", id),
        "head_branch": run.head_branch,
        "head_sha": run.head_sha,
        "path": format!(".github/workflows/{}", run.workflow),
        "display_title": run.title,
        "run_number": id % 10_000,
        "event": run.event,
        "status": run.status,
        "conclusion": run.conclusion,
        "workflow_id": workflow,
        "check_suite_id": suite,
        "check_suite_node_id": node_id("CS", suite),
        "url": url,
        "html_url": format!("https://github.com/{APPLICATION}/actions/runs/{id}"),
        "pull_requests": [],
        "created_at": time(run.created_at),
        "updated_at": time(run.updated_at),
        "actor": user(shared, &run.actor),
        "triggering_actor": user(shared, &run.actor),
        "run_attempt": 1,
    });
    let more = json!({
        "referenced_workflows": [],
        "run_started_at": time(run.created_at),
        "jobs_url": format!("{url}/jobs"),
        "logs_url": format!("{url}/logs"),
        "check_suite_url": format!("{api}/repos/{APPLICATION}/check-suites/{suite}"),
        "artifacts_url": format!("{url}/artifacts"),
        "cancel_url": format!("{url}/cancel"),
        "rerun_url": format!("{url}/rerun"),
        "previous_attempt_url": null,
        "workflow_url": format!("{api}/repos/{APPLICATION}/actions/workflows/{workflow}"),
        "head_commit": {
            "id": run.head_sha,
            "tree_id": sha256(run.head_sha.as_bytes())[..40],
            "message": message,
            "timestamp": time(run.created_at),
            "author": { "name": run.actor, "email": format!("{}@users.noreply.github.com", run.actor) },
            "committer": { "name": "GitHub", "email": "noreply@github.com" },
        },
        "repository": minimal_repository(shared, APPLICATION),
        "head_repository": minimal_repository(shared, APPLICATION),
    });
    extended(value, more)
}

/// Commit
pub(super) fn commit(shared: &Shared, commit: &Commit) -> Value {
    let (api, sha) = (&shared.urls().github, &commit.sha);
    let tree = &sha256(sha.as_bytes())[..40];
    let person =
        json!({ "name": "Maintainer", "email": "maintainer@users.noreply.github.com", "date": time(commit.at) });
    json!({
        "sha": sha,
        "node_id": node_id("C", id_of(sha)),
        "commit": {
            "author": person,
            "committer": person,
            "message": commit.message,
            "tree": { "sha": tree, "url": format!("{api}/repos/{APPLICATION}/git/trees/{tree}") },
            "url": format!("{api}/repos/{APPLICATION}/git/commits/{sha}"),
            "comment_count": 0,
            "verification": {
                "verified": false, "reason": "unsigned", "signature": null, "payload": null, "verified_at": null },
        },
        "url": format!("{api}/repos/{APPLICATION}/commits/{sha}"),
        "html_url": format!("https://github.com/{APPLICATION}/commit/{sha}"),
        "comments_url": format!("{api}/repos/{APPLICATION}/commits/{sha}/comments"),
        "author": user(shared, "maintainer"),
        "committer": user(shared, "web-flow"),
        "parents": [],
    })
}

/// Job
pub(super) fn job(shared: &Shared, run: &WorkflowRun, name: &str, over: bool) -> Value {
    let api = &shared.urls().github;
    let id = id_of(&format!("{}/{name}", run.id));
    let of = format!("{api}/repos/{APPLICATION}/actions");
    json!({
        "id": id,
        "run_id": run.id,
        "run_url": format!("{of}/runs/{}", run.id),
        "run_attempt": 1,
        "node_id": node_id("CR", id),
        "head_sha": run.head_sha,
        "head_branch": run.head_branch,
        "url": format!("{of}/jobs/{id}"),
        "html_url": format!("https://github.com/{APPLICATION}/actions/runs/{}/job/{id}", run.id),
        "status": if over { "completed" } else { "in_progress" },
        "conclusion": over.then_some("success"),
        "created_at": time(run.created_at),
        "started_at": time(run.created_at),
        "completed_at": over.then(|| time(run.updated_at)),
        "name": name,
        "steps": [],
        "check_run_url": format!("{api}/repos/{APPLICATION}/check-runs/{id}"),
        "labels": ["ubuntu-latest"],
        "runner_id": 1,
        "runner_name": "GitHub Actions 1",
        "runner_group_id": 2,
        "runner_group_name": "GitHub Actions",
        "workflow_name": "CI + CD",
    })
}

/// CheckRun
pub(super) fn check_run(shared: &Shared, full_name: &str, sha: &str, name: &str, conclusion: Option<&str>) -> Value {
    let api = &shared.urls().github;
    let id = id_of(&format!("{sha}/{name}"));
    let url = format!("{api}/repos/{full_name}/check-runs/{id}");
    json!({
        "id": id,
        "name": name,
        "node_id": node_id("CR", id),
        "head_sha": sha,
        "external_id": id.to_string(),
        "url": url,
        "html_url": format!("https://github.com/{full_name}/runs/{id}"),
        "details_url": format!("https://github.com/{full_name}/actions/runs/{id}"),
        "status": if conclusion.is_some() { "completed" } else { "in_progress" },
        "conclusion": conclusion,
        "started_at": "2024-09-30T10:21:00Z",
        "completed_at": conclusion.map(|_| "2024-09-30T10:22:00Z"),
        "output": { "title": null, "summary": null, "text": null, "annotations_count": 0,
            "annotations_url": format!("{url}/annotations") },
        "check_suite": { "id": id + 1 },
        "app": {
            "id": 15368,
            "slug": "github-actions",
            "node_id": "MDM6QXBwMTUzNjg=",
            "client_id": "Iv1.05c79e9ad1f6bdfa",
            "owner": user(shared, "github"),
            "name": "GitHub Actions",
            "description": "Automate your workflow from idea to production",
            "external_url": "https://help.github.com/en/actions",
            "html_url": "https://github.com/apps/github-actions",
            "created_at": "2018-07-30T09:30:17Z",
            "updated_at": "2024-04-10T20:33:16Z",
            "permissions": { "checks": "write", "contents": "read", "metadata": "read" },
            "events": ["check_run", "check_suite"],
        },
        "pull_requests": [],
    })
}
