//! Images as a registry keeps them: config blobs, manifests and indexes under their SHA-256.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::rehearsal::state::Images;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Lower-case hex, 64 characters.
pub(in crate::rehearsal) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Builds an image that differs by `label`, with `AIRFLOW_VERSION` in its environment, and tags it. `indexed` wraps it
/// in an index with an attestation, as buildx does.
pub(in crate::rehearsal) fn push(images: &mut Images, label: &str, airflow: &str, indexed: bool, tags: &[String]) {
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": "airflow",
            "Env": [
                "PATH=/home/airflow/.local/bin:/usr/local/bin:/usr/bin:/bin",
                format!("AIRFLOW_VERSION={airflow}"),
                "AIRFLOW_HOME=/opt/airflow",
                "PYTHONPATH=/opt/airflow/catalog/dags",
            ],
            "Entrypoint": ["/opt/airflow/catalog/entrypoint.sh"],
            "Labels": { "org.opencontainers.image.version": label },
        },
        "rootfs": { "type": "layers", "diff_ids": [digest(label.as_bytes())] },
        "history": [{ "created_by": "COPY entrypoint.sh /opt/airflow/catalog/entrypoint.sh" }],
    });
    let image = manifest(images, &config, label);
    let tagged = if indexed {
        let statement = json!({ "architecture": "unknown", "os": "unknown", "config": {}, "rootfs": {
            "type": "layers", "diff_ids": [digest(format!("attestation of {label}").as_bytes())] } });
        let attestation = manifest(images, &statement, &format!("attestation of {label}"));
        let children = [descriptor(images, &image, None), descriptor(images, &attestation, Some(&image))];
        store(images, INDEX, &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children }))
    } else {
        image
    };
    for tag in tags {
        images.tags.insert(tag.clone(), tagged.clone());
    }
}

/// What `docker buildx imagetools create` does: the same image under a new tag, re-wrapped, so that the digests of the
/// two tags differ and what they hold does not. A plain manifest keeps its digest.
pub(in crate::rehearsal) fn alias(images: &mut Images, source: &str, tag: &str) {
    let Some(digest) = images.tags.get(source).cloned() else { return };
    let wrapped = match images.manifests.get(&digest) {
        Some((media_type, bytes)) if media_type == INDEX => {
            serde_json::from_slice::<Value>(bytes).ok().map(|mut index| {
                index["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
                index
            })
        }
        _ => None,
    };
    let target = wrapped.map_or(digest, |index| store(images, INDEX, &index));
    images.tags.insert(tag.to_owned(), target);
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256(bytes))
}

fn store(images: &mut Images, media_type: &str, value: &Value) -> String {
    let bytes = value.to_string().into_bytes();
    let digest = digest(&bytes);
    images.manifests.insert(digest.clone(), (media_type.to_owned(), bytes));
    digest
}

fn manifest(images: &mut Images, config: &Value, label: &str) -> String {
    let config = config.to_string().into_bytes();
    let (config_digest, config_size) = (digest(&config), config.len());
    images.blobs.insert(config_digest.clone(), config);
    let layer = format!("layer of {label}").into_bytes();
    let (layer_digest, layer_size) = (digest(&layer), layer.len());
    images.blobs.insert(layer_digest.clone(), layer);
    let value = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": CONFIG, "digest": config_digest, "size": config_size },
        "layers": [{ "mediaType": LAYER, "digest": layer_digest, "size": layer_size }],
    });
    store(images, MANIFEST, &value)
}

fn descriptor(images: &Images, digest: &str, attests: Option<&str>) -> Value {
    let size = images.manifests.get(digest).map_or(0, |(_, bytes)| bytes.len());
    let mut value = json!({ "mediaType": MANIFEST, "digest": digest, "size": size,
        "platform": { "architecture": "amd64", "os": "linux" } });
    if let Some(image) = attests {
        value["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
        value["annotations"] = json!({
            "vnd.docker.reference.digest": image, "vnd.docker.reference.type": "attestation-manifest" });
    }
    value
}
