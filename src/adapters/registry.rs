//! An OCI registry, read only: challenge, token, manifests.

mod client;

use async_trait::async_trait;

use super::ServiceError;
pub use client::RegistryClient;

pub type Result<T> = std::result::Result<T, ServiceError>;

/// A manifest or index as a tag points to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// `Docker-Content-Digest` (or the SHA-256 of the body), `sha256:…`
    pub digest: String,
    /// Digests of what it holds, sorted: an index's image manifests (attestations left out), or an image's own config
    /// digest. Two tags whose contents are equal are the same image even if re-wrapped under another digest.
    pub contents: Vec<String>,
}

/// `image` is the repository's name on the registry, e.g. `wordpress/openverse-catalog`.
#[async_trait]
pub trait RegistryRead: Send + Sync {
    /// HEAD only: the digest a tag (or digest) points to now, `None` where it does not exist.
    async fn digest(&self, image: &str, reference: &str) -> Result<Option<String>>;
    /// `None` where the tag (or digest) does not exist.
    async fn manifest(&self, image: &str, reference: &str) -> Result<Option<Manifest>>;
    /// The environment of the image's config (`KEY`, `VALUE`); of an index, of its linux/amd64 image, else its first.
    async fn environment(&self, image: &str, digest: &str) -> Result<Vec<(String, String)>>;
    /// All tags, all pages, in the registry's order.
    async fn tags(&self, image: &str) -> Result<Vec<String>>;
}

/// `AIRFLOW_VERSION` of an image, where it has one.
pub fn airflow_version(environment: &[(String, String)]) -> Option<String> {
    environment.iter().find(|(key, _)| key == "AIRFLOW_VERSION").map(|(_, value)| value.clone())
}
