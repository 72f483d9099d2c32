//! The run lock over smart HTTP: taken, contended, its answer lost, freed.

use std::process::Child;

use super::bench::{Bench, git};
use super::shape::Shape;
use super::smart_http::{Mishap, PASSWORD, SmartHttp, USER};
use super::stage::{finish, until};

const LOCK: &str = "refs/catalog-deploy/lock/live";

fn over_http() -> (Bench, SmartHttp) {
    let bench = Bench::new(Shape::module("prod"));
    let server = SmartHttp::start(&bench.remote);
    bench.git(&["remote", "set-url", "origin", &server.url]);
    bench.git(&["config", "credential.helper", ""]);
    let helper = format!("!f() {{ echo username={USER}; echo password={PASSWORD}; }}; f");
    bench.git(&["config", "--add", "credential.helper", &helper]);
    (bench, server)
}

fn locked(bench: &Bench) -> bool {
    bench.refs().contains(&LOCK.to_owned())
}

/// The runbook with a first step that waits for `go`, so that whoever has the lock keeps it.
fn waits_for(bench: &Bench) -> std::path::PathBuf {
    let runbook = bench.arguments(&[], &[])[0].clone();
    let go = bench.stage.config.with_file_name("go");
    let wait = format!("until [ -e '{0}' ]; do echo waiting > '{0}.begun'; sleep 0.05; done", go.display());
    let step = format!(
        "[[step]]\nid = \"hold\"\nkind = \"shell\"\ntitle = \"Hold on\"\ngate = true\ncheck = [\"sh\", \"-c\", {wait:?}]\nrun = [\"true\"]\n\n[[step]]\nid = \"checkout\""
    );
    let text = std::fs::read_to_string(&runbook).unwrap();
    std::fs::write(&runbook, text.replace("[[step]]\nid = \"checkout\"", &step)).unwrap();
    go
}

/// Eight laptops: each its own state, all the same remote. All have seen the lock free before the first push is answered.
#[test]
fn of_eight_processes_one_gets_it() {
    let (bench, server) = over_http();
    server.set(Some(Mishap::Gather(8)));
    let go = waits_for(&bench);
    let config = std::fs::read_to_string(&bench.stage.config).unwrap();
    let start = |laptop: usize| -> Child {
        let file = bench.stage.config.with_file_name(format!("laptop-{laptop}.toml"));
        std::fs::write(&file, config.replace("state = \"state\"", &format!("state = \"state-{laptop}\""))).unwrap();
        let mut command = bench.command(&bench.arguments(&[], &[]));
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let at = arguments.iter().position(|argument| argument == "--config").unwrap();
        let mut again = std::process::Command::new(command.get_program());
        again.args(&arguments[..=at]).arg(&file).env_clear();
        again.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        again.current_dir(command.get_current_dir().unwrap()).env("USER", format!("laptop{laptop}"));
        command = again;
        command.stdin(std::process::Stdio::null());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let mut laptops: Vec<Child> = (0..8).map(start).collect();
    let begun = go.with_file_name("go.begun");
    until("one of them has the lock", || begun.exists());
    let still = std::cell::RefCell::new(&mut laptops);
    until("seven have given up", || {
        still.borrow_mut().iter_mut().filter_map(|child| child.try_wait().unwrap()).count() == 7
    });
    assert!(locked(&bench));
    std::fs::write(&go, "").unwrap();
    let mut ended: Vec<_> = laptops.into_iter().map(finish).collect();
    ended.sort_by_key(|done| done.code);
    let codes: Vec<i32> = ended.iter().map(|done| done.code).collect();
    assert_eq!(codes, [5, 6, 6, 6, 6, 6, 6, 6], "{ended:#?}");
    let winner = &ended[0].stderr;
    let name = winner.split(" by ").nth(1).unwrap().split(' ').next().unwrap();
    for loser in &ended[1..] {
        assert!(loser.stderr.contains(&format!("{name} on ")), "{} is not told of {name}", loser.stderr);
        assert!(loser.stderr.contains("is deploying: run live-"), "{}", loser.stderr);
    }
    assert!(!locked(&bench), "freed");
    assert!(server.pushes() >= 9, "eight at once, and the winner's freeing: {}", server.pushes());
    bench.is_untouched();
}

/// Free when it was looked at, somebody else's when it is pushed: never taken from them.
#[test]
fn somebody_else_is_faster() {
    let (bench, server) = over_http();
    let record = r#"{"run":"prod-1","runbook":"prod","who":"grace","host":"desk","step":null,"taken_at":"2026-01-02T03:04:05Z","heartbeat_at":"2026-01-02T03:04:05Z","nonce":"1"}"#;
    let identity = ["-c", "user.name=Grace", "-c", "user.email=grace@example.org"];
    let arguments = [&identity[..], &["commit-tree", "main^{tree}", "-m", record]].concat();
    let theirs = git(&bench.remote, &arguments).trim().to_owned();
    server.set(Some(Mishap::TakenMeanwhile(LOCK, theirs.clone())));
    let done = bench.deploy();
    assert_eq!(done.code, 6, "{}", done.stderr);
    assert!(!server.awaits() && done.stderr.contains("grace on desk is deploying: run prod-1"), "{}", done.stderr);
    assert_eq!(git(&bench.remote, &["rev-parse", LOCK]).trim(), theirs);
    assert!(bench.stage.mutations().is_empty());
}

/// Taken, and the answer is lost: found to be ours. Freed, and the answer is lost: found to be free.
#[test]
fn its_answers_are_lost() {
    let (bench, server) = over_http();
    let go = waits_for(&bench);
    server.set(Some(Mishap::CutAfterPush(LOCK.into())));
    let child = bench.start(&bench.arguments(&[], &[]));
    until("the run goes on with the lock", || go.with_file_name("go.begun").exists());
    assert!(!server.awaits() && locked(&bench));
    assert_eq!(server.pushes(), 1, "taken once");
    server.set(Some(Mishap::CutAfterPush(LOCK.into())));
    std::fs::write(&go, "").unwrap();
    let done = finish(child);
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(!server.awaits() && !locked(&bench));
    assert_eq!(server.pushes(), 2, "freed once");
    assert!(done.stderr.contains(&format!("given back: the run lock {LOCK}: free")), "{}", done.stderr);
}

/// Cut before the server read it: whether it arrives after all nobody can tell, so the run stays open until it has looked.
#[test]
fn it_never_arrived() {
    let (bench, server) = over_http();
    server.set(Some(Mishap::CutBeforePush(LOCK.into())));
    let done = bench.run(&bench.arguments(&["publish"], &[]));
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("no complete answer"), "{}", done.stderr);
    assert!(!locked(&bench) && bench.stage.mutations().is_empty());
    let refused = bench.deploy();
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("is open: it left something in doubt"), "{}", refused.stderr);
    let done = bench.resume(super::bench::ALL_GATES);
    bench.is_deployed(&done);
    assert_eq!(server.pushes(), 3);
}

/// Somebody freed it behind our back: it is not taken again, and nothing more is changed.
#[test]
fn it_is_broken_while_the_run_waits() {
    let (bench, _server) = over_http();
    let go = waits_for(&bench);
    let child = bench.start(&bench.arguments(&["hold"], &[]));
    until("the run has the lock", || go.with_file_name("go.begun").exists());
    let run = bench.stage.runs()[0].clone();
    let runbook = bench.arguments(&[], &[])[0].clone();
    // From another laptop: the state of this one belongs to the run.
    let done = bench.run(&["unlock".into(), runbook, "--run".into(), run]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!locked(&bench));
    std::fs::write(&go, "").unwrap();
    let done = finish(child);
    assert!(!locked(&bench), "{}", done.stderr);
    assert_eq!(done.code, 5, "stops at its first gate, as ever: {}", done.stderr);
    assert!(bench.stage.mutations().is_empty());
}
