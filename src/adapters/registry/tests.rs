//! The client against a scripted registry on loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use secrecy::SecretString;

use super::document::digest_of;
use super::*;
use crate::adapters::Cause;
use crate::adapters::http::test_server::{Reply, Seen, Server, impatient, nobody};

const IMAGE: &str = "wordpress/openverse-catalog";
const CONFIG: &str =
    r#"{"os":"linux","config":{"Env":["PATH=/bin:/usr/bin","AIRFLOW_VERSION=2.10.1","A=b=c","BARE"]}}"#;
const UNKNOWN: &str = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;

fn client(url: &str) -> RegistryClient {
    RegistryClient::new(url, None, None).unwrap().with_patience(impatient())
}

fn with_password(url: &str) -> RegistryClient {
    let password = Some(SecretString::from("hidden\n"));
    RegistryClient::new(url, Some("me".into()), password).unwrap().with_patience(impatient())
}

fn image(config: &str, note: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":1}},
            "layers":[],"annotations":{{"note":"{note}"}}}}"#
    )
}

/// An index of (digest, os, architecture), with an attestation of each kind.
fn index(images: &[(&str, &str, &str)]) -> String {
    let mut manifests: Vec<String> = images
        .iter()
        .map(|(digest, os, architecture)| {
            format!(r#"{{"digest":"{digest}","platform":{{"os":"{os}","architecture":"{architecture}"}}}}"#)
        })
        .collect();
    manifests.push(r#"{"digest":"sha256:aa","platform":{"os":"unknown","architecture":"unknown"}}"#.into());
    manifests
        .push(r#"{"digest":"sha256:bb","annotations":{"vnd.docker.reference.type":"attestation-manifest"}}"#.into());
    format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, manifests.join(","))
}

/// An open registry of manifests by tag, each also by its digest, and of the one config blob.
async fn registry(tags: Vec<(&'static str, String)>) -> Server {
    Server::start(move |seen, _| {
        let reference = seen.path.rsplit('/').next().unwrap();
        if seen.path.contains("/blobs/") {
            return Reply::json(CONFIG).with("content-type", "application/octet-stream");
        }
        match tags.iter().find(|(tag, body)| *tag == reference || digest_of(body.as_bytes()) == reference) {
            Some((_, body)) => Reply::json(body)
                .with("content-type", "application/vnd.oci.image.manifest.v1+json")
                .with("docker-content-digest", digest_of(body.as_bytes())),
            None => Reply::status(404, UNKNOWN),
        }
    })
    .await
}

#[tokio::test]
async fn a_rewrapped_image_is_the_same_image() {
    let config = digest_of(CONFIG.as_bytes());
    let (plain, converted) = (image(&config, "plain"), image(&config, "converted"));
    let (arm, other) = (image("sha256:ee", "arm"), image("sha256:dd", "other"));
    let of = |body: &str| digest_of(body.as_bytes());
    let wrapped = index(&[(&of(&plain), "linux", "amd64")]);
    let both = index(&[(&of(&arm), "linux", "arm64"), (&of(&converted), "linux", "amd64")]);
    let nested = index(&[(&of(&both), "linux", "any")]);
    let server = registry(vec![
        ("plain", plain),
        ("wrapped", wrapped),
        ("converted", converted),
        ("both", both),
        ("nested", nested),
        ("arm", arm),
        ("other", other),
    ])
    .await;
    let registry = client(&server.url);
    let contents = async |tag| registry.manifest(IMAGE, tag).await.unwrap().unwrap().contents;
    let one = std::slice::from_ref(&config);
    assert_eq!(contents("plain").await, *one);
    assert_eq!(contents("wrapped").await, *one);
    assert_eq!(contents("converted").await, *one);
    assert_eq!(contents("other").await, ["sha256:dd"]);
    let mut two = vec![config, "sha256:ee".into()];
    two.sort();
    assert_eq!(contents("both").await, two);
    assert_eq!(contents("nested").await, two);
    let (plain, wrapped) = (registry.digest(IMAGE, "plain").await, registry.digest(IMAGE, "wrapped").await);
    assert_ne!(plain.unwrap(), wrapped.unwrap());
}

#[tokio::test]
async fn what_is_no_image_stands_for_itself() {
    let artifact = r#"{"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44"}}"#.to_owned();
    let only_attestations = index(&[]);
    let expected = [digest_of(artifact.as_bytes()), digest_of(only_attestations.as_bytes())];
    let server = registry(vec![("artifact", artifact), ("bare", only_attestations)]).await;
    for (tag, digest) in ["artifact", "bare"].into_iter().zip(expected) {
        let manifest = client(&server.url).manifest(IMAGE, tag).await.unwrap().unwrap();
        assert_eq!(manifest, Manifest { digest: digest.clone(), contents: vec![digest] });
    }
}

#[tokio::test]
async fn the_environment_is_that_of_linux_amd64() {
    let (amd, arm) = (image(&digest_of(CONFIG.as_bytes()), "amd"), image("sha256:ee", "arm"));
    let both = index(&[(&digest_of(arm.as_bytes()), "linux", "arm64"), (&digest_of(amd.as_bytes()), "linux", "amd64")]);
    let digest = digest_of(both.as_bytes());
    let server = registry(vec![("amd", amd), ("arm", arm), ("both", both)]).await;
    let environment = client(&server.url).environment(IMAGE, &digest).await.unwrap();
    assert_eq!(airflow_version(&environment).as_deref(), Some("2.10.1"));
    assert!(environment.contains(&("A".into(), "b=c".into())) && environment.contains(&("BARE".into(), String::new())));
    assert_eq!(server.seen()[0].header("accept").matches("application/vnd.").count(), 4);
}

#[tokio::test]
async fn another_body_than_the_digest_says_is_refused() {
    let server = Server::always(Reply::json(&image("sha256:ee", "x"))).await;
    let wrong = format!("sha256:{}", "0".repeat(64));
    let error = client(&server.url).manifest(IMAGE, &wrong).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Malformed(_)), "{error}");
    // The config blob, too.
    let manifest = image(&wrong, "x");
    let digest = digest_of(manifest.as_bytes());
    let error = client(&registry(vec![("x", manifest)]).await.url).environment(IMAGE, &digest).await.unwrap_err();
    assert!(error.to_string().contains("/blobs/sha256:000") && error.to_string().contains("has the digest"), "{error}");
}

/// A registry that wants the token of the round: every second request with the same token is refused.
async fn challenging(basic: Option<&'static str>, field: &'static str, uses: usize) -> Server {
    let issued = Arc::new(AtomicUsize::new(0));
    let used = AtomicUsize::new(0);
    Server::start(move |seen, _| {
        if seen.path.starts_with("/token") {
            if seen.header("authorization") != basic.unwrap_or_default() {
                return Reply::status(401, r#"{"errors":[{"message":"bad password"}]}"#);
            }
            used.store(0, Ordering::SeqCst);
            let number = issued.fetch_add(1, Ordering::SeqCst) + 1;
            return Reply::json(&format!(r#"{{"{field}":"t{number}","expires_in":300}}"#));
        }
        let current = format!("Bearer t{}", issued.load(Ordering::SeqCst));
        if seen.header("authorization") == current && used.fetch_add(1, Ordering::SeqCst) < uses {
            return Reply::json(r#"{"name":"x","tags":["a"]}"#);
        }
        let realm = format!("http://{}/token?x=1", seen.header("host"));
        let scope = format!("repository:{IMAGE}:pull");
        Reply::status(401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#)
            .with("www-authenticate", format!(r#"Bearer realm="{realm}",service="reg, istry",scope="{scope}""#))
    })
    .await
}

#[tokio::test]
async fn a_token_is_fetched_kept_and_renewed() {
    let server = challenging(None, "token", 2).await;
    let registry = client(&server.url);
    for _ in 0..3 {
        assert_eq!(registry.tags(IMAGE).await.unwrap(), ["a"]);
    }
    let list = "GET /v2/wordpress/openverse-catalog/tags/list?n=1000";
    let token = "GET /token?x=1&service=reg%2C+istry&scope=repository%3Awordpress%2Fopenverse-catalog%3Apull";
    assert_eq!(server.lines(), [list, token, list, list, list, token, list]);
}

#[tokio::test]
async fn side_by_side_questions_share_one_challenge_and_one_token() {
    let server = challenging(None, "token", 100).await;
    let registry = client(&server.url);
    let all = futures::future::join_all((0..8).map(|_| registry.tags(IMAGE))).await;
    assert!(all.into_iter().all(|tags| tags.is_ok()));
    let count = |part: &str| server.lines().iter().filter(|line| line.contains(part)).count();
    // One is refused and fetches the token; the others wait and show it at once.
    assert_eq!((count("/token"), count("/tags/")), (1, 9));
}

/// A digest names the same bytes for ever; a tag may point elsewhere the next moment.
#[tokio::test]
async fn what_a_digest_names_is_read_once_and_a_tag_every_time() {
    let config = digest_of(CONFIG.as_bytes());
    let plain = image(&config, "plain");
    let digest = digest_of(plain.as_bytes());
    let wrapped = index(&[(&digest, "linux", "amd64")]);
    let wrapping = digest_of(wrapped.as_bytes());
    let server = registry(vec![("wrapped", wrapped), ("plain", plain)]).await;
    let registry = client(&server.url);
    for _ in 0..2 {
        registry.manifest(IMAGE, "wrapped").await.unwrap().unwrap();
        registry.environment(IMAGE, &wrapping).await.unwrap();
    }
    let count = |part: &str| server.lines().iter().filter(|line| line.contains(part)).count();
    assert_eq!((count("/manifests/wrapped"), count(&wrapping), count(&digest), count("/blobs/")), (2, 0, 1, 1));
}

#[tokio::test]
async fn credentials_go_to_the_realm_only() {
    // echo -n me:hidden | base64
    let server = challenging(Some("Basic bWU6aGlkZGVu"), "access_token", 9).await;
    assert_eq!(with_password(&server.url).tags(IMAGE).await.unwrap(), ["a"]);
    let sent: Vec<String> = server.seen().iter().map(|seen| seen.header("authorization")).collect();
    assert_eq!(sent, ["", "Basic bWU6aGlkZGVu", "Bearer t1"]);
    let error = client(&server.url).tags(IMAGE).await.unwrap_err();
    assert!(matches!(&error.cause, Cause::Unauthorized(text) if text == "bad password"), "{error}");
}

#[tokio::test]
async fn a_token_that_is_never_accepted_ends_in_an_error() {
    let server = challenging(None, "token", 0).await;
    let error = client(&server.url).tags(IMAGE).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unauthorized(_)), "{error}");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_realm_in_the_open_is_not_gone_to() {
    for realm in ["http://evil.example/token", "ftp://x", "https://u:p@evil.example/token"] {
        let challenge = format!(r#"Bearer realm="{realm}""#);
        let server = Server::always(Reply::status(401, "{}").with("www-authenticate", challenge)).await;
        let error = with_password(&server.url).tags(IMAGE).await.unwrap_err();
        assert!(matches!(error.cause, Cause::Malformed(_)), "{error}");
    }
}

#[tokio::test]
async fn a_token_answer_without_a_token_does_not_show_what_it_holds() {
    let server = Server::start(|seen, _| match seen.path.starts_with("/token") {
        true => Reply::json(r#"{"token":["hidden"]}"#),
        false => Reply::status(401, "{}")
            .with("www-authenticate", format!(r#"Bearer realm="http://{}/token""#, seen.header("host"))),
    })
    .await;
    let error = client(&server.url).tags(IMAGE).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Malformed(_)) && !error.to_string().contains("hidden"), "{error}");
}

#[tokio::test]
async fn a_registry_may_want_basic() {
    let basic = |seen: &Seen, _| match seen.header("authorization").as_str() {
        "Basic bWU6aGlkZGVu" => Reply::json(r#"{"tags":null}"#),
        _ => Reply::status(401, "{}").with("www-authenticate", r#"Basic realm="registry""#),
    };
    let server = Server::start(basic).await;
    assert!(with_password(&server.url).tags(IMAGE).await.unwrap().is_empty());
    let error = client(&server.url).tags(IMAGE).await.unwrap_err();
    assert!(error.to_string().contains("[registry] username"), "{error}");
}

#[tokio::test]
async fn a_blob_elsewhere_is_fetched_without_the_credentials() {
    let store = Server::always(Reply::json(CONFIG).with("content-type", "application/octet-stream")).await;
    let (manifest, at) = (image(&digest_of(CONFIG.as_bytes()), "x"), format!("{}/blob?sig=abc", store.url));
    let digest = digest_of(manifest.as_bytes());
    let server = Server::start(move |seen, _| match seen.header("authorization").as_str() {
        "" => Reply::status(401, "{}").with("www-authenticate", "Basic"),
        _ if seen.path.contains("/blobs/") => Reply::status(307, "").with("location", at.clone()),
        _ => Reply::json(&manifest),
    })
    .await;
    let environment = with_password(&server.url).environment(IMAGE, &digest).await.unwrap();
    assert_eq!(airflow_version(&environment).as_deref(), Some("2.10.1"));
    assert_eq!(store.seen()[0].header("authorization"), "");
    assert_eq!(store.lines(), ["GET /blob?sig=abc"]);
}

#[tokio::test]
async fn an_unknown_tag_is_none_and_an_unknown_image_is_an_error() {
    let server = registry(vec![]).await;
    assert_eq!(client(&server.url).digest(IMAGE, "rel-1").await.unwrap(), None);
    assert_eq!(server.lines().iter().map(|line| &line[..4]).collect::<Vec<_>>(), ["HEAD", "GET "]);
    assert_eq!(client(&server.url).manifest(IMAGE, "rel-1").await.unwrap(), None);
    for (status, body) in [
        (404, r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known"}]}"#),
        (403, r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#),
        (404, "<html>"),
    ] {
        let server = Server::always(Reply::status(status, body)).await;
        assert!(client(&server.url).digest(IMAGE, "rel-1").await.is_err(), "{body}");
        assert!(client(&server.url).manifest(IMAGE, "rel-1").await.is_err(), "{body}");
    }
}

#[tokio::test]
async fn without_the_header_the_digest_is_that_of_the_body() {
    let manifest = image("sha256:ee", "x");
    let expected = digest_of(manifest.as_bytes());
    let server = Server::always(Reply::json(&manifest)).await;
    assert_eq!(client(&server.url).digest(IMAGE, "rel-1").await.unwrap(), Some(expected));
    assert_eq!(digest_of(b""), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[tokio::test]
async fn tags_come_in_their_order_over_all_pages() {
    let server = Server::start(|_, nth| match nth {
        0 => Reply::json(r#"{"tags":["b","a"]}"#)
            .with("link", r#"</v2/wordpress/openverse-catalog/tags/list?last=a&n=2>; rel="next""#),
        _ => Reply::json(r#"{"tags":["c"]}"#),
    })
    .await;
    assert_eq!(client(&server.url).tags(IMAGE).await.unwrap(), ["b", "a", "c"]);
    assert!(server.lines()[1].ends_with("?last=a&n=2"));
}

#[tokio::test]
async fn every_fault_has_its_cause() {
    for (reply, cause, asked) in [
        (Reply::Reset, "NoAnswer", 2),
        (Reply::Half, "NoAnswer", 2),
        (Reply::Silence, "NoAnswer", 2),
        (Reply::status(500, "{}"), "Broken", 2),
        (Reply::status(502, "{}"), "Broken", 2),
        (Reply::status(401, "{}"), "Unauthorized", 1),
        (Reply::status(403, "{}"), "Forbidden", 1),
        (Reply::status(404, "{}"), "NotFound", 1),
        (Reply::status(429, "{}").with("retry-after", "99"), "RateLimited", 1),
        (Reply::html(200), "Malformed", 1),
        (Reply::html(302).with("location", "https://sso.example/"), "Malformed", 1),
        (Reply::json("null"), "Malformed", 1),
        (Reply::json("{}"), "Malformed", 1),
        (Reply::json("{}"), "Malformed", 1),
        (Reply::json(r#"{"manifests":[{}]}"#), "Malformed", 1),
        (Reply::Huge, "Malformed", 1),
    ] {
        let name = format!("{reply:?}");
        let server = Server::always(reply).await;
        let error = client(&server.url).manifest(IMAGE, "rel-1").await.unwrap_err();
        assert!(format!("{:?}", error.cause).starts_with(cause), "{name}: {error}");
        let expected = ": GET /v2/wordpress/openverse-catalog/manifests/rel-1: ";
        assert!(
            error.to_string().starts_with("registry 127.0.0.1:") && error.to_string().contains(expected),
            "{error}"
        );
        assert_eq!(server.seen().len(), asked, "{name}");
    }
    let error = client(&nobody().await).tags(IMAGE).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unreachable(_)), "{error}");
}
