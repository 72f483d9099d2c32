//! What is owed goes back in reverse order, the lock last, whatever happened.

use crate::facts::Thing;

use super::stage::{Does, Shared, carry_out, go_on, part};

#[tokio::test]
async fn in_reverse_order_and_the_lock_last() {
    let shared = Shared::new();
    let parts =
        vec![part(&shared, "one").takes(), part(&shared, "two").takes(), part(&shared, "last").does(&[Does::Refused])];
    let ended = carry_out(&shared, parts).await;
    assert_eq!(shared.log(), ["do one", "do two", "do last", "give two back", "give one back"]);
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (1, "step-failed"), "{:?}", ended.outcome);
    assert!(ended.state.held.is_empty());
    assert_eq!(shared.lock.holder(), None);
}

/// A resume may pause a DAG while the flag is held already; it still must not run before Terraform may protect it.
#[tokio::test]
async fn dags_wait_for_the_flag_whichever_was_taken_first() {
    let flag = Thing::Attribute {
        file: "catalog.tf".into(),
        block: Vec::new(),
        attribute: "running_dags_cleared".into(),
        prior: "false".into(),
        ours: "true".into(),
    };
    let shared = Shared::new();
    let parts = vec![
        part(&shared, "early dag").takes(),
        part(&shared, "flag").takes_thing(flag),
        part(&shared, "late dag").takes(),
        part(&shared, "last").does(&[Does::Refused]),
    ];
    let ended = carry_out(&shared, parts).await;
    let back = ["give flag back", "give late dag back", "give early dag back"];
    assert_eq!(shared.log()[4..], back, "{:?}", ended.outcome);
}

#[tokio::test]
async fn on_success_too_and_the_run_is_closed() {
    let shared = Shared::new();
    let ended = carry_out(&shared, vec![part(&shared, "one").takes()]).await;
    assert_eq!(shared.log(), ["do one", "give one back"]);
    assert_eq!(ended.outcome.exit, 0);
    assert!(ended.state.closed.is_some() && !ended.state.open());
    assert_eq!(ended.state.finish.map(|finish| finish.exit), Some(0), "its last words are in the journal");
}

#[tokio::test]
async fn a_panic_is_a_failure_like_any_other_but_what_it_left_is_looked_up() {
    let shared = Shared::new();
    let parts = vec![part(&shared, "one").takes(), part(&shared, "bad").does(&[Does::Panics])];
    let ended = carry_out(&shared, parts).await;
    assert_eq!(ended.outcome.exit, 1);
    assert!(ended.outcome.message.contains("a bug in bad"), "{}", ended.outcome.message);
    assert!(ended.state.in_doubt().is_empty() && ended.state.held.is_empty());
    assert_eq!(shared.lock.holder(), None);
}

#[tokio::test]
async fn what_boots_is_waited_for_before_it_is_called_lost() {
    let shared = Shared::new();
    let mut slow = part(&shared, "slow").takes();
    slow.unreachable = 20.into();
    let ended = carry_out(&shared, vec![slow]).await;
    assert_eq!(ended.outcome.exit, 0, "{:?}", ended.outcome);

    let shared = Shared::new();
    let mut dead = part(&shared, "dead").takes();
    dead.unreachable = u32::MAX.into();
    let ended = carry_out(&shared, vec![part(&shared, "one").takes(), dead]).await;
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (9, "not-given-back"));
    assert!(ended.outcome.message.contains("DAG dead") && ended.outcome.message.contains("booting"));
    assert!(ended.outcome.next.contains(&"catalog-deploy restore run-1".to_owned()), "{:?}", ended.outcome.next);
    let left: Vec<&str> = ended.state.held.iter().map(|held| held.id.as_str()).collect();
    assert_eq!(left, ["lock", "dead"], "the rest is given back, and the lock stays while anything is held");
    assert_eq!(shared.lock.holder().as_deref(), Some("run-1"));
}

/// Its service is down: nothing was taken, so nobody is needed to give it back.
#[tokio::test]
async fn what_was_surely_refused_is_not_held() {
    let shared = Shared::new();
    let mut down = part(&shared, "down").takes().does(&[Does::Refused]);
    down.unreachable = u32::MAX.into();
    let ended = carry_out(&shared, vec![part(&shared, "one").takes(), down]).await;
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (1, "step-failed"), "{:?}", ended.outcome);
    assert!(ended.state.held.is_empty());
    assert_eq!(shared.log(), ["do one", "do down", "give one back"]);
    assert_eq!(shared.lock.holder(), None);
    let ended = go_on(&shared, vec![part(&shared, "one").takes(), part(&shared, "down").takes()], ended, false).await;
    assert_eq!(ended.outcome.exit, 0, "{:?}", ended.outcome);
}

#[tokio::test]
async fn restore_gives_back_what_an_earlier_process_could_not() {
    let shared = Shared::new();
    let mut dead = part(&shared, "dead").takes();
    dead.unreachable = u32::MAX.into();
    let ended = carry_out(&shared, vec![dead]).await;
    assert_eq!(ended.outcome.exit, 9);
    let ended = go_on(&shared, vec![part(&shared, "dead").takes()], ended, true).await;
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (0, "restored"));
    assert_eq!(shared.log(), ["do dead", "give dead back"]);
    assert!(ended.state.held.is_empty() && ended.state.closed.is_some());
    assert_eq!(shared.lock.holder(), None);
}

#[tokio::test]
async fn a_broken_lock_keeps_nobody_from_giving_back_but_somebody_elses_deploy_does() {
    for (holder, exit) in [(None, 0), (Some("run-2"), 9)] {
        let shared = Shared::new();
        let mut dead = part(&shared, "dead").takes();
        dead.unreachable = u32::MAX.into();
        let ended = carry_out(&shared, vec![dead]).await;
        shared.lock.set(holder);
        let ended = go_on(&shared, vec![part(&shared, "dead").takes()], ended, true).await;
        assert_eq!(ended.outcome.exit, exit, "{holder:?}: {:?}", ended.outcome);
        assert_eq!(shared.lock.holder().as_deref(), holder, "never frees another run's lock");
        assert_eq!(ended.state.closed.is_some(), exit == 0);
        if exit == 9 {
            assert!(ended.outcome.message.contains("grace on elsewhere is deploying"), "{}", ended.outcome.message);
        }
    }
}

#[tokio::test]
async fn without_a_journal_nothing_more_is_changed_and_a_person_is_told() {
    let shared = Shared::new();
    let mut one = part(&shared, "one").takes();
    one.refuses_while_in_doubt = true;
    let parts = vec![one, part(&shared, "two").does(&[Does::BreaksJournal]), part(&shared, "three")];
    let ended = carry_out(&shared, parts).await;
    assert_eq!(shared.log(), ["do one"], "neither the change nor the giving back had an intent on disk");
    assert_eq!((ended.outcome.exit, ended.outcome.reason), (9, "not-given-back"));
    assert!(ended.outcome.message.contains("could not write the journal"), "{}", ended.outcome.message);
    assert!(!ended.outcome.message.contains("under way"), "an intent that was never written is no doubt");
    assert!(ended.outcome.next.iter().any(|next| next.contains("free disk space")), "{:?}", ended.outcome.next);
    // What the disk says is what is true: one is held, and two was never begun.
    assert!(ended.state.in_doubt().is_empty());
    assert!(ended.state.held.iter().any(|held| held.id == "one"));
    let parts = || vec![part(&shared, "one").takes(), part(&shared, "two"), part(&shared, "three")];
    let ended = go_on(&shared, parts(), ended, false).await;
    assert_eq!(ended.outcome.exit, 0, "{:?}", ended.outcome);
    assert_eq!(shared.log(), ["do one", "do two", "do three", "give one back"]);
}
