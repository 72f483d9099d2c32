//! `kill -9` at the worst moments: the next process finds out before it does anything.

use nix::sys::signal::Signal;

use super::{Live, NEW, PUBLISH, PULL, REVIEW, nothing_held, resumed, run, slow_stage};
use crate::deploy::approved;
use crate::support::slow::SlowApply;
use crate::support::{Stage, until};

/// The flag is true and DAGs are paused; the recipe waits, alone.
fn killed_in_the_apply() -> (Stage, SlowApply) {
    let (stage, slow) = slow_stage();
    let live = Live::start(&stage, &approved(&[]));
    slow.begun();
    live.killed();
    (stage, slow)
}

#[test]
fn resume_waits_for_an_orphaned_apply_and_never_starts_a_second() {
    let (stage, slow) = killed_in_the_apply();
    let run = &run(&stage);
    assert_eq!(stage.attribute("running_dags_cleared"), "true");
    assert!(stage.locked());

    let status = stage.run(&["status"]);
    assert_eq!(status.code, 0, "{}", status.stderr);
    for words in [
        "running_dags_cleared",
        "image_data_refresh",
        "audio_data_refresh",
        "in doubt: apply",
        "not at work, but its apply is",
        "the apply of this run has not been settled",
        &format!("catalog-deploy resume {run}"),
        &format!("catalog-deploy restore {run}"),
    ] {
        assert!(status.stdout.contains(words), "no {words:?} in\n{}", status.stdout);
    }
    assert!(!status.stdout.contains("not deployed"), "{}", status.stdout);
    let refused = stage.run(&["prod"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);

    let live = Live::start(&stage, &resumed(run));
    live.says("the apply that an earlier process of this run started");
    let busy = stage.run(&["restore", run]);
    assert_eq!(busy.code, 3, "{}", busy.stderr);
    assert!(busy.stderr.contains("at work in another process"), "{}", busy.stderr);
    slow.go();
    let done = live.ended();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!((slow.count("begun"), slow.count("applies")), (1, 1));
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(NEW));
    nothing_held(&stage);
    assert_eq!(stage.mutations().iter().filter(|it| [PUBLISH, REVIEW, PULL].contains(&it.as_str())).count(), 3);
}

#[test]
fn restore_waits_for_an_orphaned_apply_and_gives_back() {
    let (stage, slow) = killed_in_the_apply();
    let live = Live::start(&stage, &["restore"]);
    live.says("the apply that an earlier process of this run started");
    live.signal(Signal::SIGINT);
    let stopped = live.ended();
    assert_eq!(stopped.code, 130, "{}", stopped.stderr);
    assert!(stopped.stderr.contains("Terraform is still at work"), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("next: when it has ended: catalog-deploy restore"), "{}", stopped.stderr);
    assert!(stage.world.paused_dags().contains(&"image_data_refresh".to_owned()), "not while an apply is under way");
    assert_eq!(stage.attribute("running_dags_cleared"), "true", "nor the flag");
    assert!(stage.locked());
    let live = Live::start(&stage, &["restore"]);
    live.says("the apply that an earlier process of this run started");
    slow.go();
    let done = live.ended();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let told = stage.run(&["show", &run(&stage)]).stdout;
    assert!(!told.contains("not finished") && told.contains("(apply): ✔ done"), "{told}");
    let stays = format!("{NEW} is deployed; its version stays in the checkout until its pull request is opened");
    assert!(done.stderr.contains(&stays), "{}", done.stderr);
    nothing_held(&stage);
    assert_eq!(slow.count("applies"), 1);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(NEW));
    assert_eq!(stage.run(&["resume"]).code, 3);
}

/// She sees the deploy die, and wants this refresh to stay where it is.
#[test]
fn a_dag_that_a_colleague_pauses_over_ours_stays_paused() {
    let (stage, slow) = killed_in_the_apply();
    stage.world.set_paused("audio_data_refresh", true);
    slow.go();
    let done = stage.run(&resumed(&run(&stage)));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("audio_data_refresh was paused by colleague at "), "{}", done.stderr);
    assert!(done.stderr.contains("it stays theirs"), "{}", done.stderr);
    let paused = stage.world.paused_dags();
    assert!(paused.contains(&"audio_data_refresh".to_owned()), "{paused:?}");
    assert!(!paused.contains(&"image_data_refresh".to_owned()), "{paused:?}");
}

#[test]
fn a_publish_whose_process_died_is_adopted() {
    let stage = Stage::with(|options| options.answer_delay = std::time::Duration::from_millis(40));
    let mut child = stage.start(&approved(&[]));
    until("the release is published", || stage.world.drafts().is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    let done = stage.run(&resumed(&run(&stage)));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(stage.mutations(), [PUBLISH, REVIEW, PULL]);
    nothing_held(&stage);
}
