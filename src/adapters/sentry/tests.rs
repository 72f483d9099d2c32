//! The client against a scripted Sentry on loopback.

use secrecy::SecretString;

use super::*;
use crate::adapters::Cause;
use crate::adapters::http::test_server::{Reply, Server, impatient, nobody};

fn client(url: &str) -> SentryClient {
    let token = Some(SecretString::from("sntrys_hidden\n"));
    SentryClient::new(url, "openverse", "catalog", Some("production".into()), token).unwrap().with_patience(impatient())
}

fn issue(id: u32) -> String {
    format!(
        r#"{{"id":"{id}","shortId":"CATALOG-{id}","title":"T","permalink":"https://sentry.io/{id}","count":"3",
            "firstSeen":"2024-08-22T20:53:01.123456Z","project":{{"id":"2"}}}}"#
    )
}

fn link(host: &str, cursor: &str, results: bool) -> String {
    format!(
        r#"<https://{host}/api/0/x/?cursor=0:0:1>; rel="previous"; results="false"; cursor="0:0:1", <https://{host}/api/0/x/?cursor={cursor}>; rel="next"; results="{results}"; cursor="{cursor}""#
    )
}

#[tokio::test]
async fn pages_are_followed_by_cursor_while_they_hold_results() {
    let server = Server::start(|_, nth| match nth {
        0 => Reply::json(&format!("[{},{}]", issue(1), issue(2))).with("link", link("us.sentry.io", "0:100:0", true)),
        _ => Reply::json(&format!("[{}]", issue(3))).with("link", link("us.sentry.io", "0:200:0", false)),
    })
    .await;
    let issues = client(&server.url).unresolved().await.unwrap();
    assert_eq!(issues.iter().map(|issue| &*issue.id).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(issues[0].short_id, "CATALOG-1");
    assert!(issues[0].first_seen.is_some());
    let first = "GET /api/0/organizations/openverse/issues/?query=is%3Aunresolved+project%3Acatalog&project=-1&sort=new&groupStatsPeriod=&limit=100&environment=production";
    assert_eq!(server.lines(), [first.to_owned(), format!("{first}&cursor=0%3A100%3A0")]);
    assert!(server.seen().iter().all(|seen| seen.header("authorization") == "Bearer sntrys_hidden"));
}

#[tokio::test]
async fn it_ends_at_a_thousand() {
    let hundred = (0..100).map(issue).collect::<Vec<_>>().join(",");
    let server = Server::start(move |_, nth| {
        Reply::json(&format!("[{hundred}]")).with("link", link("sentry.io", &format!("0:{nth}:0"), true))
    })
    .await;
    assert_eq!(client(&server.url).unresolved().await.unwrap().len(), 1000);
    assert_eq!(server.seen().len(), 10);
}

#[tokio::test]
async fn without_a_token_nothing_is_asked() {
    let server = Server::always(Reply::json("[]")).await;
    let error = SentryClient::new(&server.url, "o", "p", None, None).unwrap().unresolved().await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Unauthorized(text) if text.contains("not configured")), "{error}");
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn nulls_where_sentry_has_them() {
    let server =
        Server::always(Reply::json(r#"[{"id":"1","shortId":null,"title":null,"permalink":null,"firstSeen":null}]"#))
            .await;
    let issues = client(&server.url).unresolved().await.unwrap();
    assert_eq!((&*issues[0].short_id, issues[0].first_seen), ("1", None));
}

#[tokio::test]
async fn every_fault_has_its_cause() {
    for (reply, cause, asked) in [
        (Reply::Reset, "NoAnswer", 2),
        (Reply::Half, "NoAnswer", 2),
        (Reply::Silence, "NoAnswer", 2),
        (Reply::status(500, "{}"), "Broken", 2),
        (Reply::status(502, "<html>"), "Broken", 2),
        (Reply::status(401, r#"{"detail":"Invalid token"}"#), "Unauthorized", 1),
        (Reply::status(403, "{}"), "Forbidden", 1),
        (Reply::status(404, "{}"), "NotFound", 1),
        (Reply::status(429, "{}").with("retry-after", "99"), "RateLimited", 1),
        (Reply::html(200), "Malformed", 1),
        (Reply::json("null"), "Malformed", 1),
        (Reply::json(r#"[{"shortId":"no id"}]"#), "Malformed", 1),
        (Reply::Huge, "Malformed", 1),
    ] {
        let name = format!("{reply:?}");
        let server = Server::always(reply).await;
        let error = client(&server.url).unresolved().await.unwrap_err();
        assert!(format!("{:?}", error.cause).starts_with(cause), "{name}: {error}");
        assert!(error.to_string().starts_with("Sentry: GET /api/0/organizations/openverse/issues/: "), "{error}");
        assert!(!error.to_string().contains("hidden"), "{error}");
        assert_eq!(server.seen().len(), asked, "{name}");
    }
    let error = client(&nobody().await).unresolved().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unreachable(_)), "{error}");
}
