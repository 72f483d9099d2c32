//! GitHub's JSON: the few fields that are used, unknown ones ignored, `null` where GitHub says it may be.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ChangedFile, CheckRun, Commit, Job, Permissions, PullRequest, Release, Review, WorkflowRun};

#[derive(Deserialize)]
pub(super) struct User {
    pub login: String,
}

/// GitHub says null for the author of anything whose account is gone, and shows them as `ghost`.
fn login(user: Option<User>) -> String {
    user.map_or_else(|| "ghost".into(), |user| user.login)
}

#[derive(Deserialize)]
pub(super) struct RepositoryWire {
    private: Option<bool>,
    /// Always there, so an answer without it is not GitHub's.
    #[serde(rename = "full_name")]
    _full_name: String,
    permissions: Option<PermissionsWire>,
}

#[derive(Deserialize)]
struct PermissionsWire {
    #[serde(default)]
    pull: bool,
    #[serde(default)]
    push: bool,
    #[serde(default)]
    maintain: bool,
    #[serde(default)]
    admin: bool,
}

/// The header `github-authentication-token-expiration`: `2024-10-01 09:00:00 UTC`, or with an offset like `-0700`.
/// Source: GitHub, "Token expiration and revocation"; go-github, which reads both forms.
pub(super) fn expiration(text: &str) -> Option<jiff::Timestamp> {
    let offset = text.trim().strip_suffix("UTC").map(|start| format!("{start}+0000"));
    jiff::Timestamp::strptime("%Y-%m-%d %H:%M:%S %z", offset.as_deref().unwrap_or(text.trim())).ok()
}

impl RepositoryWire {
    /// `scopes` is the `X-OAuth-Scopes` of the answer. Without credentials GitHub names no permissions: what was answered
    /// can be read. The permissions are those of the token's owner, whatever the token may.
    /// <https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps>
    pub(super) fn permissions(&self, scopes: Option<&str>, expires: Option<jiff::Timestamp>) -> Permissions {
        let nothing = Permissions { pull: true, push: false, told: true, expires };
        let Some(may) = &self.permissions else { return nothing };
        let enough = |scope: &str| scope == "repo" || (scope == "public_repo" && self.private == Some(false));
        let token = scopes.is_none_or(|scopes| scopes.split(',').map(str::trim).any(enough));
        let push = token && (may.push || may.maintain || may.admin);
        Permissions { pull: may.pull, push, told: scopes.is_some(), expires }
    }
}

#[derive(Deserialize)]
pub(super) struct ReleaseWire {
    id: u64,
    tag_name: String,
    name: Option<String>,
    draft: bool,
    prerelease: bool,
    body: Option<String>,
    target_commitish: Option<String>,
    html_url: String,
    published_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
}

impl From<ReleaseWire> for Release {
    fn from(wire: ReleaseWire) -> Self {
        Self {
            id: wire.id,
            tag_name: wire.tag_name,
            name: wire.name,
            draft: wire.draft,
            prerelease: wire.prerelease,
            body: wire.body.unwrap_or_default(),
            target_commitish: wire.target_commitish.unwrap_or_default(),
            html_url: wire.html_url,
            published_at: wire.published_at,
            created_at: wire.created_at,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Publish<'a> {
    pub draft: bool,
    pub tag_name: &'a str,
}

#[derive(Deserialize)]
pub(super) struct WorkflowRuns {
    pub workflow_runs: Vec<WorkflowRunWire>,
}

#[derive(Deserialize)]
pub(super) struct WorkflowRunWire {
    id: u64,
    event: String,
    /// `null` for a moment after creation.
    status: Option<String>,
    conclusion: Option<String>,
    head_branch: Option<String>,
    head_sha: String,
    display_title: Option<String>,
    html_url: String,
    created_at: Timestamp,
}

impl From<WorkflowRunWire> for WorkflowRun {
    fn from(wire: WorkflowRunWire) -> Self {
        Self {
            id: wire.id,
            event: wire.event,
            status: wire.status.unwrap_or_else(|| "queued".into()),
            conclusion: wire.conclusion,
            head_branch: wire.head_branch,
            head_sha: wire.head_sha,
            display_title: wire.display_title.unwrap_or_default(),
            html_url: wire.html_url,
            created_at: wire.created_at,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct CommitWire {
    sha: String,
    commit: CommittedWire,
}

#[derive(Deserialize)]
struct CommittedWire {
    committer: Option<PersonWire>,
}

#[derive(Deserialize)]
struct PersonWire {
    date: Option<Timestamp>,
}

impl From<CommitWire> for Commit {
    fn from(wire: CommitWire) -> Self {
        // GitHub's description allows neither committer nor date; git writes both.
        let at = wire.commit.committer.and_then(|committer| committer.date);
        Self { sha: wire.sha, at: at.unwrap_or(Timestamp::UNIX_EPOCH) }
    }
}

#[derive(Deserialize)]
pub(super) struct Jobs {
    pub jobs: Vec<JobWire>,
}

#[derive(Deserialize)]
pub(super) struct JobWire {
    name: String,
    status: String,
    conclusion: Option<String>,
}

impl From<JobWire> for Job {
    fn from(JobWire { name, status, conclusion }: JobWire) -> Self {
        Self { name, status, conclusion }
    }
}

#[derive(Deserialize)]
pub(super) struct PullRequestWire {
    number: u64,
    title: String,
    state: String,
    /// Only in the answer for a single pull request; lists have `merged_at`.
    merged: Option<bool>,
    merged_at: Option<Timestamp>,
    head: Head,
    base: Base,
    user: Option<User>,
    html_url: String,
    updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "ref")]
    reference: String,
    sha: String,
    /// The fork's owner; null where the fork is gone.
    user: Option<User>,
}

#[derive(Deserialize)]
struct Base {
    #[serde(rename = "ref")]
    reference: String,
}

impl PullRequestWire {
    /// The head is exactly this branch of this owner. GitHub answers a `head` filter that it does not understand with
    /// all pull requests.
    pub(super) fn is_of(&self, owner: &str, branch: &str) -> bool {
        self.head.reference == branch
            && self.head.user.as_ref().is_none_or(|user| user.login.eq_ignore_ascii_case(owner))
    }
}

impl From<PullRequestWire> for PullRequest {
    fn from(wire: PullRequestWire) -> Self {
        Self {
            number: wire.number,
            title: wire.title,
            state: wire.state,
            merged: wire.merged.unwrap_or(wire.merged_at.is_some()),
            head_ref: wire.head.reference,
            head_sha: wire.head.sha,
            base_ref: wire.base.reference,
            author: login(wire.user),
            html_url: wire.html_url,
            updated_at: wire.updated_at,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct FileWire {
    filename: String,
    status: String,
    #[serde(default)]
    additions: u64,
    #[serde(default)]
    deletions: u64,
    patch: Option<String>,
}

impl From<FileWire> for ChangedFile {
    fn from(wire: FileWire) -> Self {
        Self {
            filename: wire.filename,
            status: wire.status,
            additions: wire.additions,
            deletions: wire.deletions,
            patch: wire.patch,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct ReviewWire {
    user: Option<User>,
    state: String,
    commit_id: Option<String>,
}

impl From<ReviewWire> for Review {
    fn from(wire: ReviewWire) -> Self {
        Self { user: login(wire.user), state: wire.state, commit_id: wire.commit_id }
    }
}

#[derive(Serialize)]
pub(super) struct Approve<'a> {
    pub event: &'a str,
    pub commit_id: &'a str,
    pub body: &'a str,
}

#[derive(Deserialize)]
pub(super) struct CheckRuns {
    pub check_runs: Vec<CheckRunWire>,
}

#[derive(Deserialize)]
pub(super) struct CheckRunWire {
    name: String,
    status: String,
    conclusion: Option<String>,
}

impl From<CheckRunWire> for CheckRun {
    fn from(wire: CheckRunWire) -> Self {
        Self { name: wire.name, status: wire.status, conclusion: wire.conclusion }
    }
}

#[derive(Deserialize)]
pub(super) struct CombinedStatus {
    pub statuses: Vec<StatusWire>,
}

#[derive(Deserialize)]
pub(super) struct StatusWire {
    context: String,
    state: String,
}

impl From<StatusWire> for CheckRun {
    /// A classic status knows `success failure error pending`; a check run knows two dimensions.
    fn from(wire: StatusWire) -> Self {
        let (status, conclusion) = match wire.state.as_str() {
            "pending" => ("in_progress", None),
            "error" => ("completed", Some("failure".to_owned())),
            other => ("completed", Some(other.to_owned())),
        };
        Self { name: wire.context, status: status.into(), conclusion }
    }
}

#[derive(Serialize)]
pub(super) struct OpenPullRequest<'a> {
    pub title: &'a str,
    pub body: &'a str,
    pub head: &'a str,
    pub base: &'a str,
}
