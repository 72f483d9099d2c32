use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::adapters::airflow::{Activity, DagRun, Health, ImportError, PauseEntry, Result as Answer, TaskInstance};
use crate::facts::{Override, Subject};

/// Answers its readings in order (the last one for ever); `paused` says what is paused.
struct Fake {
    readings: Vec<Activity>,
    asked: AtomicUsize,
    paused: Vec<&'static str>,
}

#[async_trait]
impl AirflowRead for Fake {
    async fn version(&self) -> Answer<String> {
        Ok("2.10.5".into())
    }
    async fn health(&self) -> Answer<Health> {
        Ok(Health { components: BTreeMap::new(), server_time: None })
    }
    async fn activity(&self) -> Answer<Activity> {
        let at = self.asked.fetch_add(1, Ordering::SeqCst).min(self.readings.len() - 1);
        Ok(self.readings[at].clone())
    }
    async fn dag(&self, dag_id: &str) -> Answer<Dag> {
        Ok(Dag { dag_id: dag_id.into(), is_paused: self.paused.contains(&dag_id) })
    }
    async fn pause_log(&self, _: &str) -> Answer<Vec<PauseEntry>> {
        Ok(Vec::new())
    }
    async fn import_errors(&self) -> Answer<Vec<ImportError>> {
        Ok(Vec::new())
    }
}

fn service() -> AirflowService {
    serde_json::from_value(serde_json::json!({
        "url": "http://127.0.0.1",
        "known_dag": ["image_data_refresh"],
        "refresh_dags": ["image_data_refresh", "audio_data_refresh"],
        "waiting_operators": ["HttpSensor"],
    }))
    .expect("service")
}

/// Runs of these DAGs, each with one task of this operator.
fn activity(dags: &[(&str, &str)]) -> Activity {
    let run = |dag: &str| DagRun { dag_id: dag.into(), run_id: "r".into(), state: "running".into(), start_date: None };
    let task = |dag: &str, operator: &str| TaskInstance {
        dag_id: dag.into(),
        run_id: "r".into(),
        task_id: "t".into(),
        map_index: -1,
        state: "up_for_reschedule".into(),
        operator: Some(operator.into()),
    };
    Activity {
        runs: dags.iter().map(|(dag, _)| run(dag)).collect(),
        tasks: dags.iter().map(|(dag, operator)| task(dag, operator)).collect(),
    }
}

fn waits() -> Activity {
    activity(&[("image_data_refresh", "HttpSensor")])
}

fn works() -> Activity {
    activity(&[("image_data_refresh", "PythonOperator")])
}

async fn decided(
    readings: Vec<Activity>,
    paused: &[&'static str],
    ours: &[&str],
    moved_on: &[&str],
) -> (Decision, usize) {
    let fake = Fake { readings, asked: AtomicUsize::new(0), paused: paused.to_vec() };
    let parameters = Parameters::default();
    let seen = see(&fake, &service(), &parameters).await.expect("seen");
    let moved_on = moved_on.iter().map(|dag| (*dag).to_owned()).collect();
    let decision = decide("hold-dags", &seen, ours, &moved_on, &service(), &parameters);
    (decision, fake.asked.load(Ordering::SeqCst))
}

#[tokio::test]
async fn nothing_runs_and_nothing_is_paused() {
    let (decision, asked) = decided(vec![Activity::default()], &[], &[], &[]).await;
    assert_eq!((decision, asked), (Decision::Satisfied, 1));
}

#[tokio::test]
async fn a_waiting_refresh_is_to_be_paused_and_the_digest_names_the_dags() {
    let (decision, _) = decided(vec![waits()], &[], &[], &[]).await;
    let Decision::Change(question) = decision else { panic!("{decision:?}") };
    assert_eq!(question.summary, ["pause image_data_refresh until the new scheduler beats"]);
    // printf image_data_refresh | sha256sum
    assert_eq!(question.digest, "eb596653676089b59edcaafb235dc203c8c5d7f6d2c4bc8645470fccb0f1a150");
    assert!(question.expected);
}

#[tokio::test]
async fn paused_counts_only_with_a_reading_after_the_pause() {
    let (decision, asked) =
        decided(vec![waits(), waits()], &["image_data_refresh"], &["image_data_refresh"], &[]).await;
    assert_eq!((decision, asked), (Decision::Satisfied, 2));
    let readings = vec![waits(), works()];
    let (decision, _) = decided(readings, &["image_data_refresh"], &["image_data_refresh"], &[]).await;
    let Decision::Change(question) = decision else { panic!("{decision:?}") };
    assert_eq!(question.summary, ["unpause image_data_refresh: it moved on and no longer waits"]);
}

#[tokio::test]
async fn one_that_others_paused_is_never_unpaused() {
    let (decision, _) = decided(vec![works()], &["image_data_refresh"], &[], &[]).await;
    assert!(matches!(decision, Decision::Blocked(_)), "{decision:?}");
    let (decision, _) = decided(vec![waits()], &["image_data_refresh"], &[], &[]).await;
    assert_eq!(decision, Decision::Satisfied);
}

#[tokio::test]
async fn one_that_moved_on_is_waited_for_but_not_another() {
    let (decision, _) = decided(vec![works()], &[], &[], &["image_data_refresh"]).await;
    let Decision::Wait(wait) = decision else { panic!("{decision:?}") };
    assert!(wait.refuse_after);
    let both = activity(&[("image_data_refresh", "PythonOperator"), ("flickr_workflow", "PythonOperator")]);
    let (decision, _) = decided(vec![both], &[], &[], &["image_data_refresh"]).await;
    assert!(matches!(decision, Decision::Blocked(_)), "{decision:?}");
}

#[tokio::test]
async fn a_provider_dag_beside_a_waiting_refresh_blocks_before_anything_is_paused() {
    let both = activity(&[("image_data_refresh", "HttpSensor"), ("flickr_workflow", "PythonOperator")]);
    let (decision, _) = decided(vec![both.clone()], &[], &[], &[]).await;
    assert!(matches!(decision, Decision::Blocked(_)), "{decision:?}");
    let fake = Fake { readings: vec![both], asked: AtomicUsize::new(0), paused: vec![] };
    let overrides =
        vec![Override { subject: Subject::Dag { dag: "flickr_workflow".into() }, reason: "its owner agreed".into() }];
    let parameters = Parameters { overrides, ..Parameters::default() };
    let seen = see(&fake, &service(), &parameters).await.expect("seen");
    let decision = decide("hold-dags", &seen, &[], &BTreeSet::new(), &service(), &parameters);
    assert!(matches!(decision, Decision::Change(_)), "{decision:?}");
}

#[test]
fn dags_stay_paused_while_another_step_is_in_doubt() {
    let held = Held {
        id: "hold-dags/x".into(),
        step: "hold-dags".into(),
        thing: Thing::PausedDag { dag: "x".into() },
        place: Place::World,
    };
    assert_eq!(unsettled(&["hold-dags".into()], &held), None);
    assert_eq!(unsettled(&["hold-dags".into(), "apply".into()], &held), Some(&"apply".to_owned()));
}
