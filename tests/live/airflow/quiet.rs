//! While nothing runs, and while one refresh waits on its sensor.

use catalog_deploy::adapters::Cause;
use catalog_deploy::adapters::airflow::{AirflowRead, AirflowWrite};
use catalog_deploy::facts::{AppliedFact, Fact, ImageFact};
use catalog_deploy::step::{Decision, Settled};
use catalog_deploy::steps::baseline::Baseline;
use catalog_deploy::steps::dags_clear::DagsClear;
use catalog_deploy::steps::dags_hold::DagsHold;
use catalog_deploy::steps::give_back::GiveBack;
use catalog_deploy::steps::post_checks::PostChecks;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

use super::Cases;
use super::bench::{Bench, paused_by_us, told};
use super::front::{Front, Manner};
use super::server::{Airflow, PASSWORD, Version};

const MINUTE: Duration = Duration::from_secs(60);

pub async fn cases(airflow: &Airflow, cases: &mut Cases) {
    let client = airflow.client("admin");
    assert_eq!(client.version().await.unwrap(), airflow.version.number());
    cases.passed("the version, told by asking both APIs");

    let health = client.health().await.unwrap();
    let now = health.server_time.expect("a Date header");
    for part in ["metadatabase", "scheduler", "triggerer"] {
        assert_eq!(health.components[part].status.as_deref(), Some("healthy"), "{part}");
    }
    for part in ["scheduler", "triggerer"] {
        let beat = health.components[part].heartbeat.expect("a heartbeat");
        let age = now.duration_since(beat);
        assert!(age < SignedDuration::from_secs(60) && age > SignedDuration::from_secs(-5), "{part}: {age}");
    }
    let processor = &health.components["dag_processor"];
    match airflow.version {
        Version::Two => assert_eq!((&processor.status, processor.heartbeat), (&None, None), "not deployed"),
        Version::Three => assert!(processor.status.is_some() && processor.heartbeat.is_some()),
    }
    cases.passed("health: heartbeats on the server's own clock, null where a part is not deployed");

    let errors = client.import_errors().await.unwrap();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].filename.ends_with("cannot_be_imported.py"), "{}", errors[0].filename);
    assert_eq!(errors[0].summary, "NameError: name 'no_such_name' is not defined");
    cases.passed("an import error, by its file and its last line");

    assert!(!client.dag("image_data_refresh").await.unwrap().is_paused);
    assert!(client.dag("paused_refresh").await.unwrap().is_paused);
    for unknown in ["no_such_dag", "image_data_refresh/../x", "a+b:c d"] {
        let error = client.dag(unknown).await.unwrap_err();
        assert!(error.not_found(), "{unknown}: {error}");
    }
    cases.passed("a DAG that exists, one that does not, ids that need encoding");

    let activity = client.activity().await.unwrap();
    assert_eq!((activity.runs.len(), activity.tasks.len()), (0, 0));
    let bench = Bench::new(client);
    let finding = bench.observe(&DagsClear::new()).await.unwrap();
    assert_eq!(finding.decision, Decision::Satisfied);
    assert_eq!(finding.learned, [Fact::DagsCleared(vec![])]);
    assert_eq!(told(&finding), "no DAG is running\n");
    cases.passed("nothing runs, and the known DAG proves that it would be seen");

    pausing(airflow, cases).await;
    whose_pause(airflow, cases).await;
    health_of_a_deploy(airflow, cases).await;
    login_page(airflow, cases).await;
}

async fn pausing(airflow: &Airflow, cases: &mut Cases) {
    let client = airflow.client("admin");
    for paused in [true, true, false, false] {
        let said = client.set_paused("long_task", paused).await.unwrap();
        assert_eq!((said.dag_id.as_str(), said.is_paused), ("long_task", paused));
        assert_eq!(client.dag("long_task").await.unwrap().is_paused, paused, "read again");
    }
    cases.passed("pausing sets a value: the same twice, and read again after each");
    let error = client.set_paused("no_such_dag", true).await.unwrap_err();
    assert!(error.not_found() && error.surely_refused(), "{error}");
    let error = airflow.client("viewer").set_paused("long_task", true).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Forbidden(_)) && error.surely_refused(), "{error}");
    assert!(!client.dag("long_task").await.unwrap().is_paused);
    cases.passed("pausing what is not there, or with an account that may only read");
}

/// The audit log tells whose a pause is.
async fn whose_pause(airflow: &Airflow, cases: &mut Cases) {
    const DAG: &str = "outside_the_exception";
    let client = airflow.client("admin");
    assert_eq!(client.pause_log(DAG).await.unwrap(), []);
    let begun = Timestamp::now();
    let mut bench = Bench::new(airflow.client("admin"));
    bench.held = vec![paused_by_us(DAG)];
    for paused in [true, false, true] {
        client.set_paused(DAG, paused).await.unwrap();
        let last = client.pause_log(DAG).await.unwrap().remove(0);
        assert_eq!((last.paused, last.by.as_str(), last.ours), (paused, "admin", Some(true)));
        assert!(last.at.duration_since(begun).abs() < SignedDuration::from_secs(60), "{last:?}");
    }
    assert_eq!(bench.settle(&DagsHold::new()).await.unwrap(), Settled::TookEffect(vec![]));
    cases.passed("a pause of ours, by the audit log");

    airflow.command(&["dags", "pause", DAG]);
    let log = client.pause_log(DAG).await.unwrap();
    let ours: Vec<_> = log.iter().map(|entry| (entry.paused, entry.ours == Some(true))).collect();
    assert_eq!(ours, [(true, false), (true, true), (false, true), (true, true)], "{log:?}");
    assert!(matches!(bench.settle(&DagsHold::new()).await.unwrap(), Settled::NotOurs(_)));
    cases.passed("somebody else's pause, by the audit log");

    let error = airflow.client("nobody").pause_log(DAG).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Forbidden(_)), "{error}");
    // In 2.x it may not read the log either; in 3.x the log has no pause of its own.
    let mut viewer = Bench::new(airflow.client("viewer"));
    viewer.held = bench.held;
    let unread = viewer.settle(&DagsHold::new()).await.unwrap();
    assert!(matches!(unread, Settled::OursOrTheirs(_)), "{unread:?}");
    cases.passed("an account whose log has no pause of ours takes none for its own");
    client.set_paused(DAG, false).await.unwrap();
}

/// Baseline, heartbeat and post-checks over the real health.
async fn health_of_a_deploy(airflow: &Airflow, cases: &mut Cases) {
    let mut bench = Bench::new(airflow.client("admin"));
    let finding = bench.observe(&Baseline::new()).await.unwrap();
    let text = format!("Airflow {} runs; DAG files that cannot be imported: 1\n", airflow.version.number());
    assert_eq!(told(&finding), text);
    finding.learned.into_iter().for_each(|fact| bench.facts.learn(fact));
    cases.passed("a baseline");

    // Whatever beats now is older than an apply that ends in an hour, and newer than one that ended an hour ago.
    let applied = |hours| {
        let ended_at = Timestamp::now() + SignedDuration::from_hours(hours);
        Fact::Applied(AppliedFact { ended_at, airflow_clock_skew_ms: 0, changed: true, unverified: None })
    };
    bench.held = vec![paused_by_us("image_data_refresh")];
    let step = GiveBack::new("hold-dags".into(), true, MINUTE);
    bench.facts.learn(applied(1));
    let finding = bench.observe(&step).await.unwrap();
    assert!(matches!(&finding.decision, Decision::Wait(wait) if wait.on.contains("last beat")), "{finding:?}");
    bench.facts.learn(applied(-1));
    let finding = bench.observe(&step).await.unwrap();
    assert!(matches!(finding.decision, Decision::Change(_)), "{finding:?}");
    cases.passed("DAGs are given back after a heartbeat that is newer than the apply, and not before");

    let image = |version: &str| {
        let airflow_version = Some(version.to_owned());
        Fact::Image(ImageFact { tag: "rel-1".into(), digest: "sha256:1".into(), airflow_version })
    };
    bench.facts.learn(image("9.9.9"));
    let finding = bench.observe(&PostChecks::new(MINUTE, Duration::ZERO)).await.unwrap();
    let still = format!("expected Airflow 9.9.9, but it still answers {}", airflow.version.number());
    assert!(matches!(&finding.decision, Decision::Wait(wait) if wait.on.contains(&still)), "{finding:?}");
    cases.passed("the old instance still answers");

    bench.facts.learn(image(airflow.version.number()));
    let step = PostChecks::new(MINUTE, Duration::ZERO);
    // The DAG processor of 3.x counts as unhealthy for a moment where its machine is busy.
    airflow
        .until("post-checks to pass", async || Some(bench.observe(&step).await.ok()?.decision == Decision::Satisfied))
        .await;
    cases.passed("post-checks: healthy, the known import error is no news");

    if let Some(baseline) = &mut bench.facts.baseline {
        baseline.import_errors = Some(Vec::new());
    }
    let finding = bench.observe(&PostChecks::new(MINUTE, Duration::ZERO)).await.unwrap();
    assert!(matches!(&finding.decision, Decision::Wait(wait) if wait.on.contains("new import errors")), "{finding:?}");
    cases.passed("post-checks: an import error that was not there before");
}

/// A session at the access proxy that ends while we work.
async fn login_page(airflow: &Airflow, cases: &mut Cases) {
    let front = Front::start(&airflow.url).await;
    let client = airflow.client_at(&front.url, "admin", PASSWORD);
    assert_eq!(client.version().await.unwrap(), airflow.version.number());
    assert!(client.activity().await.is_ok());
    front.set(Manner::LoginPage);
    let fresh = airflow.client_at(&front.url, "admin", PASSWORD);
    for client in [&client, &fresh] {
        let errors = [
            client.version().await.map(drop).unwrap_err(),
            client.health().await.map(drop).unwrap_err(),
            client.activity().await.map(drop).unwrap_err(),
            client.dag("image_data_refresh").await.map(drop).unwrap_err(),
            client.import_errors().await.map(drop).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error.cause, Cause::Malformed(_)), "{error}");
            assert!(error.to_string().contains("CF-Access-Client-Id"), "{error}");
        }
    }
    cases.passed("a login page with 200 is never an answer, to no question");
    let error = client.set_paused("long_task", true).await.unwrap_err();
    assert!(!error.surely_refused(), "{error}");
    assert_eq!(front.count(&format!("PATCH {}/dags/long_task", airflow.version.root())), 1);
    cases.passed("a login page in answer to a change leaves it in doubt, and it is not sent again");
    front.set(Manner::Pass);
    assert!(!client.dag("long_task").await.unwrap().is_paused);
    let error = Bench::new(fresh).observe(&DagsClear::new()).await.map(|finding| finding.decision);
    assert_eq!(error.unwrap(), Decision::Satisfied);
    cases.passed("after a new session the same client goes on");
}

pub async fn one_refresh_waits(airflow: &Airflow, cases: &mut Cases) {
    const DAG: &str = "image_data_refresh";
    let client = airflow.client("admin");
    let run = airflow.trigger(DAG).await;
    let waits = async || {
        let activity = client.activity().await.ok()?;
        Some(activity.tasks.iter().any(|task| task.dag_id == DAG && task.state == "up_for_reschedule"))
    };
    airflow.until("the first sensor to wait", waits).await;
    let activity = client.activity().await.unwrap();
    assert_eq!(activity.runs[0].run_id, run, "with its + and :");
    assert!(run.contains('+') && run.contains(':'), "{run}");
    assert_eq!((activity.runs.len(), activity.tasks.len()), (1, 1));
    assert_eq!(activity.tasks[0].run_id, run);
    assert!(activity.runs[0].start_date.is_some());
    cases.passed("a run and its sensor, by the same id");

    let mut bench = Bench::new(airflow.client("admin"));
    let finding = bench.observe(&DagsClear::new()).await.unwrap();
    assert_eq!(finding.decision, Decision::Satisfied);
    let allowed = "image_data_refresh: waits on wait_for_completion (HttpSensor)";
    assert_eq!(finding.learned, [Fact::DagsCleared(vec![allowed.into()])]);
    cases.passed("a refresh that waits on an HttpSensor is allowed");

    let hold = DagsHold::new();
    let Decision::Change(question) = bench.observe(&hold).await.unwrap().decision else { panic!("nothing to pause") };
    assert_eq!(question.summary, ["pause image_data_refresh until the new scheduler beats"]);
    assert!(client.set_paused(DAG, true).await.unwrap().is_paused);
    let finding = bench.observe(&hold).await.unwrap();
    assert_eq!(finding.decision, Decision::Satisfied);
    assert!(told(&finding).contains("is paused by somebody else and stays so"), "{}", told(&finding));
    bench.held = vec![paused_by_us(DAG)];
    assert!(told(&bench.observe(&hold).await.unwrap()).contains("is paused by this run"));
    let activity = client.activity().await.unwrap();
    assert_eq!(activity.runs[0].state, "running", "a paused DAG's run says so for ever");
    assert_eq!(activity.tasks[0].state, "up_for_reschedule");
    assert!(!client.set_paused(DAG, false).await.unwrap().is_paused);
    cases.passed("paused, read again, and whose pause it is; unpaused");
}
