//! Every fault that a service can show, seen through [`Http`].

use serde::Deserialize;

use super::test_server::{Reply, Server, impatient, nobody};
use super::*;

#[derive(Debug, Deserialize)]
struct Item {
    id: u64,
}

async fn read(url: &str) -> Result<Vec<Item>, ServiceError> {
    let (http, client) = (Http::with_patience("Example", impatient()), loopback_client(&impatient()));
    let answer = http.read("GET /items", || client.get(format!("{url}/items?token=hidden"))).await?;
    http.json("GET /items", &answer)
}

/// What a reader is told, and how often the service was asked.
async fn fault(reply: Reply) -> (ServiceError, usize) {
    let server = Server::always(reply).await;
    let error = read(&server.url).await.expect_err("a fault");
    let text = error.to_string();
    assert!(text.starts_with("Example: GET /items: "), "{text}");
    assert!(!text.contains("hidden"), "{text}");
    (error, server.seen().len())
}

#[tokio::test]
async fn what_may_pass_is_asked_again_and_then_told() {
    assert!(matches!(fault(Reply::Reset).await, (ServiceError { cause: Cause::NoAnswer(_), .. }, 2)));
    assert!(matches!(fault(Reply::Half).await, (ServiceError { cause: Cause::NoAnswer(_), .. }, 2)));
    for status in [500, 502, 503] {
        let (error, asked) = fault(Reply::status(status, r#"{"message":"oops"}"#)).await;
        assert!(
            matches!(&error.cause, Cause::Broken { status: told, message } if *told == status && message == "oops")
        );
        assert_eq!(asked, 2);
    }
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let started = std::time::Instant::now();
    let (error, asked) = fault(Reply::Silence).await;
    assert!(matches!(error.cause, Cause::NoAnswer(text) if text.contains("in time")));
    assert_eq!(asked, 2);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn what_is_refused_is_asked_once() {
    let once = |status| fault(Reply::status(status, r#"{"detail":"no"}"#));
    assert!(matches!(once(401).await, (ServiceError { cause: Cause::Unauthorized(_), .. }, 1)));
    assert!(matches!(once(403).await, (ServiceError { cause: Cause::Forbidden(_), .. }, 1)));
    assert!(matches!(once(404).await, (ServiceError { cause: Cause::NotFound(_), .. }, 1)));
    assert!(matches!(once(422).await, (ServiceError { cause: Cause::Rejected { status: 422, .. }, .. }, 1)));
    let (error, asked) = fault(Reply::html(302).with("location", "https://login.example/?token=hidden")).await;
    assert!(error.to_string().contains("redirected (302) to https://login.example/"), "{error}");
    assert_eq!(asked, 1);
}

#[tokio::test]
async fn what_is_no_answer_of_the_service_is_malformed() {
    let malformed = [
        Reply::html(200),
        Reply::json("[{\"id\":1}]").with("content-type", "text/plain"),
        Reply::json("null"),
        Reply::json("[{}]"),
        Reply::json("[{\"id\":null}]"),
        Reply::json("[{\"id\":1"),
        Reply::json(""),
        Reply::Huge,
    ];
    for reply in malformed {
        let name = format!("{reply:?}");
        let (error, asked) = fault(reply).await;
        assert!(matches!(error.cause, Cause::Malformed(_)), "{name}: {error}");
        assert_eq!(asked, 1, "{name}");
    }
}

/// What says that it is too long is not read to see whether it is.
#[tokio::test]
async fn a_promise_of_too_much_is_enough() {
    let huge = (LARGEST_BODY + 1).to_string();
    let (error, asked) = fault(Reply::json("[").with("content-length", huge)).await;
    assert!(matches!(&error.cause, Cause::Malformed(text) if text.contains("more than 16 MiB")), "{error}");
    assert_eq!(asked, 1);
}

#[test]
fn a_rehearsal_hurries_and_leaves_time_to_answer() {
    let (usual, hurried) = (Patience::default(), Patience::hurried(150));
    assert_eq!(hurried.answer, Duration::from_secs(2));
    assert!(hurried.first_pause < usual.first_pause && hurried.tries == usual.tries);
    // What a service asks for is its own time.
    assert_eq!(hurried.longest_pause, usual.longest_pause);
    assert_eq!(Patience::hurried(1).answer, usual.answer);
    assert_eq!(Patience::hurried(0).answer, usual.answer);
}

#[test]
fn a_limit_is_the_least_pause() {
    let limited = |seconds| Cause::RateLimited { retry_after: Duration::from_secs(seconds) };
    let pause = |cause| ServiceError::new("Example", "GET /", cause).pause(Duration::from_secs(3)).as_secs();
    assert_eq!((pause(limited(60)), pause(limited(1)), pause(Cause::NoAnswer("x".into()))), (60, 3, 3));
}

#[tokio::test]
async fn json_is_never_quoted() {
    let (error, _) = fault(Reply::json(r#"{"access_token":"hidden"}"#)).await;
    assert!(matches!(error.cause, Cause::Malformed(_)), "{error}");
}

#[tokio::test]
async fn a_refused_connection_took_no_effect() {
    let error = read(&nobody().await).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unreachable(_)), "{error}");
    assert!(error.surely_refused());
}

#[tokio::test]
async fn unknown_fields_do_not_matter_and_a_second_try_may_succeed() {
    let server = Server::start(|_, nth| match nth {
        0 => Reply::Reset,
        _ => Reply::json(r#"[{"id":7,"new":{"field":[]}}]"#),
    })
    .await;
    assert_eq!(read(&server.url).await.unwrap()[0].id, 7);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_limit_is_waited_for_only_while_it_is_short() {
    let server = Server::start(|_, nth| match nth {
        0 => Reply::status(429, "{}").with("retry-after", "1"),
        _ => Reply::json("[]"),
    })
    .await;
    let started = std::time::Instant::now();
    assert!(read(&server.url).await.unwrap().is_empty());
    assert!(started.elapsed() >= Duration::from_secs(1));
    for status in [429, 503] {
        let (error, asked) = fault(Reply::status(status, "{}").with("retry-after", "600")).await;
        assert!(error.passing(), "{error}");
        assert_eq!(asked, 1);
    }
}

#[tokio::test]
async fn a_write_is_sent_once_whatever_happens() {
    for reply in [Reply::Reset, Reply::Half, Reply::Silence, Reply::status(502, "{}"), Reply::status(429, "{}")] {
        let name = format!("{reply:?}");
        let server = Server::always(reply).await;
        let (http, client) = (Http::with_patience("Example", impatient()), loopback_client(&impatient()));
        let error = http.write("POST /items", client.post(&server.url).body("{}")).await.map(|answer| answer.status);
        assert!(error.is_err(), "{name}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(server.seen().len(), 1, "{name}");
    }
}

/// What a debug log would hold at its most talkative, ours and that of the libraries beneath.
#[tokio::test]
async fn the_log_holds_no_secret() {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use secrecy::SecretString;

    use crate::adapters::github::{GithubClient, GithubRead};
    use crate::adapters::notify::{Notifier, SlackWebhook};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start(|_, nth| match nth {
        0 => Reply::status(502, r#"{"message":"oops"}"#),
        1 => Reply::json(r#"{"login":"octo"}"#),
        _ => Reply::json("ok"),
    })
    .await;
    let token = Some(SecretString::from("ghp_hidden"));
    GithubClient::new(&server.url, token).unwrap().viewer().await.unwrap();
    SlackWebhook::new(format!("{}/services/hidden", server.url).into()).notify("hello").await.unwrap();
    assert_eq!(server.seen().len(), 3);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("GET /user") && text.contains("POST to the webhook"), "{text}");
    let leaks: Vec<&str> = text.lines().filter(|line| line.contains("hidden")).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}
