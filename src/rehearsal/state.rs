//! The state of the embedded world, as plain data; services read and change it under one lock.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use jiff::Timestamp;

use super::Fault;
use super::timeline::Happening;

/// A GitHub release of the application's repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub id: u64,
    pub tag_name: String,
    pub name: String,
    pub body: String,
    pub draft: bool,
    pub prerelease: bool,
    pub target_commitish: String,
    pub author: String,
    pub created_at: Timestamp,
    pub published_at: Option<Timestamp>,
}

/// One run of a workflow of the application's repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRun {
    pub id: u64,
    /// File name under `.github/workflows`.
    pub workflow: String,
    pub event: String,
    pub status: String,
    pub conclusion: Option<String>,
    pub head_branch: String,
    pub head_sha: String,
    pub title: String,
    pub actor: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A commit of the application's main branch, newest first in [`State::commits`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    pub sha: String,
    pub message: String,
    pub at: Timestamp,
    /// Files that it touched.
    pub files: Vec<String>,
}

/// A pull request. One of the infrastructure repository has its head and files in git, not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pull {
    /// `owner/name`
    pub repository: String,
    pub number: u64,
    pub title: String,
    pub body: String,
    /// `open` or `closed`
    pub state: String,
    pub merged: bool,
    /// Owner of the head branch's repository: another one's is a fork.
    pub head_owner: String,
    pub head_ref: String,
    pub head_sha: String,
    pub base_ref: String,
    pub author: String,
    pub labels: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Name and content of the files it adds.
    pub files: Vec<(String, String)>,
    pub reviews: Vec<Review>,
    /// Name and conclusion; `None` while it runs.
    pub checks: Vec<(String, Option<String>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    pub id: u64,
    pub user: String,
    pub state: String,
    pub body: String,
    pub commit_id: String,
    pub submitted_at: Timestamp,
}

/// What the registry holds: manifests and blobs by digest, and tags in the order they were made.
#[derive(Debug, Clone, Default)]
pub struct Images {
    /// Digest → media type and bytes.
    pub manifests: BTreeMap<String, (String, Vec<u8>)>,
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dag {
    pub dag_id: String,
    pub paused: bool,
    pub tags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DagRun {
    pub dag_id: String,
    pub run_id: String,
    /// `queued running success failed`
    pub state: String,
    pub at: Timestamp,
}

/// Somebody set `is_paused` of a DAG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseEntry {
    pub at: Timestamp,
    pub dag_id: String,
    pub paused: bool,
    pub by: String,
}

/// A task instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    pub dag_id: String,
    pub run_id: String,
    pub task_id: String,
    pub map_index: i64,
    pub state: String,
    pub operator: String,
}

/// The Airflow instance that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Id of Terraform's `terraform_data.instance`.
    pub id: String,
    pub version: String,
    /// From when on it answers; later than now while it boots.
    pub up_at: Timestamp,
    /// It is not the one that the world started with.
    pub replaced: bool,
}

#[derive(Debug, Clone)]
pub struct Airflow {
    pub dags: Vec<Dag>,
    pub runs: Vec<DagRun>,
    pub tasks: Vec<Task>,
    /// What the audit log has of pausing, oldest first.
    pub pauses: Vec<PauseEntry>,
    /// File name and trace.
    pub import_errors: Vec<(String, String)>,
    pub instance: Instance,
    /// JWTs given out.
    pub tokens: HashSet<String>,
}

impl Airflow {
    /// Sets it, as the account `by`, and logs that.
    pub fn set_paused(&mut self, dag_id: &str, paused: bool, by: &str) {
        for dag in self.dags.iter_mut().filter(|dag| dag.dag_id == dag_id) {
            dag.paused = paused;
            self.pauses.push(PauseEntry { at: Timestamp::now(), dag_id: dag_id.into(), paused, by: by.into() });
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentryIssue {
    pub id: u64,
    pub title: String,
    pub culprit: String,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub count: u64,
}

/// Everything that changes in a world.
#[derive(Debug, Clone)]
pub struct State {
    pub releases: Vec<Release>,
    pub workflow_runs: Vec<WorkflowRun>,
    pub commits: Vec<Commit>,
    pub pulls: Vec<Pull>,
    pub images: Images,
    pub airflow: Airflow,
    pub issues: Vec<SentryIssue>,
    pub slack: Vec<String>,
    pub(super) registry_tokens: HashSet<String>,
    pub(super) timeline: Vec<(Instant, Happening)>,
    /// Faults that happen once and have happened.
    pub(super) played: HashSet<Fault>,
    pub(super) reads: u64,
    /// Requests that GitHub counted against the limit.
    pub(super) github_used: u64,
    pub(super) next_id: u64,
}

impl State {
    /// A number that this world has not used for anything yet.
    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn next_pull_number(&self, repository: &str) -> u64 {
        let first = if repository == super::shared::APPLICATION { 4900 } else { 810 };
        let used = self.pulls.iter().filter(|pull| pull.repository == repository).map(|pull| pull.number);
        used.max().unwrap_or(first) + 1
    }
}
