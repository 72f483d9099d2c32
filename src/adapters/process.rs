//! Child processes. Nothing goes through a shell; secrets go through the environment, never argv.

mod capture;
mod inherited;
mod record;
mod run;
mod secret;
mod tail;

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;

use super::ServiceError;
pub(crate) use capture::{Capture, last_lines};
pub(crate) use inherited::{all_inherited, inherited};
pub use record::{RECORD_CHILD, record_child, write_durably};
pub use run::Commands;
pub use secret::print_secret;

pub type Result<T> = std::result::Result<T, ServiceError>;

/// A command of the runbook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    pub directory: Option<PathBuf>,
    pub environment: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// `None` where a signal ended it.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Finished {
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

/// Commands that the runbook declares as reading only (`check`, `identity`).
#[async_trait]
pub trait CommandRead: Send + Sync {
    /// Runs to its end and returns both streams. A program that does not exist is `Failed` with a hint.
    async fn read(&self, command: &Command) -> Result<Finished>;
    /// Waits for a recorded child of an earlier process. `None` where it left neither a process nor an exit code. Starts
    /// and signals nothing, so the wait may be dropped at any time.
    async fn wait_recorded(&self, traces: &Traces, lines: LineSink) -> Result<Option<Exit>>;
}

/// Receives a child's lines while it runs.
pub type LineSink = std::sync::Arc<dyn Fn(&str) + Send + Sync>;

/// How a recorded child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

/// A child whose end is known even if we die: output to a file, own session, exit code recorded durably by a hidden
/// re-exec of our own binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub exit: Exit,
    pub output: PathBuf,
}

/// Where a recorded child leaves its traces, inside the run's own directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    pub output: PathBuf,
    pub exit: PathBuf,
}

impl Traces {
    /// Those of the one child that `effect` (e.g. `migrate/1`) starts.
    pub fn of(workspace: &std::path::Path, effect: &str) -> Self {
        let name = effect.replace('/', ".");
        Self { output: workspace.join(format!("{name}.output")), exit: workspace.join(format!("{name}.exit")) }
    }

    /// A child was started, or was about to be: its output file is there before it is.
    pub fn begun(&self) -> bool {
        self.output.exists() || self.exit.exists()
    }
}

#[async_trait]
pub trait CommandRun: CommandRead {
    /// Starts in an own session, tails the output file into `lines`, waits for the durable exit code. When `stop`
    /// turns true, the child gets exactly one SIGINT and is still waited for.
    async fn run_recorded(
        &self,
        command: &Command,
        traces: &Traces,
        lines: LineSink,
        stop: tokio::sync::watch::Receiver<bool>,
    ) -> Result<Recorded>;
    /// Attached to the terminal: the child has stdin, stdout and stderr, and the terminal's own Ctrl-C. It outlives us where
    /// we are killed; [`CommandRead::wait_recorded`] then waits for it by `traces`, which get no output and no exit code.
    async fn run_attached(&self, command: &Command, traces: &Traces) -> Result<Exit>;
}
