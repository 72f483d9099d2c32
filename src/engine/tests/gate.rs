//! What lies between a question and the change that it allows: the world may change, and whoever said yes may think again.

use crate::facts::{Check, Override, Subject};

use super::stage::{Does, Shared, carry_out, go_on, part};

#[tokio::test]
async fn what_changed_while_a_person_read_the_question_is_refused() {
    let shared = Shared::new();
    let world = shared.clone();
    shared.yes_after(move || world.spoil("early"));
    let parts = vec![part(&shared, "early").looks_only(), part(&shared, "change").gated()];
    let ended = carry_out(&shared, parts).await;
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (3, "refused"), "{:?}", ended.outcome);
    assert!(ended.outcome.message.contains("early no longer holds"), "{}", ended.outcome.message);
    assert_eq!(shared.log(), ["ask change"], "the yes was given to another world");
    assert_eq!(shared.lock.holder(), None);
}

#[tokio::test]
async fn a_yes_in_an_unchanged_world_lets_the_change_be_made() {
    let shared = Shared::new();
    shared.yes_after(|| {});
    let parts = vec![part(&shared, "early").looks_only(), part(&shared, "change").gated()];
    let ended = carry_out(&shared, parts).await;
    assert_eq!(ended.outcome.exit, 0, "{:?}", ended.outcome);
    assert_eq!(shared.log(), ["ask change", "do change"]);
}

#[tokio::test]
async fn a_ctrl_c_after_the_yes_begins_no_change() {
    let shared = Shared::new();
    shared.yes_after(|| {});
    let change = part(&shared, "change").gated().does(&[Does::Interrupted]);
    let ended = carry_out(&shared, vec![part(&shared, "one").takes(), change]).await;
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (130, "interrupted"), "{:?}", ended.outcome);
    assert_eq!(shared.log(), ["do one", "ask change", "give one back"]);
    assert!(ended.state.in_doubt().is_empty());
}

#[tokio::test]
async fn a_resume_looks_again_at_what_only_looks_before_it_asks() {
    let shared = Shared::new();
    let parts = || vec![part(&shared, "early").looks_only(), part(&shared, "change").gated().applies()];
    let ended = carry_out(&shared, parts()).await;
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (5, "gate-needs-answer"), "{:?}", ended.outcome);
    assert_eq!(shared.log(), ["ask change"]);
    shared.spoil("early");
    shared.yes_after(|| {});
    let ended = go_on(&shared, parts(), ended, false).await;
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (3, "refused"), "{:?}", ended.outcome);
    assert_eq!(shared.log(), ["ask change"], "asked about what is refused anyway");
}

/// An override replaces a missing answer: that the lock is free is one.
#[tokio::test]
async fn a_lock_that_was_taken_away_stops_a_run_that_could_do_without_its_answer() {
    let shared = Shared::new();
    let subject = Subject::Check { check: Check::Lock };
    shared.parameters.lock().unwrap().overrides.push(Override { subject, reason: "it hiccups".into() });
    let (clock, lock) = (shared.clock.clone(), shared.lock.clone());
    shared.yes_after(move || {
        clock.passes(60);
        lock.set(None);
    });
    let ended = carry_out(&shared, vec![part(&shared, "change").gated()]).await;
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (6, "locked"), "{:?}", ended.outcome);
    assert_eq!(shared.log(), ["ask change"]);
}
