//! Slack: `@slack/webhook` 7.0.9, Slack's own client, and its documentation of incoming webhooks.
//! <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>

use catalog_deploy::adapters::Cause;
use catalog_deploy::adapters::notify::{Notifier, SlackWebhook};
use catalog_deploy::rehearsal::{Options, World};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::published::{run, typed};
use super::recorder::{Recorder, Told};

const PATH: &str = "/services/T00000000/B00000000/hiddenhiddenhidden";
const TEXT: &str = "deployed *rel-2024.09.30.10.20.30* \"now\"\n<https://example.org|more> & é";

fn webhook(url: &str) -> SlackWebhook {
    SlackWebhook::new(SecretString::from(url.to_owned()))
}

/// As Slack sends its words.
fn word(status: u16, text: &str) -> Told {
    (status, vec![("content-type", "text/html".into())], text.to_owned())
}

/// Sends with Slack's own client; gives its result or the status and word of its error.
async fn theirs(url: &str, message: &Value) -> Value {
    run(&format!(
        "import {{ IncomingWebhook }} from '@slack/webhook';\n\
         const said = await new IncomingWebhook({url:?}).send({message}).catch((error) => (\n\
           {{ status: error.original.response.status, text: error.original.response.data }}));\n\
         console.log(JSON.stringify(said));"
    ))
    .await
}

#[tokio::test]
async fn what_we_send_is_described_and_what_slacks_own_client_sends() {
    let recorder = Recorder::telling(vec![word(200, "ok")]).await;
    let url = format!("{}{PATH}", recorder.url);
    webhook(&url).notify(TEXT).await.unwrap();
    assert_eq!(theirs(&url, &json!({ "text": TEXT })).await, json!({ "text": "ok" }));
    let seen = recorder.seen();
    let [ours, own] = &seen[..] else { panic!("{seen:?}") };
    let body = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!((&*ours.method, &*ours.path, &ours.query), ("POST", PATH, &vec![]));
    assert_eq!((&own.method, &own.path), (&ours.method, &ours.path));
    // Theirs adds its own defaults (`timeout`), which Slack does not know.
    assert_eq!(body(&own.body)["text"], body(&ours.body)["text"]);
    assert_eq!((ours.header("content-type"), own.header("content-type")), ("application/json", "application/json"));

    let source = format!(
        "import type {{ IncomingWebhookSendArguments }} from '@slack/webhook';\n\
         const message: IncomingWebhookSendArguments = {};",
        ours.body
    );
    typed(&source).unwrap();
    assert!(typed(&source.replace("\"text\"", "\"txt\"")).unwrap_err().contains("txt"), "the check can fail");
}

/// Names and statuses of <https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks>; the later
/// ones are named under "Handling errors" in the documentation of incoming webhooks.
#[tokio::test]
async fn every_documented_error_is_told_in_slacks_word_and_sent_once() {
    for (status, text, cause) in [
        (400, "invalid_payload", "Rejected"),
        (400, "user_not_found", "Rejected"),
        (400, "no_text", "Rejected"),
        (400, "too_many_attachments", "Rejected"),
        (403, "action_prohibited", "Forbidden"),
        (403, "invalid_token", "Forbidden"),
        (403, "posting_to_general_channel_denied", "Forbidden"),
        (404, "channel_not_found", "NotFound"),
        (404, "no_service", "NotFound"),
        (404, "no_team", "NotFound"),
        (410, "channel_is_archived", "Rejected"),
        (500, "rollup_error", "Broken"),
    ] {
        let recorder = Recorder::telling(vec![word(status, text)]).await;
        let url = format!("{}{PATH}", recorder.url);
        let error = webhook(&url).notify(TEXT).await.unwrap_err();
        assert!(format!("{:?}", error.cause).starts_with(cause), "{text}: {error:?}");
        assert!(error.to_string().starts_with("Slack: POST to the webhook: "), "{error}");
        assert!(error.to_string().contains(text) && !error.to_string().contains("hidden"), "{error}");
        assert_eq!(recorder.seen().len(), 1, "{text}");
    }
}

/// <https://docs.slack.dev/apis/web-api/rate-limits>: one message a second, then 429 with `Retry-After` in seconds.
#[tokio::test]
async fn a_limit_is_told_and_not_waited_out() {
    let mut limited = word(429, "rate_limited");
    limited.1.push(("retry-after", "30".into()));
    let recorder = Recorder::telling(vec![limited]).await;
    let error = webhook(&format!("{}{PATH}", recorder.url)).notify(TEXT).await.unwrap_err();
    assert!(matches!(error.cause, Cause::RateLimited { retry_after } if retry_after.as_secs() == 30), "{error}");
    assert_eq!(recorder.seen().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_not_slacks_ok_is_no_success() {
    for told in [
        word(200, "<html><title>Sign in</title></html>"),
        word(200, ""),
        (200, vec![("content-type", "application/json".into())], json!({ "ok": true }).to_string()),
        (302, vec![("location", "https://slack.com/".into())], String::new()),
    ] {
        let recorder = Recorder::telling(vec![told.clone()]).await;
        let error = webhook(&format!("{}{PATH}", recorder.url)).notify(TEXT).await.unwrap_err();
        assert!(matches!(error.cause, Cause::Malformed(_)), "{told:?}: {error}");
        assert_eq!(recorder.seen().len(), 1, "{told:?}");
    }
}

#[tokio::test]
async fn the_world_answers_slacks_own_client_and_ours() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(Options::new(directory.path())).await.unwrap();
    let config: toml::Table = world.config_toml().parse().unwrap();
    let url = std::fs::read_to_string(config["slack"]["webhook_url"]["file"].as_str().unwrap()).unwrap();
    webhook(&url).notify(TEXT).await.unwrap();
    assert_eq!(theirs(&url, &json!({ "text": "from Slack's own" })).await, json!({ "text": "ok" }));
    assert_eq!(world.slack_messages(), [TEXT, "from Slack's own"]);

    let hello = json!({ "text": "hello" });
    let parts: Vec<&str> = url.rsplitn(4, '/').collect();
    let [token, service, team, base] = parts[..] else { panic!("{} parts", parts.len()) };
    for (url, message, status, text) in [
        (url.clone(), json!({}), 400, "no_text"),
        (format!("{base}/{team}/{service}/wrong"), hello.clone(), 403, "invalid_token"),
        (format!("{base}/{team}/B0GONE/{token}"), hello.clone(), 404, "no_service"),
        (format!("{base}/T0GONE/{service}/{token}"), hello.clone(), 404, "no_team"),
    ] {
        assert_eq!(theirs(&url, &message).await, json!({ "status": status, "text": text }));
        if message == hello {
            let error = webhook(&url).notify("hello").await.unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }
    assert_eq!(world.slack_messages().len(), 2, "what was refused was not posted");
}
