//! What a deploy asks a registry: does this tag exist, which image is it, what is in its environment, which tags are
//! there.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use reqwest::{Method, StatusCode, Url};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::document::{ACCEPT, Document, ImageConfig, digest_of};
use super::transport::{Question, Transport};
use super::{Manifest, RegistryRead, Result};
use crate::adapters::Cause;
use crate::adapters::http::{self, Answer, NextPage, Patience};
use crate::adapters::kept::Kept;

/// Manifests of one index read side by side.
const SIDE_BY_SIDE: usize = 4;
/// Indexes within indexes.
const DEEPEST: usize = 3;
/// Pages of tags; with a thousand a page, more than any repository has.
const MOST_PAGES: usize = 1000;

/// Documents and configs kept; a deploy looks at a handful of images.
const MOST_KEPT: usize = 256;

/// Any registry that speaks the OCI distribution API. What a digest names never changes, so that is asked for once; where
/// a tag points to is asked every time.
pub struct RegistryClient {
    transport: Transport,
    /// By image and digest.
    documents: Kept<(String, String), Document>,
    environments: Kept<(String, String), Vec<(String, String)>>,
}

impl RegistryClient {
    /// `url` is the server, e.g. `https://ghcr.io`. Public images need no credentials; a password alone is a token.
    ///
    /// # Errors
    /// `Failed` where the URL is not https (or loopback).
    pub fn new(url: &str, username: Option<String>, password: Option<SecretString>) -> Result<Self> {
        Ok(Self {
            transport: Transport::new(url, username, password)?,
            documents: Kept::new(MOST_KEPT),
            environments: Kept::new(MOST_KEPT),
        })
    }

    /// With other timeouts and tries, for loopback alone.
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.transport.set_patience(patience);
        self
    }

    fn manifest_question<'a>(&self, method: Method, image: &'a str, reference: &str) -> Question<'a> {
        let url = self.transport.url(image, "manifests", reference);
        Question { image, method, url, accept: ACCEPT }
    }

    /// Digest and document of a tag or digest; `None` where the registry knows the repository and not the reference.
    async fn document(&self, image: &str, reference: &str) -> Result<Option<(String, Document)>> {
        let question = self.manifest_question(Method::GET, image, reference);
        let name = question.name();
        let answer = self.transport.ask(&question).await?;
        if answer.status == StatusCode::NOT_FOUND && manifest_unknown(&answer) {
            return Ok(None);
        }
        let answer = self.transport.http.judge(&name, answer)?;
        let document: Document = self.transport.http.json(&name, &answer)?;
        if !document.is_known() {
            let cause = Cause::Malformed("neither an image nor an index of images".into());
            return Err(self.transport.http.error(name, cause));
        }
        let hashed = digest_of(&answer.body);
        let told = told_digest(&answer);
        // Under a tag the body must be what the registry says it is, under a digest what we asked for.
        for claimed in [Some(reference), told.as_deref()].into_iter().flatten() {
            if claimed.starts_with("sha256:") && claimed != hashed {
                return Err(self.transport.http.error(name, tampered(claimed, &hashed)));
            }
        }
        let told = told.unwrap_or_else(|| hashed.clone());
        if told == hashed {
            self.documents.put((image.to_owned(), hashed), document.clone());
        }
        Ok(Some((told, document)))
    }

    /// A document that something else names, so it must be there.
    async fn named(&self, image: &str, digest: &str) -> Result<(String, Document)> {
        let read = async {
            let found = self.document(image, digest).await?;
            found.map(|(_, document)| document).ok_or_else(|| {
                let name = self.manifest_question(Method::GET, image, digest).name();
                self.transport.http.error(name, Cause::NotFound("no manifest has this digest".into()))
            })
        };
        let document = self.documents.get((image.to_owned(), digest.to_owned()), read).await?;
        Ok((digest.to_owned(), document))
    }

    /// The environment in an image's config blob; `found` is the manifest that names it.
    async fn config(&self, image: &str, found: &str, document: &Document) -> Result<Vec<(String, String)>> {
        let Some(config) = document.config() else {
            let name = self.manifest_question(Method::GET, image, found).name();
            return Err(self.transport.http.error(name, Cause::Malformed("it holds no image".into())));
        };
        let read = async {
            let url = self.transport.url(image, "blobs", config);
            let question = Question { image, method: Method::GET, url, accept: "*/*" };
            let blob = self.transport.blob(&question).await?;
            let hashed = digest_of(&blob.body);
            if config.starts_with("sha256:") && config != hashed {
                return Err(self.transport.http.error(question.name(), tampered(config, &hashed)));
            }
            let config: ImageConfig = self.transport.http.parse(&question.name(), &blob.body)?;
            Ok(config.environment())
        };
        self.environments.get((image.to_owned(), config.to_owned()), read).await
    }

    /// See [`Manifest::contents`].
    async fn contents(&self, image: &str, digest: &str, document: Document) -> Result<Vec<String>> {
        let mut found = BTreeSet::new();
        let mut level = vec![(digest.to_owned(), document)];
        for _ in 0..=DEEPEST {
            let mut below = BTreeSet::new();
            for (digest, document) in level {
                match document.children() {
                    Some(children) if !children.is_empty() => below.extend(children.into_iter().map(str::to_owned)),
                    _ => {
                        found.insert(document.image_config().map_or(digest, str::to_owned));
                    }
                }
            }
            if below.is_empty() {
                return Ok(found.into_iter().collect());
            }
            level = futures::stream::iter(below)
                .map(|digest| async move { self.named(image, &digest).await })
                .buffered(SIDE_BY_SIDE)
                .try_collect()
                .await?;
        }
        let name = self.manifest_question(Method::GET, image, digest).name();
        let cause = Cause::Malformed(format!("indexes within indexes, more than {DEEPEST} deep"));
        Err(self.transport.http.error(name, cause))
    }
}

/// `Docker-Content-Digest`, where it was sent and looks like one.
fn told_digest(answer: &Answer) -> Option<String> {
    let digest = answer.headers.get("docker-content-digest")?.to_str().ok()?.trim();
    digest.contains(':').then(|| digest.to_owned())
}

/// The repository is there and this reference is not. `NAME_UNKNOWN` is another matter, and so is a 404 of a proxy.
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>
fn manifest_unknown(answer: &Answer) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else { return false };
    body.pointer("/errors/0/code").and_then(Value::as_str) == Some("MANIFEST_UNKNOWN")
}

fn tampered(wanted: &str, got: &str) -> Cause {
    Cause::Malformed(format!("what came for {wanted} has the digest {got}"))
}

#[derive(Deserialize)]
struct TagPage {
    /// `null` in some registries for an empty list; where it is missing, this is no list of tags.
    #[serde(deserialize_with = "Option::deserialize")]
    tags: Option<Vec<String>>,
}

#[async_trait]
impl RegistryRead for RegistryClient {
    async fn digest(&self, image: &str, reference: &str) -> Result<Option<String>> {
        let question = self.manifest_question(Method::HEAD, image, reference);
        let answer = self.transport.ask(&question).await?;
        if answer.status.is_success()
            && let Some(digest) = told_digest(&answer)
        {
            return Ok(Some(digest));
        }
        if answer.status != StatusCode::NOT_FOUND {
            self.transport.http.judge(&question.name(), answer)?;
        }
        Ok(self.document(image, reference).await?.map(|(digest, _)| digest))
    }

    async fn manifest(&self, image: &str, reference: &str) -> Result<Option<Manifest>> {
        let Some((digest, document)) = self.document(image, reference).await? else { return Ok(None) };
        let contents = self.contents(image, &digest, document).await?;
        Ok(Some(Manifest { digest, contents }))
    }

    async fn environment(&self, image: &str, digest: &str) -> Result<Vec<(String, String)>> {
        let (mut found, mut document) = self.named(image, digest).await?;
        for _ in 0..DEEPEST {
            let Some(child) = document.main_child().map(str::to_owned) else { break };
            (found, document) = self.named(image, &child).await?;
        }
        self.config(image, &found, &document).await
    }

    async fn tags(&self, image: &str) -> Result<Vec<String>> {
        let mut url: Url = self.transport.url(image, "tags", "list");
        url.query_pairs_mut().append_pair("n", "1000");
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let question = Question { image, method: Method::GET, url, accept: "application/json" };
            let name = question.name();
            let answer = self.transport.ask(&question).await?;
            let answer = self.transport.http.judge(&name, answer)?;
            let page: TagPage = self.transport.http.json(&name, &answer)?;
            all.extend(page.tags.unwrap_or_default());
            url = match http::next_page(&question.url, &answer.headers) {
                NextPage::At(next) if next != question.url => next,
                NextPage::At(_) | NextPage::None => return Ok(all),
                NextPage::Elsewhere(next) => {
                    return Err(self.transport.http.error(name, http::page_elsewhere(&next)));
                }
            };
        }
        let cause = Cause::Malformed(format!("more than {MOST_PAGES} pages of tags"));
        Err(self.transport.http.error(format!("GET {}", url.path()), cause))
    }
}
