use std::sync::Arc;

use super::*;
use crate::adapters::checkout::fixture::Fixture;

fn record(who: &str) -> LockRecord {
    let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    LockRecord {
        run: format!("run-{who}"),
        runbook: "prod".into(),
        who: who.into(),
        host: "laptop".into(),
        step: Some("apply".into()),
        taken_at: now,
        heartbeat_at: now,
        nonce: nonce().unwrap(),
    }
}

fn lock(fixture: &Fixture) -> GitRefLock {
    GitRefLock::new(fixture.options(), Some("catalog-prod".into()))
}

#[tokio::test]
async fn taken_read_by_another_and_freed_with_no_ref_or_file_changed() {
    let fixture = Fixture::new();
    let (ours, theirs) = (lock(&fixture), lock(&fixture));
    let looked = || fixture.hash().into_iter().filter(|line| !line.contains("/.git/objects")).collect::<Vec<_>>();
    let (before, all) = (looked(), fixture.hash());
    assert_eq!(ours.holder().await.unwrap(), None);
    assert_eq!(fixture.hash(), all);
    let mine = record("ada");
    let Taken::Ours(state) = ours.take(&mine).await.unwrap() else { panic!("it was free") };
    let all = fixture.hash();
    assert_eq!(theirs.holder().await.unwrap(), Some(state.clone()));
    assert_eq!(fixture.hash(), all);
    assert_eq!(state.record, mine);
    assert_eq!(theirs.take(&record("bob")).await.unwrap(), Taken::Theirs(state.clone()));
    // The same record again is the same lock: an answer was lost.
    assert_eq!(ours.take(&mine).await.unwrap(), Taken::Ours(state.clone()));
    assert!(!theirs.free("0123456789012345678901234567890123456789").await.unwrap());
    assert!(ours.free(&state.commit).await.unwrap());
    assert!(!ours.free(&state.commit).await.unwrap());
    assert_eq!(ours.holder().await.unwrap(), None);
    assert_eq!(looked(), before);
}

#[tokio::test]
async fn somebody_elses_lock_is_not_freed() {
    let fixture = Fixture::new();
    let lock = lock(&fixture);
    let Taken::Ours(first) = lock.take(&record("ada")).await.unwrap() else { panic!("it was free") };
    fixture.git_remote(&["update-ref", "-d", &first.reference]);
    let Taken::Ours(second) = lock.take(&record("bob")).await.unwrap() else { panic!("it was free") };
    assert!(!lock.free(&first.commit).await.unwrap());
    assert_eq!(lock.holder().await.unwrap().unwrap().commit, second.commit);
}

#[tokio::test]
async fn a_garbled_record_is_still_a_holder() {
    let fixture = Fixture::new();
    fixture.git_remote(&["update-ref", "refs/catalog-deploy/lock/catalog-prod", "refs/heads/main"]);
    let state = lock(&fixture).holder().await.unwrap().unwrap();
    assert_eq!((state.record.who.as_str(), state.record.step), ("unknown", None));
    assert!(state.record.taken_at > Timestamp::UNIX_EPOCH);
    assert!(matches!(lock(&fixture).take(&record("ada")).await.unwrap(), Taken::Theirs(_)));
}

#[tokio::test]
async fn a_remote_that_refuses_is_told_and_one_that_is_gone_too() {
    let fixture = Fixture::new();
    fixture.refuse_pushes();
    let error = lock(&fixture).take(&record("ada")).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Forbidden(_)), "{error}");
    fixture.remove_remote();
    let error = lock(&fixture).holder().await.unwrap_err();
    assert!(matches!(error.cause, Cause::NotFound(_)), "{error}");
}

#[test]
fn of_eight_contenders_exactly_one_wins() {
    let fixture = Arc::new(Fixture::new());
    for _ in 0..3 {
        let start = Arc::new(std::sync::Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let (fixture, start) = (fixture.clone(), start.clone());
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    start.wait();
                    runtime.block_on(lock(&fixture).take(&record(&n.to_string()))).unwrap()
                })
            })
            .collect();
        let taken: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let winners: Vec<_> =
            taken.iter().filter_map(|it| if let Taken::Ours(state) = it { Some(state) } else { None }).collect();
        assert_eq!(winners.len(), 1);
        for other in &taken {
            if let Taken::Theirs(state) = other {
                assert_eq!(state, winners[0]);
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert!(runtime.block_on(lock(&fixture).free(&winners[0].commit)).unwrap());
    }
}
