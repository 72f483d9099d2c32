//! The run lock: a git ref on the infrastructure remote, taken by compare-and-swap push.

mod git_ref;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ServiceError;
pub use git_ref::{GitRefLock, nonce};

pub type Result<T> = std::result::Result<T, ServiceError>;

/// What the lock's commit says, as JSON in its message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    pub run: String,
    pub runbook: String,
    pub who: String,
    pub host: String,
    pub step: Option<String>,
    pub taken_at: Timestamp,
    pub heartbeat_at: Timestamp,
    /// Random: two pushers of the same commit object would both win.
    pub nonce: String,
}

/// The lock as it stands on the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockState {
    pub reference: String,
    pub commit: String,
    pub record: LockRecord,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    Ours(LockState),
    /// Somebody else holds it.
    Theirs(LockState),
}

#[async_trait]
pub trait LockRead: Send + Sync {
    /// `refs/catalog-deploy/lock/NAME`; `None` where this runbook works alone.
    fn reference(&self) -> Option<String>;
    /// Who holds it now, read from the remote.
    async fn holder(&self) -> Result<Option<LockState>>;
}

#[async_trait]
pub trait LockWrite: LockRead {
    /// Compare-and-swap from "nobody". A lost answer is resolved by reading the remote.
    async fn take(&self, record: &LockRecord) -> Result<Taken>;
    /// Compare-and-swap from `commit`: a record that takes the place of one that is ours. A lost answer is resolved by
    /// reading the remote.
    async fn replace(&self, commit: &str, record: &LockRecord) -> Result<Taken>;
    /// Frees it if `commit` still stands there. `Ok(false)` where it is not ours any more (it is left alone).
    async fn free(&self, commit: &str) -> Result<bool>;
}
