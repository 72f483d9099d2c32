//! Running DAGs, with Airflow 2 and 3: what blocks, what may be paused, and that pauses are always given back.

use catalog_deploy::rehearsal::{AirflowEdition, Fault};

use super::{APPROVE, DEPLOY, OPEN, PUBLISH, Want, deployed, play, published, refused};

pub const FAULTS: [&[Fault]; 2] = [v2::FAULTS, v3::FAULTS];
/// Those that have tests of their own below.
pub const MORE: &[Fault] = &[
    Fault::WaitingRefreshes,
    Fault::AlreadyPausedRefresh,
    Fault::RefreshMovesOn,
    Fault::ShortRunFinishes,
    Fault::DagStartsDuringRelease,
    Fault::DagStartsAfterPlan,
    Fault::DeployFailsWhilePaused,
];

/// Image and audio waited, were paused for the apply and unpaused afterwards.
const HELD: &[&str] = &[
    PUBLISH,
    "pause audio_data_refresh",
    "pause image_data_refresh",
    "unpause image_data_refresh",
    "unpause audio_data_refresh",
    APPROVE,
    OPEN,
];

macro_rules! blocked {
    ($module:ident $edition:ident) => {
        mod $module {
            use super::super::{each, refused};

            each! { $edition:
                provider_dag_running ProviderDagRunning
                    refused(&["flickr_workflow: 1 run", "is running"], &["--override flickr_workflow=\"reason\""]);
                audio_waits_its_turn AudioWaitsItsTurn refused(
                    &["audio_data_refresh: 1 run", "(SingleRunExternalDAGsSensor)", "is not a waiting sensor"],
                    &["--override audio_data_refresh="],
                );
                sensor_outside_exception SensorOutsideException
                    refused(&["staging_database_restore: 1 run"], &["--override staging_database_restore="]);
                sensor_up_for_retry SensorUpForRetry
                    refused(&["(HttpSensor) in state up_for_retry"], &["--override image_data_refresh="]);
                mapped_other_operator MappedOtherOperator
                    refused(&["filtered_index.trigger_index[1] (HttpOperator)"], &["--override image_data_refresh="]);
                run_without_tasks RunWithoutTasks
                    refused(&["is running with no active task"], &["--override image_data_refresh="]);
                run_only_queued RunOnlyQueued
                    refused(&["flickr_workflow: 1 run", "is queued"], &["--override flickr_workflow="]);
                many_runs ManyRuns refused(&["batched_update: 250 runs"], &["--override batched_update="]);
            }
        }
    };
}
blocked!(v2 V2);
blocked!(v3 V3);

macro_rules! both {
    ($($name:ident $function:ident;)*) => {
        mod both {
            use catalog_deploy::rehearsal::AirflowEdition;
            $(mod $name {
                use super::AirflowEdition;
                #[test]
                fn airflow_2() {
                    super::super::$function(AirflowEdition::V2);
                }
                #[test]
                fn airflow_3() {
                    super::super::$function(AirflowEdition::V3);
                }
            })*
        }
    };
}
both! {
    waiting_refreshes waiting;
    already_paused_refresh already_paused;
    refresh_moves_on moves_on;
    blind_and_behind_a_login_page closed;
}

fn waiting(edition: AirflowEdition) {
    let played = play(Fault::WaitingRefreshes, edition, &[]);
    played.ends(&Want {
        changes: HELD,
        ..deployed(&["image_data_refresh: 1 run waiting on data_refresh.wait_for_completion (HttpSensor)"])
    });
}

fn already_paused(edition: AirflowEdition) {
    let played = play(Fault::AlreadyPausedRefresh, edition, &[]);
    assert!(played.stage.world.paused_dags().contains(&"image_data_refresh".to_owned()));
    played.ends(&Want {
        changes: &[PUBLISH, "pause audio_data_refresh", "unpause audio_data_refresh", APPROVE, OPEN],
        ..deployed(&["image_data_refresh is paused by somebody else and stays so"])
    });
}

fn moves_on(edition: AirflowEdition) {
    let played = play(Fault::RefreshMovesOn, edition, &[]);
    played.ends(&Want {
        changes: &[
            PUBLISH,
            "pause audio_data_refresh",
            "pause image_data_refresh",
            "unpause image_data_refresh",
            "unpause audio_data_refresh",
            APPROVE,
            OPEN,
        ],
        ..deployed(&["image_data_refresh moved on although it was paused: it is to be unpaused"])
    });
}

/// An empty list from an account that sees nothing, and a page that is no answer, never pass for "no DAG is running".
fn closed(edition: AirflowEdition) {
    let blind = play(Fault::BlindAccount, edition, &[]);
    assert_eq!((blind.done.code, super::changes(&blind.stage)), (4, vec![]), "{}", blind.done.stderr);
    let page = play(Fault::LoginPage, edition, &[]);
    assert_eq!((page.done.code, super::changes(&page.stage)), (3, vec![]), "{}", page.done.stderr);
    for played in [blind, page] {
        assert!(!played.done.stdout.contains("\"fact\":\"dags-cleared\""), "{}", played.done.stdout);
    }
}

/// The order of a paused DAG's life: nothing is applied before the last pause, nothing unpaused before the apply.
#[test]
fn dags_are_unpaused_only_after_the_new_scheduler_beats() {
    let played = play(Fault::WaitingRefreshes, AirflowEdition::V2, &[]);
    let stdout = &played.done.stdout;
    let at = |part: &str| stdout.find(part).unwrap_or_else(|| panic!("no {part}:\n{stdout}"));
    let paused = at("pause DAG image_data_refresh");
    let applied = at("\"fact\":\"applied\"");
    let unpaused = at("unpause DAG image_data_refresh");
    assert!(paused < applied && applied < unpaused, "{paused} {applied} {unpaused}");
    let unpause = played.stage.world.requests().into_iter().find(|it| super::change(it).starts_with("unpause"));
    let answers = played.stage.world.requests().into_iter().filter(|it| it.service == "airflow" && it.status >= 500);
    let last_boot = answers.map(|it| it.ended_ms).fold(0.0, f64::max);
    assert!(unpause.unwrap().started_ms > last_boot, "unpaused while the new instance was booting");
}

#[test]
fn a_short_run_is_waited_for() {
    let played = play(Fault::ShortRunFinishes, AirflowEdition::V2, &[]);
    played.ends(&deployed(&["waiting for the short run of production_elasticsearch_cluster_healthcheck to finish"]));
}

#[test]
fn an_override_lets_its_dag_pass_and_is_recorded() {
    let option = "flickr_workflow=agreed in #openverse";
    let played = play(Fault::ProviderDagRunning, AirflowEdition::V2, &["--override", option]);
    played.ends(&Want {
        changes: HELD,
        ..deployed(&["flickr_workflow: 1 run", "overridden (agreed in #openverse); its tasks will be killed"])
    });
    let show = played.stage.run(&["show", &played.run()]);
    assert!(show.stdout.contains("flickr_workflow") && show.stdout.contains("agreed in #openverse"), "{}", show.stdout);
}

/// Only its own DAG: everything else still blocks.
#[test]
fn an_override_is_for_one_dag() {
    let option = "image_data_refresh=it may be killed";
    let played = play(Fault::ProviderDagRunning, AirflowEdition::V2, &["--override", option]);
    played.ends(&refused(&["flickr_workflow: 1 run"], &["--override flickr_workflow="]));
}

#[test]
fn wait_lets_running_dags_finish() {
    let stage = crate::support::Stage::new(&[Fault::ProviderDagRunning]);
    let mut arguments = crate::deploy::approved(&["--wait", "30m", "--json"]);
    arguments.push("-v");
    let child = stage.start(&arguments);
    let waited = || stage.world.requests().iter().filter(|it| it.path.contains("dagRuns")).count() > 3;
    crate::support::until("it polls what still runs", waited);
    assert_eq!(super::changes(&stage), [""; 0], "nothing is changed while it waits");
    stage.world.finish_dag_runs("flickr_workflow");
    let done = crate::support::finish(child);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("waiting for flickr_workflow to finish"), "{}", done.stderr);
    assert_eq!(super::changes(&stage), HELD);
}

/// Trap 1: the check at the start was hours ago in deploy time.
#[test]
fn a_dag_that_starts_during_the_release_blocks_until_it_ends() {
    let mut played = play(Fault::DagStartsDuringRelease, AirflowEdition::V2, &[]);
    let want = published(
        "refused-after-change",
        &["no DAG is running", "flickr_workflow: 1 run"],
        &["--override flickr_workflow=", "catalog-deploy resume prod-", "catalog-deploy restore prod-"],
    );
    played.ends(&want);
    // Still running: refused anew, at once, with nothing more changed.
    played.resume(&[]);
    played.ends(&Want { says: &["flickr_workflow: 1 run"], ..want });
    played.stage.world.finish_dag_runs("flickr_workflow");
    played.resume(&[]);
    played.ends(&deployed(&[]));
}

/// Trap 2: unpaused when the deploy fails; paused and unpaused once more by the resume.
#[test]
fn a_deploy_that_fails_while_refreshes_are_paused_goes_on() {
    let mut played = play(Fault::DeployFailsWhilePaused, AirflowEdition::V2, &[]);
    let pauses = &HELD[1..5];
    let first = [&[PUBLISH], pauses].concat();
    played.ends(&Want {
        changes: Box::leak(first.clone().into_boxed_slice()),
        ..published(
            "step-failed",
            &[
                "nothing was applied: a new plan finds everything that was approved",
                "given back: DAG image_data_refresh",
            ],
            &["makes a new plan and asks anew", "catalog-deploy resume prod-", "catalog-deploy restore prod-"],
        )
    });
    played.resume(&[]);
    let both = [first.as_slice(), pauses, &DEPLOY[1..]].concat();
    played.ends(&Want { changes: Box::leak(both.into_boxed_slice()), ..deployed(&[]) });
}

/// Between the plan that was shown and the yes: the flag was set for a world without running DAGs.
#[test]
fn a_dag_that_starts_after_the_plan_was_shown_stops_the_apply() {
    let played = play(Fault::DagStartsAfterPlan, AirflowEdition::V2, &[]);
    played.ends(&published(
        "refused-after-change",
        &["flickr_workflow: 1 run", "given back"],
        &["--override flickr_workflow=\"reason\"", "catalog-deploy resume prod-", "catalog-deploy restore prod-"],
    ));
    let finish = played.finish();
    let message = finish["message"].as_str().unwrap();
    assert_eq!(message.matches("flickr_workflow: 1 run").count(), 1, "said once: {message}");
}
