//! A started world: how tests and `rehearse` get at it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::infrastructure::{self, Tools};
use super::registry::sha256;
use super::server::{self, Running};
use super::shared::{APPLICATION, COLLEAGUE, INFRASTRUCTURE, Secrets, Shared, VIEWER};
use super::state::{Pull, Release, SentryIssue, State, WorkflowRun};
use super::watch::{Watch, Watcher};
use super::{Fault, Options, RequestLogEntry, airflow, github, registry, seed};

/// The embedded world. Clones share it; its services end with the last one.
#[derive(Clone)]
pub struct World {
    shared: Arc<Shared>,
    tools: Tools,
    _running: Arc<Running>,
    infrastructure: PathBuf,
    remote: PathBuf,
}

impl World {
    /// Builds the repository, applies what is deployed, starts the services. Takes a second or two where `terraform` is
    /// the real one.
    ///
    /// # Errors
    /// Where the directory cannot be written, `git` is missing, or `terraform` fails.
    pub async fn start(options: Options) -> Result<World> {
        fs::create_dir_all(&options.directory)?;
        let options = Options { directory: options.directory.canonicalize()?, ..options };
        let tools = Tools::find(&options.directory, crate::adapters::process::inherited("PATH"))?;
        let (prepared, building) = (options.clone(), tools.clone());
        if options.infrastructure.is_none() {
            tokio::task::spawn_blocking(move || infrastructure::create(&prepared, &building))
                .await
                .context("building the infrastructure repository was interrupted")?
                .context("could not build the rehearsal's infrastructure repository")?;
        }
        let log = OpenOptions::new().create(true).append(true).open(options.directory.join("requests.ndjson"))?;
        let secrets = secrets(&options.directory)?;
        let state = seed::state(&options);
        let shared = Arc::new(Shared::new(options, secrets, log, state));
        if shared.has(Fault::BumpPrOpen) {
            shared.state().pulls.push(infrastructure::old_bump());
        }
        shared.write_registry_tags();
        airflow::observe(&shared);
        let running = Arc::new(server::serve(shared.clone()).await?);
        if shared.has(Fault::LockRemoteDown) {
            let url = format!("{}/{INFRASTRUCTURE}.git", shared.urls().nowhere);
            infrastructure::git(&shared.checkout(), &["remote", "set-url", "origin", &url])?;
        }
        write_secret(&shared.options.directory, "slack", &format!("{}{}", shared.urls().slack, shared.secrets.slack))?;
        let (infrastructure, remote) = (shared.checkout(), shared.remote());
        Ok(World { shared, tools, _running: running, infrastructure, remote })
    }

    /// The laptop's configuration for this world.
    pub fn config_toml(&self) -> String {
        let urls = self.shared.urls();
        let file = |name: &str| {
            let path = self.shared.options.directory.join("secrets").join(name);
            format!("{{ file = {:?} }}", path.display().to_string())
        };
        format!(
            "[infrastructure]\ncheckout = {checkout:?}\n\n\
             [github]\napi_url = {github:?}\ntoken = {github_token}\n\n\
             [airflow]\nurl = {airflow:?}\nusername = {VIEWER:?}\npassword = {airflow_password}\n\n\
             [registry]\nurl = {registry:?}\n\n\
             [sentry]\nurl = {sentry:?}\norganization = \"openverse\"\nproject = \"catalog\"\n\
             environment = \"production\"\ntoken = {sentry_token}\n\n\
             [slack]\nwebhook_url = {slack}\n",
            checkout = self.infrastructure.display().to_string(),
            github = urls.github,
            github_token = file("github"),
            airflow = urls.airflow,
            airflow_password = file("airflow"),
            registry = urls.registry,
            sentry = urls.sentry,
            sentry_token = file("sentry"),
            slack = file("slack"),
        )
    }

    /// Every request so far, in the order of their answers.
    pub fn requests(&self) -> Vec<RequestLogEntry> {
        self.shared.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on `watch` is told of every request.
    pub fn watched_by(&self, watch: Arc<dyn Watch>) {
        *self.shared.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Watcher(Some(watch));
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The checkout.
    pub fn infrastructure(&self) -> &Path {
        &self.infrastructure
    }

    /// The bare repository behind it.
    pub fn remote(&self) -> &Path {
        &self.remote
    }

    pub fn directory(&self) -> &Path {
        &self.shared.options.directory
    }

    /// A `PATH` with the stand-ins first; `None` where none is needed.
    pub fn path_with_tools(&self) -> Option<OsString> {
        self.tools.path.clone()
    }

    /// Tools that are not the real ones.
    pub fn stand_ins(&self) -> Vec<&'static str> {
        self.tools.stand_ins.clone()
    }

    /// A copy of everything, after letting happen what is due.
    pub fn state(&self) -> State {
        self.shared.advance();
        self.shared.state().clone()
    }

    /// Ids of the DAGs that are paused now.
    pub fn paused_dags(&self) -> Vec<String> {
        let state = self.state();
        state.airflow.dags.iter().filter(|dag| dag.paused).map(|dag| dag.dag_id.clone()).collect()
    }

    pub fn releases(&self) -> Vec<Release> {
        self.state().releases
    }

    /// The catalog's drafts.
    pub fn drafts(&self) -> Vec<Release> {
        let mut releases = self.releases();
        releases.retain(|release| release.draft && release.tag_name.starts_with("catalog-"));
        releases
    }

    pub fn workflow_runs(&self) -> Vec<WorkflowRun> {
        self.state().workflow_runs
    }

    /// Pull requests of the application's repository: the changelogs.
    pub fn changelogs(&self) -> Vec<Pull> {
        self.shared.advance();
        github::all_pulls(&self.shared, APPLICATION)
    }

    /// Pull requests of the infrastructure repository.
    pub fn pull_requests(&self) -> Vec<Pull> {
        github::all_pulls(&self.shared, INFRASTRUCTURE)
    }

    pub fn slack_messages(&self) -> Vec<String> {
        self.state().slack
    }

    /// Tag → digest.
    pub fn registry_tags(&self) -> std::collections::BTreeMap<String, String> {
        self.state().images.tags
    }

    /// The tag in Terraform's state.
    pub fn deployed_tag(&self) -> Option<String> {
        airflow::deployed_tag(&self.shared)
    }

    /// The version that the running instance says.
    pub fn airflow_version(&self) -> String {
        airflow::observe(&self.shared);
        self.state().airflow.instance.version
    }

    /// Starts a run of a DAG; tasks are id, operator class, state. Returns the run's id.
    pub fn start_dag_run(&self, dag: &str, state: &str, tasks: &[(&str, &str, &str)]) -> String {
        self.shared.start_run(dag, state, tasks)
    }

    /// Ends every run of a DAG.
    pub fn finish_dag_runs(&self, dag: &str) {
        let mut state = self.shared.state();
        state.airflow.tasks.retain(|task| task.dag_id != dag);
        state.airflow.runs.iter_mut().filter(|run| run.dag_id == dag).for_each(|run| run.state = "success".into());
    }

    /// As somebody in Airflow's UI would.
    pub fn set_paused(&self, dag: &str, paused: bool) {
        self.shared.state().airflow.set_paused(dag, paused, COLLEAGUE);
    }

    /// Adds a pull request as it is, with the next number of its repository, which is returned.
    pub fn add_pull_request(&self, mut pull: Pull) -> u64 {
        let mut state = self.shared.state();
        pull.number = state.next_pull_number(&pull.repository);
        let number = pull.number;
        state.pulls.push(pull);
        number
    }

    /// Every pending build of main ends well.
    pub fn finish_builds(&self) {
        let mut state = self.shared.state();
        for run in state.workflow_runs.iter_mut().filter(|run| run.status != "completed") {
            run.status = "completed".into();
            run.conclusion = Some("success".into());
            run.updated_at = Timestamp::now();
        }
    }

    /// Puts a tag on the image that another tag points to.
    pub fn tag_image(&self, source: &str, tag: &str) {
        registry::alias(&mut self.shared.state().images, source, tag);
        self.shared.write_registry_tags();
    }

    pub fn add_sentry_issue(&self, issue: SentryIssue) {
        self.shared.state().issues.push(issue);
    }

    pub fn add_import_error(&self, file: &str, trace: &str) {
        self.shared.state().airflow.import_errors.push((file.to_owned(), trace.to_owned()));
    }

    /// Anything else: changes the state under its lock.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.shared.state())
    }
}

/// New random secrets under `secrets/`, readable by their owner only.
fn secrets(directory: &Path) -> Result<Secrets> {
    let folder = directory.join("secrets");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    let secret = |name: &str, prefix: &str| -> Result<String> {
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        let value = format!("{prefix}{}", &sha256(&random)[..36]);
        write_secret(directory, name, &value)?;
        Ok(value)
    };
    Ok(Secrets {
        github: secret("github", "ghp_")?,
        airflow: secret("airflow", "")?,
        sentry: secret("sentry", "sntrys_")?,
        slack: secret("slack", "/services/T0REHEARS/B0REHEARS/")?,
    })
}

fn write_secret(directory: &Path, name: &str, value: &str) -> Result<()> {
    let path = directory.join("secrets").join(name);
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(value.as_bytes())?;
    Ok(())
}
