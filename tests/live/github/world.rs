//! The embedded world's GitHub, asked by the real client: every route in every state that a fault brings.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use catalog_deploy::adapters::Cause;
use catalog_deploy::adapters::github::{GithubClient, GithubRead, GithubWrite, NewPullRequest, RunFilter};
use catalog_deploy::rehearsal::{Fault, Options, World};
use futures::stream::{self, StreamExt};
use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::between::Between;
use super::description::description;

const APP: &str = "WordPress/openverse";
const INFRA: &str = "WordPress/openverse-infrastructure";
const WORKFLOW: &str = "tag_docker_image_and_trigger_deployment.yml";

struct Place {
    _directory: tempfile::TempDir,
    world: World,
    token: String,
    between: Between,
    client: GithubClient,
}

impl Place {
    async fn new(faults: &[Fault]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { faults: faults.to_vec(), ..Options::new(directory.path()) };
        let world = World::start(options).await.unwrap();
        let config: toml::Table = world.config_toml().parse().unwrap();
        let github = &config["github"];
        let between = Between::before(github["api_url"].as_str().unwrap());
        let token = std::fs::read_to_string(github["token"]["file"].as_str().unwrap()).unwrap();
        let client = GithubClient::new(&between.url, Some(SecretString::from(token.clone()))).unwrap();
        Self { _directory: directory, world, token, between, client }
    }

    /// Asks what the client has no word for.
    async fn raw(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let http = catalog_deploy::adapters::http::client_for(&self.between.url.parse().unwrap());
        let mut request = http.request(method, format!("{}{path}", self.between.url));
        request = request.bearer_auth(self.token.trim()).header("x-github-api-version", "2022-11-28");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }

    /// Every question that the client knows.
    async fn questions(&self) {
        let github = &self.client;
        let _viewer = github.viewer().await.unwrap();
        let after = Some("2024-01-01T00:00:00Z".parse().unwrap());
        let all = RunFilter { event: Some("release".into()), branch: Some("main".into()), created_after: after };
        for filter in [RunFilter::default(), all] {
            for workflow in [WORKFLOW, "ci_cd.yml"] {
                let _some = github.workflow_runs(APP, workflow, &filter).await;
            }
        }
        for release in github.releases(APP).await.unwrap().into_iter().take(3) {
            let _found = github.release(APP, release.id).await.unwrap();
            let _branch =
                github.pull_requests_of_branch(APP, &format!("changelog/{}", release.tag_name)).await.unwrap();
            for reference in ["main", &release.tag_name] {
                let _file = github.file_at(APP, "catalog/requirements-prod.txt", reference).await.unwrap();
                let _none = github.file_at(APP, "no/such file#?.txt", reference).await.unwrap();
            }
        }
        for commit in github.commits_touching(APP, "main", "catalog").await.unwrap().into_iter().take(3) {
            let _checks = github.checks(APP, &commit.sha).await.unwrap();
        }
        for repository in [APP, INFRA] {
            let _may = github.permissions(repository).await.unwrap();
            for pull in github.open_pull_requests(repository).await.unwrap() {
                let _one = github.pull_request(repository, pull.number).await.unwrap();
                let _files = github.pull_request_files(repository, pull.number).await.unwrap();
                let _reviews = github.reviews(repository, pull.number).await.unwrap();
                let _checks = github.checks(repository, &pull.head_sha).await.unwrap();
            }
        }
    }
}

/// What makes GitHub's world another one; none at all first.
const STATES: [Option<Fault>; 16] = [
    None,
    Some(Fault::BumpPrOpen),
    Some(Fault::TwoDrafts),
    Some(Fault::DraftRenamed),
    Some(Fault::EmptyDraft),
    Some(Fault::WeakToken),
    Some(Fault::BuildPending),
    Some(Fault::PublishAnswerLost),
    Some(Fault::ReleaseBackToDraft),
    Some(Fault::TagMissing),
    Some(Fault::TagWorkflowCancelled),
    Some(Fault::ChangelogSeveral),
    Some(Fault::OwnChangelog),
    Some(Fault::ChangelogChecksRed),
    Some(Fault::ApproveAnswerLost),
    Some(Fault::SecondaryLimit),
];

/// Before the release, while it is tagged, after, and with a review of every pull request. Gives the operations asked for.
async fn asked_all_the_way(fault: Option<Fault>) -> BTreeSet<String> {
    let place = Place::new(fault.as_slice()).await;
    place.questions().await;
    let drafts = place.client.releases(APP).await.unwrap().into_iter().filter(|release| release.draft);
    for draft in drafts {
        let _answer_lost = place.client.publish_release(APP, draft.id, &draft.tag_name).await;
    }
    place.questions().await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while place.client.workflow_runs(APP, WORKFLOW, &RunFilter::default()).await.unwrap()[0].status != "completed" {
        assert!(Instant::now() < deadline, "{fault:?}: the release is not tagged in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for pull in place.client.open_pull_requests(APP).await.unwrap() {
        let _own = place.client.approve_pull_request(APP, pull.number, &pull.head_sha, "ok").await;
    }
    place.questions().await;
    let exchanges = place.between.exchanges();
    let operations = exchanges.iter().map(|it| description().operation(&it.method, &it.path).unwrap());
    operations.map(|operation| operation.template.to_owned()).collect()
}

#[tokio::test]
async fn every_answer_in_every_state_is_as_described() {
    // Only a few at a time: each builds an infrastructure repository.
    let asked = stream::iter(STATES).map(asked_all_the_way).buffer_unordered(4).collect::<Vec<_>>().await;
    let operations: BTreeSet<String> = asked.into_iter().flatten().collect();
    assert_eq!(operations.len(), 13, "{operations:#?}");
}

#[tokio::test]
async fn what_only_people_ask_the_world_is_as_described() {
    let place = Place::new(&[Fault::ChangelogSeveral]).await;
    for path in [
        "/rate_limit".to_owned(),
        format!("/repos/{APP}/branches/main"),
        format!("/repos/{APP}/branches/none"),
        format!("/repos/{APP}/commits/main"),
        format!("/repos/{APP}/commits/none"),
        format!("/repos/{APP}/releases/latest"),
        format!("/repos/{APP}/releases/tags/catalog-2024.08.22.20.53.01"),
        format!("/repos/{APP}/releases/tags/none"),
        format!("/repos/{APP}/actions/runs?per_page=2"),
        format!("/repos/{APP}/actions/workflows/{WORKFLOW}/runs?status=success&per_page=1&page=2"),
        format!("/repos/{APP}/contents/catalog/requirements-prod.txt"),
        format!("/repos/{APP}/pulls?state=closed&base=main"),
        format!("/repos/{APP}/pulls/99999"),
        format!("/repos/{APP}/pulls/99999/files"),
        format!("/repos/{APP}/commits/none/check-runs"),
        format!("/repos/{APP}/commits/none/status"),
        "/repos/WordPress/none".to_owned(),
        "/repos/WordPress/none/releases".to_owned(),
    ] {
        let _answer = place.raw(Method::GET, &path, None).await;
    }
    let (_, runs) = place.raw(Method::GET, &format!("/repos/{APP}/actions/runs"), None).await;
    let id = &runs["workflow_runs"][0]["id"];
    assert_eq!(place.raw(Method::GET, &format!("/repos/{APP}/actions/runs/{id}"), None).await.0, 200);
    assert!(place.between.exchanges().len() > 18);
}

/// What GitHub says no to, in its own shapes.
#[tokio::test]
async fn refusals_are_as_described() {
    let place = Place::new(&[]).await;
    let github = &place.client;
    let release = github.releases(APP).await.unwrap().into_iter().find(|release| !release.draft).unwrap();
    let again = github.publish_release(APP, release.id, &release.tag_name).await.unwrap_err();
    assert!(again.surely_refused() && again.to_string().contains("already_exists"), "{again}");
    assert!(github.publish_release(APP, 1, "catalog-1").await.unwrap_err().not_found());
    let new =
        |head: &str| NewPullRequest { title: "T".into(), body: "B".into(), head: head.into(), base: "main".into() };
    for (repository, head, words) in
        [(INFRA, "none", "PullRequest head invalid"), (INFRA, "main", "No commits between main and main")]
    {
        let error = github.open_pull_request(repository, &new(head)).await.unwrap_err();
        assert!(matches!(&error.cause, Cause::Rejected { status: 422, message } if message.contains(words)), "{error}");
    }
    let error = github.release("WordPress/none", 1).await.unwrap_err();
    assert!(error.not_found() && error.to_string().contains("or not visible to these credentials"), "{error}");
    let stranger = GithubClient::new(&place.between.url, Some(SecretString::from("ghp_wrong"))).unwrap();
    let error = stranger.viewer().await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Unauthorized(text) if text.contains("Bad credentials")), "{error}");
    let nobody = GithubClient::new(&place.between.url, None).unwrap();
    assert!(nobody.viewer().await.unwrap_err().credentials());
    place.between.exchanges();
}

#[tokio::test]
async fn ones_own_pull_request_and_a_commit_that_is_not_its_head() {
    let place = Place::new(&[Fault::OwnChangelog]).await;
    let github = &place.client;
    for draft in place.world.drafts() {
        github.publish_release(APP, draft.id, &draft.tag_name).await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    let pull = loop {
        let open = github.open_pull_requests(APP).await.unwrap();
        if let Some(pull) = open.into_iter().find(|pull| pull.head_ref.starts_with("changelog/")) {
            break pull;
        }
        assert!(Instant::now() < deadline, "no changelog in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let error = github.approve_pull_request(APP, pull.number, &pull.head_sha, "ok").await.unwrap_err();
    assert!(error.to_string().contains("Can not approve your own pull request"), "{error}");
    let body = json!({ "event": "APPROVE", "commit_id": "0".repeat(40) });
    let (status, _) = place.raw(Method::POST, &format!("/repos/{APP}/pulls/{}/reviews", pull.number), Some(body)).await;
    assert_eq!(status, 422);
    place.between.exchanges();
}

#[tokio::test]
async fn a_repeated_question_costs_nothing() {
    let place = Place::new(&[]).await;
    for _ in 0..3 {
        place.client.releases(APP).await.unwrap();
    }
    let exchanges = place.between.exchanges();
    let told: Vec<(u16, &str)> = exchanges.iter().map(|it| (it.status, it.answered("x-ratelimit-used"))).collect();
    assert_eq!(told, [(200, "1"), (304, "1"), (304, "1")]);
    assert_eq!(exchanges[1].asked("if-none-match"), exchanges[0].answered("etag"));
    let draft = place.world.drafts().remove(0);
    place.client.publish_release(APP, draft.id, &draft.tag_name).await.unwrap();
    let released = place.client.releases(APP).await.unwrap().into_iter().find(|it| it.id == draft.id).unwrap();
    assert!(!released.draft, "what has changed is told anew");
}

/// <https://docs.github.com/en/rest/releases/releases>: "Information about draft releases is available only to users who
/// have push access".
#[tokio::test]
async fn drafts_are_for_push_access_alone() {
    let (strong, weak) = (Place::new(&[]).await, Place::new(&[Fault::WeakToken]).await);
    let draft = strong.world.drafts().remove(0);
    assert!(strong.client.releases(APP).await.unwrap().iter().any(|release| release.draft));
    assert!(strong.client.permissions(APP).await.unwrap().push);
    let seen = weak.client.releases(APP).await.unwrap();
    assert!(!seen.is_empty() && !seen.iter().any(|release| release.draft));
    assert!(!weak.client.permissions(APP).await.unwrap().push);
    assert!(weak.client.release(APP, draft.id).await.unwrap_err().not_found());
    assert!(weak.client.publish_release(APP, draft.id, &draft.tag_name).await.unwrap_err().surely_refused());
    strong.between.exchanges();
    weak.between.exchanges();
}
