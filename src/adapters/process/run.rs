//! Running commands: to their end, recorded, attached to the terminal, or followed line by line.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::sync::watch;

use super::capture::{Capture, capture, failed, not_started, prepared, program_path, settle, shown};
use super::record::{RECORD_CHILD, lock_file, pid_file, read_exit, read_running};
use super::tail::Tail;
use super::{Command, CommandRead, CommandRun, Exit, Finished, LineSink, Recorded, Result, Traces};
use crate::adapters::Cause;

/// How often a child's output and end are looked for.
const POLL: Duration = Duration::from_millis(100);

/// Runs the commands of a runbook.
#[derive(Debug, Clone)]
pub struct Commands {
    own_program: PathBuf,
    /// Variables for every child, beyond those it inherits and below those of its own command.
    environment: BTreeMap<String, String>,
}

impl Commands {
    /// `own_program` is this binary: it is run again to record how a child ends.
    pub fn new(own_program: PathBuf) -> Self {
        Self { own_program, environment: BTreeMap::new() }
    }

    /// The same, with variables for every child (a rehearsal's `PATH`).
    #[must_use]
    pub fn with_environment(self, environment: BTreeMap<String, String>) -> Self {
        Self { environment, ..self }
    }

    /// The command as it is started: its own variables win.
    fn complete(&self, command: &Command) -> Command {
        let mut environment = self.environment.clone();
        environment.extend(command.environment.clone());
        Command { environment, ..command.clone() }
    }

    /// As [`CommandRead::read`], with a bound, deadline and input of one's own.
    pub(crate) async fn capture(&self, command: &Command, how: &Capture) -> Result<Finished> {
        capture(&self.complete(command), how).await
    }

    /// Runs with both streams going to the file `output` and into `lines`, out of reach of the terminal's Ctrl-C. If
    /// nobody waits for it any more, it gets one SIGINT, so Terraform gives its state lock back.
    pub(crate) async fn follow(&self, command: &Command, output: &Path, lines: LineSink) -> Result<Exit> {
        let command = &self.complete(command);
        let file = open_private(output).map_err(|error| traces_trouble(command, output, &error))?;
        let both = file.try_clone().map_err(|error| traces_trouble(command, output, &error))?;
        let mut child = prepared(command)?;
        child.stdin(Stdio::null()).stdout(file).stderr(both).process_group(0);
        let mut child = child.spawn().map_err(|error| not_started(command, &error))?;
        let mut given_up = InterruptOnDrop(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
        let mut tail = Tail::new(output, lines);
        let status = loop {
            tokio::select! {
                status = child.wait() => break status,
                () = tokio::time::sleep(POLL) => tail.pump(),
            }
        };
        given_up.0 = None;
        tail.finish();
        status.map(exit_of).map_err(|error| lost(command, &format!("could not wait for it: {error}")))
    }

    fn spawn_recorder(&self, command: &Command, traces: &Traces) -> Result<tokio::process::Child> {
        let refuse = |why: String| failed(command, Cause::Refused(why));
        if program_path(command).is_none() {
            let error = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(refuse(not_started(command, &error).cause.to_string()));
        }
        let lock = open_private(&lock_file(&traces.exit)).and_then(|file| Ok(file.try_lock().map(|()| file)?));
        let lock = lock.map_err(|error| {
            refuse(format!("could not start `{}`: it may be running already: {error}", shown(command)))
        })?;
        // Its lock is inherited by all that write there, so it tells when the last of them is gone.
        let output = open_private(&traces.output).and_then(|file| Ok(file.try_lock().map(|()| file)?));
        let output = output
            .map_err(|error| refuse(format!("could not write the output to {}: {error}", traces.output.display())))?;
        if traces.exit.exists() || pid_file(&traces.exit).exists() {
            return Err(refuse(format!(
                "could not start `{}`: {} belongs to an earlier start of it; look at how that ended first",
                shown(command),
                traces.exit.display()
            )));
        }
        let both = output.try_clone().map_err(|error| refuse(error.to_string()))?;
        #[expect(clippy::disallowed_methods, reason = "the one place that starts the recorder")]
        let mut recorder = tokio::process::Command::new(&self.own_program);
        recorder.arg(RECORD_CHILD).arg("--exit").arg(&traces.exit).arg("--").args(&command.argv);
        settle(&mut recorder, command);
        recorder.stdin(lock).stdout(output).stderr(both);
        recorder.spawn().map_err(|error| {
            refuse(format!("could not start the recorder {} for it: {error}", self.own_program.display()))
        })
    }
}

#[async_trait]
impl CommandRead for Commands {
    async fn read(&self, command: &Command) -> Result<Finished> {
        self.capture(command, &Capture::default()).await
    }

    async fn wait_recorded(&self, traces: &Traces, lines: LineSink) -> Result<Option<Exit>> {
        let command = Command { argv: vec!["recorded command".into()], ..Command::default() };
        let traces = absolute(&command, traces)?;
        let mut tail = Tail::new(&traces.output, lines);
        loop {
            // Who lives is asked before the exit file is looked for: what ends in between has written it.
            let alive = locked(&lock_file(&traces.exit)) || locked(&traces.output);
            tail.pump();
            match read_exit(&traces.exit) {
                Ok(Some(exit)) => {
                    tail.finish();
                    return Ok(Some(exit));
                }
                Ok(None) if !alive => {
                    tail.finish();
                    return Ok(None);
                }
                Ok(None) => tokio::time::sleep(POLL).await,
                Err(error) => return Err(unreadable(&command, &traces, &error)),
            }
        }
    }
}

#[async_trait]
impl CommandRun for Commands {
    async fn run_recorded(
        &self,
        command: &Command,
        traces: &Traces,
        lines: LineSink,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Recorded> {
        let command = &self.complete(command);
        let traces = absolute(command, traces)?;
        let mut recorder = self.spawn_recorder(command, &traces)?;
        let mut tail = Tail::new(&traces.output, lines);
        let mut gone = false;
        let mut interrupted = false;
        let exit = loop {
            tail.pump();
            match read_exit(&traces.exit) {
                Ok(Some(exit)) => break exit,
                Ok(None) if gone && !traces.exit.exists() => return Err(vanished(command, &traces)),
                Ok(None) => {}
                Err(error) => return Err(unreadable(command, &traces, &error)),
            }
            if *stop.borrow_and_update() && !interrupted && !gone {
                interrupted = interrupt(&traces);
            }
            tokio::select! {
                _ = recorder.wait(), if !gone => gone = true,
                () = tokio::time::sleep(POLL) => {}
            }
        };
        tail.finish();
        let _ = recorder.wait().await;
        Ok(Recorded { exit, output: traces.output })
    }

    async fn run_attached(&self, command: &Command, traces: &Traces) -> Result<Exit> {
        let command = &self.complete(command);
        let traces = absolute(command, traces)?;
        let mut child = prepared(command)?;
        // Held by the child and by whatever it starts, so its lock tells when the last of them is gone.
        let alive = open_private(&traces.output)
            .and_then(|file| Ok(file.try_lock().map(|()| file)?))
            .and_then(|file| inherit(&file, true).map(|()| file))
            .map_err(|error| traces_trouble(command, &traces.output, &error))?;
        let child = child.spawn().map_err(|error| {
            let error = not_started(command, &error);
            failed(command, Cause::Refused(error.cause.to_string()))
        });
        // Only this child: one that is started later must not keep the lock.
        inherit(&alive, false).map_err(|error| traces_trouble(command, &traces.output, &error))?;
        let mut child = child?;
        child.wait().await.map(exit_of).map_err(|error| lost(command, &format!("could not wait for it: {error}")))
    }
}

/// One SIGINT to the command's whole group, as a terminal would; the recorder's handler swallows its own. `false` where
/// it has not started yet.
fn interrupt(traces: &Traces) -> bool {
    let Some(running) = read_running(&traces.exit) else { return false };
    // A group that is gone needs no interrupt.
    let _ = killpg(Pid::from_raw(running.pgid), Signal::SIGINT);
    true
}

/// Whether children that are started from now on keep `file` open.
fn inherit(file: &File, inherit: bool) -> std::io::Result<()> {
    let flags = if inherit { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
    fcntl(file, FcntlArg::F_SETFD(flags))?;
    Ok(())
}

/// Whether somebody holds the file's lock.
fn locked(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

struct InterruptOnDrop(Option<Pid>);

impl Drop for InterruptOnDrop {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = killpg(group, Signal::SIGINT);
        }
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    status.code().map_or_else(|| Exit::Signal(status.signal().unwrap_or_default()), Exit::Code)
}

/// The recorder runs in the command's directory, where a relative path would mean another file.
fn absolute(command: &Command, traces: &Traces) -> Result<Traces> {
    let full = |path: &Path| std::path::absolute(path).map_err(|error| traces_trouble(command, path, &error));
    Ok(Traces { output: full(&traces.output)?, exit: full(&traces.exit)? })
}

fn open_private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn traces_trouble(command: &Command, path: &Path, error: &std::io::Error) -> crate::adapters::ServiceError {
    failed(command, Cause::Refused(format!("could not write {}: {error}", path.display())))
}

fn unreadable(command: &Command, traces: &Traces, error: &std::io::Error) -> crate::adapters::ServiceError {
    lost(command, &format!("could not read how it ended from {}: {error}", traces.exit.display()))
}

fn lost(command: &Command, why: &str) -> crate::adapters::ServiceError {
    failed(command, Cause::NoAnswer(why.to_owned()))
}

fn vanished(command: &Command, traces: &Traces) -> crate::adapters::ServiceError {
    if read_running(&traces.exit).is_none() && !locked(&traces.output) {
        let said = std::fs::read(&traces.output).unwrap_or_default();
        let said = super::last_lines(&said, 3);
        return failed(command, Cause::Failed(format!("its recorder ended before it noted a start: {said}")));
    }
    lost(
        command,
        &format!(
            "its recorder was killed, so how it ended is not known; its output so far is in {}",
            traces.output.display()
        ),
    )
}
