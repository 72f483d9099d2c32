//! The routes: which question is asked where, and what of the answer is kept.

use async_trait::async_trait;
use reqwest::{Client, Url};
use secrecy::SecretString;

use super::transport::{BETWEEN_CHANGES, Transport};
use super::wire::*;
use super::*;
use crate::adapters::http::{self, Http, Patience};
use crate::adapters::{Cause, ServiceError};

/// Most items of a list that is read to its end; GitHub itself ends a pull request's files at 3,000.
const MOST: usize = 1000;
const MOST_FILES: usize = 3000;

/// GitHub's REST API, version 2022-11-28, at github.com or a GitHub Enterprise Server (`https://HOST/api/v3`).
pub struct GithubClient {
    transport: Transport,
}

impl GithubClient {
    /// `token` is needed for drafts and for every change. To be called within a tokio runtime.
    ///
    /// # Errors
    /// `Failed` where the URL is not https (or loopback), or the token cannot be a header.
    pub fn new(api_url: &str, token: Option<SecretString>) -> Result<Self> {
        let base = Self::base(api_url)?;
        let client = http::client_for(&base);
        Self::assemble(base, token, client, Patience::default(), BETWEEN_CHANGES)
    }

    /// As [`GithubClient::new`] with other timeouts and tries, for loopback alone.
    ///
    /// # Errors
    /// As [`GithubClient::new`].
    pub fn patient(api_url: &str, token: Option<SecretString>, patience: Patience) -> Result<Self> {
        let base = Self::base(api_url)?;
        Self::assemble(base, token, http::loopback_client(&patience), patience, BETWEEN_CHANGES)
    }

    /// Sends nothing, and says `why` instead: the token could not be read.
    #[must_use]
    pub fn locked_out(mut self, why: impl Into<String>) -> Self {
        self.transport.locked_out = Some(why.into());
        self
    }

    pub(super) fn base(api_url: &str) -> Result<Url> {
        http::check_url(api_url).map_err(|why| {
            let cause = Cause::Failed(format!("the API's URL {why}; correct [github] api_url"));
            ServiceError::new("GitHub", "the configuration", cause)
        })
    }

    pub(super) fn assemble(
        base: Url,
        token: Option<SecretString>,
        client: Client,
        patience: Patience,
        between_changes: std::time::Duration,
    ) -> Result<Self> {
        let http = Http::with_patience("GitHub", patience);
        Ok(Self { transport: Transport::new(http, base, client, token.as_ref(), between_changes)? })
    }

    fn pull(&self, repo: &str, number: u64, rest: &[&str]) -> Url {
        let number = number.to_string();
        self.transport.repo(repo, ["pulls", number.as_str()].into_iter().chain(rest.iter().copied()))
    }

    async fn check_runs(&self, repo: &str, sha: &str) -> Result<Vec<CheckRunWire>> {
        let url = hundred(self.transport.repo(repo, ["commits", sha, "check-runs"]));
        self.transport.pages(url, MOST, |page: CheckRuns| page.check_runs).await
    }

    async fn statuses(&self, repo: &str, sha: &str) -> Result<Vec<StatusWire>> {
        let url = hundred(self.transport.repo(repo, ["commits", sha, "status"]));
        self.transport.pages(url, MOST, |page: CombinedStatus| page.statuses).await
    }
}

/// The largest page that GitHub gives.
fn hundred(url: Url) -> Url {
    query(url, &[("per_page", "100")])
}

fn query(mut url: Url, pairs: &[(&str, &str)]) -> Url {
    url.query_pairs_mut().extend_pairs(pairs);
    url
}

fn all<W, T: From<W>>(wires: Vec<W>) -> Vec<T> {
    wires.into_iter().map(T::from).collect()
}

/// A list whose page is the list itself.
fn whole<W>(page: Vec<W>) -> Vec<W> {
    page
}

#[async_trait]
impl GithubRead for GithubClient {
    async fn viewer(&self) -> Result<String> {
        let user: User = self.transport.get(self.transport.route(["user"])).await?;
        Ok(user.login)
    }

    async fn permissions(&self, repo: &str) -> Result<Permissions> {
        let (wire, headers) = self.transport.told::<RepositoryWire>(self.transport.repo(repo, [])).await?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let expires = text("github-authentication-token-expiration").and_then(expiration);
        Ok(wire.permissions(text("x-oauth-scopes"), expires))
    }

    async fn releases(&self, repo: &str) -> Result<Vec<Release>> {
        let wires: Vec<ReleaseWire> = self.transport.get(hundred(self.transport.repo(repo, ["releases"]))).await?;
        Ok(all(wires))
    }

    async fn release(&self, repo: &str, id: u64) -> Result<Release> {
        let wire: ReleaseWire = self.transport.get(self.transport.repo(repo, ["releases", &id.to_string()])).await?;
        Ok(wire.into())
    }

    async fn workflow_runs(&self, repo: &str, workflow: &str, filter: &RunFilter) -> Result<Vec<WorkflowRun>> {
        let mut url = hundred(self.transport.repo(repo, ["actions", "workflows", workflow, "runs"]));
        if let Some(event) = &filter.event {
            url = query(url, &[("event", event)]);
        }
        if let Some(branch) = &filter.branch {
            url = query(url, &[("branch", branch)]);
        }
        if let Some(after) = filter.created_after {
            url = query(url, &[("created", &format!(">={}", after.strftime("%Y-%m-%dT%H:%M:%SZ")))]);
        }
        let page: WorkflowRuns = self.transport.get(url).await?;
        Ok(all(page.workflow_runs))
    }

    async fn jobs(&self, repo: &str, run: u64) -> Result<Vec<Job>> {
        let url = self.transport.repo(repo, ["actions", "runs", &run.to_string(), "jobs"]);
        let page: Jobs = self.transport.get(hundred(url)).await?;
        Ok(all(page.jobs))
    }

    async fn commits_touching(&self, repo: &str, branch: &str, path: &str) -> Result<Vec<Commit>> {
        let url = query(self.transport.repo(repo, ["commits"]), &[("sha", branch), ("path", path)]);
        let commits: Vec<CommitWire> = self.transport.get(hundred(url)).await?;
        Ok(all(commits))
    }

    async fn pull_requests_of_branch(&self, repo: &str, branch: &str) -> Result<Vec<PullRequest>> {
        let owner = repo.split('/').next().unwrap_or_default();
        let head = format!("{owner}:{branch}");
        let url = query(self.transport.repo(repo, ["pulls"]), &[("state", "all"), ("head", &head)]);
        let mut found = self.transport.pages(hundred(url), MOST, whole::<PullRequestWire>).await?;
        found.retain(|pull| pull.is_of(owner, branch));
        Ok(all(found))
    }

    async fn open_pull_requests(&self, repo: &str) -> Result<Vec<PullRequest>> {
        let url = hundred(query(self.transport.repo(repo, ["pulls"]), &[("state", "open")]));
        Ok(all(self.transport.pages(url, MOST, whole::<PullRequestWire>).await?))
    }

    async fn pull_request(&self, repo: &str, number: u64) -> Result<PullRequest> {
        let wire: PullRequestWire = self.transport.get(self.pull(repo, number, &[])).await?;
        Ok(wire.into())
    }

    async fn pull_request_files(&self, repo: &str, number: u64) -> Result<Vec<ChangedFile>> {
        let url = hundred(self.pull(repo, number, &["files"]));
        Ok(all(self.transport.pages(url, MOST_FILES, whole::<FileWire>).await?))
    }

    async fn reviews(&self, repo: &str, number: u64) -> Result<Vec<Review>> {
        let url = hundred(self.pull(repo, number, &["reviews"]));
        Ok(all(self.transport.pages(url, MOST, whole::<ReviewWire>).await?))
    }

    async fn checks(&self, repo: &str, sha: &str) -> Result<Vec<CheckRun>> {
        let (runs, statuses) = futures::try_join!(self.check_runs(repo, sha), self.statuses(repo, sha))?;
        Ok(all::<_, CheckRun>(runs).into_iter().chain(all(statuses)).collect())
    }

    async fn file_at(&self, repo: &str, path: &str, reference: &str) -> Result<Option<Vec<u8>>> {
        let url = self.transport.repo(repo, ["contents"].into_iter().chain(path.split('/')));
        match self.transport.file(query(url, &[("ref", reference)])).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl GithubWrite for GithubClient {
    async fn publish_release(&self, repo: &str, id: u64, tag_name: &str) -> Result<Release> {
        let url = self.transport.repo(repo, ["releases", &id.to_string()]);
        let wire: ReleaseWire = self.transport.patch(url, &Publish { draft: false, tag_name }).await?;
        Ok(wire.into())
    }

    async fn approve_pull_request(&self, repo: &str, number: u64, commit_id: &str, body: &str) -> Result<()> {
        let url = self.pull(repo, number, &["reviews"]);
        let _review: ReviewWire = self.transport.post(url, &Approve { event: "APPROVE", commit_id, body }).await?;
        Ok(())
    }

    async fn open_pull_request(&self, repo: &str, new: &NewPullRequest) -> Result<PullRequest> {
        let body = OpenPullRequest { title: &new.title, body: &new.body, head: &new.head, base: &new.base };
        let wire: PullRequestWire = self.transport.post(self.transport.repo(repo, ["pulls"]), &body).await?;
        Ok(wire.into())
    }
}
