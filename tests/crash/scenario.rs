//! What is played: a deploy, a rollback right after one, and a deploy whose apply fails while DAGs are paused.

use std::fmt;

use catalog_deploy::rehearsal::Fault;

use crate::facts::Facts;
use crate::history::Ended;
use crate::point::Seen;
use crate::stage::{Kept, Stage};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    Prod,
    Rollback,
    Fails,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Prod => "prod",
            Self::Rollback => "rollback",
            Self::Fails => "fails",
        })
    }
}

const RELEASE: [&str; 5] = ["publish", "bump", "apply", "changelog", "pull-request"];
const REDEPLOY: [&str; 3] = ["bump", "apply", "pull-request"];
/// Has the Airflow version of what the rollback finds, so a plain yes is enough.
const BACK_TO: &str = "rel-2024.09.09.23.00.57";
const NEW: &str = "rel-2024.09.30.10.20.30";

impl Scenario {
    pub const ALL: [Self; 3] = [Self::Prod, Self::Rollback, Self::Fails];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.to_string() == name)
    }

    fn faults(self) -> &'static [Fault] {
        match self {
            Self::Prod | Self::Rollback => &[Fault::WaitingRefreshes],
            Self::Fails => &[Fault::DeployFailsWhilePaused],
        }
    }

    /// The tag that a finished run deploys.
    pub fn tag(self) -> &'static str {
        if self == Self::Rollback { BACK_TO } else { NEW }
    }

    /// Whether releasing belongs to it.
    pub fn releases(self) -> bool {
        self != Self::Rollback
    }

    fn approvals(self) -> Vec<&'static str> {
        let gates: &[&str] = if self.releases() { &RELEASE } else { &REDEPLOY };
        gates.iter().flat_map(|gate| ["--approve", gate]).collect()
    }

    /// The command that is killed.
    pub fn command(self) -> Vec<&'static str> {
        let mut command = vec!["prod"];
        if self == Self::Rollback {
            command.extend(["--tag", BACK_TO]);
        }
        command.extend(self.approvals());
        command
    }

    /// The command that goes on.
    pub fn resume(self) -> Vec<&'static str> {
        let mut command = vec!["resume"];
        command.extend(self.approvals());
        command
    }

    /// The exit code of a run that nobody kills.
    pub fn exit(self) -> i32 {
        if self == Self::Fails { 1 } else { 0 }
    }
}

/// A stage that can be put back to the scenario's beginning.
pub struct Set {
    pub scenario: Scenario,
    pub stage: Stage,
    pub beginning: Kept,
    pub start: Facts,
}

impl Set {
    pub fn new(scenario: Scenario) -> Self {
        let stage = Stage::new(scenario.faults());
        if scenario == Scenario::Rollback {
            let deployed = stage.run(&Scenario::Prod.command());
            assert_eq!(deployed.code, Some(0), "{}", deployed.stderr);
            // The run to roll back is history; the journal of the newest run is the rollback's.
            std::fs::remove_dir_all(stage.state()).unwrap();
            std::fs::create_dir(stage.state()).unwrap();
        }
        stage.director.lock().deeds.clear();
        let beginning = stage.keep("beginning");
        let start = stage.facts();
        Self { scenario, stage, beginning, start }
    }

    /// Plays it unharmed and returns how it ended and what it did in which order.
    pub fn record(&self) -> (Ended, Vec<Seen>) {
        self.stage.back_to(&self.beginning);
        self.stage.director.next_process(None, None, None);
        let ended = self.stage.run(&self.scenario.command());
        let trace = self.stage.director.lock().trace.clone();
        (ended, trace)
    }
}
