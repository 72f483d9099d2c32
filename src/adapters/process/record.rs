//! The recorder: our own binary run again, which runs one command and writes down durably how it ended.
//!
//! It has a session of its own and outlives us. Two file locks say who is alive, and both are freed by `kill -9`: its
//! stdin is a locked file that only the recorder holds, its stdout and stderr are the locked output file, which the
//! command and whatever it starts hold as well.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;

/// The hidden subcommand: `__record-child --exit FILE -- PROGRAM ARGUMENT…`.
pub const RECORD_CHILD: &str = "__record-child";

/// Who runs; `EXIT.pid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Running {
    pub pid: i32,
    /// Process group of recorder and command: where an interrupt goes.
    pub pgid: i32,
}

/// How it ended; the exit file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Ending {
    Code(i32),
    Signal(i32),
}

pub(super) fn pid_file(exit: &Path) -> PathBuf {
    beside(exit, ".pid")
}

pub(super) fn lock_file(exit: &Path) -> PathBuf {
    beside(exit, ".lock")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// `None` where no exit code has been written (yet).
pub(super) fn read_exit(exit: &Path) -> std::io::Result<Option<Exit>> {
    match std::fs::read(exit) {
        Ok(bytes) => match serde_json::from_slice(&bytes).map_err(std::io::Error::other)? {
            Ending::Code(code) => Ok(Some(Exit::Code(code))),
            Ending::Signal(signal) => Ok(Some(Exit::Signal(signal))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn read_running(exit: &Path) -> Option<Running> {
    serde_json::from_slice(&std::fs::read(pid_file(exit)).ok()?).ok()
}

/// What the hidden subcommand does with the arguments after its name. Returns the recorder's own exit code, which
/// nobody needs: the exit file is the answer.
pub fn record_child(arguments: &[String]) -> i32 {
    let (exit, argv) = match arguments {
        [flag, exit, dashes, argv @ ..] if flag == "--exit" && dashes == "--" && !argv.is_empty() => {
            (PathBuf::from(exit), argv)
        }
        _ => {
            complain("this is for catalog-deploy's own use: __record-child --exit FILE -- PROGRAM ARGUMENT…");
            return 2;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("could not start the recorder: {error}"));
            return 1;
        }
    };
    match runtime.block_on(record(&exit, argv)) {
        Ok(()) => 0,
        Err(error) => {
            complain(&format!("could not record how `{}` ends: {error}", argv.join(" ")));
            1
        }
    }
}

async fn record(exit: &Path, argv: &[String]) -> std::io::Result<()> {
    // Handlers, not "ignore": handlers are reset in the command, while ignoring would be inherited by it. They stay
    // installed for the life of this process.
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
    let handlers = kinds.into_iter().map(signal).collect::<std::io::Result<Vec<_>>>()?;
    nix::unistd::setsid()?;
    #[expect(clippy::disallowed_methods, reason = "the recorder is what starts a recorded command")]
    let mut child = tokio::process::Command::new(&argv[0]);
    child.args(&argv[1..]).stdin(Stdio::null());
    let ending = match child.spawn() {
        Ok(mut child) => {
            let pid = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
            let running = Running { pid, pgid: nix::unistd::getpgrp().as_raw() };
            // Only for interrupting it: a full disk here must not leave the command unwatched.
            if let Err(error) = write_durably(&pid_file(exit), &serde_json::to_vec(&running)?) {
                complain(&format!("could not note the process id, so it cannot be interrupted: {error}"));
            }
            let status = child.wait().await?;
            match status.code() {
                Some(code) => Ending::Code(code),
                None => Ending::Signal(status.signal().unwrap_or_default()),
            }
        }
        Err(error) => {
            complain(&format!("could not run `{}`: {error}", argv[0]));
            Ending::Code(127)
        }
    };
    drop(handlers);
    write_durably(exit, &serde_json::to_vec(&ending)?)
}

/// There after a power cut, or not there at all: temporary file, fsync, rename, fsync of the directory.
pub fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(parent)?.sync_all()
}

/// The recorder's stderr is the command's output file.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "catalog-deploy: {text}");
}
