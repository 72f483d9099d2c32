//! The whole product with the description between it and GitHub: `prod`, a rollback, `resume`, `doctor`, `status`.

use std::collections::BTreeSet;

use catalog_deploy::adapters::github::{GithubClient, GithubRead, GithubWrite};
use catalog_deploy::rehearsal::Fault;

use super::between::Between;
use super::description::description;
use super::stage::{Done, GATES, Stage};

const APP: &str = "WordPress/openverse";
const NEW: &str = "rel-2024.09.30.10.20.30";
const EARLIER: &str = "rel-2024.09.09.23.00.57";

struct Watched {
    stage: Stage,
    between: Between,
}

impl Watched {
    fn new(faults: &[Fault]) -> Self {
        Self::hiding(faults, None)
    }

    fn hiding(faults: &[Fault], hidden: Option<&'static str>) -> Self {
        let stage = Stage::new(faults);
        let config = std::fs::read_to_string(&stage.config).unwrap();
        let table: toml::Table = config.parse().unwrap();
        let own = table["github"]["api_url"].as_str().unwrap();
        let between = Between::hiding(own, hidden);
        std::fs::write(&stage.config, config.replace(own, &between.url)).unwrap();
        Self { stage, between }
    }

    /// Runs to its end, which must be this code, with nothing wrong on the way.
    fn run(&self, arguments: &[&str], code: i32) -> Done {
        let done = self.stage.run(arguments);
        self.between.exchanges();
        assert_eq!(done.code, code, "{arguments:?}\n{}\n{}", done.stdout, done.stderr);
        done
    }

    fn deploys(&self, first: &[&str], code: i32) -> Done {
        self.run(&[first, &GATES].concat(), code)
    }

    /// Publishes what is drafted, as somebody else would.
    fn publishes_all(&self) {
        let secret = self.stage.config.parent().unwrap().join("secrets/github");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let token = std::fs::read_to_string(secret).unwrap();
            let github = GithubClient::new(&self.between.url, Some(token.into())).unwrap();
            for draft in github.releases(APP).await.unwrap().into_iter().filter(|release| release.draft) {
                github.publish_release(APP, draft.id, &draft.tag_name).await.unwrap();
            }
        });
    }

    /// Operations that were asked for, as `METHOD template`.
    fn operations(&self) -> BTreeSet<String> {
        let described = description();
        let exchanges = self.between.exchanges();
        let named = exchanges
            .iter()
            .map(|it| format!("{} {}", it.method, described.operation(&it.method, &it.path).unwrap().template));
        named.collect()
    }

    /// Changes that took effect, in order.
    fn changes(&self) -> Vec<String> {
        self.stage.mutations().into_iter().filter(|line| line.contains(" /repos/")).collect()
    }
}

#[test]
fn a_deploy_and_the_way_back() {
    let watched = Watched::new(&[]);
    watched.run(&["doctor", "prod"], 0);
    watched.run(&["prod", "-n"], 0);
    watched.deploys(&["prod"], 0);
    assert_eq!(watched.stage.world.deployed_tag().as_deref(), Some(NEW));
    watched.run(&["status", "prod"], 0);
    watched.run(&["prod", "--tag", EARLIER, "--approve", "bump", "--approve", "apply", "--approve", "pull-request"], 0);
    assert_eq!(watched.stage.world.deployed_tag().as_deref(), Some(EARLIER));
    watched.run(&["status", "prod"], 0);
    watched.run(&["doctor", "prod"], 0);
    assert_eq!(watched.changes().len(), 4);
    let operations = watched.operations();
    for operation in [
        "GET /user",
        "GET /repos/{owner}/{repo}",
        "GET /repos/{owner}/{repo}/releases",
        "GET /repos/{owner}/{repo}/releases/{release_id}",
        "PATCH /repos/{owner}/{repo}/releases/{release_id}",
        "GET /repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs",
        "GET /repos/{owner}/{repo}/commits",
        "GET /repos/{owner}/{repo}/commits/{ref}/check-runs",
        "GET /repos/{owner}/{repo}/commits/{ref}/status",
        "GET /repos/{owner}/{repo}/pulls",
        "POST /repos/{owner}/{repo}/pulls",
        "GET /repos/{owner}/{repo}/pulls/{pull_number}/files",
        "GET /repos/{owner}/{repo}/pulls/{pull_number}/reviews",
        "POST /repos/{owner}/{repo}/pulls/{pull_number}/reviews",
    ] {
        assert!(operations.contains(operation), "{operation} was not asked for: {operations:#?}");
    }
}

/// Each change takes effect and its answer is lost: it is looked up and never sent again.
#[test]
fn after_lost_answers() {
    let watched = Watched::new(&[Fault::PublishAnswerLost, Fault::ApproveAnswerLost, Fault::PullRequestAnswerLost]);
    let done = watched.stage.run(&[&["prod"][..], &GATES].concat());
    let mut code = done.code;
    for _ in 0..3 {
        if code != 0 {
            code = watched.stage.run(&[&["resume"][..], &GATES].concat()).code;
        }
    }
    watched.between.exchanges();
    assert_eq!(code, 0, "{}", done.stderr);
    assert_eq!(watched.changes().len(), 3, "{:?}", watched.changes());
    assert_eq!(watched.stage.world.deployed_tag().as_deref(), Some(NEW));
}

#[test]
fn resumed_after_an_apply_that_failed() {
    let watched = Watched::new(&[Fault::DeployFailsWhilePaused]);
    watched.deploys(&["prod"], 1);
    watched.run(&["status", "prod"], 0);
    watched.deploys(&["resume"], 0);
    assert_eq!(watched.stage.world.deployed_tag().as_deref(), Some(NEW));
    assert_eq!(watched.changes().len(), 3);
}

#[test]
fn through_a_secondary_limit() {
    let watched = Watched::new(&[Fault::SecondaryLimit]);
    watched.deploys(&["prod"], 0);
    assert_eq!(watched.between.exchanges().iter().filter(|it| it.status == 403).count(), 1);
}

#[test]
fn without_push_access_nothing_is_seen_and_nothing_changed() {
    let watched = Watched::new(&[Fault::WeakToken]);
    let done = watched.run(&["prod", "-n"], 4);
    assert!(format!("{}{}", done.stdout, done.stderr).contains("no push access"), "{}{}", done.stdout, done.stderr);
    watched.run(&["doctor", "prod"], 4);
    watched.deploys(&["prod"], 4);
    assert_eq!(watched.changes(), [] as [String; 0]);
}

/// GitHub tells the scopes of a classic token and nothing of a fine-grained one; the permissions of a repository are its
/// owner's. So what such a token may is not known before it is tried.
/// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#resource-not-accessible>
#[test]
fn what_a_fine_grained_token_may_is_unknown() {
    let watched = Watched::hiding(&[], Some("x-oauth-scopes"));
    let done = watched.run(&["doctor", "prod"], 0);
    let lines: Vec<&str> = done.stdout.lines().filter(|line| line.contains("the token does not tell")).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.starts_with("unknown ")), "{}", done.stdout);
    watched.deploys(&["prod"], 0);
    // As long as another project's draft is seen, so would be the catalog's.
    let hint = "if there is a draft, this token may not see it";
    let done = watched.run(&["prod", "-n"], 3);
    assert!(!done.stdout.replace('\n', " ").contains(hint), "{}", done.stdout);
    watched.publishes_all();
    let done = watched.run(&["prod", "-n"], 3);
    let words = done.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(hint), "{words}");
}
