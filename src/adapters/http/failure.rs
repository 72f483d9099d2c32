//! One reading of everything that goes wrong over HTTP: transport, statuses, limits, and what the body says about it.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value;

use super::Cause;

/// Where a limit says nothing about its end: GitHub asks for at least a minute.
/// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately>
const LIMIT_WITHOUT_END: Duration = Duration::from_secs(60);

/// Doubles from `first`, with jitter so that several readers do not come back together.
pub(super) fn backoff(first: Duration, attempt: u32) -> Duration {
    let base = first * (1 << attempt.clamp(1, 7).saturating_sub(1));
    let mut byte = [0_u8];
    let jitter = if getrandom::fill(&mut byte).is_ok() { u32::from(byte[0]) } else { 0 };
    base + base * jitter / 512
}

/// Sorts a transport error into "nothing was sent" and "nobody knows". Never holds the URL: it may be a secret.
pub fn transport(error: &reqwest::Error) -> Cause {
    let mut text = None;
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        // A nested error of reqwest prints its URL.
        if !inner.is::<reqwest::Error>() {
            text = Some(inner.to_string());
        }
        source = inner.source();
    }
    let text = text.unwrap_or_else(|| "the connection broke".into());
    if error.is_builder() {
        Cause::Failed(format!("the request could not be made: {text}"))
    } else if error.is_connect() {
        Cause::Unreachable(text)
    } else if error.is_timeout() {
        Cause::NoAnswer("no complete answer in time".into())
    } else {
        Cause::NoAnswer(text)
    }
}

/// Sorts an answer outside 2xx. A 403 or 429 is a limit where the headers, or GitHub's words, say so.
pub fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Cause {
    let message = message(headers, body);
    match status.as_u16() {
        429 => Cause::RateLimited { retry_after: asked_to_wait(headers).unwrap_or(LIMIT_WITHOUT_END) },
        403 if is_limit(headers, &message) => {
            Cause::RateLimited { retry_after: asked_to_wait(headers).unwrap_or(LIMIT_WITHOUT_END) }
        }
        401 => Cause::Unauthorized(message),
        403 => Cause::Forbidden(message),
        404 => Cause::NotFound(message),
        300..=399 => Cause::Malformed(format!("redirected ({}) to {}", status.as_u16(), target(headers))),
        code @ 500..=599 => Cause::Broken { status: code, message },
        code => Cause::Rejected { status: code, message },
    }
}

fn is_limit(headers: &HeaderMap, message: &str) -> bool {
    headers.contains_key(RETRY_AFTER)
        || headers.get("x-ratelimit-remaining").is_some_and(|left| left.as_bytes() == b"0")
        || message.to_ascii_lowercase().contains("secondary rate limit")
}

/// Where a redirect leads, without its query.
fn target(headers: &HeaderMap) -> String {
    headers.get(LOCATION).and_then(|to| to.to_str().ok()).map_or_else(
        || "nowhere".into(),
        |to| format!("{}: a login page or a renamed resource", to.split(['?', '#']).next().unwrap_or(to)),
    )
}

/// What GitHub and Sentry call the limits in their headers. <https://docs.sentry.io/api/ratelimits/>
const LIMITS: [&str; 2] = ["x-ratelimit", "x-sentry-rate-limit"];

/// `Retry-After` (seconds or a date), else the limit's `reset` (epoch seconds) where nothing remains; measured on the
/// server's own clock where it tells it.
pub(super) fn asked_to_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp().as_second());
    let now = || text(DATE.as_str()).and_then(date).unwrap_or_else(|| jiff::Timestamp::now().as_second());
    let seconds = match text(RETRY_AFTER.as_str()) {
        Some(after) => match after.parse::<i64>() {
            Ok(seconds) => Some(seconds),
            Err(_) => date(after).map(|at| at - now()),
        },
        None => LIMITS
            .iter()
            .filter(|limit| text(&format!("{limit}-remaining")).is_none_or(|left| left == "0"))
            .find_map(|limit| text(&format!("{limit}-reset"))?.parse::<i64>().ok())
            .map(|reset| reset - now()),
    };
    seconds.map(|seconds| Duration::from_secs(seconds.max(1).unsigned_abs()))
}

/// The message of a JSON error body in the shapes of GitHub (`message`, `errors`), Airflow 2 (`title`, `detail`) and 3
/// (`detail`), and OCI (`errors`), with the id under which the service knows the request.
fn message(headers: &HeaderMap, body: &[u8]) -> String {
    let mut text = match serde_json::from_slice::<Value>(body) {
        Ok(value) => said(&value).unwrap_or_else(|| excerpt(body)),
        Err(_) => excerpt(body),
    };
    if headers.get("x-github-sso").is_some_and(|sso| sso.as_bytes().starts_with(b"required")) {
        text.push_str("; the token must be authorised for the organisation's single sign-on");
    }
    let id = ["x-github-request-id", "x-request-id"].iter().find_map(|name| headers.get(*name)?.to_str().ok());
    if let Some(id) = id {
        text.push_str(&format!(" (request id {id})"));
    }
    text
}

fn said(value: &Value) -> Option<String> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let parts: Vec<String> =
        [text("message"), text("detail").or_else(|| text("title")), value.pointer("/errors/0").map(detail)]
            .into_iter()
            .flatten()
            .collect();
    if parts.is_empty() { None } else { Some(parts.join(": ")) }
}

/// GitHub's error detail is a text, or an object with `message`, or one with `resource`, `field` and `code`.
fn detail(error: &Value) -> String {
    let field = |key: &str| error.get(key).and_then(Value::as_str);
    match (error.as_str(), field("message")) {
        (Some(text), _) | (None, Some(text)) => text.to_owned(),
        (None, None) => {
            let words: Vec<&str> = ["resource", "field", "code"].into_iter().filter_map(field).collect();
            if words.is_empty() { error.to_string() } else { words.join(" ") }
        }
    }
}

/// The first 120 characters on one line; of a page its title alone.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(600)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let title = line.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    let line = title.map_or(line.as_str(), |(title, _)| title);
    if line.is_empty() { "empty answer".into() } else { line.chars().take(120).collect() }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn of_a_page_its_title_is_said() {
        let page =
            b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center>nginx</center></body></html>";
        assert_eq!(excerpt(page), "502 Bad Gateway");
        assert_eq!(excerpt(b"no\npage"), "no page");
        assert_eq!(excerpt(b""), "empty answer");
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    fn limit(pairs: &[(&'static str, &'static str)]) -> Duration {
        match refusal(StatusCode::FORBIDDEN, &headers(pairs), b"{}") {
            Cause::RateLimited { retry_after } => retry_after,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_403_is_a_limit_only_where_it_says_so() {
        let refused = refusal(StatusCode::FORBIDDEN, &HeaderMap::new(), br#"{"message":"Resource not accessible"}"#);
        assert!(matches!(refused, Cause::Forbidden(text) if text == "Resource not accessible"));
        let left = headers(&[("x-ratelimit-remaining", "4000"), ("x-ratelimit-reset", "99999999999")]);
        assert!(matches!(refusal(StatusCode::FORBIDDEN, &left, b"{}"), Cause::Forbidden(_)));
        let words = br#"{"message":"You have exceeded a secondary rate limit. Please wait."}"#;
        let limited = refusal(StatusCode::FORBIDDEN, &HeaderMap::new(), words);
        assert!(matches!(limited, Cause::RateLimited { retry_after } if retry_after == LIMIT_WITHOUT_END));
    }

    #[test]
    fn the_wait_is_measured_on_the_servers_clock() {
        assert_eq!(limit(&[("retry-after", "7"), ("x-ratelimit-reset", "1")]), Duration::from_secs(7));
        let date = ("date", "Thu, 22 Aug 2024 20:53:01 GMT");
        let reset = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1724359991"), date];
        assert_eq!(limit(&reset), Duration::from_secs(10));
        let sentry = [("x-sentry-rate-limit-remaining", "0"), ("x-sentry-rate-limit-reset", "1724359982"), date];
        assert_eq!(asked_to_wait(&headers(&sentry)), Some(Duration::from_secs(1)));
        let until = [("retry-after", "Thu, 22 Aug 2024 20:53:31 GMT"), date];
        assert_eq!(limit(&until), Duration::from_secs(30));
        assert_eq!(limit(&[("retry-after", "-5")]), Duration::from_secs(1));
    }

    #[test]
    fn the_message_holds_the_first_detail_and_the_request_id() {
        let body =
            br#"{"message":"Validation Failed","errors":[{"resource":"PullRequest","field":"head","code":"invalid"}]}"#;
        let id = headers(&[("x-github-request-id", "AB:12")]);
        let cause = refusal(StatusCode::UNPROCESSABLE_ENTITY, &id, body);
        assert_eq!(cause.to_string(), "refused (422): Validation Failed: PullRequest head invalid (request id AB:12)");
        let oci = br#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#;
        assert_eq!(message(&HeaderMap::new(), oci), "requested access is denied");
        let own = br#"{"message":"Unprocessable Entity","errors":["Can not approve your own pull request"]}"#;
        assert_eq!(message(&HeaderMap::new(), own), "Unprocessable Entity: Can not approve your own pull request");
        assert_eq!(message(&HeaderMap::new(), b""), "empty answer");
    }

    #[test]
    fn a_redirect_is_told_without_its_query() {
        let to = headers(&[("location", "https://sso.example/login?ticket=secret")]);
        let text = refusal(StatusCode::FOUND, &to, b"").to_string();
        assert!(text.contains("https://sso.example/login") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn pauses_double_and_stay_within_half_of_jitter() {
        let first = Duration::from_millis(100);
        for (attempt, base) in [(1, 100), (2, 200), (3, 400)] {
            let pause = backoff(first, attempt).as_millis();
            assert!((base..=base + base / 2).contains(&pause), "{attempt}: {pause}");
        }
    }
}
