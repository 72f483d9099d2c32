//! Where flags, environment and files meet, once. The only reader of the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::args::{ColorWhen, SharedArgs};
use super::error::CliError;
use crate::adapters::http::{is_loopback_text, path_of};
use crate::adapters::process::print_secret;
use crate::adapters::redact::Redactor;
use crate::report::text::shell_word;
use crate::runbook::suggest::nearest;

/// In bytes.
const LARGEST_CONFIG: u64 = 1 << 20;

/// A variable that only sounds like a secret (`MAX_TOKEN=4096`) must not make the output unreadable.
const SHORTEST_INHERITED: usize = 8;

/// What the process was started with, read once.
#[derive(Debug, Clone)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
    pub stdin_is_terminal: bool,
    pub stderr_is_terminal: bool,
    pub stdout_is_terminal: bool,
    /// Knows every secret that was read so far.
    pub redactor: Redactor,
}

impl Environment {
    #[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
    pub fn of_process() -> Self {
        let variables: BTreeMap<String, OsString> =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        let redactor = Redactor::default();
        // Children inherit these, ours or not, and may print them.
        for value in variables.iter().filter(|(name, _)| names_a_secret(name)).filter_map(|(_, value)| value.to_str()) {
            if value.len() >= SHORTEST_INHERITED {
                redactor.learn(value);
            }
        }
        Self {
            variables,
            redactor,
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
            stdout_is_terminal: std::io::stdout().is_terminal(),
        }
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        self.variables.get(name).and_then(|value| value.to_str()).filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// Colour on stderr: `--color`, then `NO_COLOR`, `CLICOLOR_FORCE`, `TERM=dumb`, then the terminal.
    pub fn colour(&self, when: ColorWhen) -> bool {
        match when {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto if self.get("NO_COLOR").is_some() => false,
            ColorWhen::Auto if self.get("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
            ColorWhen::Auto => self.stderr_is_terminal && !self.dumb(),
        }
    }

    /// Moving pictures: only on a terminal that can, and not where a machine watches.
    pub fn animated(&self) -> bool {
        self.stderr_is_terminal && !self.dumb() && self.get("CI").is_none()
    }

    /// A terminal that shows lines and no more.
    pub fn dumb(&self) -> bool {
        self.get("TERM").is_some_and(|term| term == "dumb")
    }
}

/// By the last words of its name: `AWS_SESSION_TOKEN`, `PGPASSWORD`.
fn names_a_secret(name: &str) -> bool {
    const ENDS: [&str; 6] = ["TOKEN", "PASSWORD", "SECRET", "SECRET_ACCESS_KEY", "PRIVATE_KEY", "API_KEY"];
    let name = name.to_ascii_uppercase();
    ENDS.iter().any(|end| name.ends_with(end))
}

/// The laptop's configuration file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub infrastructure: InfrastructureConfig,
    pub github: GithubConfig,
    pub airflow: AirflowConfig,
    pub registry: RegistryConfig,
    pub sentry: SentryConfig,
    pub slack: SlackConfig,
    /// Written by `rehearse`; makes every run with this file a rehearsal.
    pub rehearsal: Option<RehearsalConfig>,
}

impl Config {
    /// A rehearsal hurries through every wait, so it must never reach a real service.
    fn only_loopback(&self, path: &Path) -> Result<(), CliError> {
        let urls = [
            ("[github] api_url", &self.github.api_url),
            ("[airflow] url", &self.airflow.url),
            ("[registry] url", &self.registry.url),
            ("[sentry] url", &self.sentry.url),
        ];
        match urls.iter().find(|(_, url)| !url.as_deref().is_some_and(is_loopback_text)) {
            None => Ok(()),
            Some((key, _)) => Err(CliError::usage(format!(
                "{}: [rehearsal] stands in this file, but {key} is not on loopback",
                path.display()
            ))
            .next("take [rehearsal] out to work with real services")),
        }
    }
}

/// What makes a run a rehearsal. Accepted only where every service is on loopback.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RehearsalConfig {
    /// Waits are this many times shorter.
    pub hurry: u32,
    /// Where runs are kept instead of in the person's history.
    pub state: PathBuf,
    /// `PATH` of children, where stand-ins play missing tools.
    pub path: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InfrastructureConfig {
    pub checkout: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GithubConfig {
    pub api_url: Option<String>,
    pub token: Option<Secret>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AirflowConfig {
    pub url: Option<String>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub token: Option<Secret>,
    /// Sent with every request, e.g. Cloudflare Access.
    pub headers: BTreeMap<String, Secret>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryConfig {
    pub url: Option<String>,
    pub username: Option<String>,
    pub password: Option<Secret>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SentryConfig {
    pub url: Option<String>,
    /// With `project`: what is asked for new issues. The runbook may name both instead.
    pub organization: Option<String>,
    pub project: Option<String>,
    pub environment: Option<String>,
    pub token: Option<Secret>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlackConfig {
    pub webhook_url: Option<Secret>,
}

/// Where a secret comes from; never the secret itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "a secret is { env = \"NAME\" }, { command = [\"program\", \"argument\"] } or { file = \"path\" }, never the value itself"
)]
pub enum Secret {
    Env(SecretEnv),
    Command(SecretCommand),
    File(SecretFile),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretEnv {
    env: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretCommand {
    command: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretFile {
    file: PathBuf,
}

/// Everything below the command line works with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub environment: Environment,
    pub config: Config,
    /// The file the configuration came from, or would come from.
    pub config_path: PathBuf,
    pub config_directory: PathBuf,
    pub state_directory: PathBuf,
    pub shared: SharedArgs,
}

/// The given options that every further command needs as well, as they would be typed; starts with a space.
pub fn options(shared: &SharedArgs) -> String {
    let typed = |flag: &str, path: &Path| format!(" {flag} {}", shell_word(&path.display().to_string()));
    // A command may be typed in another directory.
    let config = shared.config.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    let config = config.map(|path| typed("--config", &path)).unwrap_or_default();
    let checkout = shared.checkout.as_deref().map(|path| typed("-C", path)).unwrap_or_default();
    config + &checkout
}

impl Settings {
    /// Reads the configuration; absent is fine unless `--config` named it.
    pub fn load(environment: Environment, shared: &SharedArgs) -> Result<Self, CliError> {
        let base = etcetera::choose_base_strategy()
            .map_err(|error| CliError::usage(format!("could not find the home directory: {error}")))?;
        let directory = |variable: &str, default: PathBuf| {
            environment.get(variable).map(PathBuf::from).filter(|path| path.is_absolute()).unwrap_or(default)
        };
        let config_directory = directory("XDG_CONFIG_HOME", base.config_dir()).join("catalog-deploy");
        let state = base.state_dir().unwrap_or_else(|| base.data_dir());
        let state_directory = directory("XDG_STATE_HOME", state).join("catalog-deploy");
        let config_path = shared.config.clone().unwrap_or_else(|| config_directory.join("config.toml"));
        // Children run elsewhere: whatever is derived from this path must mean the same there.
        let config_path = std::path::absolute(&config_path)
            .map_err(|error| CliError::usage(format!("could not use {}: {error}", config_path.display())))?;
        let config = match read_text(&config_path) {
            Ok(text) => Self::parse(&config_path, &text)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && shared.config.is_none() => Config::default(),
            Err(error) => {
                let unread = CliError::usage(format!("could not read {}: {error}", config_path.display()));
                return Err(CliError { reason: "configuration", ..unread }
                    .next("name another with --config FILE, or mend this one"));
            }
        };
        // A rehearsal touches neither the person's history nor what they trust.
        let state_directory = config.rehearsal.as_ref().map_or(state_directory, |rehearsal| rehearsal.state.clone());
        Ok(Self { environment, config, config_path, config_directory, state_directory, shared: shared.clone() })
    }

    /// Parses a configuration's text; relative paths are taken from the file's own directory.
    pub fn parse(path: &Path, text: &str) -> Result<Config, CliError> {
        let mut config: Config = toml::from_str(text).map_err(|error| {
            let refused = CliError::usage(shown(path, text, &error));
            let refused = CliError { reason: "configuration", ..refused };
            match meant(error.message()) {
                Some(near) => refused.next(format!("did you mean `{near}`?")),
                None => refused,
            }
        })?;
        let from = path.parent().unwrap_or(Path::new("."));
        if let Some(checkout) = &mut config.infrastructure.checkout {
            *checkout = from.join(&checkout);
        }
        if let Some(rehearsal) = &mut config.rehearsal {
            rehearsal.state = from.join(&rehearsal.state);
            config.only_loopback(path)?;
        }
        Ok(config)
    }

    /// As [`options`].
    pub fn options(&self) -> String {
        options(&self.shared)
    }

    /// GitHub's token: configured, else `GH_TOKEN`, `GITHUB_TOKEN`, then `gh auth token`.
    pub async fn github_token(&self) -> Result<Option<SecretString>, CliError> {
        if let Some(secret) = &self.config.github.token {
            return self.secret("[github] token", secret).await.map(Some);
        }
        let found = ["GH_TOKEN", "GITHUB_TOKEN"].iter().find_map(|name| self.environment.get(name));
        if let Some(token) = found {
            self.learn(&token);
            return Ok(Some(token.into()));
        }
        let command = ["gh".to_owned(), "auth".to_owned(), "token".to_owned()];
        // Without `gh`, or not logged in: then there is no token, and the first request says what is missing.
        let token = print_secret(&command).await.ok();
        if let Some(token) = &token {
            self.learn(token.expose_secret());
        }
        Ok(token)
    }

    /// Reads an optional secret.
    pub async fn optional(&self, key: &str, secret: Option<&Secret>) -> Result<Option<SecretString>, CliError> {
        match secret {
            Some(secret) => self.secret(key, secret).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads a secret from where the configuration says; `key` names it in errors.
    pub async fn secret(&self, key: &str, secret: &Secret) -> Result<SecretString, CliError> {
        let failed = |why: String| {
            CliError::credentials(format!("could not read the secret {key}: {why}"))
                .next(format!("look at {key} in {}", self.config_path.display()))
        };
        let value: SecretString = match secret {
            Secret::Env(SecretEnv { env }) => {
                self.environment.get(env).ok_or_else(|| failed(format!("the variable {env} is not set")))?.into()
            }
            Secret::File(SecretFile { file }) => {
                let path = self.config_path.parent().unwrap_or(Path::new(".")).join(file);
                let text =
                    std::fs::read_to_string(&path).map_err(|error| failed(format!("{}: {error}", path.display())))?;
                text.trim_end_matches(['\r', '\n']).into()
            }
            Secret::Command(SecretCommand { command }) => print_secret(command).await.map_err(failed)?,
        };
        if value.expose_secret().trim().is_empty() {
            return Err(failed("it is empty".into()));
        }
        self.learn(value.expose_secret());
        Ok(value)
    }

    /// Knows `secret` from now on, to keep it out of everything that is told. Of a URL, the part that is secret as well:
    /// errors name requests by their path.
    fn learn(&self, secret: &str) {
        self.environment.redactor.learn(secret);
        if let Some(path) = path_of(secret) {
            self.environment.redactor.learn(&path);
        }
    }
}

/// A configuration's text: without the mark that some editors put in front, and never more than a person writes.
fn read_text(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LARGEST_CONFIG + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_CONFIG {
        return Err(std::io::Error::other("it is larger than 1 MiB, so it is no configuration"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..place].iter().filter(|byte| **byte == b'\n').count() + 1;
        std::io::Error::other(format!("line {line} is not UTF-8"))
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// A mistake with its place. Of the line only the key is shown: whatever stands behind it may be a secret that somebody
/// wrote right there, and this text ends in logs.
fn shown(path: &Path, text: &str, error: &toml::de::Error) -> String {
    let message = unquoted(error.message());
    let Some(span) = error.span() else { return format!("{}: {message}", path.display()) };
    let before = text.get(..span.start).unwrap_or(text);
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let key = line.split('=').next().filter(|_| line.contains('=') || line.trim_start().starts_with('['));
    let seen = match key {
        Some(key) if line.contains('=') => format!("{key}= …"),
        Some(table) => table.to_owned(),
        None => "…".to_owned(),
    };
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
    let caret = " ".repeat(column.min(seen.chars().count().saturating_sub(1)));
    let margin = " ".repeat(number.to_string().len());
    format!("{}:{number}: {message}\n{margin} |\n{number} | {seen}\n{margin} | {caret}^", path.display())
}

/// A parser's words without the value that it met.
fn unquoted(message: &str) -> String {
    match (message.find("string \""), message.rfind('"')) {
        (Some(from), Some(until)) if until > from + 7 => format!("{}string{}", &message[..from], &message[until + 1..]),
        _ => message.to_owned(),
    }
}

/// The known key that is nearest to the unknown one of this message.
fn meant(message: &str) -> Option<String> {
    let (unknown, known) = message.strip_prefix("unknown field `")?.split_once('`')?;
    nearest(unknown, known.split('`').skip(1).step_by(2)).map(str::to_owned)
}
