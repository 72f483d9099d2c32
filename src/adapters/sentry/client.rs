//! Sentry's list of an organization's issues, narrowed to one project.
//!
//! Parameters as Sentry publishes them in `@sentry/api` (`ListAnOrganizationSissuesData`): the list of a project's issues
//! is deprecated there, and neither `sort`, `limit` nor `environment` is described for it. An empty `groupStatsPeriod`
//! leaves the per-issue statistics out, `sort=new` is by first seen, `limit` is at most 100.
//! <https://docs.sentry.io/api/events/list-an-organizations-issues/>

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{Issue, SentryRead};
use crate::adapters::http::{self, Http, NextPage, Patience};
use crate::adapters::{Cause, ServiceError};

const MOST: usize = 1000;

/// One project of one organization.
pub struct SentryClient {
    http: Http,
    client: Client,
    issues: Url,
    token: Option<SecretString>,
}

impl SentryClient {
    /// `url` is the server, e.g. `https://sentry.io`; the token needs `event:read`. Without one, every question is
    /// answered `Unauthorized`.
    ///
    /// # Errors
    /// `Failed` where the URL is not https (or loopback).
    pub fn new(
        url: &str,
        organization: &str,
        project: &str,
        environment: Option<String>,
        token: Option<SecretString>,
    ) -> Result<Self, ServiceError> {
        let http = Http::new("Sentry");
        let base = http::check_url(url).map_err(|why| {
            http.error("the configuration", Cause::Failed(format!("the URL {why}; correct [sentry] url")))
        })?;
        let client = http::client_for(&base);
        let mut issues = http::with_path(&base, ["api", "0", "organizations", organization, "issues", ""]);
        // `project` takes numbers alone; -1 is "all that this token may see", not only those of its user's teams.
        // <https://docs.sentry.io/concepts/search/searchable-properties/issues/#project>
        issues.query_pairs_mut().extend_pairs([
            ("query", &*format!("is:unresolved project:{project}")),
            ("project", "-1"),
            ("sort", "new"),
            ("groupStatsPeriod", ""),
            ("limit", "100"),
        ]);
        if let Some(environment) = environment {
            issues.query_pairs_mut().append_pair("environment", &environment);
        }
        Ok(Self { http, client, issues, token })
    }

    /// With other timeouts and tries, for loopback alone.
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.http = Http::with_patience("Sentry", patience);
        self.client = http::loopback_client(&patience);
        self
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IssueWire {
    id: String,
    short_id: Option<String>,
    title: Option<String>,
    permalink: Option<String>,
    first_seen: Option<Timestamp>,
}

impl From<IssueWire> for Issue {
    fn from(wire: IssueWire) -> Self {
        Self {
            short_id: wire.short_id.unwrap_or_else(|| wire.id.clone()),
            id: wire.id,
            title: wire.title.unwrap_or_default(),
            permalink: wire.permalink.unwrap_or_default(),
            first_seen: wire.first_seen,
        }
    }
}

#[async_trait]
impl SentryRead for SentryClient {
    async fn unresolved(&self) -> Result<Vec<Issue>, ServiceError> {
        let request = format!("GET {}", self.issues.path());
        let Some(token) = &self.token else {
            let cause = Cause::Unauthorized("not configured; give [sentry] token in the configuration".into());
            return Err(self.http.error(request, cause));
        };
        let token = token.expose_secret().trim();
        let mut url = self.issues.clone();
        let mut all: Vec<Issue> = Vec::new();
        loop {
            let answer = self.http.read(&request, || self.client.get(url.clone()).bearer_auth(token)).await?;
            let page: Vec<IssueWire> = self.http.json(&request, &answer)?;
            all.extend(page.into_iter().map(Issue::from));
            // Sentry's own links may name a region's host; only the cursor is taken from them.
            let next = match http::next_page(&url, &answer.headers) {
                NextPage::None => break,
                NextPage::At(next) | NextPage::Elsewhere(next) => next,
            };
            let Some((_, cursor)) = next.query_pairs().find(|(key, _)| key == "cursor") else { break };
            let mut following = self.issues.clone();
            following.query_pairs_mut().append_pair("cursor", &cursor);
            if following == url || all.len() >= MOST {
                break;
            }
            url = following;
        }
        all.truncate(MOST);
        Ok(all)
    }
}
