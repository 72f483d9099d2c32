//! A lost answer is looked up, never sent again blindly.

use std::sync::Arc;

use super::stage::{Does, Part, Shared, carry_out, go_on, part};
use crate::event::{Refusal, StepResult};
use crate::journal::status::StepState;
use crate::step::Settled;

#[tokio::test]
async fn in_doubt_then_seen_is_done_once() {
    let shared = Shared::new();
    let ended = carry_out(&shared, vec![part(&shared, "one").does(&[Does::WorksInDoubt])]).await;
    assert_eq!(ended.outcome.exit, 0);
    assert_eq!(shared.log(), ["do one"]);
    assert_eq!(ended.state.steps["one"], StepState::Ended(StepResult::Changed));
}

#[tokio::test]
async fn in_doubt_then_absent_is_done_again() {
    let shared = Shared::new();
    let ended = carry_out(&shared, vec![part(&shared, "one").does(&[Does::LostInDoubt, Does::Works])]).await;
    assert_eq!(ended.outcome.exit, 0);
    assert_eq!(shared.log(), ["do one", "do one"]);
    assert!(ended.state.in_doubt().is_empty());
}

#[tokio::test]
async fn what_somebody_else_did_meanwhile_is_not_given_back() {
    for settles in [None, Some(Settled::NotOurs("grace did it".into()))] {
        let shared = Shared::new();
        let theirs = settles.is_some();
        let one = Part { settles, ..part(&shared, "one").takes().does(&[Does::WorksInDoubt]) };
        let ended = carry_out(&shared, vec![one]).await;
        assert_eq!(ended.outcome.exit, 0);
        let expected: &[&str] = if theirs { &["do one"] } else { &["do one", "give one back"] };
        assert_eq!(shared.log(), expected);
        assert!(ended.state.held.is_empty());
    }
}

/// Ours, theirs, not known, nobody there to ask.
#[tokio::test]
async fn where_it_cannot_be_told_whose_it_is_a_person_says_so() {
    let unknown = || Settled::OursOrTheirs(Refusal { what: "somebody did it".into(), next: "ask around".into() });
    for (chooses, exit, gives_back) in [(Some(0), 0, true), (Some(1), 0, false), (Some(2), 1, true), (None, 1, true)] {
        let shared = Shared::new();
        *shared.chooses.lock().unwrap() = chooses;
        let one = Part { settles: Some(unknown()), ..part(&shared, "one").takes().does(&[Does::WorksInDoubt]) };
        let ended = carry_out(&shared, vec![one]).await;
        assert_eq!(ended.outcome.exit, exit, "{chooses:?}: {:?}", ended.outcome);
        assert_eq!(shared.log().len(), 1 + usize::from(gives_back), "{chooses:?}: {:?}", shared.log());
        // Nothing of it is left once it is restored, whoever did it.
        assert!(ended.state.in_doubt().is_empty(), "{chooses:?}");
        assert_eq!(shared.lock.holder(), None, "{chooses:?}");
    }
}

#[tokio::test]
async fn acting_that_does_not_help_ends() {
    let shared = Shared::new();
    let ended = carry_out(&shared, vec![part(&shared, "one").does(&[Does::Nothing; 20])]).await;
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (1, "step-failed"));
    assert!(ended.outcome.message.contains("still is not as wanted"));
    assert!(shared.log().len() <= 5, "{:?}", shared.log());
}

#[tokio::test]
async fn an_effect_that_never_comes_about_is_told_with_its_last_error() {
    let shared = Shared::new();
    let ended = carry_out(&shared, vec![part(&shared, "one").does(&[Does::LostInDoubt; 20])]).await;
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (1, "step-failed"));
    let message = &ended.outcome.message;
    assert!(message.contains("looked up each time: it took no effect; do one: "), "{message}");
    assert_eq!(shared.log().len(), 5, "{:?}", shared.log());
    assert!(ended.state.in_doubt().is_empty());
}

/// A process that died in the middle of `late`: its journal ends with the intent.
async fn died(shared: &Arc<Shared>, took_effect: bool) -> super::stage::Ended {
    let mut held = part(shared, "held").takes();
    held.refuses_while_in_doubt = true;
    let mut ended = carry_out(shared, vec![held, part(shared, "late").does(&[Does::Panics])]).await;
    // Cut behind the intent of `late`, as `kill -9` would; the world is put back to that moment.
    let path = ended.directory.path().join("journal.ndjson");
    let text = std::fs::read_to_string(&path).unwrap();
    let at = text.lines().position(|line| line.contains(r#""effect":"late/1""#)).unwrap();
    let kept: String = text.lines().take(at + 1).flat_map(|line| [line, "\n"]).collect();
    std::fs::write(&path, kept).unwrap();
    shared.lock.set(Some("run-1"));
    shared.done().push("held".into());
    if took_effect {
        shared.done().push("late".into());
    }
    let events = crate::journal::store::read(ended.directory.path()).unwrap();
    ended.state = crate::journal::status::RunState::replay(&events).unwrap().unwrap();
    assert_eq!(ended.state.in_doubt(), ["late"]);
    ended
}

#[tokio::test]
async fn after_a_kill_resume_finds_out_first() {
    for took_effect in [true, false] {
        let shared = Shared::new();
        let ended = died(&shared, took_effect).await;
        let before = shared.log().len();
        let parts = vec![part(&shared, "held").takes(), part(&shared, "late")];
        let ended = go_on(&shared, parts, ended, false).await;
        assert_eq!(ended.outcome.exit, 0, "{:?}", ended.outcome);
        let expected: &[&str] = if took_effect { &["give held back"] } else { &["do late", "give held back"] };
        assert_eq!(shared.log()[before..], *expected, "took effect: {took_effect}");
    }
}

#[tokio::test]
async fn after_a_kill_restore_finds_out_and_gives_back() {
    for took_effect in [true, false] {
        let shared = Shared::new();
        let ended = died(&shared, took_effect).await;
        let before = shared.log().len();
        let mut held = part(&shared, "held").takes();
        held.refuses_while_in_doubt = true;
        let ended = go_on(&shared, vec![held, part(&shared, "late")], ended, true).await;
        assert_eq!((ended.outcome.exit, ended.outcome.reason), (0, "restored"), "{:?}", ended.outcome);
        assert_eq!(shared.log()[before..], ["give held back"]);
        assert_eq!(shared.lock.holder(), None);
    }
}

#[tokio::test]
async fn what_must_wait_for_a_doubt_is_kept_with_the_lock() {
    let shared = Shared::new();
    let ended = died(&shared, false).await;
    let mut held = part(&shared, "held").takes();
    held.refuses_while_in_doubt = true;
    // The end of `late` cannot be told: it is waited for in vain.
    let ended = go_on(&shared, vec![held, part(&shared, "late").waits(60, false)], ended, true).await;
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (9, "not-given-back"));
    assert!(ended.outcome.message.contains("an apply may still be under way"), "{}", ended.outcome.message);
    assert_eq!(ended.state.in_doubt(), ["late"]);
    assert_eq!(shared.lock.holder().as_deref(), Some("run-1"));
}

/// Not even what could go back at any other time: `held` would not mind the doubt.
#[tokio::test]
async fn nothing_goes_back_under_an_apply_that_is_at_work_and_a_signal_asks_for_nobody() {
    for give_up in [true, false] {
        let shared = Shared::new();
        let ended = died(&shared, false).await;
        let before = shared.log().len();
        shared.clock.alarm(shared.clock.elapsed() + 25, 2);
        let late = Part { applies: true, ..part(&shared, "late").waits(3600, false) };
        let ended = go_on(&shared, vec![part(&shared, "held").takes(), late], ended, give_up).await;
        assert_eq!((ended.outcome.exit, ended.outcome.reason), (130, "interrupted"), "{:?}", ended.outcome);
        assert!(ended.outcome.message.contains("Terraform is still at work"), "{}", ended.outcome.message);
        let next = format!("when it has ended: catalog-deploy {} run-1", if give_up { "restore" } else { "resume" });
        assert_eq!(ended.outcome.next, [next]);
        assert_eq!(shared.log()[before..], [""; 0]);
        assert_eq!(ended.state.held.len(), 2);
        assert!(ended.state.closed.is_none());
        assert_eq!(shared.lock.holder().as_deref(), Some("run-1"));
    }
}

/// Where it is only not known how it ended, what need not wait for that goes back.
#[tokio::test]
async fn what_need_not_wait_for_a_doubt_goes_back() {
    let shared = Shared::new();
    let ended = died(&shared, false).await;
    let before = shared.log().len();
    let parts = vec![part(&shared, "held").takes(), part(&shared, "late").waits(60, false)];
    let ended = go_on(&shared, parts, ended, true).await;
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (9, "not-given-back"));
    assert_eq!(shared.log()[before..], ["give held back"]);
}

/// The run failed, and its process died while it gave back what was held: before or after it wrote down that this ended.
#[tokio::test]
async fn a_return_that_nobody_wrote_down_is_no_reason_to_pass_its_step_over() {
    for written in [1, 2] {
        let shared = Shared::new();
        let late = part(&shared, "late").does(&[Does::Refused]);
        let ended = carry_out(&shared, vec![part(&shared, "held").takes(), late]).await;
        assert_eq!(shared.log(), ["do held", "do late", "give held back"]);
        let path = ended.directory.path().join("journal.ndjson");
        let text = std::fs::read_to_string(&path).unwrap();
        let at = text.lines().position(|line| line.contains(r#""effect":"held/2""#)).unwrap();
        let kept: String = text.lines().take(at + written).flat_map(|line| [line, "\n"]).collect();
        std::fs::write(&path, kept).unwrap();
        let parts = vec![part(&shared, "held").takes(), part(&shared, "late")];
        let ended = go_on(&shared, parts, ended, false).await;
        assert_eq!(ended.outcome.exit, 0, "{:?}", ended.outcome);
        assert_eq!(shared.log()[3..], ["do held", "do late", "give held back"], "{written} lines written");
        assert!(ended.state.held.is_empty() && ended.state.open_effects("held").is_empty());
    }
}
