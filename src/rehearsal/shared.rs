//! What every service of one world shares: options, state, the timeline, where things are.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::log::RequestLogEntry;
use super::state::State;
use super::watch::Watcher;
use super::{Fault, Options};

/// The `owner/name` of the application's repository.
pub(super) const APPLICATION: &str = "WordPress/openverse";
/// The `owner/name` of the infrastructure repository.
pub(super) const INFRASTRUCTURE: &str = "WordPress/openverse-infrastructure";
/// The image on the registry.
pub(super) const IMAGE: &str = "wordpress/openverse-catalog";
/// The person whose token it is.
pub(super) const VIEWER: &str = "maintainer";
/// Somebody else, who looks after the same Airflow.
pub(super) const COLLEAGUE: &str = "colleague";
/// The account that opens changelog pull requests.
pub(super) const BOT: &str = "openverse-bot";

/// A file of the world's directory, written by `just plan` where a fault waits for it.
pub(super) const PLANNED: &str = "planned";

/// Loopback addresses of the services, without a trailing slash.
#[derive(Debug, Clone)]
pub(super) struct Urls {
    pub(super) github: String,
    pub(super) airflow: String,
    pub(super) registry: String,
    pub(super) sentry: String,
    pub(super) slack: String,
    /// Where nothing ever listens.
    pub(super) nowhere: String,
}

/// Random words that only this world's configuration knows.
#[derive(Debug, Clone)]
pub(super) struct Secrets {
    pub(super) github: String,
    pub(super) airflow: String,
    pub(super) sentry: String,
    /// `/services/T…/B…/…`
    pub(super) slack: String,
}

pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) started: Instant,
    pub(super) urls: OnceLock<Urls>,
    pub(super) secrets: Secrets,
    pub(super) log_file: Mutex<File>,
    pub(super) entries: Mutex<Vec<RequestLogEntry>>,
    pub(super) watcher: Mutex<Watcher>,
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(options: Options, secrets: Secrets, log_file: File, state: State) -> Self {
        Self {
            options,
            started: Instant::now(),
            urls: OnceLock::new(),
            secrets,
            log_file: Mutex::new(log_file),
            entries: Mutex::default(),
            watcher: Mutex::default(),
            state: Mutex::new(state),
        }
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.options.faults.contains(&fault)
    }

    /// True exactly once per world, where the fault is played at all.
    pub(super) fn once(&self, fault: Fault) -> bool {
        self.has(fault) && self.state().played.insert(fault)
    }

    /// Held for as short as possible, never across an await.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets everything happen whose time has come.
    pub(super) fn advance(&self) {
        let now = Instant::now();
        loop {
            let due = {
                let mut state = self.state();
                let next = state.timeline.iter().enumerate().min_by_key(|(_, (at, _))| *at);
                match next {
                    Some((index, (at, _))) if *at <= now => state.timeline.remove(index).1,
                    _ => return,
                }
            };
            self.happen(due);
        }
    }

    pub(super) fn after(&self, delay: Duration, happening: super::timeline::Happening) {
        let due = Instant::now() + self.paced(delay);
        self.state().timeline.push((due, happening));
    }

    /// A time of the world's own, at its pace.
    pub(super) fn paced(&self, time: Duration) -> Duration {
        time / self.options.pace.max(1)
    }

    pub(super) fn watcher(&self) -> Watcher {
        self.watcher.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn urls(&self) -> Urls {
        // Set before the first request can be served.
        self.urls.get().cloned().unwrap_or_else(|| Urls {
            github: String::new(),
            airflow: String::new(),
            registry: String::new(),
            sentry: String::new(),
            slack: String::new(),
            nowhere: String::new(),
        })
    }

    pub(super) fn checkout(&self) -> PathBuf {
        let own = || self.options.directory.join("infrastructure");
        self.options.infrastructure.as_ref().map_or_else(own, |elsewhere| elsewhere.checkout.clone())
    }

    pub(super) fn remote(&self) -> PathBuf {
        let own = || self.options.directory.join("infrastructure.git");
        self.options.infrastructure.as_ref().map_or_else(own, |elsewhere| elsewhere.remote.clone())
    }

    /// Terraform's state.
    pub(super) fn terraform_state(&self) -> PathBuf {
        let own = || self.checkout().join("environments/prod/terraform.tfstate");
        self.options.infrastructure.as_ref().map_or_else(own, |elsewhere| elsewhere.state.clone())
    }

    /// The file that `just bump` picks the newest tag from.
    pub(super) fn registry_tags(&self) -> PathBuf {
        self.options.directory.join("registry-tags")
    }

    /// Whether `just plan` has run, where its recipe says so.
    pub(super) fn was_planned(&self) -> bool {
        self.has(Fault::DagStartsAfterPlan) && self.options.directory.join(PLANNED).exists()
    }

    /// A stable 40-hex commit id for a label of this world.
    pub(super) fn commit(&self, label: &str) -> String {
        commit(self.options.seed, label)
    }
}

/// A stable 40-hex commit id.
pub(super) fn commit(seed: u64, label: &str) -> String {
    super::registry::sha256(format!("{seed}/{label}").as_bytes()).chars().take(40).collect()
}
