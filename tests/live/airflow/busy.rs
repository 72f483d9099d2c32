//! While everything runs: all of it is read, and judged alike whichever version said it.

use catalog_deploy::adapters::airflow::{Activity, AirflowRead, AirflowWrite};
use catalog_deploy::facts::{Override, Subject};
use catalog_deploy::step::{Decision, Trouble};
use catalog_deploy::steps::dag_rules::{Reason, Rules, Running, Verdict, judge};
use catalog_deploy::steps::dags_clear::DagsClear;
use catalog_deploy::steps::dags_hold::DagsHold;
use reqwest::Method;

use super::Cases;
use super::bench::{Bench, blocked, paused_by_us};
use super::front::Gate;
use super::server::Airflow;

const HEALTHCHECK: &str = "production_elasticsearch_cluster_healthcheck";
/// One of them runs, the others wait their turn.
const QUEUED: usize = 150;
const MANY: usize = 120;

/// Every active task but those of `many_tasks`: DAG, task, map index, state, operator.
const TASKS: [(&str, &str, i64, &str, &str); 13] = [
    ("audio_data_refresh", "wait_for_completion", -1, "up_for_reschedule", "ExternalTaskSensor"),
    ("batched_update", "work", -1, "running", "BashOperator"),
    ("deferred_refresh", "wait_in_triggerer", -1, "deferred", "HttpSensor"),
    ("image_data_refresh", "wait_for_completion", -1, "up_for_reschedule", "HttpSensor"),
    ("long_task", "work", -1, "running", "BashOperator"),
    ("mapped_refresh", "wait_for_each", 0, "up_for_reschedule", "HttpSensor"),
    ("mapped_refresh", "wait_for_each", 1, "up_for_reschedule", "HttpSensor"),
    ("mapped_refresh", "wait_for_each", 2, "up_for_reschedule", "HttpSensor"),
    ("mixed_refresh", "wait_for_completion", -1, "up_for_reschedule", "HttpSensor"),
    ("mixed_refresh", "work", -1, "running", "BashOperator"),
    ("outside_the_exception", "wait_for_completion", -1, "up_for_reschedule", "HttpSensor"),
    (HEALTHCHECK, "ping", -1, "running", "BashOperator"),
    ("retrying_refresh", "wait_for_completion", -1, "up_for_retry", "HttpSensor"),
];

/// These DAGs alone, and what is said of them: `may` be deployed over, `short` ones are waited for, others block.
const VERDICTS: [(&[&str], &[&str]); 13] = [
    (&["image_data_refresh"], &["may image_data_refresh ×1: wait_for_completion HttpSensor"]),
    (&["mapped_refresh"], &["may mapped_refresh ×1: wait_for_each HttpSensor"]),
    (&["deferred_refresh"], &["may deferred_refresh ×1: wait_in_triggerer HttpSensor"]),
    // By the operator's class: the task has the same name.
    (
        &["image_data_refresh", "audio_data_refresh"],
        &[
            "blocks audio_data_refresh ×1: wait_for_completion ExternalTaskSensor up_for_reschedule",
            "may image_data_refresh ×1: wait_for_completion HttpSensor",
        ],
    ),
    (
        &["image_data_refresh", "long_task"],
        &["blocks long_task ×1: running", "may image_data_refresh ×1: wait_for_completion HttpSensor"],
    ),
    (&["outside_the_exception"], &["blocks outside_the_exception ×1: running"]),
    (&["retrying_refresh"], &["blocks retrying_refresh ×1: wait_for_completion HttpSensor up_for_retry"]),
    (&["mixed_refresh"], &["blocks mixed_refresh ×1: work BashOperator running"]),
    (&["paused_refresh"], &["blocks paused_refresh ×1: nothing active, queued"]),
    (&["batched_update"], &["blocks batched_update ×151: running"]),
    (&["many_tasks"], &["blocks many_tasks ×1: running"]),
    (&[HEALTHCHECK], &["short production_elasticsearch_cluster_healthcheck ×1: running"]),
    (&[], &[]),
];

pub async fn cases(airflow: &Airflow, gate: &Gate, cases: &mut Cases) {
    let client = airflow.client("admin");
    for dag in TASKS.map(|task| task.0).into_iter().chain(["paused_refresh", "many_tasks"]) {
        let activity = client.activity().await.unwrap();
        if dag != "batched_update" && !activity.runs.iter().any(|run| run.dag_id == dag) {
            airflow.trigger(dag).await;
        }
    }
    for _ in 0..=QUEUED {
        airflow.trigger("batched_update").await;
    }
    airflow.until("every task to reach its state", async || settled(airflow).await).await;
    let activity = client.activity().await.unwrap();
    assert_eq!(tasks(&activity), TASKS);
    assert_eq!(activity.tasks.len(), TASKS.len() + MANY);
    cases.passed("every active task: operator, state and map index");

    let many: Vec<_> = activity.tasks.iter().filter(|task| task.dag_id == "many_tasks").collect();
    let mut indices: Vec<i64> = many.iter().map(|task| task.map_index).collect();
    indices.sort_unstable();
    assert_eq!(indices, (0..120).collect::<Vec<_>>());
    assert_eq!(many.iter().filter(|task| task.state == "scheduled").count(), MANY - 1);
    cases.passed("more than a page of task instances, each once");

    let runs = |state: &str| {
        activity.runs.iter().filter(|run| run.dag_id == "batched_update" && run.state == state).collect::<Vec<_>>()
    };
    assert_eq!((runs("running").len(), runs("queued").len()), (1, QUEUED));
    assert!(runs("queued").iter().all(|run| run.start_date.is_none() && run.run_id.contains('+')));
    assert_eq!(activity.runs.len(), 1 + QUEUED + 11);
    for task in &activity.tasks {
        assert!(activity.runs.iter().any(|run| run.dag_id == task.dag_id && run.run_id == task.run_id), "{task:?}");
    }
    cases.passed("150 queued runs over two pages, and every task's run among those listed");

    let mut bench = Bench::new(airflow.client("admin"));
    let rules = Rules::from(&*bench.service());
    for (dags, expected) in VERDICTS {
        assert_eq!(lines(&judge(&only(&activity, dags), &rules, &[])), expected, "{dags:?}");
        cases.passed(&format!("the verdict over {dags:?}"));
    }
    let given =
        [Override { subject: Subject::Dag { dag: "long_task".into() }, reason: "agreed with its owner".into() }];
    let verdict = judge(&only(&activity, &["long_task"]), &rules, &given);
    assert!(verdict.clear());
    assert_eq!(verdict.allowed(), ["long_task: overridden, agreed with its owner"]);
    cases.passed("an override of one DAG");

    let refusals = blocked(bench.observe(&DagsClear::new()).await.unwrap());
    assert_eq!(refusals.len(), 9, "{refusals:#?}");
    assert!(matches!(bench.observe(&DagsHold::new()).await.unwrap().decision, Decision::Blocked(_)));
    cases.passed("the steps refuse, and name every DAG that is in the way");

    moves_on(airflow, gate, cases).await;
}

/// A refresh whose sensor succeeds although it was seen waiting.
async fn moves_on(airflow: &Airflow, gate: &Gate, cases: &mut Cases) {
    const DAG: &str = "moving_refresh";
    let client = airflow.client("admin");
    airflow.trigger(DAG).await;
    let mut bench = Bench::new(airflow.client("admin"));
    let rules = Rules::from(&*bench.service());
    let says = async |expected: &str| -> Option<bool> {
        let activity = client.activity().await.ok()?;
        Some(lines(&judge(&only(&activity, &[DAG]), &rules, &[])) == [expected])
    };
    let waits = "may moving_refresh ×1: wait_for_completion HttpSensor";
    airflow.until("the refresh to wait", async || says(waits).await).await;
    gate.open("moving");
    airflow
        .until("the refresh to move on", async || says("blocks moving_refresh ×1: promote BashOperator running").await)
        .await;
    // Pausing does not stop what runs.
    assert!(client.set_paused(DAG, true).await.unwrap().is_paused);
    assert_eq!(says("blocks moving_refresh ×1: promote BashOperator running").await, Some(true));
    cases.passed("a refresh that moved on blocks, paused or not");

    bench.held = vec![paused_by_us(DAG)];
    let Decision::Change(question) = bench.observe(&DagsHold::new()).await.unwrap().decision else {
        panic!("nothing to give back")
    };
    assert_eq!(question.summary, ["unpause moving_refresh: it moved on and no longer waits"]);
    assert!(!client.set_paused(DAG, false).await.unwrap().is_paused);
    cases.passed("one that we paused and that moved on is to be unpaused");

    bench.service().known_dag = vec!["renamed_since".into()];
    let trouble = bench.observe(&DagsClear::new()).await.unwrap_err();
    assert!(super::bench::credentials(trouble).contains("known_dag"));
    cases.passed("a known DAG that cannot be seen is a refusal of its own");
}

/// Whether every task is where it stays: asked by the test itself, so that what the client does not see is not waited for.
async fn settled(airflow: &Airflow) -> Option<bool> {
    for (state, expected) in
        [("running", 5), ("up_for_reschedule", 7), ("up_for_retry", 1), ("deferred", 1), ("scheduled", MANY - 1)]
    {
        let path = format!("/dags/~/dagRuns/~/taskInstances?state={state}&limit=1");
        if airflow.api(Method::GET, &path, None).await?["total_entries"] != expected {
            return Some(false);
        }
    }
    Some(true)
}

fn tasks(activity: &Activity) -> Vec<(&str, &str, i64, &str, &str)> {
    let listed = activity.tasks.iter().filter(|task| task.dag_id != "many_tasks");
    let mut tasks: Vec<_> = listed
        .map(|it| {
            let operator = it.operator.as_deref().unwrap_or_default();
            (it.dag_id.as_str(), it.task_id.as_str(), it.map_index, it.state.as_str(), operator)
        })
        .collect();
    tasks.sort_unstable();
    tasks
}

/// The reading as it would be if only these DAGs were there.
fn only(activity: &Activity, dags: &[&str]) -> Activity {
    let mut activity = activity.clone();
    activity.runs.retain(|run| dags.contains(&run.dag_id.as_str()));
    activity.tasks.retain(|task| dags.contains(&task.dag_id.as_str()));
    activity
}

fn lines(verdict: &Verdict) -> Vec<String> {
    assert!(verdict.overridden.is_empty() && verdict.warnings.is_empty());
    let running = |word: &str, it: &Running| {
        let why = match &it.reason {
            Reason::Runs { state } => state.clone(),
            Reason::NoActiveTask { state } => format!("nothing active, {state}"),
            Reason::Task { task, operator, state } => {
                format!("{task} {} {state}", operator.as_deref().unwrap_or("of no known operator"))
            }
        };
        format!("{word} {} ×{}: {why}", it.dag, it.runs)
    };
    let blocking = verdict.blocking.iter().map(|it| running("blocks", it));
    let short = verdict.short.iter().map(|it| running("short", it));
    let waiting = verdict.waiting.iter().map(|it| format!("may {} ×{}: {} {}", it.dag, it.runs, it.task, it.operator));
    blocking.chain(short).chain(waiting).collect()
}
