//! How a registry is talked to: what it wants to be shown is found out by asking, kept per repository, and renewed when
//! it is no longer accepted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::Result;
use super::challenge::{self, Challenge};
use crate::adapters::http::{self, Answer, Http, Patience};
use crate::adapters::{Cause, ServiceError};

/// Hops from a registry to where its blobs really are.
const MOST_REDIRECTS: usize = 3;

/// What is shown with each request.
enum Proof {
    /// Nothing: an open registry.
    None,
    Basic,
    Token(SecretString),
}

pub(super) struct Transport {
    pub http: Http,
    client: Client,
    base: Url,
    credentials: Option<(String, SecretString)>,
    /// By repository, which is what a token's scope names.
    proofs: Mutex<HashMap<String, Arc<Shown>>>,
}

/// What one repository wants to be shown; `None` until it was asked. Held locked while that is found out: reads that
/// start side by side wait for one challenge and one token instead of fetching several.
type Shown = tokio::sync::Mutex<Option<Arc<Proof>>>;

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

/// One question to a registry.
pub(super) struct Question<'a> {
    pub image: &'a str,
    pub method: Method,
    pub url: Url,
    pub accept: &'static str,
}

impl Question<'_> {
    /// For errors and logs.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.url.path())
    }
}

impl Transport {
    pub(super) fn new(url: &str, username: Option<String>, password: Option<SecretString>) -> Result<Self> {
        let base = http::check_url(url).map_err(|why| {
            let cause = Cause::Failed(format!("the URL {why}; correct [registry] url"));
            ServiceError::new("registry", "the configuration", cause)
        })?;
        // GitHub's registry takes a token under any name.
        let credentials = password.map(|password| (username.unwrap_or_else(|| "token".into()), password));
        Ok(Self {
            http: Http::new(service(&base)),
            client: http::client_for(&base),
            base,
            credentials,
            proofs: Mutex::default(),
        })
    }

    pub(super) fn set_patience(&mut self, patience: Patience) {
        self.http = Http::with_patience(service(&self.base), patience);
        self.client = http::loopback_client(&patience);
    }

    /// `/v2/{image}/{kind}/{reference}`
    pub(super) fn url(&self, image: &str, kind: &str, reference: &str) -> Url {
        http::with_path(&self.base, ["v2"].into_iter().chain(image.split('/')).chain([kind, reference]))
    }

    /// The answer of whatever status, after the challenge was met where there was one.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Answer> {
        let shown = self.shown(question.image);
        let mut known = shown.lock().await;
        let used = match &*known {
            Some(proof) => {
                let proof = proof.clone();
                drop(known);
                proof
            }
            None => {
                let open = Arc::new(Proof::None);
                let answer = self.send(question, &open).await?;
                let asked = answer.status == StatusCode::UNAUTHORIZED;
                let proof = if asked { self.prove(question, &open, &answer).await? } else { open };
                *known = Some(proof.clone());
                drop(known);
                return if asked { self.send(question, &proof).await } else { Ok(answer) };
            }
        };
        let answer = self.send(question, &used).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let mut known = shown.lock().await;
        // Where somebody else has renewed it meanwhile, that is taken.
        let renewed = match &*known {
            Some(current) if !Arc::ptr_eq(current, &used) => current.clone(),
            _ => self.prove(question, &used, &answer).await?,
        };
        *known = Some(renewed.clone());
        drop(known);
        self.send(question, &renewed).await
    }

    fn shown(&self, image: &str) -> Arc<Shown> {
        self.proofs.lock().unwrap_or_else(PoisonError::into_inner).entry(image.to_owned()).or_default().clone()
    }

    /// A blob's bytes: registries redirect to a store elsewhere, which must not see what is for the registry.
    pub(super) async fn blob(&self, question: &Question<'_>) -> Result<Answer> {
        let (name, mut url) = (question.name(), question.url.clone());
        let mut answer = self.ask(question).await?;
        for _ in 0..MOST_REDIRECTS {
            if !answer.status.is_redirection() {
                break;
            }
            let next = answer.headers.get(LOCATION).and_then(|to| url.join(to.to_str().ok()?).ok());
            let Some(next) = next.filter(|next| http::check_url(next.as_str()).is_ok()) else { break };
            let client = if http::is_loopback(&next) { self.client.clone() } else { http::client_for(&next) };
            answer = self.http.ask(&name, || self.http.exchange(&name, client.get(next.clone()))).await?;
            url = next;
        }
        self.http.judge(&name, answer)
    }

    async fn send(&self, question: &Question<'_>, proof: &Proof) -> Result<Answer> {
        let name = question.name();
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(question.accept))]);
        let request = || {
            let request = self.client.request(question.method.clone(), question.url.clone()).headers(headers.clone());
            match (proof, &self.credentials) {
                (Proof::Token(token), _) => request.bearer_auth(token.expose_secret()),
                (Proof::Basic, Some((username, password))) => {
                    request.basic_auth(username, Some(password.expose_secret().trim()))
                }
                _ => request,
            }
        };
        self.http.ask(&name, || self.http.exchange(&name, request())).await
    }

    /// What the challenge asks for; `used` was not accepted.
    async fn prove(&self, question: &Question<'_>, used: &Proof, refused: &Answer) -> Result<Arc<Proof>> {
        let refusal = || http::refusal(refused.status, &refused.headers, &refused.body);
        let proof = match challenge::of(&refused.headers) {
            Challenge::Bearer { realm, service, scope } => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", question.image));
                Proof::Token(self.token(&question.name(), &realm, service.as_deref(), &scope).await?)
            }
            Challenge::Basic if self.credentials.is_none() => {
                let why = "it wants a user name and a password; give [registry] username and password".to_owned();
                return Err(self.http.error(question.name(), Cause::Unauthorized(why)));
            }
            Challenge::Basic if !matches!(used, Proof::Basic) => Proof::Basic,
            Challenge::Basic | Challenge::Unknown => return Err(self.http.error(question.name(), refusal())),
        };
        Ok(Arc::new(proof))
    }

    /// A token from the realm, with user name and password where they are configured.
    async fn token(&self, asked: &str, realm: &str, service: Option<&str>, scope: &str) -> Result<SecretString> {
        let mut url = http::check_url(realm).map_err(|why| {
            let cause = Cause::Malformed(format!("it sends us for a token to a place that {why}"));
            self.http.error(asked, cause)
        })?;
        let request = format!("GET {} (a token for {scope})", url.path());
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", service);
        }
        for one in scope.split(' ') {
            url.query_pairs_mut().append_pair("scope", one);
        }
        let client = if http::is_loopback(&url) { self.client.clone() } else { http::client_for(&url) };
        let build = || match &self.credentials {
            Some((username, password)) => {
                client.get(url.clone()).basic_auth(username, Some(password.expose_secret().trim()))
            }
            None => client.get(url.clone()),
        };
        let answer = self.http.read(&request, build).await?;
        let found: TokenAnswer = self.http.json(&request, &answer)?;
        match found.token.or(found.access_token) {
            Some(token) if !token.is_empty() => Ok(SecretString::from(token)),
            _ => Err(self.http.error(request, Cause::Malformed("an answer without a token".into()))),
        }
    }
}

/// e.g. `registry ghcr.io`
fn service(base: &Url) -> String {
    match base.port() {
        Some(port) => format!("registry {}:{port}", base.host_str().unwrap_or_default()),
        None => format!("registry {}", base.host_str().unwrap_or_default()),
    }
}
