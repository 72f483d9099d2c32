//! The world driven over HTTP, git and real processes, as the adapters will drive it.

mod deploy;
mod faults;
mod shapes;
mod stand_in;
mod strict;

use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use super::{AirflowEdition, Fault, Options, World};

/// A world with a client that knows its configuration.
struct Lab {
    world: World,
    config: toml::Table,
    client: Client,
    jwt: Option<String>,
    _directory: tempfile::TempDir,
}

impl Lab {
    async fn start(faults: &[Fault]) -> Self {
        Self::with(AirflowEdition::V2, faults).await
    }

    async fn with(airflow: AirflowEdition, faults: &[Fault]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { airflow, faults: faults.to_vec(), ..Options::new(directory.path()) };
        let world = World::start(options).await.unwrap();
        let config = world.config_toml().parse().unwrap();
        let client = crate::adapters::http::client();
        Self { world, config, client, jwt: None, _directory: directory }
    }

    fn setting(&self, section: &str, key: &str) -> String {
        let value = &self.config[section][key];
        match value.get("file") {
            Some(file) => std::fs::read_to_string(file.as_str().unwrap()).unwrap(),
            None => value.as_str().unwrap().to_owned(),
        }
    }

    fn github(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.setting("github", "api_url"));
        self.client.request(method, url).bearer_auth(self.setting("github", "token"))
    }

    fn app(&self, method: Method, path: &str) -> RequestBuilder {
        self.github(method, &format!("/repos/WordPress/openverse{path}"))
    }

    fn infra(&self, method: Method, path: &str) -> RequestBuilder {
        self.github(method, &format!("/repos/WordPress/openverse-infrastructure{path}"))
    }

    fn airflow(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.setting("airflow", "url")));
        match &self.jwt {
            Some(token) => request.bearer_auth(token),
            None => request.basic_auth(self.setting("airflow", "username"), Some(self.setting("airflow", "password"))),
        }
    }

    async fn log_in(&mut self) {
        let body = json!({
            "username": self.setting("airflow", "username"), "password": self.setting("airflow", "password") });
        let answer = self.airflow(Method::POST, "/auth/token").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        self.jwt = Some(value(answer).await["access_token"].as_str().unwrap().to_owned());
    }

    async fn registry(&self, method: Method, path: &str) -> Response {
        let url = self.setting("registry", "url");
        let challenged = self.client.get(format!("{url}{path}")).send().await.unwrap();
        assert_eq!(challenged.status(), 401);
        let challenge = challenged.headers()["www-authenticate"].to_str().unwrap().to_owned();
        let part = |name: &str| {
            challenge.split(&format!("{name}=\"")).nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned()
        };
        let token = self.client.get(part("Bearer realm"));
        let token = token.query(&[("service", part("service")), ("scope", part("scope"))]).send().await.unwrap();
        let token = value(token).await["token"].as_str().unwrap().to_owned();
        let accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";
        let request = self.client.request(method, format!("{url}{path}"));
        request.bearer_auth(token).header("accept", accept).send().await.unwrap()
    }

    async fn tag_exists(&self, tag: &str) -> bool {
        let path = format!("/v2/wordpress/openverse-catalog/manifests/{tag}");
        self.registry(Method::HEAD, &path).await.status() == 200
    }

    /// The one draft of the catalog, as GitHub lists it.
    async fn draft(&self) -> Value {
        let all = value(self.app(Method::GET, "/releases?per_page=100").send().await.unwrap()).await;
        let is_draft = |release: &&Value| {
            release["draft"] == true && release["tag_name"].as_str().unwrap().starts_with("catalog-")
        };
        all.as_array().unwrap().iter().find(is_draft).unwrap().clone()
    }

    async fn publish(&self) -> Result<Response, reqwest::Error> {
        let draft = self.draft().await;
        let body = json!({ "draft": false, "tag_name": draft["tag_name"] });
        self.app(Method::PATCH, &format!("/releases/{}", draft["id"])).json(&body).send().await
    }

    /// The tagging workflow's run of the drafted release; null before there is one.
    async fn tag_run(&self) -> Value {
        let path = "/actions/workflows/tag_docker_image_and_trigger_deployment.yml/runs\
            ?event=release&branch=catalog-2024.09.30.10.20.30";
        value(self.app(Method::GET, path).send().await.unwrap()).await["workflow_runs"][0].clone()
    }

    /// Runs a program in the checkout and returns its exit code and everything it said.
    fn run(&self, argv: &[&str]) -> (i32, String) {
        let mut command = Command::new(argv[0]);
        command.args(&argv[1..]).current_dir(self.world.infrastructure()).env("TF_IN_AUTOMATION", "1");
        if let Some(path) = self.world.path_with_tools() {
            command.env("PATH", path);
        }
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let file = self.world.infrastructure().join(file);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{file:?} lacks {from:?}");
        std::fs::write(file, text.replace(from, to)).unwrap();
    }

    fn set_flag(&self, flag: bool) {
        let line = |flag: bool| format!("running_dags_cleared = {flag}");
        self.edit("environments/prod/catalog-airflow.tf", &line(!flag), &line(flag));
    }
}

async fn value(answer: Response) -> Value {
    let status = answer.status();
    let text = answer.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status} {error}: {text}"))
}

/// Waits until something holds, asking a few times a second, for ten seconds at most.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what} did not come true in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
