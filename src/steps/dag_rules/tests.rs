use super::*;
use crate::adapters::airflow::DagRun;

fn rules() -> Rules {
    Rules {
        refresh_dags: vec!["image_data_refresh".into(), "audio_data_refresh".into()],
        waiting_operators: vec!["HttpSensor".into(), "TemplatedConnectionHttpSensor".into()],
        short_dags: vec!["production_elasticsearch_cluster_healthcheck".into()],
    }
}

fn run(dag: &str, id: &str, state: &str) -> DagRun {
    DagRun { dag_id: dag.into(), run_id: id.into(), state: state.into(), start_date: None }
}

fn task(dag: &str, run: &str, id: &str, map_index: i64, operator: &str, state: &str) -> TaskInstance {
    TaskInstance {
        dag_id: dag.into(),
        run_id: run.into(),
        task_id: id.into(),
        map_index,
        state: state.into(),
        operator: (!operator.is_empty()).then(|| operator.into()),
    }
}

/// One refresh run with these tasks: (operator, state).
fn refresh(tasks: &[(&str, &str)]) -> Activity {
    Activity {
        runs: vec![run("image_data_refresh", "r", "running")],
        tasks: tasks
            .iter()
            .enumerate()
            .map(|(at, (operator, state))| {
                task("image_data_refresh", "r", "wait_for_data_refresh", at as i64, operator, state)
            })
            .collect(),
    }
}

/// Name of the case, tasks of the run (operator, state), whether it waits.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], bool);

fn overriding(dag: &str) -> Vec<Override> {
    vec![Override { subject: Subject::Dag { dag: dag.into() }, reason: "agreed with its owner".into() }]
}

#[test]
fn a_refresh_waits_only_where_every_active_task_is_a_waiting_sensor() {
    let table: &[Case<'_>] = &[
        ("between pokes", &[("HttpSensor", "up_for_reschedule")], true),
        ("during a poke", &[("HttpSensor", "running")], true),
        ("deferred", &[("TemplatedConnectionHttpSensor", "deferred")], true),
        ("two sensors", &[("HttpSensor", "running"), ("HttpSensor", "up_for_reschedule")], true),
        ("retrying", &[("HttpSensor", "up_for_retry")], false),
        ("queued", &[("HttpSensor", "queued")], false),
        ("scheduled", &[("HttpSensor", "scheduled")], false),
        ("restarting", &[("HttpSensor", "restarting")], false),
        ("waits its turn", &[("SingleRunExternalDAGsSensor", "up_for_reschedule")], false),
        ("same name, other sensor", &[("ExternalTaskSensor", "up_for_reschedule")], false),
        ("a mapped index works", &[("HttpSensor", "running"), ("PythonOperator", "running")], false),
        ("operator not known", &[("", "up_for_reschedule")], false),
        ("no active task", &[], false),
    ];
    for (name, tasks, waits) in table {
        let verdict = judge(&refresh(tasks), &rules(), &[]);
        assert_eq!(verdict.waiting.len(), usize::from(*waits), "{name}: {verdict:?}");
        assert_eq!(verdict.clear(), *waits, "{name}: {verdict:?}");
        assert_eq!(verdict.blocks("image_data_refresh"), !waits, "{name}");
    }
}

#[test]
fn one_refresh_waiting_its_turn_blocks_the_other() {
    let mut activity = refresh(&[("HttpSensor", "up_for_reschedule")]);
    activity.runs.push(run("audio_data_refresh", "a", "running"));
    activity.tasks.push(task(
        "audio_data_refresh",
        "a",
        "data_refresh.wait_for_data_refresh",
        -1,
        "SingleRunExternalDAGsSensor",
        "up_for_reschedule",
    ));
    let verdict = judge(&activity, &rules(), &[]);
    assert_eq!(verdict.waiting.len(), 1);
    let refusals = refusals(&verdict);
    assert_eq!(refusals.len(), 1);
    assert_eq!(
        refusals[0].what,
        "audio_data_refresh: 1 run, run a has task data_refresh.wait_for_data_refresh (SingleRunExternalDAGsSensor) in \
         state up_for_reschedule, which is not a waiting sensor"
    );
    assert!(refusals[0].next.contains("--wait 30m"), "{}", refusals[0].next);
    assert!(refusals[0].next.contains("--override audio_data_refresh=\"reason\""), "{}", refusals[0].next);
    assert!(judge(&activity, &rules(), &overriding("audio_data_refresh")).clear());
}

#[test]
fn sensors_outside_the_exception_and_unrelated_dags_block() {
    let mut activity = refresh(&[("HttpSensor", "up_for_reschedule")]);
    activity.runs.push(run("flickr_workflow", "f", "running"));
    activity.tasks.push(task("flickr_workflow", "f", "wait", -1, "HttpSensor", "up_for_reschedule"));
    let verdict = judge(&activity, &rules(), &[]);
    assert_eq!(verdict.blocking.len(), 1);
    assert_eq!(verdict.blocking[0].reason, Reason::Runs { state: "running".into() });
}

#[test]
fn queued_runs_count() {
    let activity = Activity { runs: vec![run("flickr_workflow", "f", "queued")], tasks: vec![] };
    assert!(judge(&activity, &rules(), &[]).blocks("flickr_workflow"));
    let activity = Activity { runs: vec![run("image_data_refresh", "r", "queued")], tasks: vec![] };
    assert!(judge(&activity, &rules(), &[]).blocks("image_data_refresh"));
}

#[test]
fn a_second_run_of_a_waiting_refresh_blocks() {
    let mut activity = refresh(&[("HttpSensor", "up_for_reschedule")]);
    activity.runs.push(run("image_data_refresh", "s", "queued"));
    let verdict = judge(&activity, &rules(), &[]);
    assert!(verdict.waiting.is_empty());
    assert_eq!(verdict.blocking[0].run, "s");
    assert_eq!(verdict.blocking[0].runs, 2);
}

#[test]
fn a_task_of_a_run_that_is_not_listed_counts() {
    let activity =
        Activity { runs: vec![], tasks: vec![task("flickr_workflow", "f", "pull", -1, "PythonOperator", "running")] };
    assert!(judge(&activity, &rules(), &[]).blocks("flickr_workflow"));
}

#[test]
fn short_runs_are_apart_until_they_are_overridden() {
    let dag = "production_elasticsearch_cluster_healthcheck";
    let activity = Activity { runs: vec![run(dag, "h", "running")], tasks: vec![] };
    let verdict = judge(&activity, &rules(), &[]);
    assert_eq!((verdict.short.len(), verdict.blocking.len(), verdict.clear()), (1, 0, false));
    assert!(judge(&activity, &rules(), &overriding(dag)).clear());
}

#[test]
fn an_override_is_recorded_with_its_reason_and_keeps_a_waiting_refresh_paused() {
    let activity = Activity { runs: vec![run("batched_update", "b", "running")], tasks: vec![] };
    let verdict = judge(&activity, &rules(), &overriding("batched_update"));
    assert!(verdict.clear());
    assert_eq!(verdict.allowed(), ["batched_update: overridden, agreed with its owner"]);
    let waiting = judge(&refresh(&[("HttpSensor", "running")]), &rules(), &overriding("image_data_refresh"));
    assert_eq!((waiting.waiting.len(), waiting.overridden.len()), (1, 0));
    assert!(waiting.warnings.is_empty());
}

#[test]
fn an_override_that_hits_nothing_is_told() {
    let activity = Activity { runs: vec![run("batched_update", "b", "running")], tasks: vec![] };
    let near = judge(&activity, &rules(), &overriding("batch_update"));
    assert!(near.blocks("batched_update"));
    assert!(near.warnings[0].contains("did you mean batched_update?"), "{:?}", near.warnings);
    let other = Activity { runs: vec![run("production_audio_data_refresh", "a", "running")], tasks: vec![] };
    let other = judge(&other, &rules(), &overriding("production_image_data_refresh"));
    assert!(!other.warnings[0].contains("did you mean"), "another DAG, not a slip: {:?}", other.warnings);
    let far = judge(&activity, &rules(), &overriding("flickr_workflow"));
    assert!(far.warnings[0].contains("not running"), "{:?}", far.warnings);
}

#[test]
fn thousands_of_runs_stay_readable() {
    let mut activity = Activity::default();
    for at in 0..3_000 {
        activity.runs.push(run("batched_update", &format!("b{at:04}"), "running"));
    }
    for at in 0..500 {
        activity.runs.push(run(&format!("provider_{at:03}_workflow"), "p", "running"));
    }
    let refusals = refusals(&judge(&activity, &rules(), &[]));
    assert_eq!(refusals.len(), 13);
    assert_eq!(refusals[0].what, "batched_update: 3000 runs, e.g. run b0000 is running");
    assert!(refusals[12].what.starts_with("489 more DAGs with 489 runs (provider_011_workflow, "));
    assert!(refusals[12].what.ends_with("and 481 more)"), "{}", refusals[12].what);
}

#[test]
fn versions_are_numbers() {
    use std::cmp::Ordering::{Equal, Greater, Less};
    for (a, b, order) in [
        ("2.10.0", "2.9.3", Greater),
        ("v2.10.1", "2.10.1", Equal),
        ("2.10", "2.10.0", Equal),
        ("2.10.1rc1", "2.10.1", Less),
        ("2.10.1.dev0", "2.10.1", Less),
        ("3.1.8+astro.1", "3.1.8", Equal),
        ("2.2.3", "10.0.0", Less),
    ] {
        assert_eq!(version_order(a, b), Some(order), "{a} {b}");
    }
    assert_eq!(version_order("unknown", "2.9.3"), None);
    assert!(!same_version("unknown", "2.9.3"));
    assert!(same_version("v2.9.3", "2.9.3"));
}
