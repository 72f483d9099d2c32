//! Takes the place of a service that cannot be asked: the runbook names none, or its secret could not be read. A deploy
//! must not fail at its start for the want of a service that it can continue without; each request says what is missing.

use async_trait::async_trait;

use super::airflow::{Activity, AirflowRead, AirflowWrite, Dag, Health, ImportError, PauseEntry};
use super::registry::{Manifest, RegistryRead};
use super::sentry::{Issue, SentryRead};
use super::{Cause, ServiceError};

/// Refuses every request.
#[derive(Debug, Clone, Default)]
pub struct Absent {
    /// Why the secret could not be read; `None` where nothing is configured.
    why: Option<String>,
}

impl Absent {
    /// For a service whose secret could not be read.
    pub fn without_secret(why: impl Into<String>) -> Self {
        Self { why: Some(why.into()) }
    }

    fn none<T>(&self, service: &str, section: &str) -> Result<T, ServiceError> {
        let unconfigured = || format!("not configured: there is no [{section}] section");
        let cause = Cause::NoCredentials(self.why.clone().unwrap_or_else(unconfigured));
        Err(ServiceError::new(service, "no request", cause))
    }
}

#[async_trait]
impl SentryRead for Absent {
    async fn unresolved(&self) -> Result<Vec<Issue>, ServiceError> {
        self.none("Sentry", "sentry")
    }
}

#[async_trait]
impl RegistryRead for Absent {
    async fn digest(&self, _: &str, _: &str) -> Result<Option<String>, ServiceError> {
        self.none("registry", "registry")
    }
    async fn manifest(&self, _: &str, _: &str) -> Result<Option<Manifest>, ServiceError> {
        self.none("registry", "registry")
    }
    async fn environment(&self, _: &str, _: &str) -> Result<Vec<(String, String)>, ServiceError> {
        self.none("registry", "registry")
    }
    async fn tags(&self, _: &str) -> Result<Vec<String>, ServiceError> {
        self.none("registry", "registry")
    }
}

#[async_trait]
impl AirflowRead for Absent {
    async fn version(&self) -> Result<String, ServiceError> {
        self.none("Airflow", "airflow")
    }
    async fn health(&self) -> Result<Health, ServiceError> {
        self.none("Airflow", "airflow")
    }
    async fn activity(&self) -> Result<Activity, ServiceError> {
        self.none("Airflow", "airflow")
    }
    async fn dag(&self, _: &str) -> Result<Dag, ServiceError> {
        self.none("Airflow", "airflow")
    }
    async fn pause_log(&self, _: &str) -> Result<Vec<PauseEntry>, ServiceError> {
        self.none("Airflow", "airflow")
    }
    async fn import_errors(&self) -> Result<Vec<ImportError>, ServiceError> {
        self.none("Airflow", "airflow")
    }
}

#[async_trait]
impl AirflowWrite for Absent {
    async fn set_paused(&self, _: &str, _: bool) -> Result<Dag, ServiceError> {
        self.none("Airflow", "airflow")
    }
}
