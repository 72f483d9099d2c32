//! Signals to the real process: waits end at once, a change is finished first, and everything held is given back.

use std::time::{Duration, Instant};

use catalog_deploy::rehearsal::Fault;
use nix::sys::signal::Signal;

use super::{Live, NEW, OLD, PUBLISH, PULL, REVIEW, nothing_held, resumed, run, slow_stage};
use crate::deploy::approved;
use crate::support::Stage;

#[test]
fn a_wait_ends_at_once_by_each_signal_and_is_resumed() {
    let stage = Stage::new(&[Fault::ProviderDagRunning]);
    let mut run_id = String::new();
    for (signal, exit) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let arguments = if run_id.is_empty() { approved(&["--wait", "2h"]) } else { resumed(&run_id) };
        let live = Live::start(&stage, &arguments);
        live.says("waiting for");
        let before = Instant::now();
        live.signal(signal);
        let done = live.ended();
        assert_eq!(done.code, exit, "{}", done.stderr);
        assert!(before.elapsed() < Duration::from_secs(10));
        nothing_held(&stage);
        run_id = run(&stage);
        assert!(done.stderr.contains("stopping: waits end now"), "{}", done.stderr);
        assert!(done.stderr.contains(&format!("next: catalog-deploy resume {run_id}")), "{}", done.stderr);
    }
    assert!(stage.mutations().is_empty(), "{:?}", stage.mutations());
    stage.world.finish_dag_runs("flickr_workflow");
    let done = stage.run(&resumed(&run_id));
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn a_soak_ends_at_once_and_is_resumed() {
    let stage = Stage::new(&[]);
    let live = Live::start(&stage, &approved(&[]));
    // For it to be well, or to stay so: that depends on how fast the instance boots.
    live.says("waiting for production to");
    live.signal(Signal::SIGTERM);
    let done = live.ended();
    assert_eq!(done.code, 143, "{}", done.stderr);
    nothing_held(&stage);
    let done = stage.run(&resumed(&run(&stage)));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(stage.mutations(), [PUBLISH, REVIEW, PULL]);
}

#[test]
fn one_signal_lets_the_apply_finish_first() {
    let (stage, slow) = slow_stage();
    let mut live = Live::start(&stage, &approved(&[]));
    slow.begun();
    live.signal(Signal::SIGINT);
    live.says("a change in progress is finished first");
    assert!(live.child.try_wait().unwrap().is_none(), "it waits for the apply");
    slow.go();
    let done = live.ended();
    assert_eq!(done.code, 130, "{}", done.stderr);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(NEW));
    assert_eq!(slow.count("interrupts"), 0);
    nothing_held(&stage);
    let done = stage.run(&resumed(&run(&stage)));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(slow.count("applies"), 1);
}

#[test]
fn two_signals_interrupt_the_apply_once_and_its_end_is_looked_up() {
    let (stage, slow) = slow_stage();
    let live = Live::start(&stage, &approved(&[]));
    slow.begun();
    live.signal(Signal::SIGINT);
    live.says("a change in progress is finished first");
    live.signal(Signal::SIGINT);
    live.says("asked the command at work to stop");
    live.signal(Signal::SIGINT);
    let done = live.ended();
    assert_eq!(done.code, 130, "{}", done.stderr);
    assert_eq!(slow.count("interrupts"), 1, "exactly one SIGINT");
    assert!(
        done.stderr.contains("nothing was applied: a new plan finds everything that was approved"),
        "{}",
        done.stderr
    );
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
    nothing_held(&stage);
    assert_eq!(stage.git(&["status", "--porcelain"]), "", "the bump is set back: its apply took no effect");
    slow.go();
    let done = stage.run(&resumed(&run(&stage)));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!((slow.count("applies"), stage.world.deployed_tag().as_deref()), (1, Some(NEW)));
    nothing_held(&stage);
}
