//! One real Airflow: started with a home of its own, and gone with everything it started when it is dropped.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use catalog_deploy::adapters::airflow::{AirflowAuth, AirflowClient};
use catalog_deploy::adapters::http::{Patience, loopback_client};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::support::installed;

/// For anything that Airflow does: a busy machine starts it in minutes.
const DEADLINE: Duration = Duration::from_secs(300);
/// Between two looks at the same thing.
const LOOK: Duration = Duration::from_millis(500);
/// Every account's.
pub const PASSWORD: &str = "secret";
/// How long a token of 3.x is good for: short, so that one runs out within the test.
const TOKEN_SECONDS: u32 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Two,
    Three,
}

impl Version {
    pub fn number(self) -> &'static str {
        match self {
            Version::Two => "2.10.5",
            Version::Three => "3.1.8",
        }
    }

    pub fn root(self) -> &'static str {
        match self {
            Version::Two => "/api/v1",
            Version::Three => "/api/v2",
        }
    }

    /// Command lines of everything that one installation runs.
    fn parts(self, port: u16) -> Vec<String> {
        // Task logs are not asked for, and their servers would want fixed ports.
        let (scheduler, triggerer) = ("scheduler --skip-serve-logs", "triggerer --skip-serve-logs");
        let more = match self {
            Version::Two => vec![format!("webserver --hostname 127.0.0.1 --port {port} --workers 1")],
            Version::Three => {
                vec![format!("api-server --host 127.0.0.1 --port {port} --workers 1"), "dag-processor".into()]
            }
        };
        more.into_iter().chain([scheduler.into(), triggerer.into()]).collect()
    }
}

pub struct Airflow {
    pub version: Version,
    pub url: String,
    client: Client,
    keeper: Child,
    home: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Airflow {
    /// Starts it and waits until it has read every DAG. `gate` is what its sensors ask.
    pub async fn start(version: Version, gate: &str) -> Self {
        let place = installed(&format!("airflow-{}", version.number()), "airflow");
        let seed = installed(&format!("airflow-{}/home/airflow.db", version.number()), "airflow");
        let home = tempfile::tempdir().unwrap();
        std::fs::copy(seed, home.path().join("airflow.db")).unwrap();
        let passwords = home.path().join("passwords.json");
        let accounts: Value =
            ["admin", "viewer", "nobody"].iter().map(|it| (it.to_string(), json!(PASSWORD))).collect();
        std::fs::write(&passwords, accounts.to_string()).unwrap();
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/airflow");
        let key = "only for this test, and long enough to sign a token with HS512: 0123456789abcdef";
        let settings = [
            ("CORE__LOAD_EXAMPLES", "False".to_owned()),
            ("CORE__DAGS_FOLDER", here.join("dags").display().to_string()),
            ("CORE__DAGS_ARE_PAUSED_AT_CREATION", "False".into()),
            // Several tasks at once, which 2.x does not do over SQLite unless it is told not to look.
            ("CORE__EXECUTOR", "LocalExecutor".into()),
            ("CORE__PARALLELISM", "10".into()),
            ("SCHEDULER__SCHEDULER_HEARTBEAT_SEC", "1".into()),
            ("API__AUTH_BACKENDS", "airflow.api.auth.backend.basic_auth".into()),
            ("WEBSERVER__SECRET_KEY", key.into()),
            ("API__SECRET_KEY", key.into()),
            ("API_AUTH__JWT_SECRET", key.into()),
            ("API_AUTH__JWT_EXPIRATION_TIME", TOKEN_SECONDS.to_string()),
            ("CORE__EXECUTION_API_SERVER_URL", format!("{url}/execution/")),
            ("CORE__SIMPLE_AUTH_MANAGER_USERS", "admin:admin,viewer:viewer,nobody:".into()),
            ("CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE", passwords.display().to_string()),
            ("USAGE_DATA_COLLECTION__ENABLED", "False".into()),
        ];
        let path = std::env::var("PATH").unwrap();
        let variables = [
            ("PATH", format!("{}:{path}", place.join("bin").display())),
            ("HOME", home.path().display().to_string()),
            ("LC_ALL", "C.UTF-8".into()),
            ("PYTHONDONTWRITEBYTECODE", "1".into()),
            ("_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK", "1".into()),
            ("AIRFLOW_CONN_GATE", gate.into()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).into_iter();
        let variables: Vec<_> =
            variables.chain(settings.map(|(name, value)| (format!("AIRFLOW__{name}"), value))).collect();
        let keeper = Command::new("bash")
            .arg(here.join("serve.sh"))
            .arg(home.path())
            .args(version.parts(port))
            .env_clear()
            .envs(variables.clone())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let client = loopback_client(&Patience::default());
        let airflow = Self { version, url, client, keeper, home, variables };
        airflow.until("the scheduler and the triggerer to beat", async || airflow.beating().await).await;
        let read = async || {
            let dags = airflow.api(Method::GET, "/dags?limit=100", None).await?;
            let errors = airflow.api(Method::GET, "/importErrors", None).await?;
            Some(dags["total_entries"] == 13 && errors["total_entries"] == 1)
        };
        airflow.until("every DAG to be read", read).await;
        airflow
    }

    async fn beating(&self) -> Option<bool> {
        let path = match self.version {
            Version::Two => "/health",
            Version::Three => "/api/v2/monitor/health",
        };
        let health: Value = self.client.get(format!("{}{path}", self.url)).send().await.ok()?.json().await.ok()?;
        Some(["scheduler", "triggerer"].iter().all(|part| health[part]["status"] == "healthy"))
    }

    /// The product's client with the account `username`.
    pub fn client(&self, username: &str) -> AirflowClient {
        self.client_at(&self.url, username, PASSWORD)
    }

    pub fn client_at(&self, url: &str, username: &str, password: &str) -> AirflowClient {
        let auth = AirflowAuth::Password { username: username.into(), password: password.into() };
        AirflowClient::new(url, auth, vec![]).unwrap()
    }

    /// A token of 3.x, as a person would fetch it.
    pub async fn token(&self) -> Option<String> {
        let body = json!({ "username": "admin", "password": PASSWORD });
        let answer = self.client.post(format!("{}/auth/token", self.url)).json(&body).send().await.ok()?;
        answer.json::<Value>().await.ok()?["access_token"].as_str().map(str::to_owned)
    }

    /// One request of the test's own, as admin; `None` where it was not answered well.
    pub async fn api(&self, method: Method, path: &str, body: Option<Value>) -> Option<Value> {
        let mut request = self.client.request(method, format!("{}{}{path}", self.url, self.version.root()));
        request = match self.version {
            Version::Two => request.basic_auth("admin", Some(PASSWORD)),
            Version::Three => request.bearer_auth(self.token().await?),
        };
        let answer = body.iter().fold(request, |request, body| request.json(body)).send().await.ok()?;
        if answer.status().is_client_error() && answer.status() != StatusCode::NOT_FOUND {
            panic!("{path}: {} {}", answer.status(), answer.text().await.unwrap_or_default());
        }
        answer.status().is_success().then_some(answer.json().await.ok()?)
    }

    /// `airflow …`, as somebody at the server's own shell.
    pub fn command(&self, arguments: &[&str]) {
        let mut command = Command::new(self.program());
        command.args(arguments).env_clear().envs(self.variables.clone()).env("AIRFLOW_HOME", self.home.path());
        let ended = command.output().unwrap();
        assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }

    fn program(&self) -> std::path::PathBuf {
        installed(&format!("airflow-{}/bin/airflow", self.version.number()), "airflow")
    }

    /// Starts a run, as a person does in the web interface; its id.
    pub async fn trigger(&self, dag: &str) -> String {
        let body = match self.version {
            Version::Two => json!({}),
            // Sensors on other DAGs go by this date, which 3.x leaves empty otherwise.
            Version::Three => json!({ "logical_date": jiff::Timestamp::now().to_string() }),
        };
        let run = self.api(Method::POST, &format!("/dags/{dag}/dagRuns"), Some(body)).await.unwrap();
        run["dag_run_id"].as_str().unwrap().to_owned()
    }

    /// Asks until `done` says so. Fails with the servers' last words.
    pub async fn until(&self, what: &str, done: impl AsyncFn() -> Option<bool>) {
        let deadline = Instant::now() + DEADLINE;
        while done().await != Some(true) {
            if Instant::now() >= deadline {
                panic!(
                    "waited {DEADLINE:?} for {what}\n{}{}",
                    self.tasks().await.unwrap_or_default(),
                    self.last_words()
                );
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A line for each task instance that is more than scheduled.
    async fn tasks(&self) -> Option<String> {
        let states = ["queued", "running", "up_for_reschedule", "up_for_retry", "failed", "upstream_failed", "success"];
        let path = format!("/dags/~/dagRuns/~/taskInstances?limit=100&state={}", states.join("&state="));
        let all = self.api(Method::GET, &path, None).await?;
        let mut lines = String::new();
        for task in all["task_instances"].as_array()? {
            let [dag, task_id, state, tried, ended] =
                ["dag_id", "task_id", "state", "try_number", "end_date"].map(|field| &task[field]);
            lines.push_str(&format!("{dag} {task_id} {state}, try {tried}, ended {ended}\n"));
        }
        Some(lines)
    }

    fn last_words(&self) -> String {
        let mut words = String::new();
        for entry in std::fs::read_dir(self.home.path()).unwrap().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|it| it == "log") {
                let text = std::fs::read(&path).unwrap_or_default();
                let text = String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned();
                words.push_str(&format!("== {}\n{text}\n", path.display()));
            }
        }
        words
    }
}

impl Drop for Airflow {
    fn drop(&mut self) {
        // Its stdin ends, so it ends them.
        drop(self.keeper.stdin.take());
        let _ended = self.keeper.wait();
    }
}

/// Free at this moment; the kernel gives none out twice in a row.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
