//! The infrastructure repository on this laptop: git, the two attributes, the recipes, Terraform's plan.
//!
//! [`Tree`] is a directory that may be changed: the checkout itself (only through [`CheckoutWrite`]) or a scratch copy,
//! which anybody may make, preview included, since nothing outside it changes.

mod client;
mod files;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod git;
mod hcl;
mod history;
pub(crate) mod objects;
mod recipe;
mod scratch;
mod terraform;
mod tree;
mod version;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::ServiceError;
use super::process::{LineSink, Recorded, Traces};
pub use client::{Checkout, CheckoutOptions};
pub use hcl::{Attribute, HclError, find_attribute, replace_attribute};
pub use scratch::{Place, sweep};
pub use terraform::{Plan, PlannedChange, parse_plan};
pub use tree::plan_text;

pub type Result<T> = std::result::Result<T, ServiceError>;

/// Where an attribute stands: a file relative to the repository's root, the block's type and labels
/// (`["module", "catalog-airflow"]`, empty for the top level or a `.tfvars`), the attribute's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    pub file: String,
    pub block: Vec<String>,
    pub attribute: String,
}

/// State of the checkout against its remote, after a fetch-free look (`ls-remote`).
#[derive(Debug, Clone)]
pub struct Standing {
    pub branch: Option<String>,
    pub head: String,
    /// Or why it could not be seen: what is local is known all the same.
    pub remote: Result<RemoteMain>,
    /// Tracked files that differ from HEAD, and staged ones; porcelain paths.
    pub dirty: Vec<String>,
    pub untracked: Vec<String>,
    /// A merge, rebase, cherry-pick or bisect is under way.
    pub in_progress: Option<String>,
}

/// The main branch on the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteMain {
    pub commit: String,
    /// HEAD contains it. `None` where the commit is not in this clone (so the checkout is behind).
    pub in_head: Option<bool>,
}

/// A value that an attribute got on a branch, and the commit that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// When it was committed.
    pub at: jiff::Timestamp,
    /// The commit's author.
    pub by: String,
    /// The HCL literal as it stands.
    pub literal: String,
}

/// What `just --dump --dump-format json` says of a recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arguments {
    /// Takes one more argument than the runbook's command gives it.
    Takes,
    TakesNone,
    /// Not a `just` recipe, or `just` could not tell.
    Unknown,
}

#[async_trait]
pub trait CheckoutRead: Send + Sync {
    /// The checkout's root, for messages and obligations.
    fn root(&self) -> PathBuf;
    async fn standing(&self) -> Result<Standing>;
    /// Bytes of a file in the working tree; `NotFound` where it is absent.
    async fn read(&self, file: &str) -> Result<Vec<u8>>;
    /// Bytes of a file at a commit of this clone, as a checkout holds them: line ends and filters are the working tree's.
    async fn read_at(&self, commit: &str, file: &str) -> Result<Vec<u8>>;
    /// The HCL literal as it stands (`"rel-…"`, `false`), with its line; `Malformed` names file and line.
    async fn attribute(&self, at: &Location) -> Result<Attribute>;
    /// SHA-256 over HEAD and all tracked files' contents, the given attributes blanked out: what an approval binds to.
    async fn fingerprint(&self, except: &[Location]) -> Result<String>;
    /// Whether the recipe behind `argv` takes an extra argument.
    async fn arguments(&self, argv: &[String]) -> Result<Arguments>;
    /// Commit of a branch on the remote.
    async fn remote_branch(&self, branch: &str) -> Result<Option<String>>;
    /// Contents of a file on a remote branch, fetched into no ref (objects only where needed).
    async fn remote_file(&self, branch: &str, file: &str) -> Result<Option<Vec<u8>>>;
    /// The attribute as it stands on a remote branch; `None` where the branch or the file does not exist.
    async fn remote_attribute(&self, branch: &str, at: &Location) -> Result<Option<Attribute>>;
    /// What the attribute held on a remote branch, newest first, each with the commit that wrote it; read from at most
    /// `limit` commits that touched the file. Fetched into no ref. Where the remote does not answer, the history that this
    /// clone has fetched before.
    async fn literals_in_history(&self, branch: &str, at: &Location, limit: usize) -> Result<Vec<Landed>>;
    /// Runs a reading command of the runbook in the checkout's root and returns its standard output.
    async fn output(&self, argv: &[String]) -> Result<Vec<u8>>;
    /// An own clone with the working files laid over it; removed when dropped.
    async fn scratch(&self) -> Result<Arc<dyn Tree>>;
    /// Plans in the checkout itself (takes Terraform's state lock) to `plan_file`, output to `traces`.
    async fn plan(&self, argv: &[String], plan_file: &Path, lines: LineSink) -> Result<Planned>;
}

/// How a plan ended. Terraform writes the plan file even when a precondition fails, so the exit code is what counts.
#[derive(Debug, Clone, PartialEq)]
pub enum Planned {
    Ready(Plan),
    /// Non-zero: the last lines that explain it.
    Failed {
        code: Option<i32>,
        tail: Vec<String>,
    },
}

/// A directory whose files may be changed.
#[async_trait]
pub trait Tree: Send + Sync {
    fn root(&self) -> PathBuf;
    async fn attribute(&self, at: &Location) -> Result<Attribute>;
    /// Bytes of a file; `NotFound` where it is absent.
    async fn read(&self, file: &str) -> Result<Vec<u8>>;
    /// Puts a file back to exactly these bytes, its permissions kept; `None` removes it.
    async fn restore(&self, file: &str, bytes: Option<&[u8]>) -> Result<()>;
    /// Replaces one literal, every other byte kept; verified by parsing again. Returns the earlier literal.
    async fn set_attribute(&self, at: &Location, literal: &str) -> Result<String>;
    /// Runs a recipe (the bump). Returns its combined output.
    async fn run(&self, argv: &[String], lines: LineSink) -> Result<(Option<i32>, String)>;
    /// Plans here. In a scratch copy without state lock, so no colleague's apply is disturbed.
    async fn plan(&self, argv: &[String], plan_file: &Path, lines: LineSink) -> Result<Planned>;
    /// Unified diff of the tree's tracked files against its HEAD.
    async fn diff(&self) -> Result<String>;
    /// Names of tracked files that differ from HEAD, and of untracked files that were not there when it was made.
    async fn changed(&self) -> Result<Vec<String>>;
}

#[async_trait]
pub trait CheckoutWrite: CheckoutRead {
    /// The checkout itself, as a tree that may be changed.
    fn tree(&self) -> Arc<dyn Tree>;
    /// Applies `argv` as a recorded child (plan file among its arguments where the recipe takes one).
    async fn apply(
        &self,
        argv: &[String],
        traces: &Traces,
        lines: LineSink,
        stop: tokio::sync::watch::Receiver<bool>,
    ) -> Result<Recorded>;
    /// Commits `file` = HEAD's content with only `at` replaced by `literal`, on top of the remote's main, and pushes it
    /// to `branch` by refspec: no switch of branches, index and working tree untouched. Fails if the branch exists with
    /// another content. Returns the commit.
    async fn push_version(&self, branch: &str, at: &Location, literal: &str, message: &str) -> Result<String>;
}
