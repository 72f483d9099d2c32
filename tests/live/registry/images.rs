//! What is behind a tag: images, indexes of them, the same one in other wrappings, and what is not what it says.

use std::fs;

use catalog_deploy::adapters::Cause;
use catalog_deploy::adapters::registry::{RegistryRead, airflow_version};
use serde_json::Value;

use super::layout::digest_in;
use super::stage::{IMAGE, Registry};

/// `AIRFLOW_VERSION` of what a tag points to, by the way a deploy takes: tag, digest, environment.
async fn version(registry: &Registry, tag: &str) -> String {
    let client = registry.client();
    let manifest = client.manifest(IMAGE, tag).await.unwrap().unwrap();
    airflow_version(&client.environment(IMAGE, &manifest.digest).await.unwrap()).unwrap()
}

async fn contents(registry: &Registry, tag: &str) -> (String, Vec<String>) {
    let manifest = registry.client().manifest(IMAGE, tag).await.unwrap().unwrap();
    (manifest.digest, manifest.contents)
}

/// The config's digest of an image in the layout's own words.
fn config_of(registry: &Registry, image: &Value) -> String {
    let manifest: Value = serde_json::from_slice(&fs::read(registry.blob(&digest_in(image))).unwrap()).unwrap();
    digest_in(&manifest["config"])
}

#[tokio::test]
async fn the_environment_of_an_image() {
    let registry = Registry::start();
    let image = registry.layout.image("amd64", "2.10.1");
    registry.push(&image, IMAGE, "latest");
    let environment = registry.client().environment(IMAGE, &digest_in(&image)).await.unwrap();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(environment, [pair("PATH", "/usr/bin:/bin"), pair("AIRFLOW_VERSION", "2.10.1"), pair("EXTRA", "a=b")]);
    assert_eq!(registry.client().environment(IMAGE, "latest").await.unwrap(), environment);
}

#[tokio::test]
async fn an_index_of_two_platforms() {
    let registry = Registry::start();
    let (arm, amd) = (registry.layout.image("arm64", "2.9.3"), registry.layout.image("amd64", "2.10.1"));
    let index = registry.layout.index(&[&arm, &amd], "both");
    registry.push(&index, IMAGE, "latest");
    let (digest, contents) = contents(&registry, "latest").await;
    assert_eq!(digest, digest_in(&index));
    let mut expected = vec![config_of(&registry, &arm), config_of(&registry, &amd)];
    expected.sort();
    assert_eq!(contents, expected);
    assert_eq!(version(&registry, "latest").await, "2.10.1", "of linux/amd64, wherever it stands");
    registry.push(&registry.layout.index(&[&arm], "one"), IMAGE, "arm");
    assert_eq!(version(&registry, "arm").await, "2.9.3", "of the first, where there is no linux/amd64");
}

#[tokio::test]
async fn an_attestation_in_an_index_is_no_image() {
    let registry = Registry::start();
    let image = registry.layout.image("amd64", "2.10.1");
    let attestation = registry.layout.attestation(&image);
    let index = registry.layout.index(&[&attestation, &image], "with provenance");
    registry.push(&index, IMAGE, "attested");
    registry.push(&image, IMAGE, "alone");
    let ((wrapped, within), (alone, itself)) =
        (contents(&registry, "attested").await, contents(&registry, "alone").await);
    assert_eq!((wrapped, alone), (digest_in(&index), digest_in(&image)));
    assert_eq!(within, itself);
    assert_eq!(version(&registry, "attested").await, "2.10.1");
}

/// What `docker buildx imagetools create` may do to an image: another index around the same ones.
#[tokio::test]
async fn re_wrapped_under_another_digest_it_is_the_same_image() {
    let registry = Registry::start();
    let (image, other) = (registry.layout.image("amd64", "2.10.1"), registry.layout.image("amd64", "2.10.2"));
    for (tag, children, note) in [
        ("latest", vec![&image], "built"),
        ("rel-1", vec![&image], "tagged"),
        ("rel-2", vec![&other], "tagged"),
        ("rel-3", vec![&image, &image], "twice"),
    ] {
        registry.push(&registry.layout.index(&children, note), IMAGE, tag);
    }
    let (latest, same) = contents(&registry, "latest").await;
    for (tag, equal) in [("rel-1", true), ("rel-2", false), ("rel-3", true)] {
        let (digest, contents) = contents(&registry, tag).await;
        assert_ne!(digest, latest, "{tag}");
        assert_eq!(contents == same, equal, "{tag}");
    }
}

/// Converted to Docker's own media types, as older builders push them.
#[tokio::test]
async fn dockers_media_types_are_read_as_well() {
    let registry = Registry::start();
    let (amd, arm) = (registry.layout.image("amd64", "2.10.1"), registry.layout.image("arm64", "2.10.1"));
    registry.push(&amd, IMAGE, "oci");
    registry.copy(&amd, IMAGE, "docker", &["--format=v2s2"]);
    let index = registry.layout.index(&[&amd, &arm], "both");
    registry.push(&index, IMAGE, "oci-index");
    registry.copy(&index, IMAGE, "docker-list", &["--format=v2s2", "--all"]);
    for (oci, docker, kind) in
        [("oci", "docker", "manifest.v2+json"), ("oci-index", "docker-list", "manifest.list.v2+json")]
    {
        let ((one, image), (other, same)) = (contents(&registry, oci).await, contents(&registry, docker).await);
        assert_ne!(one, other);
        assert_eq!(image, same, "{docker}");
        let stored = fs::read_to_string(registry.blob(&other)).unwrap();
        assert!(stored.contains(&format!("application/vnd.docker.distribution.{kind}")), "{stored}");
        assert_eq!(version(&registry, docker).await, "2.10.1");
    }
}

/// The registry's disk holds something else than what its name says.
#[tokio::test]
async fn what_does_not_have_the_digest_that_it_is_called_by_is_refused() {
    let registry = Registry::start();
    let image = registry.layout.image("amd64", "2.10.1");
    registry.push(&image, IMAGE, "latest");
    let client = registry.client();
    let tampered = |digest: &str| {
        let file = registry.blob(digest);
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{text}\n")).unwrap();
    };
    let refused = |error: catalog_deploy::adapters::ServiceError, digest: &str| {
        let text = error.to_string();
        assert!(matches!(error.cause, Cause::Malformed(_)) && text.contains(&format!("came for {digest}")), "{text}");
    };
    let config = config_of(&registry, &image);
    let original = fs::read(registry.blob(&config)).unwrap();
    tampered(&config);
    refused(client.environment(IMAGE, "latest").await.unwrap_err(), &config);
    fs::write(registry.blob(&config), original).unwrap();
    assert_eq!(version(&registry, "latest").await, "2.10.1");

    let digest = digest_in(&image);
    tampered(&digest);
    // A client of its own: what was once read under a digest is not asked for again.
    let client = registry.client();
    refused(client.manifest(IMAGE, &digest).await.unwrap_err(), &digest);
    // Under a tag, the digest is the one that the registry tells.
    refused(client.manifest(IMAGE, "latest").await.unwrap_err(), &digest);
    refused(client.environment(IMAGE, "latest").await.unwrap_err(), &digest);
}
