//! What a step is given: readers of which only Airflow answers, a runbook, facts.

use std::path::PathBuf;
use std::sync::Arc;

use catalog_deploy::adapters::Readers;
use catalog_deploy::adapters::absent::Absent;
use catalog_deploy::adapters::airflow::AirflowRead;
use catalog_deploy::adapters::checkout::{Checkout, CheckoutOptions};
use catalog_deploy::adapters::clock::SystemClock;
use catalog_deploy::adapters::github::GithubClient;
use catalog_deploy::adapters::lock::GitRefLock;
use catalog_deploy::adapters::process::{Commands, LineSink};
use catalog_deploy::facts::{Facts, Held, Parameters, Place, Thing};
use catalog_deploy::runbook::Runbook;
use catalog_deploy::runbook::schema::AirflowService;
use catalog_deploy::step::{Decision, Finding, Look, Settled, Step, Trouble};
use jiff::Timestamp;

/// Waiting refreshes of this world; `runbooks/prod.toml` names the real ones.
pub const REFRESHES: [&str; 8] = [
    "image_data_refresh",
    "audio_data_refresh",
    "mapped_refresh",
    "mixed_refresh",
    "deferred_refresh",
    "retrying_refresh",
    "moving_refresh",
    "paused_refresh",
];

pub struct Bench {
    readers: Readers,
    runbook: Runbook,
    pub parameters: Parameters,
    pub facts: Facts,
    pub held: Vec<Held>,
    began: Timestamp,
    workspace: tempfile::TempDir,
    lines: LineSink,
}

impl Bench {
    pub fn new(airflow: impl AirflowRead + 'static) -> Self {
        let workspace = tempfile::tempdir().unwrap();
        let commands = Arc::new(Commands::new(PathBuf::from("/nothing/is/started")));
        let options = CheckoutOptions {
            root: workspace.path().to_owned(),
            remote: "origin".into(),
            main: "main".into(),
            directory: ".".into(),
            environment: Default::default(),
            scratch_parent: workspace.path().to_owned(),
            commands: commands.clone(),
            host: "live".into(),
        };
        let mut runbook: Runbook = toml::from_str(include_str!("../../../runbooks/prod.toml")).unwrap();
        runbook.sentry = None;
        runbook.airflow.as_mut().unwrap().refresh_dags = REFRESHES.map(str::to_owned).to_vec();
        Self {
            readers: Readers {
                github: Arc::new(GithubClient::new("http://127.0.0.1:9", None).unwrap()),
                registry: Arc::new(Absent::default()),
                airflow: Arc::new(airflow),
                sentry: None,
                checkout: Arc::new(Checkout::new(options.clone())),
                lock: Arc::new(GitRefLock::new(options, None)),
                commands,
                clock: Arc::new(SystemClock::real()),
            },
            runbook,
            parameters: Parameters::default(),
            facts: Facts::default(),
            held: vec![],
            began: Timestamp::now(),
            workspace,
            lines: Arc::new(|_: &str| ()),
        }
    }

    pub fn service(&mut self) -> &mut AirflowService {
        self.runbook.airflow.as_mut().unwrap()
    }

    pub async fn observe(&self, step: &dyn Step) -> Result<Finding, Trouble> {
        step.observe(self.look()).await
    }

    /// After a process that died over an effect of this step.
    pub async fn settle(&self, step: &dyn Step) -> Result<Settled, Trouble> {
        step.settle(self.look()).await
    }

    fn look(&self) -> Look<'_> {
        Look {
            step: "hold-dags",
            run: "run",
            readers: &self.readers,
            runbook: &self.runbook,
            parameters: &self.parameters,
            facts: &self.facts,
            approvals: &[],
            past: &[],
            held: &self.held,
            in_doubt: &[],
            open: &[],
            did: false,
            workspace: self.workspace.path(),
            adopted: &[],
            began: self.began,
            restarted: self.began,
            since: Timestamp::now(),
            emit: &|_| (),
            lines: &self.lines,
        }
    }
}

/// A DAG that this run has paused.
pub fn paused_by_us(dag: &str) -> Held {
    Held {
        id: format!("hold-dags/{dag}"),
        step: "hold-dags".into(),
        thing: Thing::PausedDag { dag: dag.into() },
        place: Place::World,
    }
}

/// What a person reads of a finding, a line each.
pub fn told(finding: &Finding) -> String {
    finding.evidence.iter().map(|evidence| format!("{}\n", evidence.text)).collect()
}

/// What it is blocked by.
pub fn blocked(finding: Finding) -> Vec<String> {
    match finding.decision {
        Decision::Blocked(refusals) => refusals.into_iter().map(|refusal| refusal.what).collect(),
        other => panic!("not blocked: {other:?}"),
    }
}

/// The failed request behind a trouble that a weak account causes: exit 4.
pub fn credentials(trouble: Trouble) -> String {
    match trouble {
        Trouble::Service(error) if error.credentials() => error.to_string(),
        Trouble::Missing(missing) if missing.error.credentials() => missing.error.to_string(),
        other => panic!("not a matter of credentials: {other:?}"),
    }
}
