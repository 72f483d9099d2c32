//! GitHub, as far as a deploy needs it: own structs of the few fields used, over octocrab's raw routes.
//!
//! octocrab's typed models demand whole objects and its default client sends POSTs again; hence `transport.rs` (its
//! service stack, put together without a retry layer), `wire.rs` (GitHub's JSON) and `client.rs` (the routes).

mod client;
#[cfg(test)]
mod tests;
mod transport;
mod wire;

use async_trait::async_trait;
use jiff::Timestamp;

use super::ServiceError;
pub use client::GithubClient;

pub type Result<T> = std::result::Result<T, ServiceError>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub id: u64,
    pub tag_name: String,
    pub name: Option<String>,
    pub draft: bool,
    pub prerelease: bool,
    /// Markdown notes; empty where GitHub says null.
    pub body: String,
    pub target_commitish: String,
    pub html_url: String,
    pub published_at: Option<Timestamp>,
    pub created_at: Option<Timestamp>,
}

/// One run of a workflow. `status` and `conclusion` are GitHub's own words
/// (`queued in_progress completed waiting requested pending`, `success failure cancelled timed_out …`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRun {
    pub id: u64,
    pub event: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub head_branch: Option<String>,
    pub head_sha: String,
    pub display_title: String,
    pub html_url: String,
    pub created_at: Timestamp,
}

/// One job of a workflow's run, in its latest attempt. `status` and `conclusion` as in [`WorkflowRun`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub name: String,
    pub status: String,
    pub conclusion: Option<String>,
}

/// A commit of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub sha: String,
    /// When it was committed, which on a branch that is merged into is when it arrived there.
    pub at: Timestamp,
}

/// Query of [`GithubRead::workflow_runs`]; `None` does not filter.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    pub event: Option<String>,
    pub branch: Option<String>,
    pub created_after: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    pub number: u64,
    pub title: String,
    /// `open` or `closed`
    pub state: String,
    pub merged: bool,
    pub head_ref: String,
    pub head_sha: String,
    pub base_ref: String,
    pub author: String,
    pub html_url: String,
    pub updated_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    pub filename: String,
    /// `added modified removed renamed …`
    pub status: String,
    pub additions: u64,
    pub deletions: u64,
    pub patch: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    pub user: String,
    /// `APPROVED CHANGES_REQUESTED COMMENTED DISMISSED PENDING`
    pub state: String,
    pub commit_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRun {
    pub name: String,
    pub status: String,
    pub conclusion: Option<String>,
}

/// What these credentials may do in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    pub pull: bool,
    /// Their owner may, and the token too as far as GitHub tells.
    pub push: bool,
    /// Whether GitHub told what the token itself may. It does not of fine-grained tokens and those of apps: then `push` is
    /// what their owner may.
    pub told: bool,
    /// When the token expires; `None` where GitHub does not say, e.g. because it never does.
    pub expires: Option<jiff::Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPullRequest {
    pub title: String,
    pub body: String,
    pub head: String,
    pub base: String,
}

/// `repo` is always `owner/name`.
#[async_trait]
pub trait GithubRead: Send + Sync {
    /// Login of the authenticated user.
    async fn viewer(&self) -> Result<String>;
    async fn permissions(&self, repo: &str) -> Result<Permissions>;
    /// The newest 100, drafts included where the credentials have push access.
    async fn releases(&self, repo: &str) -> Result<Vec<Release>>;
    /// Fresh by id: a draft is not found by tag. `NotFound` where it is gone.
    async fn release(&self, repo: &str, id: u64) -> Result<Release>;
    /// Newest first, first page (100). `workflow` is the file's name.
    async fn workflow_runs(&self, repo: &str, workflow: &str, filter: &RunFilter) -> Result<Vec<WorkflowRun>>;
    /// The jobs of one run, first page (100). Those that have not been queued yet are missing.
    async fn jobs(&self, repo: &str, run: u64) -> Result<Vec<Job>>;
    /// All commits of a branch that touched `path`, newest first, first page.
    async fn commits_touching(&self, repo: &str, branch: &str, path: &str) -> Result<Vec<Commit>>;
    /// Pull requests whose head branch is exactly `branch` of the same owner, open and closed.
    async fn pull_requests_of_branch(&self, repo: &str, branch: &str) -> Result<Vec<PullRequest>>;
    /// Open pull requests, all pages up to 1,000.
    async fn open_pull_requests(&self, repo: &str) -> Result<Vec<PullRequest>>;
    async fn pull_request(&self, repo: &str, number: u64) -> Result<PullRequest>;
    async fn pull_request_files(&self, repo: &str, number: u64) -> Result<Vec<ChangedFile>>;
    async fn reviews(&self, repo: &str, number: u64) -> Result<Vec<Review>>;
    /// Check runs and classic statuses of a commit, statuses folded into the same shape.
    async fn checks(&self, repo: &str, sha: &str) -> Result<Vec<CheckRun>>;
    /// A file's bytes at a ref; `None` where it does not exist there.
    async fn file_at(&self, repo: &str, path: &str, reference: &str) -> Result<Option<Vec<u8>>>;
}

/// Each call is sent exactly once; the caller looks the effect up when the answer is lost.
#[async_trait]
pub trait GithubWrite: GithubRead {
    /// Publishes a draft under the tag that was approved.
    async fn publish_release(&self, repo: &str, id: u64, tag_name: &str) -> Result<Release>;
    /// Approves with the reviewed commit pinned. 422 (own pull request) is `Rejected`.
    async fn approve_pull_request(&self, repo: &str, number: u64, commit_id: &str, body: &str) -> Result<()>;
    async fn open_pull_request(&self, repo: &str, new: &NewPullRequest) -> Result<PullRequest>;
}
