//! The check itself: each way of breaking the description is found, so that finding nothing means something.

use axum::http::{HeaderMap, HeaderName};
use serde_json::{Value, json};

use super::description::description;
use super::exchange::Exchange;
use super::violations::violations;

const RELEASE: &str = "/repos/WordPress/openverse/releases/5";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
}

/// An exchange with which nothing is wrong.
fn sound(method: &str, path: &str, status: u16, answer: &Value) -> Exchange {
    Exchange {
        method: method.into(),
        path: path.into(),
        query: Vec::new(),
        asked: headers(&[
            ("user-agent", "live"),
            ("x-github-api-version", "2022-11-28"),
            ("accept", "application/vnd.github+json"),
            ("content-type", "application/json"),
        ]),
        sent: Vec::new(),
        status,
        headers: headers(&[
            ("content-type", "application/json; charset=utf-8"),
            ("x-github-request-id", "C0:FE"),
            ("x-github-media-type", "github.v3; format=json"),
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", "4999"),
            ("x-ratelimit-used", "1"),
            ("x-ratelimit-reset", "1724359991"),
            ("x-ratelimit-resource", "core"),
        ]),
        answer: answer.to_string().into_bytes(),
    }
}

/// GitHub's own example of a release.
fn release() -> Value {
    let operation = description().operation("GET", RELEASE).unwrap();
    description().examples(operation.value, 200)[0].clone()
}

fn one(exchange: &Exchange, words: &str) {
    let found = violations(exchange);
    assert!(found.len() == 1 && found[0].contains(words), "wanted {words:?}: {found:#?}");
}

#[test]
fn githubs_own_release_passes() {
    assert_eq!(violations(&sound("GET", RELEASE, 200, &release())), [] as [&str; 0]);
}

#[test]
fn an_answer_may_lack_nothing_and_hold_nothing_else() {
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut value = release();
        change(&mut value);
        sound("GET", RELEASE, 200, &value)
    };
    one(&changed(&|it| it["draft"] = json!("false")), "/draft: \"false\" is not of type \"boolean\"");
    one(&changed(&|it| it["tag_name"] = Value::Null), "/tag_name: null is not of type");
    one(&changed(&|it| it["published_at"] = json!("yesterday")), "/published_at");
    one(&changed(&|it| drop(it.as_object_mut().unwrap().remove("assets"))), "\"assets\" is a required property");
    one(&changed(&|it| it["tagname"] = json!("x")), "'tagname' was unexpected");
    one(&changed(&|it| it["author"]["logn"] = json!("x")), "/author");
    one(&sound("GET", RELEASE, 200, &json!([])), "is not");
}

#[test]
fn a_request_may_hold_only_what_is_described() {
    let mut asked = sound("GET", "/repos/WordPress/openverse/releases", 200, &json!([]));
    asked.query = vec![("per_page".into(), "100".into())];
    assert_eq!(violations(&asked), [] as [&str; 0]);
    asked.query = vec![("perpage".into(), "100".into())];
    one(&asked, "the query has perpage");
    asked.query = vec![("per_page".into(), "101".into())];
    one(&asked, "a page of 101");
    asked.query = vec![("page".into(), "two".into())];
    one(&asked, "query page");
    one(&sound("GET", "/repos/WordPress/openverse/releases/five", 200, &release()), "path release_id");
    one(&sound("GET", "/repos/WordPress/openverse/relases", 200, &json!([])), "no such operation");
    let mut state = sound("GET", "/repos/WordPress/openverse/pulls", 200, &json!([]));
    state.query = vec![("state".into(), "merged".into())];
    one(&state, "query state");
    let runs = "/repos/WordPress/openverse/actions/workflows/tag.yml/runs";
    let mut created = sound("GET", runs, 200, &json!({ "total_count": 0, "workflow_runs": [] }));
    created.query = vec![("created".into(), ">=2024-08-22T20:53:01Z".into())];
    assert_eq!(violations(&created), [] as [&str; 0]);
    created.query = vec![("created".into(), ">=lately".into())];
    one(&created, "query created");
}

#[test]
fn a_body_may_hold_only_what_is_described() {
    let mut sent = sound("PATCH", RELEASE, 200, &release());
    for (body, words) in [
        (json!({ "draft": "false" }), "sent /draft"),
        (json!({ "drafted": false }), "'drafted' was unexpected"),
        (json!({ "make_latest": "yes" }), "sent /make_latest"),
        (json!([]), "sent "),
    ] {
        sent.sent = body.to_string().into_bytes();
        one(&sent, words);
    }
    sent.sent = b"{".to_vec();
    one(&sent, "what was sent is no JSON");
    sent.sent = b"{\"draft\":false}".to_vec();
    assert_eq!(violations(&sent), [] as [&str; 0]);
    sent.asked =
        headers(&[("user-agent", "live"), ("x-github-api-version", "2022-11-28"), ("content-type", "text/plain")]);
    one(&sent, "a body of type \"text/plain\"");
    let mut pull =
        sound("POST", "/repos/WordPress/openverse/pulls", 422, &json!({ "message": "m", "documentation_url": "d" }));
    pull.sent = b"{\"title\":\"T\",\"head\":\"h\"}".to_vec();
    one(&pull, "\"base\" is a required property");
}

#[test]
fn an_answer_has_its_status_type_and_headers() {
    one(&sound("GET", RELEASE, 201, &release()), "the answer 201 is not described");
    one(&sound("GET", RELEASE, 502, &json!({})), "the answer 502 is not described");
    let not_found = json!({ "message": "Not Found", "documentation_url": "d", "status": "404" });
    assert_eq!(violations(&sound("GET", RELEASE, 404, &not_found)), [] as [&str; 0]);
    one(&sound("GET", RELEASE, 404, &json!({ "error": "Not Found" })), "'error' was unexpected");
    let mut page = sound("GET", RELEASE, 200, &release());
    page.headers.insert("content-type", "text/html".parse().unwrap());
    one(&page, "the answer is \"text/html\"");
    let mut unlimited = sound("GET", RELEASE, 200, &release());
    unlimited.headers.remove("x-ratelimit-reset");
    one(&unlimited, "no x-ratelimit-reset");
    let mut linked = sound("GET", RELEASE, 200, &release());
    linked.headers.insert("link", "<x>; rel=\"next\"".parse().unwrap());
    one(&linked, "has a Link");
    one(&sound("GET", RELEASE, 304, &json!(null)), "not modified");
    let mut unversioned = sound("GET", RELEASE, 200, &release());
    unversioned.asked.remove("x-github-api-version");
    one(&unversioned, "API version");
}
