//! An OCI registry, read only: challenge, token, manifests.
//!
//! `challenge.rs` reads what a registry asks for, `transport.rs` gets and keeps its tokens, `document.rs` reads indexes
//! and manifests, `client.rs` answers the questions of a deploy.
//! <https://github.com/opencontainers/distribution-spec/blob/main/spec.md>

mod challenge;
mod client;
mod document;
#[cfg(test)]
mod tests;
mod transport;

use async_trait::async_trait;

use super::ServiceError;
pub use client::RegistryClient;

pub type Result<T> = std::result::Result<T, ServiceError>;

/// A manifest or index as a tag points to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// `Docker-Content-Digest` (or the SHA-256 of the body), `sha256:…`
    pub digest: String,
    /// Config digests of the images it holds, sorted, one per platform (attestations left out). Two tags whose contents
    /// are equal are the same image even if re-wrapped under another digest.
    ///
    /// Config digests and not manifest digests, because a config names the image's root file system and environment
    /// and nothing of its wrapping: it stays the same in a lone manifest, in an index around it (`imagetools create`),
    /// with other annotations, or converted between the Docker and the OCI media types. What has no image config
    /// stands for itself by its own digest.
    pub contents: Vec<String>,
}

/// `image` is the repository's name on the registry, e.g. `wordpress/openverse-catalog`.
#[async_trait]
pub trait RegistryRead: Send + Sync {
    /// The digest a tag (or digest) points to now, `None` where it does not exist. A HEAD, and a GET only where that
    /// says 404 (a HEAD has no body to tell an unknown tag from an unknown repository) or no digest.
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
