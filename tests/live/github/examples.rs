//! The answers that GitHub shows as examples, read by our client: nobody here wrote them.

use catalog_deploy::adapters::github::{GithubRead, GithubWrite, NewPullRequest, RunFilter};
use serde_json::Value;

use super::description::description;
use super::script::{Script, Told, client};

const REPO: &str = "octocat/Hello-World";

/// Answers every request with the nth example of its operation.
async fn example(nth: usize) -> Script {
    Script::start(move |seen, _| {
        let path = seen.target.split('?').next().unwrap();
        let operation = description().operation(&seen.method, path).unwrap();
        let found = [200, 201].into_iter().find_map(|status| {
            let examples = description().examples(operation.value, status);
            Some((status, (*examples.get(nth).or(examples.last())?).clone()))
        });
        let (status, value) = found.unwrap_or_else(|| panic!("no example of {}", operation.template));
        Told::json(status, &value)
    })
    .await
}

#[tokio::test]
async fn every_example_is_understood() {
    for nth in 0..2 {
        let script = example(nth).await;
        let github = client(&script.url);
        assert_eq!(github.viewer().await.unwrap(), "octocat");
        assert!(github.permissions(REPO).await.unwrap().pull);
        assert_eq!(github.releases(REPO).await.unwrap()[0].tag_name, "v1.0.0");
        assert_eq!(github.release(REPO, 1).await.unwrap().name.as_deref(), Some("v1.0.0"));
        let runs = github.workflow_runs(REPO, "ci.yml", &RunFilter::default()).await.unwrap();
        assert_eq!((runs[0].id, &*runs[0].event, &*runs[0].status), (30_433_642, "push", "queued"));
        let commits = github.commits_touching(REPO, "master", "a").await.unwrap();
        assert_eq!(
            (&*commits[0].sha, commits[0].at.to_string().as_str()),
            ("6dcb09b5b57875f334f61aebed695e2e4193db5e", "2011-04-14T16:00:49Z")
        );
        assert!(!github.jobs(REPO, 1).await.unwrap()[0].name.is_empty());
        let open = github.open_pull_requests(REPO).await.unwrap();
        assert_eq!(
            (open[0].number, &*open[0].state, &*open[0].head_ref, &*open[0].author),
            (1347, "open", "new-topic", "octocat")
        );
        assert_eq!(github.pull_requests_of_branch(REPO, "new-topic").await.unwrap().len(), 1);
        assert_eq!(github.pull_requests_of_branch(REPO, "new-topi").await.unwrap().len(), 0);
        assert_eq!(github.pull_request(REPO, 1347).await.unwrap().base_ref, "master");
        let files = github.pull_request_files(REPO, 1347).await.unwrap();
        assert_eq!((&*files[0].filename, files[0].additions), ("file1.txt", 103));
        assert_eq!(github.reviews(REPO, 1347).await.unwrap()[0].state, "APPROVED");
        let checks = github.checks(REPO, "ce587453ced02b1526dfb4cb910479d431683101").await.unwrap();
        let told: Vec<_> = checks.iter().map(|it| (&*it.name, &*it.status, it.conclusion.as_deref())).collect();
        let statuses = [
            ("continuous-integration/jenkins", "completed", Some("success")),
            ("security/brakeman", "completed", Some("success")),
        ];
        assert_eq!(told, [&[("mighty_readme", "completed", Some("neutral"))][..], &statuses].concat());

        assert_eq!(github.publish_release(REPO, 1, "v1.0.0").await.unwrap().id, 1);
        github.approve_pull_request(REPO, 1347, "ecdd80bb57125d7ba9641ffaa4d7d2c19d3f3091", "").await.unwrap();
        let new =
            NewPullRequest { title: "T".into(), body: "B".into(), head: "new-topic".into(), base: "master".into() };
        assert_eq!(github.open_pull_request(REPO, &new).await.unwrap().number, 1347);
    }
}

/// Without an example nothing above would be held against GitHub: it shows one for each of these, a whole object.
#[test]
fn examples_exist_for_all_of_it() {
    for (method, path, status) in [
        ("GET", "/repos/a/b", 200),
        ("GET", "/repos/a/b/releases/1", 200),
        ("POST", "/repos/a/b/pulls", 201),
        ("GET", "/repos/a/b/commits/c/check-runs", 200),
    ] {
        let operation = description().operation(method, path).unwrap();
        let examples = description().examples(operation.value, status);
        assert!(!examples.is_empty(), "no example of {method} {path}");
        assert!(examples.into_iter().all(Value::is_object), "{method} {path}");
    }
}
