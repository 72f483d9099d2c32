//! The client against a scripted GitHub on loopback: what goes out, how often, and what comes back.

use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::*;
use crate::adapters::http::test_server::{Reply, Seen, Server, impatient, nobody};
use crate::adapters::{Cause, http};

const REPO: &str = "WordPress/openverse";
const TAG: &str = "catalog-2024.08.22.20.53.01";

fn client(url: &str) -> GithubClient {
    client_with(url, Duration::from_millis(1))
}

fn client_with(url: &str, between_changes: Duration) -> GithubClient {
    let base = GithubClient::base(url).unwrap();
    let token = Some(SecretString::from("ghp_hidden\n"));
    GithubClient::assemble(base, token, http::loopback_client(&impatient()), impatient(), between_changes).unwrap()
}

fn release(id: u64) -> String {
    format!(
        r#"{{"id":{id},"tag_name":"{TAG}","name":null,"draft":true,"prerelease":false,"body":null,"extra":[1],
            "target_commitish":"main","html_url":"https://github.com/x","published_at":null,
            "created_at":"2024-08-22T20:53:01Z"}}"#
    )
}

fn pull(number: u64, owner: &str, branch: &str) -> String {
    format!(
        r#"{{"number":{number},"title":"T","state":"closed","merged_at":"2024-08-22T20:53:01Z","user":null,
            "head":{{"ref":"{branch}","sha":"abc","user":{{"login":"{owner}"}}}},"base":{{"ref":"main"}},
            "html_url":"https://github.com/x/pull/1","updated_at":"2024-08-22T20:53:01Z"}}"#
    )
}

#[tokio::test]
async fn every_request_carries_each_header_once() {
    let server = Server::always(Reply::json(r#"{"login":"octo"}"#)).await;
    assert_eq!(client(&server.url).viewer().await.unwrap(), "octo");
    let seen = &server.seen()[0];
    assert_eq!(seen.header("accept"), "application/vnd.github+json");
    assert_eq!(seen.header("x-github-api-version"), "2022-11-28");
    assert_eq!(seen.header("authorization"), "Bearer ghp_hidden");
    assert!(seen.header("user-agent").starts_with("catalog-deploy/"));
    assert_eq!(seen.path, "/user");
}

#[tokio::test]
async fn an_enterprise_servers_path_is_kept() {
    let server = Server::always(Reply::json(r#"{"login":"octo"}"#)).await;
    client(&format!("{}/api/v3/", server.url)).viewer().await.unwrap();
    assert_eq!(server.lines(), ["GET /api/v3/user"]);
}

#[tokio::test]
async fn each_question_goes_to_its_route() {
    let server = Server::start(|seen, _| match seen.path.split('?').next().unwrap_or_default() {
        path if path.ends_with("/releases") => Reply::json(&format!("[{}]", release(5))),
        path if path.ends_with("/releases/5") => Reply::json(&release(5)),
        path if path.ends_with("/runs") => Reply::json(
            r#"{"total_count":1,"workflow_runs":[{"id":1,"event":"release","status":"completed","conclusion":"success",
                "head_branch":null,"head_sha":"abc","display_title":"t","html_url":"u","created_at":"2024-08-22T20:53:01Z"}]}"#,
        ),
        path if path.ends_with("/commits") => Reply::json(
            r#"[{"sha":"abc","commit":{"committer":{"date":"2024-08-22T20:53:01Z"}}},{"sha":"def","commit":{"committer":null}}]"#,
        ),
        path if path.ends_with("/jobs") => {
            Reply::json(r#"{"total_count":1,"jobs":[{"name":"Publish","status":"queued","conclusion":null}]}"#)
        }
        path if path.ends_with("/files") => {
            Reply::json(r#"[{"filename":"f","status":"modified","additions":1,"deletions":2}]"#)
        }
        path if path.ends_with("/reviews") => Reply::json(r#"[{"user":null,"state":"APPROVED","commit_id":"abc"}]"#),
        path if path.ends_with("/pulls/7") => Reply::json(&pull(7, "WordPress", "b")),
        path if path.ends_with("/pulls") => Reply::json("[]"),
        path if path.contains("/contents/") => {
            Reply::json("bytes").with("content-type", "application/vnd.github.raw+json; charset=utf-8")
        }
        _ => Reply::json(r#"{"full_name":"o/n","permissions":{"pull":true,"push":false,"maintain":true}}"#),
    })
    .await;
    let github = client(&server.url);
    assert_eq!(
        github.permissions(REPO).await.unwrap(),
        Permissions { pull: true, push: true, told: false, expires: None }
    );
    assert_eq!(github.releases(REPO).await.unwrap()[0].body, "");
    assert!(github.release(REPO, 5).await.unwrap().draft);
    let filter = RunFilter {
        event: Some("release".into()),
        branch: Some("main".into()),
        created_after: Some("2024-08-22T20:53:01.5Z".parse().unwrap()),
    };
    assert_eq!(github.workflow_runs(REPO, "tag.yml", &filter).await.unwrap()[0].head_branch, None);
    let commits = github.commits_touching(REPO, "main", "catalog").await.unwrap();
    assert_eq!(commits.iter().map(|commit| commit.sha.as_str()).collect::<Vec<_>>(), ["abc", "def"]);
    assert_eq!(commits[0].at, "2024-08-22T20:53:01Z".parse().unwrap());
    let jobs = github.jobs(REPO, 7).await.unwrap();
    assert_eq!((jobs[0].name.as_str(), jobs[0].conclusion.as_deref()), ("Publish", None));
    assert!(github.pull_request(REPO, 7).await.unwrap().merged);
    assert_eq!(github.pull_request_files(REPO, 7).await.unwrap()[0].deletions, 2);
    assert_eq!(github.reviews(REPO, 7).await.unwrap()[0].user, "ghost");
    assert!(github.open_pull_requests(REPO).await.unwrap().is_empty());
    assert_eq!(github.file_at(REPO, "a dir/f?#.txt", "v1+2").await.unwrap().unwrap(), b"bytes");
    assert_eq!(
        server.lines(),
        [
            "GET /repos/WordPress/openverse",
            "GET /repos/WordPress/openverse/releases?per_page=100",
            "GET /repos/WordPress/openverse/releases/5",
            "GET /repos/WordPress/openverse/actions/workflows/tag.yml/runs?per_page=100&event=release&branch=main&created=%3E%3D2024-08-22T20%3A53%3A01Z",
            "GET /repos/WordPress/openverse/commits?sha=main&path=catalog&per_page=100",
            "GET /repos/WordPress/openverse/actions/runs/7/jobs?per_page=100",
            "GET /repos/WordPress/openverse/pulls/7",
            "GET /repos/WordPress/openverse/pulls/7/files?per_page=100",
            "GET /repos/WordPress/openverse/pulls/7/reviews?per_page=100",
            "GET /repos/WordPress/openverse/pulls?state=open&per_page=100",
            "GET /repos/WordPress/openverse/contents/a%20dir/f%3F%23.txt?ref=v1%2B2",
        ]
    );
    assert_eq!(server.seen().last().unwrap().header("accept"), "application/vnd.github.raw+json");
}

#[tokio::test]
async fn a_token_may_no_more_than_its_owner_and_its_scopes() {
    for (private, scopes, push, told) in [
        (true, Some("repo, read:org"), true, true),
        (true, Some("public_repo"), false, true),
        (false, Some("gist, public_repo"), true, true),
        (false, Some(""), false, true),
        (true, None, true, false),
    ] {
        let body = format!(r#"{{"full_name":"{REPO}","private":{private},"permissions":{{"pull":true,"push":true}}}}"#);
        let mut reply = Reply::json(&body);
        if let Some(scopes) = scopes {
            reply = reply.with("x-oauth-scopes", scopes);
        }
        let server = Server::always(reply).await;
        let found = client(&server.url).permissions(REPO).await.unwrap();
        assert_eq!(found, Permissions { pull: true, push, told, expires: None }, "{private} {scopes:?}");
    }
}

#[tokio::test]
async fn when_a_token_expires_is_read_in_both_forms() {
    let body = format!(r#"{{"full_name":"{REPO}","private":false,"permissions":{{"pull":true,"push":true}}}}"#);
    for (text, expires) in [
        ("2024-10-01 09:00:00 UTC", Some("2024-10-01T09:00:00Z")),
        ("2024-10-01 09:00:00 -0700", Some("2024-10-01T16:00:00Z")),
        ("never", None),
    ] {
        let reply = Reply::json(&body).with("github-authentication-token-expiration", text);
        let found = client(&Server::always(reply).await.url).permissions(REPO).await.unwrap();
        assert_eq!(found.expires, expires.map(|at| at.parse().unwrap()), "{text}");
    }
}

#[tokio::test]
async fn only_the_exact_branch_of_the_same_owner_counts() {
    let branch = "changelog/catalog-1";
    let page = [
        pull(1, "WordPress", branch),
        pull(2, "fork", branch),
        pull(3, "WordPress", "changelog/catalog-12"),
        pull(4, "wordpress", branch),
    ]
    .join(",");
    let server = Server::always(Reply::json(&format!("[{page}]"))).await;
    let found = client(&server.url).pull_requests_of_branch(REPO, branch).await.unwrap();
    assert_eq!(found.iter().map(|pull| pull.number).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(
        server.lines(),
        ["GET /repos/WordPress/openverse/pulls?state=all&head=WordPress%3Achangelog%2Fcatalog-1&per_page=100"]
    );
}

#[tokio::test]
async fn lists_are_read_to_their_end_and_only_at_home() {
    let server = Server::start(|seen, _| {
        let host = seen.header("host");
        if seen.path.ends_with("page=2") {
            return Reply::json(&format!("[{}]", pull(2, "o", "b")));
        }
        Reply::json(&format!("[{}]", pull(1, "o", "b")))
            .with("link", format!(r#"<http://{host}/x?page=2>; rel="next", <http://{host}/x?page=2>; rel="last""#))
    })
    .await;
    assert_eq!(client(&server.url).open_pull_requests(REPO).await.unwrap().len(), 2);

    let away = Reply::json(&format!("[{}]", pull(1, "o", "b"))).with("link", r#"<https://evil.example/x>; rel="next""#);
    let error = client(&Server::always(away).await.url).open_pull_requests(REPO).await.unwrap_err();
    assert!(error.to_string().contains("evil.example"), "{error}");

    // A page that names itself as the next one would be asked for ever.
    let circle = Server::start(|seen, _| {
        Reply::json(&format!("[{}]", pull(1, "o", "b"))).with("link", format!(r#"<{}>; rel="next""#, seen.path))
    })
    .await;
    assert_eq!(client(&circle.url).open_pull_requests(REPO).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_repeated_question_is_conditional() {
    let server = Server::start(|seen, _| match seen.header("if-none-match").as_str() {
        "\"one\"" => Reply::status(304, ""),
        _ => Reply::json(&release(5)).with("etag", "\"one\""),
    })
    .await;
    let github = client(&server.url);
    let first = github.release(REPO, 5).await.unwrap();
    assert_eq!(github.release(REPO, 5).await.unwrap(), first);
    assert_eq!(github.release(REPO, 5).await.unwrap(), first);
    let conditions: Vec<String> = server.seen().iter().map(|seen| seen.header("if-none-match")).collect();
    assert_eq!(conditions, ["", "\"one\"", "\"one\""]);
}

#[tokio::test]
async fn a_changed_answer_replaces_the_kept_one() {
    let server = Server::start(|_, nth| Reply::json(&release(5 + nth as u64)).with("etag", format!("\"{nth}\""))).await;
    let github = client(&server.url);
    assert_eq!(github.release(REPO, 5).await.unwrap().id, 5);
    assert_eq!(github.release(REPO, 5).await.unwrap().id, 6);
    github.release(REPO, 5).await.unwrap();
    assert_eq!(server.seen()[2].header("if-none-match"), "\"1\"");
}

#[tokio::test]
async fn a_renamed_repository_is_followed_by_reads_and_told_to_writes() {
    let moved = |seen: &Seen, _| match seen.path.strip_prefix("/repositories/1") {
        Some(_) => Reply::json(&release(5)),
        None => Reply::status(301, r#"{"message":"Moved Permanently"}"#).with("location", "/repositories/1/releases/5"),
    };
    let server = Server::start(moved).await;
    let github = client(&server.url);
    assert_eq!(github.release(REPO, 5).await.unwrap().id, 5);
    assert_eq!(server.seen()[1].header("authorization"), "Bearer ghp_hidden");
    let error = github.publish_release(REPO, 5, TAG).await.unwrap_err();
    assert!(error.to_string().contains("renamed") && error.surely_refused(), "{error}");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn redirects_that_lead_away_or_in_circles_are_refused() {
    let circle = Server::always(Reply::status(301, "{}").with("location", "/again")).await;
    let error = client(&circle.url).viewer().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Malformed(_)), "{error}");
    assert_eq!(circle.seen().len(), 4);
    let other = Server::always(Reply::json("{}")).await;
    let away = Server::always(Reply::status(302, "").with("location", other.url.clone())).await;
    assert!(matches!(client(&away.url).viewer().await.unwrap_err().cause, Cause::Malformed(_)));
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn checks_and_statuses_come_in_one_shape() {
    let server = Server::start(|seen, _| {
        if seen.path.contains("/check-runs") {
            return Reply::json(
                r#"{"total_count":1,"check_runs":[{"name":"ci","status":"queued","conclusion":null}]}"#,
            );
        }
        Reply::json(
            r#"{"state":"failure","statuses":[{"context":"a","state":"error"},{"context":"b","state":"pending"},
                {"context":"c","state":"success"}]}"#,
        )
    })
    .await;
    let checks = client(&server.url).checks(REPO, "abc").await.unwrap();
    let told: Vec<_> = checks.iter().map(|check| (&*check.name, &*check.status, check.conclusion.as_deref())).collect();
    assert_eq!(
        told,
        [
            ("ci", "queued", None),
            ("a", "completed", Some("failure")),
            ("b", "in_progress", None),
            ("c", "completed", Some("success"))
        ]
    );
}

#[tokio::test]
async fn a_file_that_is_not_there_is_none_and_a_listing_is_no_file() {
    let gone = Server::always(Reply::status(404, r#"{"message":"Not Found"}"#)).await;
    assert_eq!(client(&gone.url).file_at(REPO, "f", "main").await.unwrap(), None);
    for reply in [Reply::json("[]"), Reply::html(200)] {
        let server = Server::always(reply).await;
        let error = client(&server.url).file_at(REPO, "f", "main").await.unwrap_err();
        assert!(matches!(error.cause, Cause::Malformed(_)), "{error}");
    }
}

/// Cause of a read's failure by name, and how often it was asked.
async fn fault(reply: Reply) -> (String, usize) {
    let server = Server::always(reply).await;
    let error = client(&server.url).releases(REPO).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("GitHub: GET /repos/WordPress/openverse/releases: "), "{text}");
    assert!(!text.contains("ghp_hidden"), "{text}");
    let name = format!("{:?}", error.cause);
    (name.split(['(', ' ']).next().unwrap().to_owned(), server.seen().len())
}

#[tokio::test]
async fn every_fault_of_a_read_has_its_cause() {
    let body = r#"{"message":"said"}"#;
    for (reply, cause, asked) in [
        (Reply::Reset, "NoAnswer", 2),
        (Reply::Half, "NoAnswer", 2),
        (Reply::Silence, "NoAnswer", 2),
        (Reply::status(500, body), "Broken", 2),
        (Reply::status(502, body), "Broken", 2),
        (Reply::status(401, body), "Unauthorized", 1),
        (Reply::status(403, body), "Forbidden", 1),
        (Reply::status(404, body), "NotFound", 1),
        (Reply::status(429, body), "RateLimited", 1),
        (Reply::status(403, body).with("x-ratelimit-remaining", "0"), "RateLimited", 1),
        (Reply::html(200), "Malformed", 1),
        (Reply::html(302).with("location", "https://sso.example/"), "Malformed", 1),
        (Reply::json("null"), "Malformed", 1),
        (Reply::json("[{\"id\":1}]"), "Malformed", 1),
        (Reply::status(304, ""), "Malformed", 1),
        (Reply::Huge, "Malformed", 1),
    ] {
        let name = format!("{reply:?}");
        assert_eq!(fault(reply).await, (cause.to_owned(), asked), "{name}");
    }
    let error = client(&nobody().await).releases(REPO).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn every_write_is_sent_exactly_once() {
    let new = NewPullRequest { title: "T".into(), body: "B".into(), head: "h".into(), base: "main".into() };
    for reply in [
        Reply::Reset,
        Reply::Half,
        Reply::Silence,
        Reply::status(500, "{}"),
        Reply::status(502, "{}"),
        Reply::status(429, "{}").with("retry-after", "1"),
        Reply::html(200),
    ] {
        let name = format!("{reply:?}");
        let server = Server::always(reply).await;
        let github = client(&server.url);
        assert!(github.publish_release(REPO, 5, TAG).await.is_err(), "{name}");
        assert!(github.approve_pull_request(REPO, 7, "abc", "ok").await.is_err(), "{name}");
        assert!(github.open_pull_request(REPO, &new).await.is_err(), "{name}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(
            server.lines(),
            [
                "PATCH /repos/WordPress/openverse/releases/5",
                "POST /repos/WordPress/openverse/pulls/7/reviews",
                "POST /repos/WordPress/openverse/pulls"
            ],
            "{name}"
        );
    }
}

#[tokio::test]
async fn writes_say_what_they_mean_and_keep_a_distance() {
    let server = Server::start(|seen, _| match seen.method.as_str() {
        "PATCH" => Reply::json(&release(5)),
        _ if seen.path.ends_with("/reviews") => Reply::json(r#"{"id":1,"user":{"login":"o"},"state":"APPROVED"}"#),
        _ => Reply::status(201, &pull(9, "o", "b")),
    })
    .await;
    let github = client_with(&server.url, Duration::from_millis(300));
    let started = Instant::now();
    github.publish_release(REPO, 5, TAG).await.unwrap();
    assert!(started.elapsed() < Duration::from_millis(250), "the first change does not wait");
    github.approve_pull_request(REPO, 7, "abc", "ok").await.unwrap();
    let new = NewPullRequest { title: "T".into(), body: "B".into(), head: "h".into(), base: "main".into() };
    assert_eq!(github.open_pull_request(REPO, &new).await.unwrap().number, 9);
    assert!(started.elapsed() >= Duration::from_millis(600));
    let bodies: Vec<String> = server.seen().iter().map(|seen| seen.body.clone()).collect();
    assert_eq!(
        bodies,
        [
            format!(r#"{{"draft":false,"tag_name":"{TAG}"}}"#),
            r#"{"event":"APPROVE","commit_id":"abc","body":"ok"}"#.to_owned(),
            r#"{"title":"T","body":"B","head":"h","base":"main"}"#.to_owned(),
        ]
    );
    assert_eq!(server.seen()[0].header("accept"), "application/vnd.github+json");
}

#[tokio::test]
async fn ones_own_pull_request_is_a_refusal_with_githubs_words() {
    let body = r#"{"message":"Unprocessable Entity","errors":["Review Can not approve your own pull request"]}"#;
    let server = Server::always(Reply::status(422, body).with("x-github-request-id", "C0:FE")).await;
    let error = client(&server.url).approve_pull_request(REPO, 7, "abc", "ok").await.unwrap_err();
    assert!(error.surely_refused());
    let text = error.to_string();
    assert!(text.contains("Can not approve your own pull request") && text.contains("C0:FE"), "{text}");
}

#[tokio::test]
async fn a_token_that_is_none_and_a_plain_url_are_refused_without_showing_them() {
    assert!(GithubClient::new("http://api.github.com", None).is_err());
    let token = Some(SecretString::from("ghp_\u{7}hidden"));
    let error = GithubClient::new("https://api.github.com", token).err().unwrap().to_string();
    assert!(!error.contains("hidden"), "{error}");
}

#[test]
fn without_a_runtime_it_says_so_instead_of_panicking() {
    assert!(GithubClient::new("https://api.github.com", None).is_err());
}
