//! Who may see what: the token challenge as GHCR makes it, and what else registries ask for.

use catalog_deploy::adapters::Cause;
use catalog_deploy::adapters::registry::RegistryRead;
use futures::future::join_all;

use super::issuer::Asked;
use super::layout::digest_in;
use super::stage::{IMAGE, Registry};

#[tokio::test]
async fn a_public_image_is_read_with_an_anonymous_token_fetched_once() {
    let registry = Registry::start();
    let image = registry.layout.image("amd64", "2.10.1");
    registry.push(&image, IMAGE, "latest");
    registry.issuer.asked();
    let client = registry.client();
    let digests = join_all((0..4).map(|_| client.digest(IMAGE, "latest"))).await;
    assert!(digests.iter().all(|digest| digest.as_ref().unwrap().as_deref() == Some(&*digest_in(&image))));
    client.tags(IMAGE).await.unwrap();
    let scope = format!("repository:{IMAGE}:pull");
    assert_eq!(registry.issuer.asked(), [Asked { credentials: String::new(), scopes: vec![scope] }]);
}

#[tokio::test]
async fn each_image_has_a_token_of_its_own() {
    let registry = Registry::start();
    let image = registry.layout.image("amd64", "2.10.1");
    registry.push(&image, IMAGE, "latest");
    registry.push(&image, "wordpress/openverse-api", "latest");
    registry.issuer.asked();
    let client = registry.client();
    for name in [IMAGE, "wordpress/openverse-api", IMAGE] {
        assert!(client.digest(name, "latest").await.unwrap().is_some());
    }
    let scopes: Vec<String> = registry.issuer.asked().into_iter().flat_map(|asked| asked.scopes).collect();
    assert_eq!(scopes, [format!("repository:{IMAGE}:pull"), "repository:wordpress/openverse-api:pull".to_owned()]);
}

#[tokio::test]
async fn a_token_that_is_no_longer_accepted_is_renewed() {
    let mut registry = Registry::start();
    let image = registry.layout.image("amd64", "2.10.1");
    registry.push(&image, IMAGE, "latest");
    let client = registry.client();
    client.digest(IMAGE, "latest").await.unwrap();
    registry.change_key();
    registry.issuer.asked();
    assert_eq!(client.digest(IMAGE, "latest").await.unwrap(), Some(digest_in(&image)));
    assert_eq!(registry.issuer.asked().len(), 1);
}

#[tokio::test]
async fn a_private_image_wants_the_right_credentials() {
    let registry = Registry::start();
    let image = registry.layout.image("amd64", "2.10.1");
    registry.push(&image, "private/catalog", "latest");
    let client = registry.client_as(Some("reader"), Some("right\n"));
    assert_eq!(client.digest("private/catalog", "latest").await.unwrap(), Some(digest_in(&image)));

    let error = registry.client().digest("private/catalog", "latest").await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Unauthorized(text) if text == "authentication required"), "{error}");
    assert!(error.request.ends_with("(a token for repository:private/catalog:pull)"), "{error}");
    for (username, password) in [(Some("reader"), "wrong"), (None, "ghp_expired")] {
        let client = registry.client_as(username, Some(password));
        let error = client.digest("private/catalog", "latest").await.unwrap_err();
        assert!(matches!(&error.cause, Cause::Forbidden(text) if text == "denied"), "{error}");
        assert!(error.credentials() && !error.to_string().contains(password), "{error}");
    }
}

/// The specification lets a token server give a token for less than was asked; the registry then refuses that.
#[tokio::test]
async fn a_token_for_nothing_is_refused_and_not_fetched_for_ever() {
    let registry = Registry::start();
    registry.push(&registry.layout.image("amd64", "2.10.1"), "withheld/catalog", "latest");
    registry.issuer.asked();
    let error = registry.client().manifest("withheld/catalog", "latest").await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Unauthorized(text) if text.contains("authentication required")), "{error}");
    assert_eq!(registry.issuer.asked().len(), 1);
}

#[tokio::test]
async fn a_registry_that_wants_a_password() {
    let registry = Registry::basic();
    let image = registry.layout.image("amd64", "2.10.1");
    registry.push(&image, IMAGE, "latest");
    let client = registry.client_as(Some("reader"), Some("right"));
    assert_eq!(client.digest(IMAGE, "latest").await.unwrap(), Some(digest_in(&image)));
    let error = registry.client_as(Some("reader"), Some("wrong")).digest(IMAGE, "latest").await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unauthorized(_)), "{error}");
    let error = registry.client().digest(IMAGE, "latest").await.unwrap_err();
    assert!(error.credentials() && error.to_string().contains("[registry] username and password"), "{error}");
}

#[tokio::test]
async fn a_registry_that_wants_nothing() {
    let registry = Registry::open();
    let image = registry.layout.image("amd64", "2.10.1");
    registry.push(&image, IMAGE, "latest");
    assert_eq!(registry.client().digest(IMAGE, "latest").await.unwrap(), Some(digest_in(&image)));
    // Credentials that nobody asks for are not sent, and do no harm.
    let client = registry.client_as(Some("reader"), Some("right"));
    assert_eq!(client.tags(IMAGE).await.unwrap(), ["latest"]);
}
