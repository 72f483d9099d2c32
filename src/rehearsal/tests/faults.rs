//! The faults have their effect where the adapters look: at HTTP, git and processes.

use super::*;

async fn json_of(request: RequestBuilder) -> Value {
    value(request.send().await.unwrap()).await
}

/// Runs and active tasks as the check reads them: `DAG run-state` and `task operator state`.
async fn activity(lab: &Lab) -> (Vec<String>, Vec<String>) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let runs =
        lab.airflow(Method::POST, "/api/v1/dags/~/dagRuns/list").json(&json!({ "states": ["running", "queued"] }));
    let body = json!({ "state": crate::adapters::airflow::ACTIVE_STATES });
    let tasks = lab.airflow(Method::POST, "/api/v1/dags/~/dagRuns/~/taskInstances/list").json(&body);
    let (runs, tasks) = (json_of(runs).await, json_of(tasks).await);
    let runs = runs["dag_runs"].as_array().unwrap().iter();
    let tasks = tasks["task_instances"].as_array().unwrap().iter();
    (
        runs.map(|run| format!("{} {}", text(&run["dag_id"]), text(&run["state"]))).collect(),
        tasks
            .map(|task| format!("{} {} {}", text(&task["dag_id"]), text(&task["operator"]), text(&task["state"])))
            .collect(),
    )
}

#[tokio::test]
async fn activity_faults_show_in_both_listings() {
    let image = "image_data_refresh";
    let cases: [(Fault, &[&str], &[&str]); 5] = [
        (
            Fault::AudioWaitsItsTurn,
            &["image_data_refresh running", "audio_data_refresh running"],
            &[
                "image_data_refresh HttpSensor up_for_reschedule",
                "audio_data_refresh SingleRunExternalDAGsSensor up_for_reschedule",
            ],
        ),
        (Fault::SensorUpForRetry, &["image_data_refresh running"], &["image_data_refresh HttpSensor up_for_retry"]),
        (
            Fault::MappedOtherOperator,
            &["image_data_refresh running"],
            &["image_data_refresh HttpSensor up_for_reschedule", "image_data_refresh HttpOperator running"],
        ),
        (Fault::RunWithoutTasks, &["image_data_refresh running"], &[]),
        (Fault::RunOnlyQueued, &["flickr_workflow queued"], &[]),
    ];
    let lab = Lab::start(&[]).await;
    assert_eq!(activity(&lab).await, (vec![], vec![]));
    for (fault, runs, tasks) in cases {
        // The same seeding as at a world's start, without building a repository each time.
        let options = Options { faults: vec![fault], ..Options::new("/nowhere") };
        lab.world.change(|state| state.airflow = crate::rehearsal::seed::state(&options).airflow);
        let (found_runs, found_tasks) = activity(&lab).await;
        assert_eq!(
            (found_runs, found_tasks),
            (runs.iter().map(|it| (*it).to_owned()).collect(), tasks.iter().map(|it| (*it).to_owned()).collect()),
            "{fault}"
        );
    }
    lab.world.finish_dag_runs(image);
    lab.world.finish_dag_runs("flickr_workflow");
    assert_eq!(activity(&lab).await, (vec![], vec![]));
}

#[tokio::test]
async fn a_refresh_moves_on_after_its_pause_and_a_short_run_ends() {
    let lab = Lab::start(&[Fault::RefreshMovesOn]).await;
    let pause = lab.airflow(Method::PATCH, "/api/v1/dags/image_data_refresh").json(&json!({ "is_paused": true }));
    assert_eq!(json_of(pause).await["is_paused"], true);
    assert!(activity(&lab).await.1.contains(&"image_data_refresh PythonOperator running".to_owned()));
    until("it is done", async || activity(&lab).await.0 == ["audio_data_refresh running"]).await;
}

#[tokio::test]
async fn a_short_run_ends_a_moment_after_it_was_seen() {
    let lab = Lab::start(&[Fault::ShortRunFinishes]).await;
    assert_eq!(activity(&lab).await.0, ["production_elasticsearch_cluster_healthcheck running"]);
    until("it is done", async || activity(&lab).await == (vec![], vec![])).await;
}

#[tokio::test]
async fn a_lost_answer_takes_effect() {
    let lab = Lab::start(&[Fault::PublishAnswerLost]).await;
    let error = lab.publish().await.unwrap_err();
    assert!(!error.is_connect(), "the request was sent: {error:?}");
    assert!(matches!(crate::adapters::http::transport(&error), crate::adapters::Cause::NoAnswer(_)));
    assert!(lab.world.drafts().is_empty());
    assert_eq!(lab.world.requests().last().unwrap().status, 0);
    until("its image is tagged", async || lab.tag_exists("rel-2024.09.30.10.20.30").await).await;
}

#[tokio::test]
async fn the_tagging_workflow_fails_in_its_ways() {
    for (fault, conclusion) in [(Fault::TagMissing, "failure"), (Fault::TagWorkflowCancelled, "cancelled")] {
        let lab = Lab::start(&[fault]).await;
        lab.publish().await.unwrap();
        until("the run ends", async || lab.tag_run().await["conclusion"] == conclusion).await;
        assert!(!lab.tag_exists("rel-2024.09.30.10.20.30").await);
        assert!(lab.world.changelogs().is_empty());
    }
    let lab = Lab::start(&[Fault::TagOnOlderImage, Fault::ReleaseBackToDraft, Fault::ChangelogSeveral]).await;
    lab.publish().await.unwrap();
    until("the run ends", async || lab.tag_run().await["conclusion"] == "success").await;
    assert_eq!(lab.world.drafts().len(), 1, "back to draft");
    let children = async |tag: &str| {
        let path = format!("/v2/wordpress/openverse-catalog/manifests/{tag}");
        value(lab.registry(Method::GET, &path).await).await["manifests"].clone()
    };
    assert_eq!(children("rel-2024.09.30.10.20.30").await, children("rel-2024.08.22.20.53.01").await);
    assert_ne!(children("rel-2024.09.30.10.20.30").await, children("latest").await);
    assert_eq!(lab.world.changelogs().len(), 3);
}

#[tokio::test]
async fn the_draft_is_renamed_after_its_first_reading() {
    let lab = Lab::start(&[Fault::DraftRenamed]).await;
    let first = lab.draft().await;
    let second = json_of(lab.app(Method::GET, &format!("/releases/{}", first["id"]))).await;
    assert_ne!(first["tag_name"], second["tag_name"]);
    assert_ne!(first["body"], second["body"]);
}

#[tokio::test]
async fn reads_hiccup_and_limits_pass() {
    let lab = Lab::start(&[Fault::PollHiccup, Fault::SecondaryLimit]).await;
    let limited = lab.github(Method::GET, "/user").send().await.unwrap();
    assert_eq!((limited.status().as_u16(), limited.headers()["retry-after"].to_str().unwrap()), (403, "1"));
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(lab.github(Method::GET, "/user").send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 502, 200, 200, 200, 200, 200, 200, 200, 200, 502, 200]);
}

#[tokio::test]
async fn a_login_page_and_a_blind_account() {
    let lab = Lab::start(&[Fault::LoginPage]).await;
    let answer = lab.airflow(Method::GET, "/health").send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    let lab = Lab::start(&[Fault::BlindAccount, Fault::ProviderDagRunning]).await;
    let (runs, tasks) = activity(&lab).await;
    assert_eq!((runs.len(), tasks.is_empty()), (0, false), "2.x hides runs from such an account, and not their tasks");
    let known = lab.airflow(Method::GET, "/api/v1/dags/image_data_refresh").send().await.unwrap();
    assert_eq!(known.status(), 403);
}

#[tokio::test]
async fn bump_goes_wrong() {
    for (fault, wrote) in
        [(Fault::BumpWritesLatest, "\"latest\""), (Fault::BumpWritesOlder, "\"rel-2024.08.22.20.53.01\"")]
    {
        let lab = Lab::start(&[fault]).await;
        let (code, said) = lab.run(&["just", "bump", "prod", "catalog-airflow"]);
        assert_eq!(code, 0, "{said}");
        let file = lab.world.infrastructure().join("environments/prod/catalog-airflow.tf");
        assert!(std::fs::read_to_string(file).unwrap().contains(wrote), "{fault}");
    }
    let lab = Lab::start(&[Fault::BumpTouchesOtherModule]).await;
    lab.run(&["just", "bump", "prod", "catalog-airflow", "rel-2024.06.13.17.07.54"]);
    let (_, names) = lab.run(&["git", "diff", "--name-only"]);
    assert_eq!(names, "environments/prod/catalog-airflow.tf\nenvironments/prod/ingestion-server.tf\n");
    let (_, diff) = lab.run(&["git", "diff"]);
    assert_eq!(diff.matches("+  docker_image_tag        = \"rel-2024.06.13.17.07.54\"").count(), 1);
}

#[tokio::test]
async fn an_apply_fails_once_and_then_goes_through() {
    let lab = Lab::start(&[Fault::DeployFailsWhilePaused, Fault::OldInstanceStillAnswers]).await;
    lab.run(&["just", "bump", "prod", "catalog-airflow"]);
    lab.set_flag(true);
    let apply = ["just", "apply", "prod", "catalog-airflow", "-auto-approve"];
    let (code, said) = lab.run(&apply);
    assert_ne!(code, 0, "{said}");
    assert!(said.contains("RequestLimitExceeded"), "{said}");
    let (code, said) = lab.run(&apply);
    assert_eq!(code, 0, "{said}");
    assert_eq!(lab.world.deployed_tag().as_deref(), Some("rel-2024.09.09.23.00.57"));
    assert_eq!(lab.world.airflow_version(), "2.9.3", "the old instance still answers");
}

#[tokio::test]
async fn the_plan_destroys_more_and_issues_appear_afterwards() {
    let lab = Lab::start(&[Fault::PlanDestroysMore, Fault::ImportErrorAppears, Fault::SentryNewIssue]).await;
    let before = lab.world.state();
    lab.run(&["just", "bump", "prod", "catalog-airflow"]);
    lab.set_flag(true);
    let (code, said) = lab.run(&["just", "apply", "prod", "catalog-airflow", "-auto-approve", "-no-color"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("terraform_data.database will be destroyed"), "{said}");
    lab.world.airflow_version();
    let after = lab.world.state();
    assert_eq!(after.issues.len(), before.issues.len() + 1);
    assert_eq!(after.airflow.import_errors.len(), before.airflow.import_errors.len() + 1);
}

#[tokio::test]
async fn repository_faults_stand_in_git() {
    let lab = Lab::start(&[Fault::CheckoutBehind, Fault::CheckoutDirty, Fault::LockHeld, Fault::FlagAlreadyTrue]).await;
    let (_, remote) = lab.run(&["git", "ls-remote", "origin", "refs/heads/main"]);
    let (_, head) = lab.run(&["git", "rev-parse", "HEAD"]);
    let remote = remote.split_whitespace().next().unwrap().to_owned();
    assert_ne!(remote, head.trim());
    assert_ne!(lab.run(&["git", "cat-file", "-e", &remote]).0, 0, "the commit is not in this clone");
    assert_eq!(lab.run(&["git", "status", "--porcelain"]).1, " M environments/prod/ingestion-server.tf\n");
    let lock = "refs/catalog-deploy/lock/openverse-catalog-prod";
    assert!(lab.run(&["git", "ls-remote", "origin", lock]).1.contains(lock));
    let message =
        crate::rehearsal::infrastructure::git(lab.world.remote(), &["log", "-1", "--format=%B", lock]).unwrap();
    let record: crate::adapters::lock::LockRecord = serde_json::from_str(message.trim()).unwrap();
    assert_eq!(record.who, "colleague");
    let (_, flag) = lab.run(&["git", "grep", "running_dags_cleared = true", "--", "environments"]);
    assert!(!flag.is_empty());

    let lab = Lab::start(&[Fault::BumpPrOpen]).await;
    let pull = json_of(lab.infra(Method::GET, "/pulls?state=open")).await[0].clone();
    assert_eq!(pull["head"]["ref"], "catalog-deploy/rel-2024.09.09.23.00.57");
    assert_eq!(pull["head"]["sha"].as_str().unwrap().len(), 40);
    assert_eq!(lab.run(&["git", "status", "--porcelain", "--branch"]).1, "## main...origin/main\n");
}

#[tokio::test]
async fn a_clean_world_is_clean() {
    let lab = Lab::start(&[]).await;
    assert_eq!(lab.run(&["git", "status", "--porcelain", "--branch"]).1, "## main...origin/main\n");
    assert_eq!(lab.world.drafts().len(), 1);
    assert_eq!(lab.world.pull_requests(), []);
}
