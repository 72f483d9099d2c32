//! Stands where a runbook names no service. `runbook check` sees to it that no step asks for one that is not named;
//! only Sentry may be absent in a run, and then its answer is "not configured".

use async_trait::async_trait;

use super::airflow::{Activity, AirflowRead, AirflowWrite, Dag, Health, ImportError, PauseEntry};
use super::registry::{Manifest, RegistryRead};
use super::sentry::{Issue, SentryRead};
use super::{Cause, ServiceError};

/// Refuses every request and says which section is missing.
#[derive(Debug, Clone, Copy)]
pub struct Absent;

fn none<T>(service: &str, section: &str) -> Result<T, ServiceError> {
    let cause = Cause::Unauthorized(format!("not configured: there is no [{section}] section"));
    Err(ServiceError::new(service, "no request", cause))
}

#[async_trait]
impl SentryRead for Absent {
    async fn unresolved(&self) -> Result<Vec<Issue>, ServiceError> {
        none("Sentry", "sentry")
    }
}

#[async_trait]
impl RegistryRead for Absent {
    async fn digest(&self, _: &str, _: &str) -> Result<Option<String>, ServiceError> {
        none("registry", "registry")
    }
    async fn manifest(&self, _: &str, _: &str) -> Result<Option<Manifest>, ServiceError> {
        none("registry", "registry")
    }
    async fn environment(&self, _: &str, _: &str) -> Result<Vec<(String, String)>, ServiceError> {
        none("registry", "registry")
    }
    async fn tags(&self, _: &str) -> Result<Vec<String>, ServiceError> {
        none("registry", "registry")
    }
}

#[async_trait]
impl AirflowRead for Absent {
    async fn version(&self) -> Result<String, ServiceError> {
        none("Airflow", "airflow")
    }
    async fn health(&self) -> Result<Health, ServiceError> {
        none("Airflow", "airflow")
    }
    async fn activity(&self) -> Result<Activity, ServiceError> {
        none("Airflow", "airflow")
    }
    async fn dag(&self, _: &str) -> Result<Dag, ServiceError> {
        none("Airflow", "airflow")
    }
    async fn pause_log(&self, _: &str) -> Result<Vec<PauseEntry>, ServiceError> {
        none("Airflow", "airflow")
    }
    async fn import_errors(&self) -> Result<Vec<ImportError>, ServiceError> {
        none("Airflow", "airflow")
    }
}

#[async_trait]
impl AirflowWrite for Absent {
    async fn set_paused(&self, _: &str, _: bool) -> Result<Dag, ServiceError> {
        none("Airflow", "airflow")
    }
}
