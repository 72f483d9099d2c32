//! An incoming webhook of Slack. Its URL is the secret: whoever has it can write.
//! <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use super::Notifier;
use crate::adapters::http::{self, Http};
use crate::adapters::{Cause, ServiceError};

/// From connecting to the last byte; a deploy does not wait longer for a message.
const WHOLE: Duration = Duration::from_secs(5);
const REQUEST: &str = "POST to the webhook";

pub struct SlackWebhook {
    http: Http,
    webhook_url: SecretString,
    whole: Duration,
}

impl SlackWebhook {
    /// The URL is looked at when the first message is sent: a wrong one is a warning then, never a reason not to run.
    pub fn new(webhook_url: SecretString) -> Self {
        Self { http: Http::new("Slack"), webhook_url, whole: WHOLE }
    }

    async fn send(&self, text: &str) -> Result<(), ServiceError> {
        let url = http::check_url(self.webhook_url.expose_secret()).map_err(|why| {
            let cause = Cause::Failed(format!("the webhook's URL {why}; correct [slack] webhook_url"));
            self.http.error(REQUEST, cause)
        })?;
        let message = serde_json::json!({ "text": text });
        let builder = http::client_for(&url).post(url).timeout(self.whole).json(&message);
        let answer = self.http.write(REQUEST, builder).await?;
        // Slack calls its plain "ok" `text/html`, so the words decide and not their type.
        if answer.body.trim_ascii() != b"ok" {
            let cause = Cause::Malformed("something else than Slack's \"ok\"; is the URL that of a webhook?".into());
            return Err(self.http.error(REQUEST, cause));
        }
        Ok(())
    }
}

#[async_trait]
impl Notifier for SlackWebhook {
    async fn notify(&self, text: &str) -> Result<(), ServiceError> {
        self.send(text).await.map_err(|error| without(error, self.webhook_url.expose_secret().trim()))
    }
}

/// A server may repeat the URL or its path in what it answers; neither may be shown.
fn without(mut error: ServiceError, secret: &str) -> ServiceError {
    let path = reqwest::Url::parse(secret).map(|url| url.path().to_owned()).unwrap_or_default();
    let hide = |text: &mut String| {
        for shown in [secret, path.as_str()] {
            if shown.len() > 1 {
                *text = text.replace(shown, "(the webhook)");
            }
        }
    };
    match &mut error.cause {
        Cause::Unreachable(text)
        | Cause::NoAnswer(text)
        | Cause::Unauthorized(text)
        | Cause::Forbidden(text)
        | Cause::NotFound(text)
        | Cause::Malformed(text)
        | Cause::Failed(text)
        | Cause::Refused(text)
        | Cause::NoCredentials(text)
        | Cause::Rejected { message: text, .. }
        | Cause::Broken { message: text, .. } => hide(text),
        Cause::RateLimited { .. } => {}
    }
    error
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::adapters::http::test_server::{Reply, Server, nobody};

    const PATH: &str = "/services/T0/B0/hidden";

    fn webhook(url: &str) -> SlackWebhook {
        let mut slack = SlackWebhook::new(SecretString::from(format!("{url}{PATH}")));
        slack.whole = Duration::from_millis(400);
        slack
    }

    #[tokio::test]
    async fn one_message_is_one_request() {
        let server = Server::always(Reply::json("ok").with("content-type", "text/html")).await;
        webhook(&server.url).notify("deploying *rel-1* \"now\"").await.unwrap();
        let seen = server.seen();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].body, r#"{"text":"deploying *rel-1* \"now\""}"#);
        assert_eq!((&*seen[0].method, &*seen[0].path), ("POST", PATH));
    }

    #[tokio::test]
    async fn every_fault_ends_soon_is_sent_once_and_hides_the_url() {
        for (reply, cause) in [
            (Reply::Reset, "NoAnswer"),
            (Reply::Silence, "NoAnswer"),
            (Reply::Half, "NoAnswer"),
            (Reply::status(500, "{}"), "Broken"),
            (Reply::status(502, PATH), "Broken"),
            (Reply::status(400, "invalid_payload /services/T0/B0/hidden"), "Rejected"),
            (Reply::status(401, "{}"), "Unauthorized"),
            (Reply::status(403, "invalid_token"), "Forbidden"),
            (Reply::status(404, "no_service"), "NotFound"),
            (Reply::status(429, "{}"), "RateLimited"),
            (Reply::status(302, "").with("location", format!("https://slack.example{PATH}")), "Malformed"),
            (Reply::html(200), "Malformed"),
            (Reply::json("{}"), "Malformed"),
            (Reply::status(410, "channel_is_archived"), "Rejected"),
            (Reply::Huge, ""),
        ] {
            let name = format!("{reply:?}");
            let server = Server::always(reply).await;
            let started = Instant::now();
            let error = webhook(&server.url).notify("hello").await.unwrap_err();
            assert!(started.elapsed() < Duration::from_secs(3), "{name}");
            assert!(format!("{:?}", error.cause).starts_with(cause), "{name}: {error}");
            assert!(!format!("{error} {error:?}").contains("hidden"), "{name}: {error}");
            assert_eq!(server.seen().len(), 1, "{name}");
        }
        let error = webhook(&nobody().await).notify("hello").await.unwrap_err();
        assert!(matches!(error.cause, Cause::Unreachable(_)), "{error}");
    }

    #[tokio::test]
    async fn a_url_that_is_none_is_not_repeated() {
        for url in ["hidden", "http://slack.example/hidden", "https://u:hidden@slack.example/x"] {
            let error = SlackWebhook::new(SecretString::from(url)).notify("hello").await.unwrap_err();
            assert!(matches!(error.cause, Cause::Failed(_)), "{error}");
            assert!(!format!("{error:?}").contains("hidden"), "{error}");
        }
    }

    #[test]
    fn five_seconds_in_all() {
        assert_eq!(SlackWebhook::new(SecretString::from("x")).whole, Duration::from_secs(5));
    }
}
