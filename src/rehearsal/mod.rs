//! The embedded world: GitHub, Airflow, a registry, Sentry and Slack on loopback, and an infrastructure repository with
//! its bare remote. Stateful and strict: what the real service would refuse, it refuses.
//!
//! `rehearse` and the tests run the real adapters against it; nothing in here is used by a real run.

mod airflow;
mod answer;
mod connection;
mod fault;
mod github;
mod infrastructure;
mod log;
mod memory;
mod registry;
mod seed;
mod sentry;
mod server;
mod shared;
mod slack;
pub mod stand_in;
mod state;
mod timeline;
mod watch;
mod world;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub use fault::{Fault, UnknownFault};
pub use log::RequestLogEntry;
pub use memory::Memory;
pub use state::{
    Airflow, Commit, Dag, DagRun, Images, Instance, Pull, Release, Review, SentryIssue, State, Task, WorkflowRun,
};
pub use watch::{Intervention, Watch};
pub use world::World;

/// Which Airflow answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AirflowEdition {
    /// 2.x: `/api/v1`, basic auth.
    #[default]
    V2,
    /// 3.x: `/api/v2`, a JWT from `/auth/token`.
    V3,
}

/// What kind of world to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Absolute; the world is written under it.
    pub directory: PathBuf,
    pub airflow: AirflowEdition,
    pub faults: Vec<Fault>,
    /// Makes commits and ids; the same seed makes the same ones.
    pub seed: u64,
    /// Added to every answer, for benchmarks.
    pub answer_delay: Duration,
    /// What takes its time (a build, a boot) takes this many times less, for runs that hurry more than a rehearsal.
    pub pace: u32,
    /// Instead of the world's own.
    pub infrastructure: Option<Elsewhere>,
}

/// An infrastructure repository that somebody else made and applied. `terraform_data` resources named `user_data` (its
/// input is the image tag) and `instance` stand for what runs.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    pub checkout: PathBuf,
    /// The bare repository behind it, as a directory.
    pub remote: PathBuf,
    /// Terraform's state, as a file of its own format.
    pub state: PathBuf,
}

impl Options {
    /// A world without faults under `directory`.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            airflow: AirflowEdition::default(),
            faults: Vec::new(),
            seed: 1,
            answer_delay: Duration::ZERO,
            infrastructure: None,
            pace: 1,
        }
    }
}
