//! A whole deploy, request by request, with the real tools where they are installed.

use super::*;

async fn pull_and_review(lab: &Lab) {
    let version = "rel-2024.09.30.10.20.30";
    let branch = format!("catalog-deploy/{version}");
    for arguments in [
        vec!["git", "checkout", "--quiet", "-b", &branch],
        vec!["git", "commit", "--quiet", "--all", "-m", "Deploy"],
        vec!["git", "push", "--quiet", "origin", &branch],
    ] {
        let (code, said) = lab.run(&arguments);
        assert_eq!(code, 0, "{said}");
    }
    let body = json!({ "title": "Deploy catalog", "body": "", "head": branch, "base": "main" });
    let opened = lab.infra(Method::POST, "/pulls").json(&body).send().await.unwrap();
    assert_eq!(opened.status(), 201);
    let opened = value(opened).await;
    let files =
        value(lab.infra(Method::GET, &format!("/pulls/{}/files", opened["number"])).send().await.unwrap()).await;
    assert_eq!(files.as_array().unwrap().len(), 1);
    assert_eq!(files[0]["filename"], "environments/prod/catalog-airflow.tf");
    assert_eq!((files[0]["additions"].as_u64(), files[0]["deletions"].as_u64()), (Some(1), Some(1)));

    until("the changelog opens", async || !lab.world.changelogs().is_empty()).await;
    let query = "/pulls?state=all&head=WordPress:changelog/catalog-2024.09.30.10.20.30";
    let pulls = value(lab.app(Method::GET, query).send().await.unwrap()).await;
    assert_eq!(pulls.as_array().unwrap().len(), 1);
    let (number, sha) = (&pulls[0]["number"], &pulls[0]["head"]["sha"]);
    let review = json!({ "event": "APPROVE", "commit_id": sha, "body": "" });
    let reviewed = lab.app(Method::POST, &format!("/pulls/{number}/reviews")).json(&review).send().await.unwrap();
    assert_eq!(reviewed.status(), 200);
    let reviews = value(lab.app(Method::GET, &format!("/pulls/{number}/reviews")).send().await.unwrap()).await;
    assert_eq!((&reviews[0]["state"], &reviews[0]["commit_id"]), (&json!("APPROVED"), sha));
}

async fn deploy(lab: &Lab, edition: AirflowEdition) {
    let (version_path, before, after) = match edition {
        AirflowEdition::V2 => ("/api/v1/version", "2.9.3", "2.10.1"),
        AirflowEdition::V3 => ("/api/v2/version", "3.1.0", "3.1.8"),
    };
    let says = async || lab.airflow(Method::GET, version_path).send().await.unwrap();
    assert_eq!(value(says().await).await["version"], before);
    assert_eq!(lab.world.deployed_tag().as_deref(), Some("rel-2024.08.22.20.53.01"));

    let tag = "rel-2024.09.30.10.20.30";
    assert!(!lab.tag_exists(tag).await);
    assert_eq!(lab.publish().await.unwrap().status(), 200);
    until("the image is tagged", async || lab.tag_exists(tag).await).await;
    until("the workflow ends", async || lab.tag_run().await["conclusion"] == "success").await;

    let (code, said) = lab.run(&["just", "bump", "prod", "catalog-airflow"]);
    assert_eq!(code, 0, "{said}");
    let (_, diff) = lab.run(&["git", "diff", "--numstat"]);
    assert_eq!(diff, "1\t1\tenvironments/prod/catalog-airflow.tf\n");
    let plan_file = lab.world.directory().join("plan");
    let plan_file = plan_file.to_str().unwrap();
    let out = format!("-out={plan_file}");
    let (code, said) = lab.run(&["just", "plan", "prod", "catalog-airflow", "-no-color", &out]);
    assert_eq!(code, 1, "the precondition fails while the flag is false: {said}");
    lab.set_flag(true);
    let (code, said) = lab.run(&["just", "plan", "prod", "catalog-airflow", "-no-color", &out]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = lab.run(&["just", "apply", "prod", "catalog-airflow", plan_file]);
    assert_eq!(code, 0, "{said}");
    lab.set_flag(false);
    assert_eq!(lab.world.deployed_tag().as_deref(), Some(tag));
    assert_eq!(says().await.status(), 502, "the new instance boots");
    until("Airflow is back", async || says().await.status() == 200).await;
    assert_eq!(value(says().await).await["version"], after);

    let text = json!({ "text": "deployed" });
    let posted = lab.client.post(lab.setting("slack", "webhook_url")).json(&text).send().await.unwrap();
    assert_eq!(posted.text().await.unwrap(), "ok");
    assert_eq!(lab.world.slack_messages(), ["deployed"]);
    pull_and_review(lab).await;
}

#[tokio::test]
async fn a_whole_deploy_with_airflow_2() {
    let lab = Lab::start(&[]).await;
    deploy(&lab, AirflowEdition::V2).await;
    let requests = lab.world.requests();
    let mutating: Vec<String> = requests
        .iter()
        .filter(|entry| entry.mutates())
        .map(|entry| format!("{} {}", entry.method, entry.service))
        .collect();
    assert_eq!(mutating, ["PATCH github", "POST slack", "POST github", "POST github"]);
    let lines = std::fs::read_to_string(lab.world.directory().join("requests.ndjson")).unwrap();
    assert_eq!(lines.lines().count(), requests.len());
    for (line, entry) in lines.lines().zip(&requests) {
        assert_eq!(&serde_json::from_str::<crate::rehearsal::RequestLogEntry>(line).unwrap(), entry);
        assert!(entry.ended_ms >= entry.started_ms);
    }
    for secret in [("github", "token"), ("airflow", "password"), ("sentry", "token"), ("slack", "webhook_url")] {
        let secret = lab.setting(secret.0, secret.1);
        assert!(!lines.contains(secret.rsplit('/').next().unwrap()));
    }
}

#[tokio::test]
async fn a_whole_deploy_with_airflow_3() {
    let mut lab = Lab::with(AirflowEdition::V3, &[]).await;
    lab.log_in().await;
    deploy(&lab, AirflowEdition::V3).await;
    let logged_in = lab.world.requests().into_iter().find(|entry| entry.path == "/auth/token").unwrap();
    assert!(!logged_in.mutates());
    assert_eq!(logged_in.body.unwrap()["password"], "***");
}

#[tokio::test]
async fn worlds_end_with_their_last_handle() {
    let lab = Lab::start(&[]).await;
    let url = format!("{}/health", lab.setting("airflow", "url"));
    assert!(lab.client.get(&url).send().await.is_ok());
    let Lab { world, .. } = lab;
    let other = world.clone();
    drop(world);
    assert!(reqwest::Client::new().get(&url).send().await.is_ok());
    drop(other);
    until("the port closes", async || reqwest::Client::new().get(&url).send().await.is_err()).await;
}
