//! What the real services refuse, the world refuses.

use super::*;
use crate::rehearsal::Pull;

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

async fn refusal(request: RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn github_wants_a_token_and_an_agent() {
    let lab = Lab::start(&[]).await;
    let url = format!("{}/user", lab.setting("github", "api_url"));
    assert_eq!(status(lab.client.get(&url)).await, 401);
    assert_eq!(status(lab.client.get(&url).bearer_auth("ghp_wrong")).await, 401);
    assert_eq!(status(reqwest::Client::new().get(&url).bearer_auth(lab.setting("github", "token"))).await, 403);
    assert_eq!(status(lab.github(Method::GET, "/user")).await, 200);
    assert_eq!(status(lab.github(Method::GET, "/repos/WordPress/unknown")).await, 404);
    assert_eq!(status(lab.app(Method::DELETE, "/releases/1")).await, 404);
}

#[tokio::test]
async fn releases_are_paged_by_link() {
    let lab = Lab::start(&[]).await;
    let mut next = Some("/repos/wordpress/Openverse/releases?per_page=20".to_owned());
    let (mut seen, mut pages) = (Vec::new(), 0);
    while let Some(path) = next {
        let answer = lab.github(Method::GET, &path).send().await.unwrap();
        let link = answer.headers().get("link").unwrap().to_str().unwrap().to_owned();
        let base = lab.setting("github", "api_url");
        next = link
            .split(", ")
            .find(|part| part.ends_with("rel=\"next\""))
            .map(|part| part[1..].split('>').next().unwrap().replace(&base, ""));
        seen.extend(value(answer).await.as_array().unwrap().iter().map(|release| release["id"].as_u64().unwrap()));
        pages += 1;
    }
    assert_eq!((pages, seen.len()), (3, lab.world.releases().len()));
}

#[tokio::test]
async fn drafts_are_for_those_who_may_push_and_never_found_by_tag() {
    let lab = Lab::start(&[]).await;
    let draft = lab.draft().await;
    let by_tag = |lab: &Lab| lab.app(Method::GET, &format!("/releases/tags/{}", draft["tag_name"].as_str().unwrap()));
    assert_eq!(status(by_tag(&lab)).await, 404);
    assert_eq!(lab.publish().await.unwrap().status(), 200);
    assert_eq!(status(by_tag(&lab)).await, 200);

    let weak = Lab::start(&[Fault::WeakToken]).await;
    let all = value(weak.app(Method::GET, "/releases?per_page=100").send().await.unwrap()).await;
    assert!(all.as_array().unwrap().iter().all(|release| release["draft"] == false));
    let repository = value(weak.app(Method::GET, "").send().await.unwrap()).await;
    assert_eq!(repository["permissions"]["push"], false);
}

#[tokio::test]
async fn a_release_is_published_once() {
    let lab = Lab::start(&[]).await;
    let draft = lab.draft().await;
    let path = format!("/releases/{}", draft["id"]);
    let patch = |body: Value| lab.app(Method::PATCH, &path).json(&body);
    assert_eq!(status(patch(json!({ "published": true }))).await, 422);
    let (code, text) = refusal(patch(json!({ "draft": false, "tag_name": "catalog-2024.08.22.20.53.01" }))).await;
    assert_eq!(code, 422);
    assert!(text.contains("already_exists"));
    assert_eq!(status(patch(json!({ "draft": false }))).await, 200);
    assert_eq!(status(patch(json!({ "draft": false }))).await, 422);
    assert_eq!(status(lab.app(Method::PATCH, &path).body("{")).await, 400);
    until("one run", async || lab.tag_run().await["head_branch"] == draft["tag_name"]).await;
    let newest = lab.world.workflow_runs().iter().filter(|run| run.head_branch == draft["tag_name"]).count();
    assert_eq!(newest, 1);
}

#[tokio::test]
async fn pull_requests_want_commits_and_no_second_one() {
    let lab = Lab::start(&[]).await;
    let open = |head: &str| {
        lab.infra(Method::POST, "/pulls").json(&json!({ "title": "Deploy", "head": head, "base": "main" }))
    };
    let (code, text) = refusal(open("no-such-branch")).await;
    assert_eq!((code, text.contains(r#""field":"head""#)), (422, true));
    lab.run(&["git", "push", "--quiet", "origin", "HEAD:refs/heads/empty"]);
    let (code, text) = refusal(open("empty")).await;
    assert_eq!((code, text.contains("No commits between main and empty")), (422, true));
    let (_, commit) = lab.run(&["git", "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "x"]);
    lab.run(&["git", "push", "--quiet", "origin", &format!("{}:refs/heads/bump", commit.trim())]);
    assert_eq!(status(open("WordPress:bump")).await, 201);
    let (code, text) = refusal(open("bump")).await;
    assert_eq!((code, text.contains("A pull request already exists for WordPress:bump.")), (422, true));
    let (code, text) =
        refusal(lab.infra(Method::POST, "/pulls").json(&json!({ "head": "bump", "base": "main" }))).await;
    assert_eq!((code, text.contains("missing_field")), (422, true));
    assert_eq!(status(lab.app(Method::POST, "/pulls").json(&json!({ "title": "x" }))).await, 404);
}

#[tokio::test]
async fn a_review_pins_the_head_and_is_not_for_ones_own() {
    let lab = Lab::start(&[]).await;
    lab.publish().await.unwrap();
    until("the changelog opens", async || !lab.world.changelogs().is_empty()).await;
    let pull: Pull = lab.world.changelogs().remove(0);
    let path = format!("/pulls/{}/reviews", pull.number);
    let review = |body: Value| lab.app(Method::POST, &path).json(&body);
    assert_eq!(status(review(json!({ "event": "APPROVE", "commit_id": "0".repeat(40) }))).await, 422);
    assert_eq!(status(review(json!({ "event": "MERGE" }))).await, 422);
    assert_eq!(status(review(json!({ "event": "APPROVE", "sha": pull.head_sha }))).await, 422);
    assert!(lab.world.changelogs()[0].reviews.is_empty());
    let own = lab.world.add_pull_request(Pull { author: "maintainer".into(), ..pull.clone() });
    let own = lab.app(Method::POST, &format!("/pulls/{own}/reviews"));
    let (code, text) = refusal(own.json(&json!({ "event": "APPROVE", "commit_id": pull.head_sha }))).await;
    assert_eq!((code, text.contains("Can not approve your own pull request")), (422, true));
    let runs =
        value(lab.app(Method::GET, &format!("/commits/{}/check-runs", pull.head_sha)).send().await.unwrap()).await;
    assert_eq!(runs["total_count"], 1);
    assert_eq!(status(lab.app(Method::GET, "/commits/nothing/status")).await, 422);
}

#[tokio::test]
async fn airflow_2_is_strict() {
    let lab = Lab::start(&[Fault::ManyRuns]).await;
    let post =
        |path: &str, body: Value| lab.airflow(Method::POST, &format!("/api/v1/dags/~/dagRuns/{path}")).json(&body);
    let (code, text) = refusal(post("list", json!({ "state": ["running"] }))).await;
    assert_eq!((code, text.contains("Unknown field.")), (400, true));
    assert_eq!(status(post("~/taskInstances/list", json!({ "states": ["running"] }))).await, 400);
    assert_eq!(status(post("~/taskInstances/list", json!({ "state": ["sensing"] }))).await, 400);
    assert_eq!(status(post("list", json!({ "page_limit": 0 }))).await, 400);
    assert_eq!(status(lab.airflow(Method::GET, "/api/v1/dags?size=3")).await, 400);
    assert_eq!(status(lab.airflow(Method::PUT, "/api/v1/dags/image_data_refresh")).await, 405);
    assert_eq!(status(lab.airflow(Method::GET, "/api/v2/version")).await, 404);
    let patch = |query: &str, body: Value| {
        lab.airflow(Method::PATCH, &format!("/api/v1/dags/image_data_refresh{query}")).json(&body)
    };
    assert_eq!(status(patch("?update_mask=tags", json!({ "is_paused": true }))).await, 400);
    assert_eq!(status(patch("", json!({ "is_paused": true, "tags": [] }))).await, 400);
    assert_eq!(lab.world.paused_dags(), ["new_provider_workflow"]);
    // A page of 250 is asked for; 100 come, and nothing says why.
    let page = value(post("list", json!({ "states": ["queued"], "page_limit": 250 })).send().await.unwrap()).await;
    assert_eq!((page["dag_runs"].as_array().unwrap().len(), &page["total_entries"]), (100, &json!(250)));
    let last = json!({ "states": ["queued"], "page_limit": 100, "page_offset": 200 });
    let page = value(post("list", last).send().await.unwrap()).await;
    assert_eq!(page["dag_runs"].as_array().unwrap().len(), 50);
}

#[tokio::test]
async fn airflow_3_is_strict() {
    let mut lab = Lab::with(AirflowEdition::V3, &[]).await;
    assert_eq!(status(lab.airflow(Method::GET, "/api/v2/dags")).await, 401);
    let wrong = json!({ "username": "maintainer", "password": "wrong" });
    assert_eq!(status(lab.airflow(Method::POST, "/auth/token").json(&wrong)).await, 401);
    lab.log_in().await;
    assert_eq!(status(lab.airflow(Method::GET, "/api/v2/dags")).await, 200);
    assert_eq!(status(lab.airflow(Method::GET, "/api/v1/version")).await, 404);
    let patch = lab.airflow(Method::PATCH, "/api/v2/dags/image_data_refresh");
    assert_eq!(status(patch.json(&json!({ "is_paused": true, "tags": [] }))).await, 422);
    assert_eq!(status(lab.airflow(Method::GET, "/api/v2/dags/~/dagRuns?state=odd")).await, 422);
}

#[tokio::test]
async fn the_registry_re_wraps_and_pages() {
    let lab = Lab::start(&[]).await;
    let path = |reference: &str| format!("/v2/wordpress/openverse-catalog/manifests/{reference}");
    let build = lab
        .world
        .registry_tags()
        .into_iter()
        .find(|(tag, digest)| tag.len() == 40 && Some(digest) == lab.world.registry_tags().get("latest"));
    assert!(build.is_some(), "latest has a commit tag");
    let released = lab.world.registry_tags()["rel-2024.08.22.20.53.01"].clone();
    let index = lab.registry(Method::GET, &path("rel-2024.08.22.20.53.01")).await;
    assert_eq!(index.headers()["docker-content-digest"].to_str().unwrap(), released);
    let index = value(index).await;
    let image = value(lab.registry(Method::GET, &path(index["manifests"][0]["digest"].as_str().unwrap())).await).await;
    let blob = format!("/v2/wordpress/openverse-catalog/blobs/{}", image["config"]["digest"].as_str().unwrap());
    let config = value(lab.registry(Method::GET, &blob).await).await;
    assert!(config["config"]["Env"].as_array().unwrap().contains(&json!("AIRFLOW_VERSION=2.9.3")));
    let others = lab.world.registry_tags();
    let same = others.iter().filter(|(tag, digest)| tag.len() == 40 && **digest == released).count();
    assert_eq!(same, 0, "an alias of an index has a digest of its own");

    let head = lab.registry(Method::HEAD, &path("latest")).await;
    assert!(head.headers()["content-length"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(lab.registry(Method::GET, &path("rel-2023.06.08.16.52.36")).await.status(), 404);
    let page = lab.registry(Method::GET, "/v2/wordpress/openverse-catalog/tags/list?n=5").await;
    assert!(page.headers()["link"].to_str().unwrap().contains("rel=\"next\""));
    assert_eq!(value(page).await["tags"].as_array().unwrap().len(), 5);
    assert_eq!(lab.registry(Method::PUT, &path("latest")).await.status(), 405);
}

#[tokio::test]
async fn sentry_and_slack_want_their_secrets() {
    let lab = Lab::start(&[]).await;
    let url = format!("{}/api/0/organizations/openverse/issues/", lab.setting("sentry", "url"));
    assert_eq!(status(lab.client.get(&url)).await, 401);
    let issues = |query: &str| lab.client.get(format!("{url}{query}")).bearer_auth(lab.setting("sentry", "token"));
    for refused in ["?groupStatsPeriod=7d", "?project=catalog", "?query=project:katalog", "?limit=101"] {
        assert_eq!(status(issues(refused)).await, 400, "{refused}");
    }
    assert_eq!(status(issues("?environment=prod")).await, 404);
    let first = issues("?query=is:unresolved&limit=2").send().await.unwrap();
    assert!(first.headers()["link"].to_str().unwrap().contains("rel=\"next\"; results=\"true\"; cursor=\"0:2:0\""));
    assert_eq!(value(first).await.as_array().unwrap().len(), 2);
    let second = issues("?query=is:unresolved&limit=2&cursor=0:2:0").send().await.unwrap();
    assert_eq!(value(second).await.as_array().unwrap().len(), 1);

    let hook = lab.setting("slack", "webhook_url");
    assert_eq!(status(lab.client.get(&hook)).await, 400);
    assert_eq!(status(lab.client.post(&hook).json(&json!({ "blocks": [] }))).await, 400);
    for (wrong, expected) in [(format!("{hook}x"), 403), (hook.replace("/services/T", "/services/U"), 404)] {
        assert_eq!(status(lab.client.post(wrong).json(&json!({ "text": "hello" }))).await, expected);
    }
    assert!(lab.world.slack_messages().is_empty());
}
