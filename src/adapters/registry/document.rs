//! Indexes and manifests as registries hold them, OCI's and Docker's alike: they differ in media types, not in shape.
//! <https://github.com/opencontainers/image-spec/blob/main/image-index.md>

use std::collections::BTreeMap;

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// All four kinds; a registry converts or answers 404 for what is not named.
pub(super) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

const IMAGE_CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// An index has `manifests`, an image manifest has `config`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Document {
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: Option<String>,
    digest: String,
    platform: Option<Platform>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    os: Option<String>,
    architecture: Option<String>,
}

impl Descriptor {
    /// BuildKit puts provenance and SBOMs into the index as manifests of no platform.
    /// <https://docs.docker.com/build/metadata/attestations/attestation-storage/>
    fn is_attestation(&self) -> bool {
        let nowhere = self.platform.as_ref().is_some_and(|platform| {
            platform.os.as_deref() == Some("unknown") && platform.architecture.as_deref() == Some("unknown")
        });
        let referring = |notes: &BTreeMap<String, String>| notes.contains_key("vnd.docker.reference.type");
        nowhere || self.annotations.as_ref().is_some_and(referring)
    }

    fn is_linux_amd64(&self) -> bool {
        self.platform.as_ref().is_some_and(|platform| {
            platform.os.as_deref() == Some("linux") && platform.architecture.as_deref() == Some("amd64")
        })
    }
}

impl Document {
    /// Neither index nor image: not what was asked for (or the ancient schema 1).
    pub(super) fn is_known(&self) -> bool {
        self.manifests.is_some() || self.config.is_some()
    }

    /// Digests of an index's images, attestations left out; `None` for an image.
    pub(super) fn children(&self) -> Option<Vec<&str>> {
        let images = self.manifests.as_ref()?.iter().filter(|child| !child.is_attestation());
        Some(images.map(|child| child.digest.as_str()).collect())
    }

    /// The image of an index that a deploy runs: linux/amd64, else the first.
    pub(super) fn main_child(&self) -> Option<&str> {
        let mut images = self.manifests.iter().flatten().filter(|child| !child.is_attestation());
        let first = images.clone().next();
        images.find(|child| child.is_linux_amd64()).or(first).map(|child| child.digest.as_str())
    }

    pub(super) fn config(&self) -> Option<&str> {
        self.config.as_ref().map(|config| config.digest.as_str())
    }

    /// The config's digest, where it is an image's. Other artifacts share one empty config, which says nothing.
    pub(super) fn image_config(&self) -> Option<&str> {
        let config = self.config.as_ref()?;
        let image = config.media_type.as_deref().is_none_or(|kind| IMAGE_CONFIGS.contains(&kind));
        image.then_some(config.digest.as_str())
    }
}

/// The config blob, as far as it is used.
#[derive(Debug, Deserialize)]
pub(super) struct ImageConfig {
    config: Option<Execution>,
}

#[derive(Debug, Deserialize)]
struct Execution {
    #[serde(rename = "Env")]
    env: Option<Vec<String>>,
}

impl ImageConfig {
    /// `KEY=VALUE` split at the first `=`.
    pub(super) fn environment(self) -> Vec<(String, String)> {
        let variables = self.config.and_then(|config| config.env).unwrap_or_default();
        variables
            .into_iter()
            .map(|variable| match variable.split_once('=') {
                Some((key, value)) => (key.to_owned(), value.to_owned()),
                None => (variable, String::new()),
            })
            .collect()
    }
}

/// `sha256:…` of these bytes.
pub(super) fn digest_of(body: &[u8]) -> String {
    let hash = Sha256::digest(body);
    hash.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
