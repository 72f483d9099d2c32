//! Settings and a runbook → the real adapters. URLs of the laptop's configuration win over the runbook's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;

use crate::adapters::absent::Absent;
use crate::adapters::airflow::{AirflowAuth, AirflowClient, AirflowWrite};
use crate::adapters::checkout::{Checkout, CheckoutOptions};
use crate::adapters::clock::Clock;
use crate::adapters::github::GithubClient;
use crate::adapters::http::Patience;
use crate::adapters::lock::GitRefLock;
use crate::adapters::notify::SlackWebhook;
use crate::adapters::process::{
    self, Command, CommandRead, CommandRun, Commands, Exit, Finished, LineSink, Recorded, Traces,
};
use crate::adapters::registry::{RegistryClient, RegistryRead};
use crate::adapters::sentry::{SentryClient, SentryRead};
use crate::adapters::{ServiceError, World};
use crate::report::{Paused, Screen};
use crate::runbook::Runbook;

use super::error::CliError;
use super::output::say;
use super::settings::Settings;

const GITHUB: &str = "https://api.github.com";
const SENTRY: &str = "https://sentry.io";

/// What a connection needs beyond settings.
pub struct Connection<'a> {
    pub settings: &'a Settings,
    pub runbook: &'a Runbook,
    pub clock: Arc<dyn Clock>,
    /// Extra environment of children (a rehearsal's PATH).
    pub environment: BTreeMap<String, String>,
    /// Where scratch copies are made.
    pub scratch: PathBuf,
    /// Whoever draws on the terminal, to leave it to an attached child.
    pub screen: Arc<dyn Screen>,
}

impl Connection<'_> {
    /// Opens every adapter; no request is sent yet.
    pub async fn open(&self) -> Result<World, CliError> {
        let (github, airflow, registry, sentry) =
            tokio::try_join!(self.github(), self.airflow(), self.registry(), self.sentry())?;
        let program =
            std::env::current_exe().map_err(|error| CliError::failed(format!("could not find itself: {error}")))?;
        let commands = Arc::new(Commands::new(program).with_environment(self.environment.clone()));
        let root = self.checkout()?;
        let infrastructure = self.runbook.infrastructure.as_ref();
        let remote = infrastructure.map_or("origin", |it| it.remote.as_str()).to_owned();
        let options = CheckoutOptions {
            root,
            remote,
            main: infrastructure.map_or("main", |it| it.main.as_str()).to_owned(),
            directory: infrastructure.map_or(".", |it| it.directory.as_str()).to_owned(),
            environment: self.environment.clone(),
            scratch_parent: self.scratch.clone(),
            commands: commands.clone(),
            host: host(),
        };
        let name = self.runbook.lock.clone().filter(|_| !self.runbook.alone);
        let lock = GitRefLock::new(options.clone(), name);
        Ok(World::new(
            Arc::new(github),
            registry,
            airflow,
            sentry,
            Arc::new(Checkout::new(options)),
            Arc::new(lock),
            Arc::new(Attached { commands, screen: self.screen.clone() }),
            self.clock.clone(),
        ))
    }

    /// A rehearsal, which is on loopback alone, waits less for each answer.
    fn patience(&self) -> Option<Patience> {
        self.settings.config.rehearsal.as_ref().map(|rehearsal| Patience::hurried(rehearsal.hurry))
    }

    async fn github(&self) -> Result<GithubClient, CliError> {
        let config = &self.settings.config.github;
        let url = config
            .api_url
            .as_deref()
            .or(self.runbook.github.as_ref().map(|service| service.api_url.as_str()))
            .unwrap_or(GITHUB);
        let needed = self.runbook.github.is_some() || self.runbook.infrastructure.is_some();
        let (token, unread) = match needed {
            true => readable(self.settings.github_token().await)?,
            false => (None, None),
        };
        let client = match self.patience() {
            None => GithubClient::new(url, token.flatten()),
            Some(patience) => GithubClient::patient(url, token.flatten(), patience),
        };
        let client = client.map_err(url_error)?;
        Ok(match unread {
            Some(why) => client.locked_out(why),
            None => client,
        })
    }

    async fn airflow(&self) -> Result<Arc<dyn AirflowWrite>, CliError> {
        let config = &self.settings.config.airflow;
        let Some(service) = &self.runbook.airflow else { return Ok(Arc::new(Absent::default())) };
        let url = config.url.as_deref().unwrap_or(&service.url);
        let (auth, unread) = readable(self.airflow_auth().await)?;
        let Some((auth, headers)) = auth else {
            return Ok(Arc::new(Absent::without_secret(unread.unwrap_or_default())));
        };
        let client = AirflowClient::new(url, auth, headers).map_err(url_error)?;
        Ok(Arc::new(match self.patience() {
            None => client,
            Some(patience) => client.with_patience(patience),
        }))
    }

    async fn airflow_auth(&self) -> Result<(AirflowAuth, Vec<(String, SecretString)>), CliError> {
        let config = &self.settings.config.airflow;
        let auth = if let Some(token) = &config.token {
            AirflowAuth::Token(self.settings.secret("[airflow] token", token).await?)
        } else if let Some(username) = &config.username {
            let Some(password) = &config.password else {
                return Err(CliError::usage("[airflow] has a username but no password").next(format!(
                    "add password = {{ env = \"AIRFLOW_PASSWORD\" }} to {}",
                    self.settings.config_path.display()
                )));
            };
            let password = self.settings.secret("[airflow] password", password).await?;
            AirflowAuth::Password { username: username.clone(), password }
        } else {
            AirflowAuth::Anonymous
        };
        let mut headers = Vec::new();
        for (name, secret) in &config.headers {
            headers.push((name.clone(), self.settings.secret(&format!("[airflow] headers.{name}"), secret).await?));
        }
        Ok((auth, headers))
    }

    async fn registry(&self) -> Result<Arc<dyn RegistryRead>, CliError> {
        let config = &self.settings.config.registry;
        let Some(service) = &self.runbook.registry else { return Ok(Arc::new(Absent::default())) };
        let password = self.settings.optional("[registry] password", config.password.as_ref()).await;
        let (password, unread) = readable(password)?;
        if let Some(why) = unread {
            return Ok(Arc::new(Absent::without_secret(why)));
        }
        let url = config.url.as_deref().unwrap_or(&service.url);
        let client = RegistryClient::new(url, config.username.clone(), password.flatten()).map_err(url_error)?;
        Ok(Arc::new(match self.patience() {
            None => client,
            Some(patience) => client.with_patience(patience),
        }))
    }

    /// `None` where neither the laptop's configuration nor the runbook names a project: then it is not asked.
    async fn sentry(&self) -> Result<Option<Arc<dyn SentryRead>>, CliError> {
        let config = &self.settings.config.sentry;
        let service = self.runbook.sentry.as_ref();
        let organization = config.organization.as_ref().or(service.map(|service| &service.organization));
        let project = config.project.as_ref().or(service.map(|service| &service.project));
        let (Some(organization), Some(project)) = (organization, project) else { return Ok(None) };
        let Some(token) = &config.token else { return Ok(Some(Arc::new(Absent::default()))) };
        let (token, unread) = readable(self.settings.secret("[sentry] token", token).await)?;
        if let Some(why) = unread {
            return Ok(Some(Arc::new(Absent::without_secret(why))));
        }
        let url = config.url.as_deref().or(service.map(|service| service.url.as_str())).unwrap_or(SENTRY);
        let environment = config.environment.clone().or(service.and_then(|service| service.environment.clone()));
        let client = SentryClient::new(url, organization, project, environment, token).map_err(url_error)?;
        Ok(Some(Arc::new(match self.patience() {
            None => client,
            Some(patience) => client.with_patience(patience),
        })))
    }

    /// Slack's webhook, where one is configured and the runbook wants it.
    pub async fn slack(&self) -> Result<Option<SlackWebhook>, CliError> {
        let config = &self.settings.config.slack;
        if self.runbook.slack.is_none() {
            return Ok(None);
        }
        // Nothing waits for a message, so a secret that cannot be read only leaves it unsent.
        match self.settings.optional("[slack] webhook_url", config.webhook_url.as_ref()).await {
            Ok(url) => Ok(url.map(SlackWebhook::new)),
            Err(error) if error.reason == "credentials" => {
                say(&format!("warning: no messages are sent to Slack: {}", error.message));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// `-C`, then the configuration, then this directory if it looks like the infrastructure repository.
    fn checkout(&self) -> Result<PathBuf, CliError> {
        let Some(infrastructure) = &self.runbook.infrastructure else { return Ok(PathBuf::from(".")) };
        let shared = &self.settings.shared;
        if let Some(path) = shared.checkout.as_ref().or(self.settings.config.infrastructure.checkout.as_ref()) {
            return std::path::absolute(path)
                .map_err(|error| CliError::usage(format!("could not use {} as checkout: {error}", path.display())));
        }
        if Path::new(&infrastructure.version.file).is_file() {
            return std::path::absolute(".")
                .map_err(|error| CliError::usage(format!("could not use this directory: {error}")));
        }
        Err(CliError::usage(format!("it is not known where {} is checked out", infrastructure.repository))
            .next("the same command with `-C DIR`, DIR being that checkout")
            .next(format!(
                "or, once and for all, in {}: [infrastructure] checkout = \"/path/to/it\"",
                self.settings.config_path.display()
            ))
            .next("or try it without any of this: catalog-deploy rehearse prod"))
    }
}

/// A secret, or why it could not be read: a service that cannot be asked for that reason may be one that the deploy can
/// continue without. Any other error ends the command.
fn readable<T>(secret: Result<T, CliError>) -> Result<(Option<T>, Option<String>), CliError> {
    match secret {
        Ok(secret) => Ok((Some(secret), None)),
        Err(error) if error.reason == "credentials" => {
            let next: Vec<String> = error.next.iter().map(|next| format!("; {next}")).collect();
            Ok((None, Some(format!("{}{}", error.message, next.concat()))))
        }
        Err(error) => Err(error),
    }
}

/// Leaves the terminal to a child that is attached to it.
struct Attached {
    commands: Arc<Commands>,
    screen: Arc<dyn Screen>,
}

#[async_trait]
impl CommandRead for Attached {
    async fn read(&self, command: &Command) -> process::Result<Finished> {
        self.commands.read(command).await
    }
    async fn wait_recorded(&self, traces: &Traces, lines: LineSink) -> process::Result<Option<Exit>> {
        self.commands.wait_recorded(traces, lines).await
    }
}

#[async_trait]
impl CommandRun for Attached {
    async fn run_recorded(
        &self,
        command: &Command,
        traces: &Traces,
        lines: LineSink,
        stop: tokio::sync::watch::Receiver<bool>,
    ) -> process::Result<Recorded> {
        self.commands.run_recorded(command, traces, lines, stop).await
    }
    async fn run_attached(&self, command: &Command, traces: &Traces) -> process::Result<Exit> {
        let _paused = Paused::new(self.screen.clone());
        self.commands.run_attached(command, traces).await
    }
}

/// A URL that cannot be used is a matter of configuration.
fn url_error(error: ServiceError) -> CliError {
    CliError { reason: "configuration", ..CliError::usage(error.to_string()) }
}

/// The laptop's name, for locks and obligations.
pub fn host() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "unknown-host".into())
}

/// The person's login name.
pub fn who(settings: &Settings) -> String {
    settings
        .environment
        .get("USER")
        .or_else(|| nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name))
        .unwrap_or_else(|| "unknown".into())
}
