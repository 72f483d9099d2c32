//! The embedded world's registry against the real one: the same requests, and the answers compared.

use std::collections::BTreeMap;

use catalog_deploy::rehearsal::{Options, World};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::Value;

use super::layout::{INDEX, MANIFEST};
use super::stage::{IMAGE, Registry};

/// What a client can act on: status, error code and message, content type, which headers there are.
#[derive(Debug, PartialEq, Eq)]
struct Answered {
    status: u16,
    kind: String,
    error: Option<(String, String)>,
    headers: Vec<&'static str>,
    body: bool,
    challenge: Option<BTreeMap<String, String>>,
}

/// `key="value"` pairs of a challenge; realm and service are each registry's own.
fn challenge(headers: &HeaderMap) -> Option<BTreeMap<String, String>> {
    let text = headers.get("www-authenticate")?.to_str().unwrap().strip_prefix("Bearer ").unwrap();
    let pairs = text.split(',').map(|pair| pair.split_once('=').unwrap());
    let mut found: BTreeMap<String, String> =
        pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())).collect();
    for own in ["realm", "service"] {
        assert!(found.remove(own).is_some_and(|value| !value.is_empty()), "{text}");
    }
    Some(found)
}

/// One registry with a token for [`IMAGE`].
struct Side {
    url: String,
    token: String,
    client: Client,
}

impl Side {
    async fn new(url: &str) -> Self {
        let client = catalog_deploy::adapters::http::client();
        let refused = client.get(format!("{url}/v2/{IMAGE}/tags/list")).send().await.unwrap();
        let text = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
        let part = |name: &str| text.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned();
        let question = [("service", part("service")), ("scope", part("scope"))];
        let answer = client.get(part("realm")).query(&question).send().await.unwrap();
        let token = answer.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned();
        Self { url: url.to_owned(), token, client }
    }

    async fn ask(&self, method: &Method, path: &str, accept: &str, token: Option<&str>) -> Answered {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.url)).header("accept", accept);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        let headers = answer.headers().clone();
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let error = serde_json::from_slice::<Value>(&body).ok().and_then(|value| {
            let error = value.pointer("/errors/0")?;
            Some((text(&error["code"]), text(&error["message"])))
        });
        let known = ["docker-content-digest", "docker-distribution-api-version", "etag", "content-length"];
        Answered {
            status,
            kind: headers["content-type"].to_str().unwrap().to_owned(),
            error,
            headers: known.into_iter().filter(|name| headers.contains_key(*name)).collect(),
            body: !body.is_empty(),
            challenge: challenge(&headers),
        }
    }
}

#[tokio::test]
async fn the_embedded_world_answers_as_the_real_registry_does() {
    let registry = Registry::start();
    let image = registry.layout.image("amd64", "2.10.1");
    let attestation = registry.layout.attestation(&image);
    registry.push(&registry.layout.index(&[&image, &attestation], "built"), IMAGE, "latest");
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(Options::new(directory.path())).await.unwrap();
    let config: toml::Table = world.config_toml().parse().unwrap();
    let real = Side::new(&registry.url).await;
    let embedded = Side::new(config["registry"]["url"].as_str().unwrap()).await;

    let nothing = format!("sha256:{}", "0".repeat(64));
    let both = format!("{INDEX}, {MANIFEST}");
    let manifest = |reference: &str| format!("/v2/{IMAGE}/manifests/{reference}");
    let (get, head) = (Method::GET, Method::HEAD);
    let mut differences = Vec::new();
    for (name, method, path, accept) in [
        ("the version check", &get, "/v2/".to_owned(), "*/*"),
        ("an index", &get, manifest("latest"), &both),
        ("an index, its head", &head, manifest("latest"), &both),
        ("an index that is not accepted", &get, manifest("latest"), MANIFEST),
        ("a tag that is not there", &get, manifest("rel-1"), &both),
        ("a tag that is not there, its head", &head, manifest("rel-1"), &both),
        ("a digest that is not there", &get, manifest(&nothing), &both),
        ("a blob that is not there", &get, format!("/v2/{IMAGE}/blobs/{nothing}"), "*/*"),
        ("the tags", &get, format!("/v2/{IMAGE}/tags/list"), "application/json"),
        ("no such path", &get, format!("/v2/{IMAGE}/nonsense"), "*/*"),
    ] {
        for token in [None, Some("nonsense"), Some("")] {
            let mut answers = Vec::new();
            for side in [&real, &embedded] {
                let token = token.map(|token| if token.is_empty() { side.token.as_str() } else { token });
                answers.push(side.ask(method, &path, accept, token).await);
            }
            if answers[0] != answers[1] {
                differences
                    .push(format!("{name} (token {token:?})\n  real  {:?}\n  world {:?}", answers[0], answers[1]));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
