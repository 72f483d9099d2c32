//! The only place that touches the world, one file (or folder) per outside tool.
//!
//! Every service has a reading trait and, where the product changes it, a writing trait on top. A preview is handed
//! [`Readers`]; [`Writers`] come out of [`World::writers`], which wants an [`Authority`]: the proof that the intent is
//! durable and its gate was answered. Steps see the traits, never a client.

pub mod absent;
pub mod airflow;
pub mod awake;
pub mod checkout;
pub mod clock;
pub mod error;
pub mod github;
pub mod http;
mod kept;
pub mod lock;
pub mod memo;
pub mod notify;
pub mod process;
pub mod prompt;
pub mod redact;
pub mod registry;
pub mod sentry;

use std::sync::Arc;

use crate::plan::approval::Authority;

pub use error::{Cause, ServiceError};

/// Everything that can be looked at. Holds no way to change anything.
#[derive(Clone)]
pub struct Readers {
    pub github: Arc<dyn github::GithubRead>,
    pub registry: Arc<dyn registry::RegistryRead>,
    pub airflow: Arc<dyn airflow::AirflowRead>,
    /// `None` where no project is named to ask about.
    pub sentry: Option<Arc<dyn sentry::SentryRead>>,
    pub checkout: Arc<dyn checkout::CheckoutRead>,
    pub lock: Arc<dyn lock::LockRead>,
    pub commands: Arc<dyn process::CommandRead>,
    pub clock: Arc<dyn clock::Clock>,
}

/// What one approved, journalled effect may change.
pub struct Writers {
    /// The effect's id, e.g. `migrate/1`; names what a child leaves behind.
    pub effect: String,
    pub github: Arc<dyn github::GithubWrite>,
    pub airflow: Arc<dyn airflow::AirflowWrite>,
    pub checkout: Arc<dyn checkout::CheckoutWrite>,
    pub lock: Arc<dyn lock::LockWrite>,
    pub commands: Arc<dyn process::CommandRun>,
}

/// The real adapters of one run. The writing halves are private; [`World::writers`] is the only way to them.
pub struct World {
    readers: Readers,
    github: Arc<dyn github::GithubWrite>,
    airflow: Arc<dyn airflow::AirflowWrite>,
    checkout: Arc<dyn checkout::CheckoutWrite>,
    lock: Arc<dyn lock::LockWrite>,
    commands: Arc<dyn process::CommandRun>,
}

impl World {
    pub fn new(
        github: Arc<dyn github::GithubWrite>,
        registry: Arc<dyn registry::RegistryRead>,
        airflow: Arc<dyn airflow::AirflowWrite>,
        sentry: Option<Arc<dyn sentry::SentryRead>>,
        checkout: Arc<dyn checkout::CheckoutWrite>,
        lock: Arc<dyn lock::LockWrite>,
        commands: Arc<dyn process::CommandRun>,
        clock: Arc<dyn clock::Clock>,
    ) -> Self {
        let readers = Readers {
            github: github.clone(),
            registry,
            airflow: airflow.clone(),
            sentry,
            checkout: checkout.clone(),
            lock: lock.clone(),
            commands: commands.clone(),
            clock,
        };
        Self { readers, github, airflow, checkout, lock, commands }
    }

    pub fn readers(&self) -> &Readers {
        &self.readers
    }

    /// The readers alone; what a preview is built from.
    pub fn into_readers(self) -> Readers {
        self.readers
    }

    /// Breaks the lock of a dead run: only with that run's exact id, and only the commit that was looked at. `Ok(false)`
    /// where it changed meanwhile.
    pub async fn break_lock(&self, seen: &lock::LockState, run: &str) -> Result<bool, ServiceError> {
        if seen.record.run != run {
            return Ok(false);
        }
        self.lock.free(&seen.commit).await
    }

    /// Writers for the one effect that `authority` was granted for.
    pub fn writers(&self, authority: &Authority) -> Writers {
        Writers {
            effect: authority.effect().to_owned(),
            github: self.github.clone(),
            airflow: self.airflow.clone(),
            checkout: self.checkout.clone(),
            lock: self.lock.clone(),
            commands: self.commands.clone(),
        }
    }
}
