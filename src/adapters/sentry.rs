//! Sentry, read only: which issues are new.

mod client;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use jiff::Timestamp;

use super::ServiceError;
pub use client::SentryClient;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    pub id: String,
    pub short_id: String,
    pub title: String,
    pub permalink: String,
    pub first_seen: Option<Timestamp>,
}

#[async_trait]
pub trait SentryRead: Send + Sync {
    /// Unresolved issues of the runbook's project and environment, newest first seen first, paged by Link up to 1,000.
    /// An adapter that is not configured answers `Unauthorized` ("not configured").
    async fn unresolved(&self) -> Result<Vec<Issue>, ServiceError>;
}
