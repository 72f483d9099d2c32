//! Telling people, best effort: five seconds, no second try, never a reason for a run to fail, never in a preview.

mod slack;

use async_trait::async_trait;

use super::ServiceError;
pub use slack::SlackWebhook;

#[async_trait]
pub trait Notifier: Send + Sync {
    /// Sends one plain-text message (Slack's mrkdwn allowed).
    async fn notify(&self, text: &str) -> Result<(), ServiceError>;
}
