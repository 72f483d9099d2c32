//! The embedded world, and clients that reach one of its services through a shim.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use catalog_deploy::adapters::airflow::{AirflowAuth, AirflowClient};
use catalog_deploy::adapters::github::GithubClient;
use catalog_deploy::adapters::http::Patience;
use catalog_deploy::adapters::notify::SlackWebhook;
use catalog_deploy::adapters::registry::RegistryClient;
use catalog_deploy::adapters::sentry::SentryClient;
use catalog_deploy::rehearsal::{AirflowEdition, Fault, Options, Pull, World};
use jiff::Timestamp;
use secrecy::SecretString;

pub const APPLICATION: &str = "WordPress/openverse";
pub const INFRASTRUCTURE: &str = "WordPress/openverse-infrastructure";
/// The world's one draft.
pub const DRAFT: u64 = 170_000_051;
pub const CHANGELOG: &str = "changelog/catalog-2024.09.30.10.20.30";
pub const BRANCH: &str = "catalog-deploy/rel-2024.09.30.10.20.30";

/// One world for many cells.
pub struct Services {
    pub world: World,
    /// Of the open changelog.
    pub pull: u64,
    config: toml::Table,
    _directory: tempfile::TempDir,
}

/// What a call gets: the services, one of them at another address.
#[derive(Clone)]
pub struct Behind {
    pub services: Arc<Services>,
    pub service: &'static str,
    pub url: String,
}

impl Services {
    pub async fn start(edition: AirflowEdition) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut options = Options::new(directory.path().join("world"));
        options.airflow = edition;
        options.faults = vec![Fault::WaitingRefreshes];
        let world = World::start(options).await.unwrap();
        let pull = world.add_pull_request(changelog());
        // What a pull request is opened from.
        let git = |arguments: &[&str]| {
            let done = Command::new("git").current_dir(world.infrastructure()).args(arguments).output().unwrap();
            assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
            String::from_utf8(done.stdout).unwrap().trim().to_owned()
        };
        let commit = git(&["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "Deploy"]);
        git(&["push", "--quiet", "origin", &format!("{commit}:refs/heads/{BRANCH}")]);
        let config = world.config_toml().parse().unwrap();
        Self { world, pull, config, _directory: directory }
    }

    /// Scheme, host and port of a service.
    pub fn origin(&self, service: &str) -> String {
        match service {
            "slack" => {
                let url = self.secret("slack", "webhook_url");
                url.split('/').take(3).collect::<Vec<_>>().join("/")
            }
            "github" => self.config["github"]["api_url"].as_str().unwrap().to_owned(),
            _ => self.config[service]["url"].as_str().unwrap().to_owned(),
        }
    }

    fn secret(&self, service: &str, key: &str) -> String {
        std::fs::read_to_string(self.config[service][key]["file"].as_str().unwrap()).unwrap()
    }

    /// Everything that no message may hold.
    pub fn secrets(&self) -> Vec<String> {
        let slack = self.secret("slack", "webhook_url").replace(&self.origin("slack"), "");
        let keys = [("github", "token"), ("airflow", "password"), ("sentry", "token")];
        keys.map(|(service, key)| self.secret(service, key)).into_iter().chain([slack]).collect()
    }

    /// How often a route was answered well, by its path without a query.
    pub fn effects(&self, method: &str, path: &str) -> usize {
        let requests = self.world.requests();
        let took = requests.iter().filter(|request| {
            request.method == method
                && request.path.split('?').next() == Some(path)
                && (200..300).contains(&request.status)
        });
        took.count()
    }
}

impl Behind {
    fn url(&self, service: &str) -> String {
        if service == self.service { self.url.clone() } else { self.services.origin(service) }
    }

    pub fn github(&self) -> GithubClient {
        let token = SecretString::from(self.services.secret("github", "token"));
        GithubClient::patient(&self.url("github"), Some(token), impatient()).unwrap()
    }

    pub fn registry(&self) -> RegistryClient {
        RegistryClient::new(&self.url("registry"), None, None).unwrap().with_patience(impatient())
    }

    pub fn airflow(&self) -> AirflowClient {
        let username = self.services.config["airflow"]["username"].as_str().unwrap().to_owned();
        let password = SecretString::from(self.services.secret("airflow", "password"));
        let auth = AirflowAuth::Password { username, password };
        AirflowClient::new(&self.url("airflow"), auth, Vec::new()).unwrap().with_patience(impatient())
    }

    pub fn sentry(&self) -> SentryClient {
        let token = SecretString::from(self.services.secret("sentry", "token"));
        let environment = Some("production".to_owned());
        let client = SentryClient::new(&self.url("sentry"), "openverse", "catalog", environment, Some(token));
        client.unwrap().with_patience(impatient())
    }

    pub fn slack(&self) -> SlackWebhook {
        let url = self.services.secret("slack", "webhook_url");
        SlackWebhook::new(SecretString::from(url.replace(&self.services.origin("slack"), &self.url("slack"))))
    }
}

/// Short enough for hundreds of cells, long enough for a busy machine. A limit of one second is waited for once.
fn impatient() -> Patience {
    Patience {
        connect: Duration::from_secs(2),
        answer: Duration::from_millis(2500),
        tries: 2,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_secs(5),
    }
}

fn changelog() -> Pull {
    let now = Timestamp::now();
    Pull {
        repository: APPLICATION.into(),
        number: 0,
        title: "Publish changelog".into(),
        body: String::new(),
        state: "open".into(),
        merged: false,
        head_owner: "WordPress".into(),
        head_ref: CHANGELOG.into(),
        head_sha: "c".repeat(40),
        base_ref: "main".into(),
        author: "openverse-bot".into(),
        labels: Vec::new(),
        created_at: now,
        updated_at: now,
        files: vec![("documentation/changelogs/catalog/2024.09.30.10.20.30.md".into(), "# It\n".into())],
        reviews: Vec::new(),
        checks: vec![("Lint".into(), Some("success".into()))],
    }
}
