//! GitHub's limits. <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::time::{Duration, Instant};

use catalog_deploy::adapters::Cause;
use catalog_deploy::adapters::github::{GithubRead, GithubWrite};
use jiff::Timestamp;
use serde_json::json;

use super::script::{Script, Told, example};

const REPO: &str = "WordPress/openverse";
const SECONDARY: &str = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
const PRIMARY: &str = "API rate limit exceeded for user ID 1.";

fn wait(cause: &Cause) -> Duration {
    match cause {
        Cause::RateLimited { retry_after } => *retry_after,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_read_waits_a_secondary_limit_out() {
    for status in [403, 429] {
        let script = Script::start(move |_, nth| match nth {
            0 => Told::message(status, SECONDARY).with("retry-after", 1),
            _ => Told::json(200, &json!([])),
        })
        .await;
        let (between, github) = script.watched();
        let started = Instant::now();
        github.releases(REPO).await.unwrap();
        assert!(started.elapsed() >= Duration::from_secs(1), "{status}: {:?}", started.elapsed());
        assert_eq!(between.exchanges().len(), 2, "{status}");
    }
}

#[tokio::test]
async fn a_change_is_not_sent_again_after_a_secondary_limit() {
    let script = Script::start(|_, _| Told::message(403, SECONDARY).with("retry-after", 60)).await;
    let (between, github) = script.watched();
    let error = github.publish_release(REPO, 5, "catalog-1").await.unwrap_err();
    assert!(error.surely_refused() && !error.credentials(), "{error}");
    assert_eq!(wait(&error.cause), Duration::from_secs(60));
    assert_eq!(between.exchanges().len(), 1);
}

/// The primary limit says when it ends; on the clock that GitHub tells, not on ours.
#[tokio::test]
async fn the_primary_limit_ends_at_its_reset() {
    let script = Script::start(|_, nth| match nth {
        0 => Told::message(403, PRIMARY)
            .with("x-ratelimit-remaining", 0)
            .with("date", "Thu, 22 Aug 2024 20:53:01 GMT")
            .with("x-ratelimit-reset", 1_724_359_983),
        _ => Told::json(200, &example("GET", "/repos/a/b/releases/1", 200)),
    })
    .await;
    let (between, github) = script.watched();
    let started = Instant::now();
    github.release(REPO, 1).await.unwrap();
    let waited = started.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(10)).contains(&waited), "{waited:?}");
    assert_eq!(between.exchanges().len(), 2);
}

/// Half an hour is told to the person, not slept through.
#[tokio::test]
async fn a_long_limit_is_told_at_once() {
    let reset = Timestamp::now().as_second() + 1800;
    for status in [403, 429] {
        let script = Script::start(move |_, _| {
            Told::message(status, PRIMARY).with("x-ratelimit-remaining", 0).with("x-ratelimit-reset", reset)
        })
        .await;
        let (between, github) = script.watched();
        let started = Instant::now();
        let error = github.releases(REPO).await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(5));
        let asked = wait(&error.cause).as_secs();
        assert!((1790..=1800).contains(&asked), "{asked}");
        assert!(error.to_string().contains("rate limited; asks to wait 29m") || asked == 1800, "{error}");
        assert_eq!(between.exchanges().len(), 1, "{status}");
    }
}

/// Without `Retry-After` and with some left, a secondary limit wants a minute at least.
#[tokio::test]
async fn a_secondary_limit_without_an_end_is_a_minute() {
    let script = Script::start(|_, _| Told::message(403, SECONDARY)).await;
    let (between, github) = script.watched();
    let error = github.releases(REPO).await.unwrap_err();
    assert_eq!(wait(&error.cause), Duration::from_secs(60));
    assert_eq!(between.exchanges().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_no_limit() {
    let script = Script::start(|_, _| Told::message(403, "Resource not accessible by personal access token")).await;
    let (between, github) = script.watched();
    let error = github.publish_release(REPO, 5, "catalog-1").await.unwrap_err();
    assert!(matches!(error.cause, Cause::Forbidden(_)) && error.credentials(), "{error}");
    assert_eq!(between.exchanges().len(), 1);
}
