//! What is played: deploys that meet with something, and rollbacks.

use std::fmt;

use catalog_deploy::rehearsal::Fault;

use crate::facts::Facts;
use crate::history::Ended;
use crate::point::Seen;
use crate::stage::{Kept, Stage};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    Prod,
    /// A rollback right after a deploy.
    Rollback,
    /// The apply fails while DAGs are paused.
    Fails,
    /// The first apply ends with exit 0 and changes nothing.
    Idle,
    /// Something is planned again after every apply.
    Restless,
    /// A rollback takes over what a deploy holds whose new version never boots.
    TakesOver,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Prod => "prod",
            Self::Rollback => "rollback",
            Self::Fails => "fails",
            Self::Idle => "idle",
            Self::Restless => "restless",
            Self::TakesOver => "takes-over",
        })
    }
}

/// Has the Airflow version of what the rollback finds, so a plain yes is enough.
const BACK_TO: &str = "rel-2024.09.09.23.00.57";
const NEW: &str = "rel-2024.09.30.10.20.30";

impl Scenario {
    pub const ALL: [Self; 6] = [Self::Prod, Self::Rollback, Self::Fails, Self::Idle, Self::Restless, Self::TakesOver];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.to_string() == name)
    }

    fn faults(self) -> &'static [Fault] {
        match self {
            Self::Prod | Self::Rollback => &[Fault::WaitingRefreshes],
            Self::Fails => &[Fault::DeployFailsWhilePaused],
            Self::Idle => &[Fault::WaitingRefreshes, Fault::ApplyDoesNothing],
            Self::Restless => &[Fault::PlanNeverConverges],
            Self::TakesOver => &[Fault::NewAirflowNeverBoots],
        }
    }

    /// The tag that a finished run deploys.
    pub fn tag(self) -> &'static str {
        if self.releases() { NEW } else { BACK_TO }
    }

    /// Whether releasing belongs to it.
    pub fn releases(self) -> bool {
        !matches!(self, Self::Rollback | Self::TakesOver)
    }

    /// The gates of it, with `apply` as the answer to the plan.
    fn approvals(self, apply: &str) -> Vec<String> {
        let release = ["publish", "bump", apply, "changelog", "pull-request"];
        let redeploy = ["bump", apply, "pull-request"];
        let gates = if self.releases() { &release[..] } else { &redeploy[..] };
        gates.iter().flat_map(|gate| ["--approve".to_owned(), (*gate).to_owned()]).collect()
    }

    /// The command that is killed.
    fn command(self, apply: &str) -> Vec<String> {
        let mut command = vec!["prod"];
        if !self.releases() {
            command.extend(["--tag", BACK_TO]);
        }
        if self == Self::TakesOver {
            command.extend(["--override", "airflow=the new one never booted"]);
        }
        command.into_iter().map(str::to_owned).chain(self.approvals(apply)).collect()
    }

    /// The exit code of a run that nobody kills.
    pub fn exit(self) -> i32 {
        if matches!(self, Self::Fails | Self::Idle) { 1 } else { 0 }
    }
}

/// A stage that can be put back to the scenario's beginning.
pub struct Set {
    pub scenario: Scenario,
    pub stage: Stage,
    pub beginning: Kept,
    pub start: Facts,
    /// The run of before, whose work is not over.
    pub open: Option<String>,
    /// The answer to the plan of the first run.
    apply: String,
}

impl Set {
    pub fn new(scenario: Scenario) -> Self {
        let stage = Stage::new(scenario.faults());
        let before = stage.facts();
        if !scenario.releases() {
            let deployed = stage.run(&Scenario::Prod.command("apply"));
            let wanted = if scenario == Scenario::TakesOver { 9 } else { 0 };
            assert_eq!(deployed.code, Some(wanted), "{}", deployed.stderr);
        }
        if scenario == Scenario::Rollback {
            // The run to roll back is history; the journal of the newest run is the rollback's.
            std::fs::remove_dir_all(stage.state()).unwrap();
            std::fs::create_dir(stage.state()).unwrap();
        }
        stage.director.lock().deeds.clear();
        let beginning = stage.keep("beginning");
        let mut start = stage.facts();
        let open = stage.newest_run();
        if open.is_some() {
            // What the open run holds is to be restored as well.
            start.paused = before.paused;
        }
        let mut set = Self { scenario, stage, beginning, start, open, apply: "apply".into() };
        if scenario == Scenario::Restless {
            let asked = set.stage.run(&set.command());
            set.apply = plan_asked_about(&[asked]).expect("a plan with changes that are not expected is asked about");
        }
        set
    }

    /// The command that is killed.
    pub fn command(&self) -> Vec<String> {
        self.scenario.command(&self.apply)
    }

    /// The command that continues `run`, after `earlier` ones.
    pub fn resume(&self, run: Option<&str>, earlier: &[Ended]) -> Vec<String> {
        let apply = plan_asked_about(earlier).unwrap_or_else(|| self.apply.clone());
        let command = ["resume"].into_iter().chain(run).map(str::to_owned);
        command.chain(self.scenario.approvals(&apply)).collect()
    }

    /// Plays it unharmed and returns how it ended and what it did in which order.
    pub fn record(&self) -> (Ended, Vec<Seen>) {
        self.stage.back_to(&self.beginning);
        self.stage.director.next_process(None, None, None);
        let ended = self.stage.run(&self.command());
        let trace = self.stage.director.lock().trace.clone();
        (ended, trace)
    }
}

/// The answer `apply@DIGEST` that the last of these commands asked for, if one did.
fn plan_asked_about(commands: &[Ended]) -> Option<String> {
    let (_, asked) = commands.iter().rev().find_map(|ended| ended.stderr.rsplit_once("--approve apply@"))?;
    let digest: String = asked.chars().take_while(char::is_ascii_hexdigit).collect();
    Some(format!("apply@{digest}"))
}
