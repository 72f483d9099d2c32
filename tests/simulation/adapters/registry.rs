//! The registry and Sentry over the simulated world.

use async_trait::async_trait;
use catalog_deploy::adapters::ServiceError;
use catalog_deploy::adapters::registry::{Manifest, RegistryRead, Result};
use catalog_deploy::adapters::sentry::{Issue, SentryRead};

use super::Hands;

#[async_trait]
impl RegistryRead for Hands {
    async fn digest(&self, image: &str, reference: &str) -> Result<Option<String>> {
        Ok(self.manifest(image, reference).await?.map(|manifest| manifest.digest))
    }
    async fn manifest(&self, _: &str, reference: &str) -> Result<Option<Manifest>> {
        self.0
            .request("registry", format!("GET manifest {reference}"), false, |world| {
                let by_digest = world.registry.values().find(|manifest| manifest.digest == reference);
                Ok(world.registry.get(reference).or(by_digest).cloned())
            })
            .await
    }
    async fn environment(&self, _: &str, digest: &str) -> Result<Vec<(String, String)>> {
        let version = if digest == "sha256:new" { "2.10.1" } else { "2.9.3" };
        self.0
            .request("registry", format!("GET config {digest}"), false, |_| {
                Ok(vec![("AIRFLOW_VERSION".into(), version.into())])
            })
            .await
    }
    async fn tags(&self, _: &str) -> Result<Vec<String>> {
        self.0.request("registry", "GET tags".into(), false, |world| Ok(world.registry.keys().cloned().collect())).await
    }
}

#[async_trait]
impl SentryRead for Hands {
    async fn unresolved(&self) -> std::result::Result<Vec<Issue>, ServiceError> {
        self.0.request("Sentry", "GET issues".into(), false, |_| Ok(Vec::new())).await
    }
}
