//! What GitHub does that the embedded world has no reason to do: many pages, other names, other people's pages.

use catalog_deploy::adapters::Cause;
use catalog_deploy::adapters::github::{GithubRead, GithubWrite, NewPullRequest};
use serde_json::{Value, json};

use super::script::{Script, Told, client, example};

const REPO: &str = "WordPress/openverse";
const TAG: &str = "catalog-2024.08.22.20.53.01";

fn pull(number: u64) -> Value {
    let mut pull = example("GET", "/repos/a/b/pulls", 200)[0].clone();
    // The example's team is not what GitHub describes as one, and its repositories tell what only their own route tells.
    pull["requested_teams"] = json!([]);
    for end in ["head", "base"] {
        let repository = pull[end]["repo"].as_object_mut().unwrap();
        repository.retain(|field, _| {
            !["subscribers_count", "network_count", "template_repository"].contains(&field.as_str())
        });
    }
    pull["number"] = json!(number);
    pull
}

/// <https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api>
#[tokio::test]
async fn pages_go_on_where_the_link_says() {
    let script = Script::start(|seen, _| {
        let page: u64 = seen.target.split("&page=").nth(1).map_or(1, |page| page.parse().unwrap());
        let host = seen.headers["host"].to_str().unwrap();
        let at = |page: u64, rel: &str| {
            format!("<http://{host}/repos/{REPO}/pulls?state=open&per_page=100&page={page}>; rel=\"{rel}\"")
        };
        let told = Told::json(200, &Value::from(vec![pull(page); if page < 3 { 100 } else { 7 }]));
        match page {
            1 => told.with("link", [at(2, "next"), at(3, "last")].join(", ")),
            2 => told.with("link", [at(1, "prev"), at(3, "next"), at(3, "last"), at(1, "first")].join(", ")),
            _ => told.with("link", [at(2, "prev"), at(1, "first")].join(", ")),
        }
    })
    .await;
    let (between, github) = script.watched();
    let found = github.open_pull_requests(REPO).await;
    between.exchanges();
    let numbers: Vec<u64> = found.unwrap().iter().map(|pull| pull.number).collect();
    assert_eq!((numbers.len(), numbers[99], numbers[100], numbers[206]), (207, 1, 2, 3));
    assert_eq!(between.exchanges().len(), 3);
}

/// GitHub's words: "If a repository was renamed, … you will receive a 301", 307 for anything but a GET.
/// <https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects>
#[tokio::test]
async fn a_renamed_repository_is_read_under_its_new_name_and_never_changed() {
    let script = Script::start(|seen, _| {
        let host = seen.headers["host"].to_str().unwrap();
        match seen.target.strip_prefix(&format!("/repos/{REPO}")) {
            Some(rest) if seen.method == "GET" => {
                let told = Told::json(200, &example("GET", "/repos/a/b/releases/1", 200));
                if rest.is_empty() { told } else { moved(301, &format!("http://{host}/repositories/1296269{rest}")) }
            }
            Some(rest) => moved(307, &format!("http://{host}/repositories/1296269{rest}")),
            None => Told::json(200, &example("GET", "/repos/a/b/releases/1", 200)),
        }
    })
    .await;
    let github = client(&script.url);
    assert_eq!(github.release(REPO, 1).await.unwrap().id, 1);
    assert_eq!(script.seen()[1].target, "/repositories/1296269/releases/1");
    assert_eq!(script.seen()[1].headers["authorization"], "Bearer github_pat_hidden");
    let new = NewPullRequest { title: "T".into(), body: "B".into(), head: "h".into(), base: "main".into() };
    for error in [
        github.publish_release(REPO, 1, TAG).await.unwrap_err(),
        github.approve_pull_request(REPO, 1, "abc", "ok").await.unwrap_err(),
        github.open_pull_request(REPO, &new).await.unwrap_err(),
    ] {
        assert!(error.surely_refused() && error.to_string().contains("put its new name into the runbook"), "{error}");
    }
    assert_eq!(script.seen().len(), 5, "no change was sent to the new name");
}

/// GitHub's shape of it.
fn moved(status: u16, to: &str) -> Told {
    let word = if status == 301 { "Moved Permanently" } else { "Temporary Redirect" };
    let value =
        json!({ "message": word, "url": to, "documentation_url": "https://docs.github.com/v3/#http-redirects" });
    Told::json(status, &value).with("location", to)
}

#[tokio::test]
async fn a_repository_that_may_not_be_seen_is_told_as_such() {
    let script = Script::start(|_, _| Told::message(404, "Not Found")).await;
    let (between, github) = script.watched();
    let error = github.permissions("WordPress/openverse-infrastructure").await.unwrap_err();
    assert!(error.not_found(), "{error}");
    let text = error.to_string();
    assert!(text.contains("or not visible to these credentials") && text.contains("C0:FE"), "{text}");
    assert_eq!(between.exchanges().len(), 1, "asked once");
}

/// Both shapes that the description has: `validation-error` and `validation-error-simple`; and one without details.
#[tokio::test]
async fn what_github_says_is_wrong_is_told() {
    let docs = "https://docs.github.com/rest";
    let validation =
        |errors: Value| json!({ "message": "Validation Failed", "errors": errors, "documentation_url": docs });
    let new = NewPullRequest { title: "T".into(), body: "B".into(), head: "h".into(), base: "main".into() };
    for (value, words) in [
        (
            validation(json!([{ "resource": "PullRequest", "field": "base", "code": "invalid" }])),
            "Validation Failed: PullRequest base invalid",
        ),
        (
            validation(
                json!([{ "resource": "PullRequest", "code": "custom", "message": "No commits between main and h" }]),
            ),
            "Validation Failed: No commits between main and h",
        ),
        (json!({ "message": "Validation Failed", "documentation_url": docs }), "refused (422): Validation Failed"),
    ] {
        let script = Script::start(move |_, _| Told::json(422, &value)).await;
        let (between, github) = script.watched();
        let error = github.open_pull_request(REPO, &new).await.unwrap_err();
        assert!(error.surely_refused() && error.to_string().contains(words), "{error}");
        assert_eq!(between.exchanges().len(), 1);
    }
    let simple = json!({ "message": "Unprocessable Entity", "errors": ["Review Can not approve your own pull request"], "documentation_url": docs });
    let script = Script::start(move |_, _| Told::json(422, &simple)).await;
    let (between, github) = script.watched();
    let error = github.approve_pull_request(REPO, 7, &"a".repeat(40), "ok").await.unwrap_err();
    assert!(error.to_string().contains("Can not approve your own pull request"), "{error}");
    assert_eq!(between.exchanges().len(), 1);
}

/// GitHub's own page of an overload, a proxy's login page, a page instead of an error.
#[tokio::test]
async fn a_page_is_no_answer() {
    let unicorn = "<!DOCTYPE html><html><head><title>Unicorn! &middot; GitHub</title></head></html>";
    for (status, html, asked, cause) in [
        (502, unicorn, 3, "Broken"),
        (503, "<html><body><h1>503 Service Unavailable</h1>No server is available</body></html>", 3, "Broken"),
        (200, "<html><title>Sign in</title></html>", 1, "Malformed"),
        (403, "<html><title>Access denied</title></html>", 1, "Forbidden"),
        (404, unicorn, 1, "NotFound"),
    ] {
        let script = Script::start(move |_, _| Told::html(status, html)).await;
        let github = client(&script.url);
        let error = github.releases(REPO).await.unwrap_err();
        assert!(format!("{:?}", error.cause).starts_with(cause), "{status}: {error:?}");
        assert_eq!(script.seen().len(), asked, "{status}");
        let error = github.publish_release(REPO, 1, TAG).await.unwrap_err();
        assert_eq!(error.surely_refused(), (400..500).contains(&status), "{status}: {error}");
        assert!(matches!(error.cause, Cause::Broken { .. } | Cause::Malformed(_)) || status >= 400, "{error}");
        assert_eq!(script.seen().len(), asked + 1, "{status}: a change is sent once");
    }
}
