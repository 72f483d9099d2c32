//! Every fault of the world, played against the real binary, and everything that is left behind afterwards.
//!
//! What must hold however a run ends is asserted in one place ([`Played::leaves`]): flag, DAGs, checkout, lock, what runs,
//! and exactly what the world was asked to change.

mod after;
mod bad_day;
mod dags;
mod infrastructure;
mod interrupted;
mod looks;
mod rehearsed;
mod release;
mod rollback;
mod table;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use catalog_deploy::rehearsal::{AirflowEdition, Fault, RequestLogEntry};
use serde_json::Value;

use crate::deploy::approved;
use crate::support::{Done, Stage};

pub const OLD: &str = "rel-2024.08.22.20.53.01";
pub const NEW: &str = "rel-2024.09.30.10.20.30";
/// The changes of a whole deploy, as [`changes`] names them.
pub const PUBLISH: &str = "publish 170000051";
pub const APPROVE: &str = "approve #4901";
pub const OPEN: &str = "open a pull request";
pub const DEPLOY: &[&str] = &[PUBLISH, APPROVE, OPEN];
/// What an unattended run leaves for a person.
pub const LEFT: &str = "left for you: check \"No new alerts in #openverse-alerts\"";
/// Twenty seconds are promised on a machine of its own; here many runs share it.
const LONGEST: Duration = Duration::from_secs(45);

/// How a run must end and what it must leave behind.
pub struct Want {
    pub exit: i32,
    pub reason: &'static str,
    /// Parts of what the person reads.
    pub says: &'static [&'static str],
    /// Parts of the next commands, in their order.
    pub next: &'static [&'static str],
    pub changes: &'static [&'static str],
    /// What Terraform's state and the checkout hold in the end.
    pub bumped: bool,
    pub deployed: &'static str,
    /// The flag's literal; `false` but where the run found it otherwise.
    pub flag: &'static str,
    /// Whose run holds the lock in the end.
    pub lock: Option<&'static str>,
}

/// Refused with nothing changed.
pub const fn refused(says: &'static [&'static str], next: &'static [&'static str]) -> Want {
    Want {
        exit: 3,
        reason: "refused",
        says,
        next,
        changes: &[],
        bumped: false,
        deployed: OLD,
        flag: "false",
        lock: None,
    }
}

/// Deployed and well; that no one has looked at the alerts is said, too.
pub const fn deployed(says: &'static [&'static str]) -> Want {
    Want {
        exit: 0,
        reason: "done",
        says,
        next: &[LEFT],
        changes: DEPLOY,
        bumped: true,
        deployed: NEW,
        flag: "false",
        lock: None,
    }
}

/// Stopped after the release was published and before anything else stays changed.
pub const fn published(reason: &'static str, says: &'static [&'static str], next: &'static [&'static str]) -> Want {
    Want { exit: 1, reason, changes: &[PUBLISH], ..refused(says, next) }
}

/// One `#[test]` for each fault, named after it; `EDITION` picks the Airflow. The faults also go into `FAULTS`.
macro_rules! each {
    ($edition:ident: $($name:ident $fault:ident $want:expr;)*) => {
        pub const FAULTS: &[catalog_deploy::rehearsal::Fault] = &[$(catalog_deploy::rehearsal::Fault::$fault,)*];
        $(#[test]
        fn $name() {
            let played = crate::traps::play(
                catalog_deploy::rehearsal::Fault::$fault,
                catalog_deploy::rehearsal::AirflowEdition::$edition,
                &[],
            );
            played.ends(&$want);
        })*
    };
}
pub(crate) use each;

/// A world, how it was, and how the last command against it ended.
pub struct Played {
    pub stage: Stage,
    pub done: Done,
    fault: Fault,
    before: Before,
    took: Duration,
}

struct Before {
    paused: Vec<String>,
    difference: String,
    head: String,
    branches: BTreeSet<String>,
}

/// `prod` with all gates approved against a world with this fault.
pub fn play(fault: Fault, airflow: AirflowEdition, more: &[&str]) -> Played {
    let begin = Instant::now();
    let stage = Stage::with(|options| {
        options.faults = vec![fault];
        options.airflow = airflow;
    });
    let mut arguments = approved(more);
    arguments.push("--json");
    let before = Before {
        paused: stage.world.paused_dags(),
        difference: stage.git(&["diff", "HEAD"]),
        head: stage.git(&["rev-parse", "HEAD", "--abbrev-ref", "HEAD"]),
        branches: branches(&stage),
    };
    let done = stage.run(&arguments);
    Played { stage, done, fault, before, took: begin.elapsed() }
}

/// As [`play`], with Airflow 2 and nothing added.
pub fn play2(fault: Fault) -> Played {
    play(fault, AirflowEdition::V2, &[])
}

impl Played {
    /// The one run's id.
    pub fn run(&self) -> String {
        let runs = self.stage.runs();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }

    /// `resume RUN` with all gates approved; what it prints replaces what was printed before.
    pub fn resume(&mut self, more: &[&str]) {
        let run = self.run();
        let mut arguments = approved(more);
        arguments[0] = &run;
        arguments.insert(0, "resume");
        arguments.push("--json");
        self.done = self.stage.run(&arguments);
    }

    /// The last event: how the run ended.
    pub fn finish(&self) -> Value {
        let mut events = self.done.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let last = events.rfind(|event| event["event"] == "run-finished");
        last.unwrap_or_else(|| panic!("the run never finished:\n{}", self.done.stderr))
    }

    /// Ends so, and leaves so.
    pub fn ends(&self, want: &Want) {
        let (finish, stderr) = (self.finish(), &self.done.stderr);
        table::row(self.fault, &finish, &self.stage, &self.before, self.took);
        assert_eq!((self.done.code, finish["reason"].as_str().unwrap()), (want.exit, want.reason), "{stderr}");
        assert_eq!(finish["exit"], want.exit);
        for part in want.says {
            assert!(stderr.contains(part), "does not say {part:?}:\n{stderr}");
        }
        let next: Vec<&str> = finish["next"].as_array().unwrap().iter().map(|next| next.as_str().unwrap()).collect();
        assert_eq!(next.len(), want.next.len(), "{next:#?}");
        for (next, part) in next.iter().zip(want.next) {
            assert!(next.contains(part), "{part:?} is not in {next:?}");
            assert!(stderr.contains(&format!("next: {next}")), "the person does not see {next:?}:\n{stderr}");
        }
        self.leaves(want);
        assert!(self.took < LONGEST, "took {:?}", self.took);
    }

    fn leaves(&self, want: &Want) {
        let stage = &self.stage;
        assert_eq!(changes(stage), want.changes, "{}", self.done.stderr);
        assert_eq!(stage.attribute("running_dags_cleared"), want.flag);
        assert_eq!(stage.world.paused_dags(), self.before.paused, "DAGs are not paused as before");
        assert_eq!(stage.world.deployed_tag().as_deref(), Some(want.deployed));
        assert_eq!(stage.git(&["rev-parse", "HEAD", "--abbrev-ref", "HEAD"]), self.before.head);
        let difference = stage.git(&["diff", "HEAD"]);
        if want.bumped {
            assert_eq!(changed_lines(&difference), bump(), "the bump alone");
        } else {
            assert_eq!(difference, self.before.difference);
        }
        let new: Vec<String> = branches(stage).difference(&self.before.branches).cloned().collect();
        let opened = want.changes.iter().any(|change| change.starts_with(OPEN));
        let ours = if opened { vec![format!("refs/heads/catalog-deploy/{NEW}")] } else { vec![] };
        assert_eq!(new, ours, "branches on the remote");
        match want.lock {
            None => assert!(!stage.locked(), "the lock is not free"),
            Some(holder) => {
                let record = stage.on_remote(&["cat-file", "-p", "refs/catalog-deploy/lock/openverse-catalog-prod"]);
                assert!(record.contains(holder), "{record}");
            }
        }
    }
}

/// Lines that a diff takes away and adds.
fn changed_lines(difference: &str) -> Vec<String> {
    let heading = |line: &&str| !line.starts_with("---") && !line.starts_with("+++");
    let changed = difference.lines().filter(heading).filter(|line| line.starts_with(['-', '+']));
    changed.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn bump() -> Vec<String> {
    vec![format!("- docker_image_tag = \"{OLD}\""), format!("+ docker_image_tag = \"{NEW}\"")]
}

fn branches(stage: &Stage) -> BTreeSet<String> {
    stage.on_remote(&["for-each-ref", "--format=%(refname)", "refs/heads"]).lines().map(str::to_owned).collect()
}

/// Every request that changed something, in words; with its status where it is not a success.
pub fn changes(stage: &Stage) -> Vec<String> {
    let requests = stage.world.requests();
    requests.iter().filter(|request| request.service != "slack" && request.mutates()).map(change).collect()
}

fn change(request: &RequestLogEntry) -> String {
    let path = request.path.split('?').next().unwrap();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let body = request.body.clone().unwrap_or_default();
    let what = match (request.method.as_str(), parts.as_slice()) {
        ("PATCH", ["repos", _, _, "releases", id]) if body["draft"] == false => format!("publish {id}"),
        ("POST", ["repos", _, _, "pulls", number, "reviews"]) if body["event"] == "APPROVE" => {
            format!("approve #{number}")
        }
        ("POST", ["repos", _, "openverse-infrastructure", "pulls"]) => OPEN.to_owned(),
        ("PATCH", ["api", _, "dags", dag]) if body["is_paused"] == true => format!("pause {dag}"),
        ("PATCH", ["api", _, "dags", dag]) if body["is_paused"] == false => format!("unpause {dag}"),
        _ => format!("{} {path} {body}", request.method),
    };
    match request.status {
        200..300 => what,
        0 => format!("{what} (answer lost)"),
        status => format!("{what} ({status})"),
    }
}

#[test]
fn no_fault_is_left_out() {
    assert_eq!(dags::FAULTS[0], dags::FAULTS[1]);
    let lists =
        [looks::FAULTS, dags::FAULTS[0], release::FAULTS, infrastructure::FAULTS, after::FAULTS, bad_day::FAULTS];
    let mut proved: Vec<Fault> = lists.concat();
    proved.extend(
        looks::MORE.iter().chain(dags::MORE).chain(release::MORE).chain(infrastructure::MORE).chain(after::MORE),
    );
    let proved: BTreeSet<Fault> = proved.into_iter().collect();
    let missing: Vec<&Fault> = Fault::ALL.iter().filter(|fault| !proved.contains(fault)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
