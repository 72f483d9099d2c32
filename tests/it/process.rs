//! Recorded children through the real binary: durable exit codes, one interrupt, orphans.

use std::path::Path;
use std::process::Command as Process;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use catalog_deploy::adapters::process::{Command, CommandRead, CommandRun, Commands, Exit, LineSink, Traces};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

const BINARY: &str = env!("CARGO_BIN_EXE_catalog-deploy");

fn commands() -> Commands {
    Commands::new(BINARY.into())
}

fn traces(directory: &Path) -> Traces {
    Traces { output: directory.join("output"), exit: directory.join("exit") }
}

fn sh(script: &str) -> Command {
    Command { argv: vec!["sh".into(), "-c".into(), script.into()], ..Command::default() }
}

fn collect() -> (LineSink, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = seen.clone();
    (Arc::new(move |line: &str| sink.lock().expect("no test panics here").push(line.to_owned())), seen)
}

/// Waits for a condition with a deadline, not for a time.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_exit_code_and_every_line_are_recorded() {
    let home = tempfile::tempdir().unwrap();
    let traces = traces(home.path());
    let (lines, seen) = collect();
    let (_keep, stop) = watch::channel(false);
    let mut command = sh("echo one; printf '\\033[31mtwo\\033[0m\\n' >&2; echo $HERE; pwd; printf last; exit 7");
    command.environment.insert("HERE".into(), "three".into());
    command.directory = Some(home.path().canonicalize().unwrap());
    let recorded = commands().run_recorded(&command, &traces, lines, stop.clone()).await.unwrap();
    assert_eq!(recorded.exit, Exit::Code(7));
    let here = home.path().canonicalize().unwrap().display().to_string();
    assert_eq!(*seen.lock().unwrap(), ["one", "two", "three", here.as_str(), "last"]);
    // Its end is known to any later process, and it is not started over its own traces.
    let (lines, _) = collect();
    assert_eq!(commands().wait_recorded(&traces, lines.clone()).await.unwrap(), Some(Exit::Code(7)));
    let error = commands().run_recorded(&command, &traces, lines, stop).await.unwrap_err();
    assert!(error.surely_refused() && error.to_string().contains("earlier start"), "{error}");
}

#[tokio::test]
async fn a_stop_is_exactly_one_interrupt() {
    let home = tempfile::tempdir().unwrap();
    let count = home.path().join("count");
    // Counts interrupts for as long as a second one could come, and ends well.
    let script = format!(
        "trap 'echo int >> {0}; stop=1' INT; echo ready; while [ -z \"$stop\" ]; do sleep 0.05; done; \
        for i in 1 2 3 4 5 6 7 8; do sleep 0.1; done; exit 4",
        count.display()
    );
    let (lines, seen) = collect();
    let (sender, stop) = watch::channel(false);
    let traces = traces(home.path());
    let (commands, command) = (commands(), sh(&script));
    let run = commands.run_recorded(&command, &traces, lines, stop);
    let stopper = async {
        until("the child", || seen.lock().unwrap().iter().any(|line| line == "ready")).await;
        sender.send(true).unwrap();
        sender.send(true).unwrap();
    };
    let (recorded, ()) = tokio::join!(run, stopper);
    assert_eq!(recorded.unwrap().exit, Exit::Code(4));
    assert_eq!(std::fs::read_to_string(count).unwrap(), "int\n");
}

#[tokio::test]
async fn the_child_has_default_dispositions_though_the_recorder_survives() {
    let home = tempfile::tempdir().unwrap();
    let (sender, stop) = watch::channel(true);
    let (lines, _) = collect();
    let recorded =
        commands().run_recorded(&sh("kill -INT $$; exit 3"), &traces(home.path()), lines, stop).await.unwrap();
    assert_eq!(recorded.exit, Exit::Signal(2));
    drop(sender);
}

#[tokio::test]
async fn a_missing_program_is_refused_before_anything_starts() {
    let home = tempfile::tempdir().unwrap();
    let (lines, _) = collect();
    let (_keep, stop) = watch::channel(false);
    let command = Command { argv: vec!["no-such-tool".into()], ..Command::default() };
    let error = commands().run_recorded(&command, &traces(home.path()), lines, stop).await.unwrap_err();
    assert!(error.surely_refused() && error.to_string().contains("not installed or not on PATH"), "{error}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_killed_recorder_leaves_an_unknown_end() {
    let home = tempfile::tempdir().unwrap();
    let traces = traces(home.path());
    let (lines, seen) = collect();
    let (_keep, stop) = watch::channel(false);
    let (commands, command) = (commands(), sh("echo $PPID; exec sleep 1"));
    let run = commands.run_recorded(&command, &traces, lines.clone(), stop);
    let killer = async {
        until("the recorder", || traces.exit.with_extension("pid").exists() && !seen.lock().unwrap().is_empty()).await;
        let recorder = seen.lock().unwrap()[0].parse().unwrap();
        kill(Pid::from_raw(recorder), Signal::SIGKILL).unwrap();
    };
    let (ended, ()) = tokio::join!(run, killer);
    let error = ended.unwrap_err();
    assert!(!error.surely_refused() && error.to_string().contains("not known"), "{error}");
    // The command itself still runs: it is waited for, and then nobody knows.
    let start = Instant::now();
    assert_eq!(commands.wait_recorded(&traces, lines).await.unwrap(), None);
    assert!(start.elapsed() > Duration::from_millis(300));
}

#[tokio::test]
async fn an_orphan_goes_on_and_its_end_is_found() {
    let home = tempfile::tempdir().unwrap();
    let traces = traces(home.path());
    // The parent of the recorder is killed with its whole group, as a closed terminal would.
    let (output, exit) = (traces.output.display(), traces.exit.display());
    let script = format!(
        "exec {BINARY} __record-child --exit {exit} -- sh -c 'echo started; while [ ! -e {}/go ]; do sleep 0.05; done; \
         echo finished; exit 5' >{output} 2>&1 </dev/null",
        home.path().display()
    );
    let mut parent = Process::new("sh").arg("-c").arg(format!("sh -c \"{script}\" & echo; wait")).spawn().unwrap();
    let text = || std::fs::read_to_string(&traces.output).unwrap_or_default();
    until("the orphan", || text().contains("started")).await;
    kill(Pid::from_raw(i32::try_from(parent.id()).unwrap()), Signal::SIGKILL).unwrap();
    parent.wait().unwrap();
    std::fs::write(home.path().join("go"), "").unwrap();
    until("its end", || traces.exit.exists()).await;
    let (lines, seen) = collect();
    assert_eq!(commands().wait_recorded(&traces, lines).await.unwrap(), Some(Exit::Code(5)));
    assert_eq!(*seen.lock().unwrap(), ["started", "finished"]);
}

#[tokio::test]
async fn nothing_recorded_is_none() {
    let home = tempfile::tempdir().unwrap();
    let (lines, _) = collect();
    assert_eq!(commands().wait_recorded(&traces(home.path()), lines).await.unwrap(), None);
}

#[tokio::test]
async fn an_attached_child_tells_its_code() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(commands().run_attached(&sh("exit 9"), &traces(home.path())).await.unwrap(), Exit::Code(9));
}

/// As after `kill -9`: nobody waits for the child any more, which goes on, and so does what it has started.
#[tokio::test]
async fn an_attached_child_that_lost_its_parent_is_waited_for() {
    let home = tempfile::tempdir().unwrap();
    let (go, traces) = (home.path().join("go"), traces(home.path()));
    let begun = home.path().join("begun");
    let script =
        format!("(echo > '{}'; while [ ! -e '{}' ]; do sleep 0.02; done) & exit 0", begun.display(), go.display());
    assert_eq!(commands().run_attached(&sh(&script), &traces).await.unwrap(), Exit::Code(0));
    crate::support::until("it has begun", || begun.exists());
    let (lines, _) = collect();
    let waits = commands();
    let mut ended = std::pin::pin!(waits.wait_recorded(&traces, lines));
    let early = tokio::time::timeout(Duration::from_millis(500), &mut ended).await;
    assert!(early.is_err(), "it still works, and was not waited for: {early:?}");
    std::fs::write(&go, "").unwrap();
    assert_eq!(ended.await.unwrap(), None, "how it ended, nobody wrote down");
}
