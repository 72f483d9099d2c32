//! Waits have deadlines and end at a signal; no further change is begun after one.

use super::stage::{Does, Shared, carry_out, part};

#[tokio::test]
async fn a_wait_ends_at_its_deadline_resumable_or_refused() {
    for (refuse_after, exit, reason) in [(false, 8, "still-waiting"), (true, 3, "refused")] {
        let shared = Shared::new();
        let ended = carry_out(&shared, vec![part(&shared, "slow").waits(1800, refuse_after)]).await;
        assert_eq!((ended.outcome.exit, ended.outcome.reason), (exit, reason));
        assert!(ended.outcome.message.contains("the ferry"), "{}", ended.outcome.message);
        assert!(ended.outcome.next.contains(&"take the bridge".to_owned()), "{:?}", ended.outcome.next);
        let took = shared.clock.elapsed();
        assert!((1800..1811).contains(&took), "{took}");
        assert_eq!(shared.lock.holder(), None);
    }
}

#[tokio::test]
async fn a_signal_ends_a_wait_at_once_and_gives_back() {
    for (signal, exit) in [(1, 129), (2, 130), (15, 143)] {
        let shared = Shared::new();
        shared.clock.alarm(34, signal);
        let parts = vec![part(&shared, "one").takes(), part(&shared, "slow").waits(1800, false)];
        let ended = carry_out(&shared, parts).await;
        assert_eq!((ended.outcome.exit, ended.outcome.reason), (exit, "interrupted"));
        assert_eq!(ended.outcome.next[0], "catalog-deploy resume run-1");
        assert_eq!(shared.clock.elapsed(), 34);
        assert_eq!(shared.log(), ["do one", "give one back"]);
        assert_eq!(shared.lock.holder(), None);
    }
}

#[tokio::test]
async fn nothing_new_is_begun_after_a_signal() {
    let shared = Shared::new();
    shared.stop.raise(2);
    let ended = carry_out(&shared, vec![part(&shared, "one")]).await;
    assert_eq!(ended.outcome.exit, 130);
    assert!(shared.log().is_empty(), "{:?}", shared.log());
}

#[tokio::test]
async fn what_could_not_be_given_back_outranks_the_signal() {
    let shared = Shared::new();
    let mut dead = part(&shared, "dead").takes();
    dead.unreachable = u32::MAX.into();
    shared.clock.alarm(5, 2);
    shared.clock.alarm(10, 2);
    let ended = carry_out(&shared, vec![dead, part(&shared, "slow").waits(1800, false)]).await;
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (9, "not-given-back"));
    assert_eq!(shared.clock.elapsed(), 10, "the second signal ends the patience");
}

#[tokio::test]
async fn a_refused_change_does_not_count_as_one() {
    let shared = Shared::new();
    let ended = carry_out(&shared, vec![part(&shared, "one").does(&[Does::Refused])]).await;
    assert!(!ended.state.changed());
    assert_eq!(ended.outcome.exit, 3, "{:?}", ended.outcome);
}

/// The laptop sleeps between the question who holds the lock and its answer; somebody breaks the lock and deploys.
#[tokio::test]
async fn an_answer_about_the_lock_is_as_old_as_its_question() {
    let shared = Shared::new();
    let clock = shared.clock.clone();
    shared.lock.nap(move || clock.passes(20));
    let (clock, lock) = (shared.clock.clone(), shared.lock.clone());
    shared.lock.nap(move || {
        clock.passes(60);
        lock.set(Some("run-of-grace"));
    });
    let ended = carry_out(&shared, vec![part(&shared, "one")]).await;
    assert_eq!(shared.log(), [""; 0]);
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (6, "locked"), "{:?}", ended.outcome);
    assert_eq!(shared.lock.holder().as_deref(), Some("run-of-grace"));
}
