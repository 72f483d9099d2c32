//! OCI image layouts: blobs under their SHA-256, an `index.json` that gives them names.
//! <https://github.com/opencontainers/image-spec/blob/main/image-layout.md>

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An empty tar (1,024 zeros), gzipped, and the SHA-256 of what is in it. All images share this layer.
const EMPTY: [u8; 29] =
    [31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 99, 96, 24, 5, 163, 96, 20, 140, 84, 0, 0, 46, 175, 181, 239, 0, 4, 0, 0];
const EMPTY_TAR: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// A layout on disk; `skopeo` reads it as `oci:DIRECTORY:NAME`.
pub struct Layout {
    directory: PathBuf,
}

/// `sha256:…` of these bytes.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// The digest in a descriptor.
pub fn digest_in(descriptor: &Value) -> String {
    descriptor["digest"].as_str().unwrap().to_owned()
}

impl Layout {
    pub fn new(directory: &Path) -> Self {
        fs::create_dir_all(directory.join("blobs/sha256")).unwrap();
        fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        fs::write(directory.join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
        Self { directory: directory.to_owned() }
    }

    fn store(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        fs::write(self.directory.join("blobs").join(digest.replace(':', "/")), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    /// An image with `AIRFLOW_VERSION` in its environment; its descriptor says its platform. Images that differ in
    /// nothing have the same digest.
    pub fn image(&self, architecture: &str, airflow: &str) -> Value {
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": { "Env": ["PATH=/usr/bin:/bin", format!("AIRFLOW_VERSION={airflow}"), "EXTRA=a=b"] },
            "rootfs": { "type": "layers", "diff_ids": [EMPTY_TAR] },
        });
        let config = self.store(CONFIG, config.to_string().as_bytes());
        let mut image = self.manifest(&config, &self.store(LAYER, &EMPTY));
        image["platform"] = json!({ "architecture": architecture, "os": "linux" });
        image
    }

    /// What BuildKit puts beside an image into its index.
    /// <https://docs.docker.com/build/metadata/attestations/attestation-storage/>
    pub fn attestation(&self, image: &Value) -> Value {
        let statement =
            json!({ "_type": "https://in-toto.io/Statement/v0.1", "subject": [{ "name": image["digest"] }] });
        let statement = self.store("application/vnd.in-toto+json", statement.to_string().as_bytes());
        let config = json!({ "architecture": "unknown", "os": "unknown", "config": {}, "rootfs": {
            "type": "layers", "diff_ids": [statement["digest"]] } });
        let config = self.store(CONFIG, config.to_string().as_bytes());
        let mut attestation = self.manifest(&config, &statement);
        attestation["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
        attestation["annotations"] = json!({
            "vnd.docker.reference.digest": image["digest"],
            "vnd.docker.reference.type": "attestation-manifest",
        });
        attestation
    }

    fn manifest(&self, config: &Value, layer: &Value) -> Value {
        let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
        self.store(MANIFEST, manifest.to_string().as_bytes())
    }

    /// An index of these; `note` makes the same ones another index.
    pub fn index(&self, children: &[&Value], note: &str) -> Value {
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children,
            "annotations": { "org.opencontainers.image.description": note } });
        self.store(INDEX, index.to_string().as_bytes())
    }

    /// Where `skopeo` finds this one.
    pub fn named(&self, descriptor: &Value) -> String {
        let path = self.directory.join("index.json");
        let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let name = digest_in(descriptor).replace("sha256:", "");
        let mut named = descriptor.clone();
        named["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
        index["manifests"].as_array_mut().unwrap().push(named);
        fs::write(path, index.to_string()).unwrap();
        format!("oci:{}:{name}", self.directory.display())
    }
}
