//! What a preview says is in the way stops the real run; where nothing is, the approved run gets to its end.

use catalog_deploy::rehearsal::Fault;

use crate::deploy::approved;
use crate::support::Stage;

fn tells_the_truth(faults: &[Fault], stopped: bool) {
    let stage = Stage::new(faults);
    let preview = stage.run(&["prod", "-n"]);
    assert_eq!(preview.code != 0, stopped, "{faults:?}: {}", preview.stdout);
    let before = stage.world.deployed_tag();
    let real = stage.run(&approved(&[]));
    if stopped {
        assert_eq!(real.code, preview.code, "{faults:?}: {}\n{}", preview.stdout, real.stderr);
        assert_eq!(stage.mutations(), [] as [&str; 0], "{faults:?}");
        assert_eq!(stage.world.deployed_tag(), before);
    } else {
        assert!(matches!(real.code, 0 | 7), "{faults:?}: {}\n{}", real.code, real.stderr);
        assert_eq!(stage.world.deployed_tag().as_deref(), Some("rel-2024.09.30.10.20.30"));
    }
    assert_eq!(stage.locked(), faults.contains(&Fault::LockHeld), "a colleague's lock stays, ours goes");
    assert_eq!(stage.attribute("running_dags_cleared"), faults.contains(&Fault::FlagAlreadyTrue).to_string());
}

macro_rules! truth {
    ($($name:ident: $fault:ident $stopped:literal;)*) => {
        $(#[test] fn $name() { tells_the_truth(&[Fault::$fault], $stopped); })*
    };
}

truth! {
    lock_held: LockHeld true;
    checkout_behind: CheckoutBehind true;
    checkout_dirty: CheckoutDirty true;
    flag_already_true: FlagAlreadyTrue true;
    provider_dag_running: ProviderDagRunning true;
    run_only_queued: RunOnlyQueued true;
    login_page: LoginPage true;
    blind_account: BlindAccount true;
    two_drafts: TwoDrafts true;
    empty_draft: EmptyDraft true;
    weak_token: WeakToken true;
    latest_is_older: LatestIsOlder true;
    bump_pr_open: BumpPrOpen false;
    waiting_refreshes: WaitingRefreshes false;
    short_run_finishes: ShortRunFinishes false;
    sentry_down: SentryDown false;
    poll_hiccup: PollHiccup false;
}

/// The bump comes after the publication, which a run has made by then: only the preview could tell in time.
#[test]
fn a_bump_that_would_go_wrong_stops_the_run_half_way() {
    let stage = Stage::new(&[Fault::BumpTouchesOtherModule]);
    let preview = stage.run(&["prod", "-n"]);
    assert_eq!(preview.code, 3, "{}", preview.stdout);
    assert!(preview.stdout.contains("environments/prod/ingestion-server.tf"), "{}", preview.stdout);
    let real = stage.run(&approved(&[]));
    assert_eq!(real.code, 1, "{}", real.stderr);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(super::RUNNING));
}

/// More than expected is no refusal, but no plain yes answers it.
#[test]
fn a_plan_that_destroys_more_is_shown_and_needs_its_digest() {
    let stage = Stage::new(&[Fault::PlanDestroysMore]);
    let preview = stage.run(&["prod", "-n"]);
    assert_eq!(preview.code, 0, "{}", preview.stdout);
    assert!(preview.stdout.contains("- warning: NOT EXPECTED"), "{}", preview.stdout);
    let real = stage.run(&approved(&[]));
    assert_eq!(real.code, 5, "{}", real.stderr);
    assert!(real.stderr.contains("--approve apply@"), "{}", real.stderr);
}
