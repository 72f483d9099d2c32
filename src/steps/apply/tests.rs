//! The apply step's looks, against a checkout in memory that plans whatever it is told to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::traces::next_traces;
use super::*;
use crate::adapters::Readers;
use crate::adapters::airflow::{Activity, AirflowRead, Dag, Health, ImportError, PauseEntry};
use crate::adapters::checkout::{
    Arguments, Attribute, CheckoutRead, Landed, PlannedChange, Result as Answer, Standing,
};
use crate::adapters::clock::SystemClock;
use crate::adapters::github as gh;
use crate::adapters::lock::{LockRead, LockState};
use crate::adapters::process::{Command, Exit};
use crate::adapters::process::{CommandRead, Finished, Traces};
use crate::adapters::registry::{Manifest, RegistryRead};
use crate::facts::{Facts, Parameters, TargetFact};
use crate::runbook::Runbook;

fn nobody<T>() -> Answer<T> {
    Err(ServiceError::new("nobody", "asked", Cause::NotFound("not in this test".into())))
}

struct Nobody;

#[async_trait]
impl gh::GithubRead for Nobody {
    async fn viewer(&self) -> Answer<String> {
        nobody()
    }
    async fn permissions(&self, _: &str) -> Answer<gh::Permissions> {
        nobody()
    }
    async fn releases(&self, _: &str) -> Answer<Vec<gh::Release>> {
        nobody()
    }
    async fn release(&self, _: &str, _: u64) -> Answer<gh::Release> {
        nobody()
    }
    async fn workflow_runs(&self, _: &str, _: &str, _: &gh::RunFilter) -> Answer<Vec<gh::WorkflowRun>> {
        nobody()
    }
    async fn jobs(&self, _: &str, _: u64) -> Answer<Vec<gh::Job>> {
        nobody()
    }
    async fn commits_touching(&self, _: &str, _: &str, _: &str) -> Answer<Vec<gh::Commit>> {
        nobody()
    }
    async fn pull_requests_of_branch(&self, _: &str, _: &str) -> Answer<Vec<gh::PullRequest>> {
        nobody()
    }
    async fn open_pull_requests(&self, _: &str) -> Answer<Vec<gh::PullRequest>> {
        nobody()
    }
    async fn pull_request(&self, _: &str, _: u64) -> Answer<gh::PullRequest> {
        nobody()
    }
    async fn pull_request_files(&self, _: &str, _: u64) -> Answer<Vec<gh::ChangedFile>> {
        nobody()
    }
    async fn reviews(&self, _: &str, _: u64) -> Answer<Vec<gh::Review>> {
        nobody()
    }
    async fn checks(&self, _: &str, _: &str) -> Answer<Vec<gh::CheckRun>> {
        nobody()
    }
    async fn file_at(&self, _: &str, _: &str, _: &str) -> Answer<Option<Vec<u8>>> {
        nobody()
    }
}

#[async_trait]
impl RegistryRead for Nobody {
    async fn digest(&self, _: &str, _: &str) -> Answer<Option<String>> {
        nobody()
    }
    async fn manifest(&self, _: &str, _: &str) -> Answer<Option<Manifest>> {
        nobody()
    }
    async fn environment(&self, _: &str, _: &str) -> Answer<Vec<(String, String)>> {
        nobody()
    }
    async fn tags(&self, _: &str) -> Answer<Vec<String>> {
        nobody()
    }
}

#[async_trait]
impl AirflowRead for Nobody {
    async fn version(&self) -> Answer<String> {
        nobody()
    }
    async fn health(&self) -> Answer<Health> {
        nobody()
    }
    async fn activity(&self) -> Answer<Activity> {
        nobody()
    }
    async fn dag(&self, _: &str) -> Answer<Dag> {
        nobody()
    }
    async fn pause_log(&self, _: &str) -> Answer<Vec<PauseEntry>> {
        nobody()
    }
    async fn import_errors(&self) -> Answer<Vec<ImportError>> {
        nobody()
    }
}

#[async_trait]
impl LockRead for Nobody {
    fn reference(&self) -> Option<String> {
        None
    }
    async fn holder(&self) -> Answer<Option<LockState>> {
        Ok(None)
    }
}

/// Children of earlier processes: still running, or gone.
struct Children {
    running: bool,
}

#[async_trait]
impl CommandRead for Children {
    async fn read(&self, _: &Command) -> Answer<Finished> {
        nobody()
    }
    async fn wait_recorded(&self, _: &Traces, _: LineSink) -> Answer<Option<Exit>> {
        if self.running {
            std::future::pending::<()>().await;
        }
        Ok(Some(Exit::Code(130)))
    }
}

/// A checkout whose plans are given.
struct Memory {
    planned: Mutex<Planned>,
    plans: AtomicUsize,
    fingerprint: Mutex<String>,
    errored: bool,
    flag: Mutex<String>,
}

impl Memory {
    fn literal(&self, at: &Location) -> Attribute {
        let flag = at.attribute == "running_dags_cleared";
        Attribute { literal: if flag { self.flag.lock().unwrap().clone() } else { "\"rel-2\"".into() }, line: 1 }
    }
    fn planned(&self) -> Answer<Planned> {
        self.plans.fetch_add(1, Ordering::SeqCst);
        Ok(self.planned.lock().unwrap().clone())
    }
}

#[async_trait]
impl CheckoutRead for Memory {
    fn root(&self) -> PathBuf {
        "/checkout".into()
    }
    async fn standing(&self) -> Answer<Standing> {
        nobody()
    }
    async fn read(&self, _: &str) -> Answer<Vec<u8>> {
        if self.errored { Ok(vec![]) } else { nobody() }
    }
    async fn read_at(&self, _: &str, _: &str) -> Answer<Vec<u8>> {
        nobody()
    }
    async fn attribute(&self, at: &Location) -> Answer<Attribute> {
        Ok(self.literal(at))
    }
    async fn fingerprint(&self, except: &[Location]) -> Answer<String> {
        assert_eq!(except.len(), 2, "flag and version are left out");
        Ok(self.fingerprint.lock().unwrap().clone())
    }
    async fn arguments(&self, _: &[String]) -> Answer<Arguments> {
        Ok(Arguments::Takes)
    }
    async fn remote_branch(&self, _: &str) -> Answer<Option<String>> {
        nobody()
    }
    async fn remote_file(&self, _: &str, _: &str) -> Answer<Option<Vec<u8>>> {
        nobody()
    }
    async fn remote_attribute(&self, _: &str, _: &Location) -> Answer<Option<Attribute>> {
        nobody()
    }
    async fn literals_in_history(&self, _: &str, _: &Location, _: usize) -> Answer<Vec<Landed>> {
        nobody()
    }
    async fn output(&self, _: &[String]) -> Answer<Vec<u8>> {
        Ok(b"the whole plan".to_vec())
    }
    async fn scratch(&self) -> Answer<Arc<dyn Tree>> {
        let planned = Mutex::new(self.planned.lock().unwrap().clone());
        Ok(Arc::new(Copy { planned, set: Mutex::default() }))
    }
    async fn plan(&self, _: &[String], _: &Path, _: LineSink) -> Answer<Planned> {
        self.planned()
    }
}

/// A scratch copy: stale until both attributes are set.
struct Copy {
    planned: Mutex<Planned>,
    set: Mutex<BTreeMap<String, String>>,
}

#[async_trait]
impl Tree for Copy {
    fn root(&self) -> PathBuf {
        "/copy".into()
    }
    async fn attribute(&self, at: &Location) -> Answer<Attribute> {
        let set = self.set.lock().unwrap().get(&at.attribute).cloned();
        Ok(Attribute { literal: set.unwrap_or_else(|| "false".into()), line: 1 })
    }
    async fn read(&self, _: &str) -> Answer<Vec<u8>> {
        nobody()
    }
    async fn restore(&self, _: &str, _: Option<&[u8]>) -> Answer<()> {
        nobody()
    }
    async fn set_attribute(&self, at: &Location, literal: &str) -> Answer<String> {
        self.set.lock().unwrap().insert(at.attribute.clone(), literal.into());
        Ok("false".into())
    }
    async fn run(&self, _: &[String], _: LineSink) -> Answer<(Option<i32>, String)> {
        nobody()
    }
    async fn plan(&self, _: &[String], _: &Path, _: LineSink) -> Answer<Planned> {
        let set = self.set.lock().unwrap().clone();
        assert_eq!(set.get("running_dags_cleared").map(String::as_str), Some("true"));
        assert_eq!(set.get("docker_image_tag").map(String::as_str), Some("\"rel-2\""));
        Ok(self.planned.lock().unwrap().clone())
    }
    async fn diff(&self) -> Answer<String> {
        nobody()
    }
    async fn changed(&self) -> Answer<Vec<String>> {
        nobody()
    }
}

fn plan(changes: &[(&str, &str)]) -> Plan {
    let change = |&(address, actions): &(&str, &str)| PlannedChange {
        address: address.into(),
        actions: actions.into(),
        reason: None,
    };
    Plan {
        changes: changes.iter().map(change).collect(),
        drift: vec![],
        outputs: vec![],
        checks: vec![],
        errored: false,
        complete: false,
        digest: format!("{changes:?}"),
        terraform_version: "1.11.4".into(),
    }
}

const REPLACED: [(&str, &str); 1] = [("module.catalog-airflow.aws_instance.instance", "delete/create")];

/// One run's surroundings.
struct Bench {
    checkout: Arc<Memory>,
    readers: Readers,
    runbook: Runbook,
    parameters: Parameters,
    facts: Facts,
    in_doubt: Vec<String>,
    workspace: tempfile::TempDir,
    lines: LineSink,
}

impl Bench {
    fn new(planned: Planned, running: bool, errored: bool) -> Self {
        let checkout = Arc::new(Memory {
            planned: Mutex::new(planned),
            plans: AtomicUsize::new(0),
            fingerprint: Mutex::new("f".into()),
            errored,
            flag: Mutex::new("true".into()),
        });
        let mut facts = Facts::default();
        facts.learn(Fact::Target(TargetFact { tag: "rel-2".into(), predicted: false }));
        Self {
            readers: Readers {
                github: Arc::new(Nobody),
                registry: Arc::new(Nobody),
                airflow: Arc::new(Nobody),
                sentry: None,
                checkout: checkout.clone(),
                lock: Arc::new(Nobody),
                commands: Arc::new(Children { running }),
                clock: Arc::new(SystemClock::real()),
            },
            checkout,
            runbook: toml::from_str(include_str!("../../../runbooks/prod.toml")).unwrap(),
            parameters: Parameters::default(),
            facts,
            in_doubt: vec![],
            workspace: tempfile::tempdir().unwrap(),
            lines: Arc::new(|_: &str| ()),
        }
    }

    fn look(&self) -> Look<'_> {
        Look {
            step: "apply",
            run: "run",
            readers: &self.readers,
            runbook: &self.runbook,
            parameters: &self.parameters,
            facts: &self.facts,
            approvals: &[],
            past: &[],
            held: &[],
            in_doubt: &self.in_doubt,
            open: &[],
            did: false,
            workspace: self.workspace.path(),
            adopted: &[],
            began: jiff::Timestamp::UNIX_EPOCH,
            restarted: jiff::Timestamp::UNIX_EPOCH,
            since: jiff::Timestamp::UNIX_EPOCH,
            emit: &|_| (),
            lines: &self.lines,
        }
    }
}

fn asked(finding: Finding) -> Question {
    match finding.decision {
        Decision::Change(question) => question,
        other => panic!("no question: {other:?}"),
    }
}

#[tokio::test]
async fn a_plan_as_expected_is_asked_about_and_bound_to_the_checkout() {
    let bench = Bench::new(Planned::Ready(plan(&REPLACED)), false, false);
    let step = Apply::new(true, true);
    let question = asked(step.observe(bench.look()).await.unwrap());
    assert!(question.expected, "{:?}", question.summary);
    let details = std::fs::read_to_string(question.details.unwrap()).unwrap();
    assert_eq!(details, "the whole plan");

    let ready = step.ready.lock().unwrap().clone().unwrap();
    assert_eq!(ready.digest, question.digest);
    still_approved(&bench.look(), &ready).await.unwrap();
    *bench.checkout.flag.lock().unwrap() = "false".into();
    assert!(still_approved(&bench.look(), &ready).await.is_err(), "the flag was set back");
    *bench.checkout.flag.lock().unwrap() = "true".into();
    *bench.checkout.fingerprint.lock().unwrap() = "g".into();
    assert!(still_approved(&bench.look(), &ready).await.is_err(), "a file was edited");
}

#[tokio::test]
async fn nothing_to_change_needs_no_deployment() {
    let bench = Bench::new(Planned::Ready(plan(&[])), false, false);
    let finding = Apply::new(true, true).observe(bench.look()).await.unwrap();
    assert_eq!(finding.decision, Decision::Satisfied);
    assert!(finding.evidence[0].text.contains("no service deployment is needed"));
    assert!(matches!(&finding.learned[..], [Fact::Applied(applied)] if !applied.changed));
}

#[tokio::test]
async fn what_was_applied_is_not_planned_again() {
    let mut bench = Bench::new(Planned::Ready(plan(&REPLACED)), false, false);
    bench.facts.learn(applied(Timestamp::UNIX_EPOCH, true, None, None));
    let finding = Apply::new(true, true).observe(bench.look()).await.unwrap();
    assert_eq!(finding.decision, Decision::Satisfied);
    assert_eq!(bench.checkout.plans.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_state_left_behind_is_never_planned_over() {
    let bench = Bench::new(Planned::Ready(plan(&REPLACED)), false, true);
    let finding = Apply::new(true, true).observe(bench.look()).await.unwrap();
    assert!(matches!(&finding.decision, Decision::Blocked(refusals) if refusals[0].next.contains("state push")));
    assert_eq!(bench.checkout.plans.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_apply_in_doubt_is_settled_by_planning() {
    for (now, landed) in [(plan(&[]), true), (plan(&REPLACED), false)] {
        let bench = Bench::new(Planned::Ready(now), false, false);
        remember_approved(&bench.look(), &Approved { plan: plan(&REPLACED), serial: None }).unwrap();
        match Apply::new(true, true).settle(bench.look()).await.unwrap() {
            Settled::TookEffect(facts) => {
                assert!(landed && matches!(&facts[..], [Fact::Applied(applied)] if applied.changed));
            }
            settled => assert!(!landed && settled == Settled::NoEffect, "{settled:?}"),
        }
    }
}

#[tokio::test]
async fn an_apply_that_still_runs_is_waited_for_not_planned_over() {
    let bench = Bench::new(Planned::Ready(plan(&REPLACED)), true, false);
    std::fs::write(next_traces(bench.workspace.path(), "apply").output, "").unwrap();
    let step = Apply::new(true, true);
    assert!(step.under_way(bench.look()).await.unwrap().is_some());
    assert!(matches!(step.settle(bench.look()).await.unwrap(), Settled::UnderWay(_)));
    assert_eq!(bench.checkout.plans.load(Ordering::SeqCst), 0);
}
