//! Tags: there, not there, late, moved, and more of them than fit on a page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use catalog_deploy::adapters::Cause;
use catalog_deploy::adapters::registry::RegistryRead;
use reqwest::Method;
use serde_json::Value;

use super::layout::{MANIFEST, digest_in};
use super::stage::{IMAGE, Registry, client};

#[tokio::test]
async fn a_tag_that_is_there_and_one_that_is_not() {
    let registry = Registry::start();
    let image = registry.layout.image("amd64", "2.10.1");
    registry.push(&image, IMAGE, "rel-2024.09.30.10.20.30");
    let client = registry.client();
    let digest = Some(digest_in(&image));
    assert_eq!(client.digest(IMAGE, "rel-2024.09.30.10.20.30").await.unwrap(), digest);
    assert_eq!(client.digest(IMAGE, &digest_in(&image)).await.unwrap(), digest);
    let manifest = client.manifest(IMAGE, "rel-2024.09.30.10.20.30").await.unwrap().unwrap();
    assert_eq!(Some(manifest.digest), digest);
    for absent in ["rel-2024.09.30.10.20.31", "latest", &format!("sha256:{}", "0".repeat(64))] {
        assert_eq!(client.digest(IMAGE, absent).await.unwrap(), None, "{absent}");
        assert_eq!(client.manifest(IMAGE, absent).await.unwrap(), None, "{absent}");
    }
    assert_eq!(client.tags(IMAGE).await.unwrap(), ["rel-2024.09.30.10.20.30"]);
}

#[tokio::test]
async fn an_image_that_nobody_ever_pushed() {
    let registry = Registry::start();
    let client = registry.client();
    let error = client.tags("wordpress/openverse-katalog").await.unwrap_err();
    assert!(matches!(&error.cause, Cause::NotFound(text) if text.contains("repository name not known")), "{error}");
    assert!(error.to_string().contains("GET /v2/wordpress/openverse-katalog/tags/list"), "{error}");
    // For a manifest this registry does not tell an unknown repository from an unknown tag.
    assert_eq!(client.digest("wordpress/openverse-katalog", "latest").await.unwrap(), None);
    let error = client.environment("wordpress/openverse-katalog", "latest").await.unwrap_err();
    assert!(error.not_found(), "{error}");
}

#[tokio::test]
async fn a_tag_that_appears_while_it_is_polled() {
    let registry = Arc::new(Registry::start());
    let image = registry.layout.image("amd64", "2.10.1");
    registry.push(&image, IMAGE, "latest");
    let client = registry.client();
    assert_eq!(client.digest(IMAGE, "rel-1").await.unwrap(), None);
    let pushing = {
        let (registry, image) = (registry.clone(), image.clone());
        std::thread::spawn(move || registry.push(&image, IMAGE, "rel-1"))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    let found = loop {
        if let Some(digest) = client.digest(IMAGE, "rel-1").await.unwrap() {
            break digest;
        }
        assert!(Instant::now() < deadline, "the tag never came");
    };
    pushing.join().unwrap();
    assert_eq!(found, digest_in(&image));
}

#[tokio::test]
async fn a_tag_that_moves_to_another_image() {
    let registry = Registry::start();
    let (old, new) = (registry.layout.image("amd64", "2.9.3"), registry.layout.image("amd64", "2.10.1"));
    registry.push(&old, IMAGE, "latest");
    let client = registry.client();
    let before = client.manifest(IMAGE, "latest").await.unwrap().unwrap();
    registry.push(&new, IMAGE, "latest");
    let after = client.manifest(IMAGE, "latest").await.unwrap().unwrap();
    assert_eq!((before.digest, after.digest), (digest_in(&old), digest_in(&new)));
    assert_ne!(before.contents, after.contents);
    assert_eq!(client.digest(IMAGE, "latest").await.unwrap(), Some(digest_in(&new)));
}

/// A registry with `count` tags on one image.
async fn many(count: usize) -> (Registry, Vec<String>) {
    let registry = Registry::start();
    let image = registry.layout.image("amd64", "2.10.1");
    registry.push(&image, IMAGE, "tag-000");
    let manifest = registry.raw(Method::GET, &format!("/v2/{IMAGE}/manifests/tag-000"), "pull").await;
    let manifest = manifest.header("accept", MANIFEST).send().await.unwrap().bytes().await.unwrap();
    let put = registry.raw(Method::PUT, &format!("/v2/{IMAGE}/manifests/tag-000"), "pull,push").await;
    let names: Vec<String> = (0..count).map(|number| format!("tag-{number:03}")).collect();
    for name in &names {
        let mut request = put.try_clone().unwrap().build().unwrap();
        request.url_mut().set_path(&format!("/v2/{IMAGE}/manifests/{name}"));
        request.headers_mut().insert("content-type", MANIFEST.parse().unwrap());
        *request.body_mut() = Some(manifest.clone().into());
        let answer = catalog_deploy::adapters::http::client().execute(request).await.unwrap();
        assert_eq!(answer.status(), 201);
    }
    (registry, names)
}

#[tokio::test]
async fn a_registry_that_knows_no_pages_gives_all_tags_at_once() {
    let (registry, names) = many(120).await;
    let mut found = registry.client().tags(IMAGE).await.unwrap();
    // In no order: version 2 lists its directory.
    found.sort();
    assert_eq!(found, names);
}

/// `docker-registry` before version 3 knows no pages, GHCR does: the same list, cut as the specification says, at 50.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags>
async fn cut(
    State((registry, queries)): State<(String, Arc<Mutex<Vec<String>>>)>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut request = catalog_deploy::adapters::http::client().get(format!("{registry}/v2/{IMAGE}/tags/list"));
    if let Some(shown) = headers.get("authorization") {
        request = request.header("authorization", shown);
    }
    let answer = request.send().await.unwrap();
    if !answer.status().is_success() {
        let (status, challenge) = (answer.status(), answer.headers()["www-authenticate"].clone());
        return (status, [("www-authenticate", challenge)], answer.bytes().await.unwrap()).into_response();
    }
    let mut all: Vec<String> = serde_json::from_value(answer.json::<Value>().await.unwrap()["tags"].take()).unwrap();
    all.sort();
    let n = query["n"].parse::<usize>().unwrap().min(50);
    let last = query.get("last").cloned().unwrap_or_default();
    queries.lock().unwrap().push(last.clone());
    let rest: Vec<String> = all.into_iter().filter(|tag| *tag > last).collect();
    let more = rest.len() > n;
    let page = rest[..rest.len().min(n)].to_vec();
    let link = format!("</v2/{IMAGE}/tags/list?last={}&n={n}>; rel=\"next\"", page.last().cloned().unwrap_or_default());
    let body = axum::Json(serde_json::json!({ "name": IMAGE, "tags": page }));
    if more { ([("link", link)], body).into_response() } else { body.into_response() }
}

#[tokio::test]
async fn more_than_one_page_of_tags_is_followed_by_link() {
    let (registry, names) = many(120).await;
    let queries = Arc::<Mutex<Vec<String>>>::default();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let path = format!("/v2/{IMAGE}/tags/list");
    let router = Router::new().route(&path, get(cut)).with_state((registry.url.clone(), queries.clone()));
    tokio::spawn(axum::serve(listener, router).into_future());
    assert_eq!(client(&url, None, None).tags(IMAGE).await.unwrap(), names);
    assert_eq!(*queries.lock().unwrap(), ["", "tag-049", "tag-099"]);
}
