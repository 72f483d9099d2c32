//! A run's life through the binary: stopped at gates, by signals and by kills, gone on with, given up.

mod gates;
mod journal;
mod kills;
mod lock;
mod moved;
mod reading;
mod restore;
mod shell;
mod signals;

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Child;

use catalog_deploy::rehearsal::Fault;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::slow::SlowApply;
use crate::support::{Done, Stage, until};

const OLD: &str = "rel-2024.08.22.20.53.01";
const NEW: &str = "rel-2024.09.30.10.20.30";
const PUBLISH: &str = "PATCH /repos/WordPress/openverse/releases/170000051";
const REVIEW: &str = "POST /repos/WordPress/openverse/pulls/4901/reviews";
const PULL: &str = "POST /repos/WordPress/openverse-infrastructure/pulls";

/// A process at work, with what it says going to a file.
struct Live {
    child: Child,
    log: PathBuf,
}

impl Live {
    fn start(stage: &Stage, arguments: &[&str]) -> Self {
        let name = format!("log-{}", stage.world.requests().len());
        let log = stage.config.parent().unwrap().join(name);
        let file = File::create(&log).unwrap();
        let child = stage.command(arguments).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { child, log }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    fn says(&self, words: &str) {
        until(words, || self.text().contains(words));
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    fn ended(mut self) -> Done {
        let child = std::cell::RefCell::new(&mut self.child);
        until("it ends", || matches!(child.borrow_mut().try_wait(), Ok(Some(_))));
        let status = self.child.wait().unwrap();
        let code = status.code().unwrap_or(-status.signal().unwrap_or(0));
        Done { code, stdout: String::new(), stderr: self.text() }
    }

    /// `kill -9`, and gone.
    fn killed(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The id of the only run.
fn run(stage: &Stage) -> String {
    let runs = stage.runs();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs.into_iter().next().unwrap()
}

/// Nothing of a deploy is left: the flag false, only the DAG paused that was so before, nobody holds the lock.
fn nothing_held(stage: &Stage) {
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
    assert_eq!(stage.world.paused_dags(), ["new_provider_workflow"]);
    assert!(!stage.locked());
}

/// The same run, resumed with every gate answered.
fn resumed(run: &str) -> Vec<&str> {
    let mut arguments = crate::deploy::approved(&[]);
    arguments.splice(0..1, ["resume", run]);
    arguments
}

/// A stage on which both refreshes wait and are paused for the deploy, and the apply takes its time.
fn slow_stage() -> (Stage, SlowApply) {
    let stage = Stage::new(&[Fault::WaitingRefreshes]);
    let slow = SlowApply::on(&stage);
    (stage, slow)
}
