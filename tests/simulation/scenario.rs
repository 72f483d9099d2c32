//! What a seed stands for: how the world is, what goes wrong, who does what meanwhile, and where each process dies.

use std::time::Duration;

use catalog_deploy::facts::{Check, Override, Parameters, Subject};

use crate::disk::{Mishap, Moment};
use crate::rng::Rng;
use crate::sim::{Death, Fault, Weather};
use crate::world::airflow::REFRESHES;
use crate::world::{Event, OLD, OLDER, World};

pub const RUNBOOK: &str = include_str!("../../runbooks/prod.toml");

/// Services, by the names of their requests, and the check that can do without.
pub const SERVICES: [(&str, Check); 4] =
    [("Airflow", Check::Airflow), ("registry", Check::Registry), ("GitHub", Check::Github), ("remote", Check::Lock)];

/// How the person at the laptop answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    Yes,
    NoTo(String),
    Nobody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Deploy,
    Resume,
    Restore,
    /// A run that goes back to what ran before, and takes over the open one.
    RollBack,
}

/// Something done to the laptop or its process, when its future was polled so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jolt {
    /// The clock is set by so many milliseconds.
    Clock(i64),
    /// The lid is closed for so many milliseconds: the world goes on.
    Sleep(u64),
    /// SIGINT.
    Signal,
}

/// One process, from its command to its end.
#[derive(Debug, Clone)]
pub struct Process {
    pub command: Command,
    pub weather: Weather,
    pub fault: Option<(u64, Fault)>,
    pub death: Option<Death>,
    /// The power goes with the process.
    pub power: bool,
    pub disk: Option<(usize, Mishap)>,
    pub jolts: Vec<(u64, Jolt)>,
    pub says: Says,
    pub thinks: Duration,
    /// Until the next process, in milliseconds.
    pub pause: u64,
}

impl Process {
    pub fn quiet(command: Command) -> Self {
        Self {
            command,
            weather: Weather::default(),
            fault: None,
            death: None,
            power: false,
            disk: None,
            jolts: Vec::new(),
            says: Says::Yes,
            thinks: Duration::from_secs(2),
            pause: 20_000,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Scenario {
    pub parameters: Parameters,
    pub events: Vec<(i64, Event)>,
    pub failures: Vec<u8>,
    pub drifted: bool,
    pub tagging_fails: bool,
    pub boot: i64,
    pub skew: i64,
    /// Our account may read Airflow's audit log.
    pub audit: bool,
    /// Whoever is there is asked where an answer is missing, and offered a rollback.
    pub attended: bool,
    pub never_boots: bool,
    pub idle: bool,
    pub dead_before: bool,
    pub processes: Vec<Process>,
}

impl Scenario {
    /// A deploy without any trouble.
    pub fn plain() -> Self {
        Self {
            parameters: Parameters::default(),
            events: Vec::new(),
            failures: Vec::new(),
            drifted: false,
            tagging_fails: false,
            boot: 90_000,
            skew: 0,
            audit: true,
            attended: false,
            never_boots: false,
            idle: false,
            dead_before: false,
            processes: vec![Process::quiet(Command::Deploy)],
        }
    }

    /// Refreshes wait on their sensors when the run begins.
    #[must_use]
    pub fn with_refreshes(mut self) -> Self {
        self.events.extend(REFRESHES.map(|dag| (0, Event::DagStarts(dag.into()))));
        self
    }

    pub fn draw(rng: &mut Rng) -> Self {
        let mut it = Self::plain();
        it.boot = rng.between(10_000, 200_000);
        it.skew = rng.between(-90_000, 90_000);
        it.drifted = rng.percent(10);
        it.tagging_fails = rng.percent(4);
        if rng.percent(30) {
            it.parameters.tag = Some(OLDER.into());
        }
        if rng.percent(15) {
            it.parameters.wait = Some(Duration::from_secs(1800));
        }
        it.refreshes(rng);
        it.others(rng);
        while rng.percent(25) {
            it.failures.push(u8::try_from(rng.below(5)).unwrap());
        }
        it.processes = Self::processes(rng);
        if rng.percent(40) {
            it.bad_day(rng);
        }
        it
    }

    /// Services do not answer, the new version does not come up, someone goes back.
    fn bad_day(&mut self, rng: &mut Rng) {
        self.attended = rng.percent(50);
        for (service, check) in SERVICES {
            if !rng.percent(35) {
                continue;
            }
            let from = if rng.percent(50) { 0 } else { rng.between(1_000, 400_000) };
            self.events.push((from, Event::Down(service)));
            if rng.percent(50) {
                self.events.push((from + rng.between(30_000, 1_800_000), Event::Up(service)));
            }
            if rng.percent(60) {
                self.parameters
                    .overrides
                    .push(Override { subject: Subject::Check { check }, reason: "it is down".into() });
            }
        }
        self.never_boots = rng.percent(30);
        self.idle = rng.percent(15);
        self.dead_before = rng.percent(30);
        for _ in 0..2 {
            if rng.percent(50) {
                let at = usize::try_from(rng.below(self.processes.len() as u64)).unwrap() + 1;
                let number = i64::try_from(at).unwrap();
                self.processes.insert(at, Process { command: Command::RollBack, ..Self::process(rng, number) });
            }
        }
    }

    /// What a rollback of this scenario is asked for.
    pub fn back(&self) -> Parameters {
        Parameters { tag: Some(OLD.into()), ..self.parameters.clone() }
    }

    fn refreshes(&mut self, rng: &mut Rng) {
        for dag in REFRESHES {
            if rng.percent(50) {
                self.events.push((0, Event::DagStarts(dag.into())));
                if rng.percent(20) {
                    self.events.push((0, Event::OtherPauses(dag.into())));
                }
            }
        }
        if rng.percent(15) {
            self.events.push((0, Event::DagStarts("flickr_workflow".into())));
            if rng.percent(50) {
                self.parameters.overrides.push(Override {
                    subject: Subject::Dag { dag: "flickr_workflow".into() },
                    reason: "it may".into(),
                });
            }
            self.events.push((rng.between(1_000, 900_000), Event::DagEnds("flickr_workflow".into())));
        }
    }

    /// What other people and DAGs do meanwhile.
    fn others(&mut self, rng: &mut Rng) {
        let count = if rng.percent(50) { 0 } else { rng.between(1, 4) };
        for _ in 0..count {
            let at = rng.between(1_000, 500_000);
            let dag = (*rng.pick(&REFRESHES)).to_owned();
            match rng.below(12) {
                0 => self.events.push((at, Event::DagStarts(dag))),
                1 => self.events.push((at, Event::DagEnds(dag))),
                2 => {
                    self.events.push((at, Event::RefreshMovesOn(dag.clone())));
                    self.events.push((at + rng.between(1_000, 300_000), Event::DagEnds(dag)));
                }
                3 => self.events.push((at, Event::OtherPauses(dag))),
                4 => self.events.push((at, Event::OtherUnpauses(dag))),
                5 => self.events.push((at, Event::MainMoves)),
                6 => self.events.push((at, Event::LockBroken)),
                7 => {
                    self.events.push((at, Event::LockBroken));
                    self.events.push((at + rng.between(0, 5_000), Event::OtherTakesLock));
                    self.events.push((at + rng.between(10_000, 600_000), Event::OtherFreesLock));
                }
                8 => self.events.push((at, Event::OtherApplies(OLD.into()))),
                9 => self.events.push((at, Event::DraftRenamed)),
                // Whenever an apply begins, it does not live long.
                10 => self.events.extend((20..90).map(|times| (times * 5_000, Event::RecorderKilled))),
                _ => {
                    let literal = *rng.pick(&["true", "false"]);
                    self.events.push((at, Event::FlagByHand(literal.into())));
                }
            }
        }
    }

    /// Up to four processes with faults that fade out.
    fn processes(rng: &mut Rng) -> Vec<Process> {
        let count = rng.between(1, 4);
        (0..count).map(|index| Self::process(rng, index)).collect()
    }

    fn process(rng: &mut Rng, index: i64) -> Process {
        let command = match index {
            0 => Command::Deploy,
            _ if rng.percent(20) => Command::Restore,
            _ => Command::Resume,
        };
        let rate = *rng.pick(&[0, 0, 10, 40, 150]) / (1 + index.unsigned_abs());
        let weather = Weather { reads: rate, writes: rate * 3, slow: *rng.pick(&[0, 5, 50]) };
        let requests = rng.between(1, 330).unsigned_abs();
        let fault = rng.percent(30).then(|| {
            let kinds = [Fault::Refused, Fault::LostBefore, Fault::LostAfter, Fault::BrokenBefore, Fault::BrokenAfter];
            (requests, *rng.pick(&kinds))
        });
        let death = match rng.below(4) {
            0 => Some(Death::Request(rng.between(1, 330).unsigned_abs(), rng.percent(50))),
            1 => Some(Death::Poll(rng.between(1, 1_500).unsigned_abs())),
            _ => None,
        };
        let disk = rng.percent(20).then(|| {
            let mishap = if rng.percent(50) {
                Mishap::Fails { full: rng.percent(50), from_then_on: rng.percent(50) }
            } else {
                Mishap::Dies(*rng.pick(&[Moment::Before, Moment::Torn, Moment::After]))
            };
            (usize::try_from(rng.below(350)).unwrap(), mishap)
        });
        let mut jolts = Vec::new();
        while rng.percent(25) {
            let jolt = match rng.below(4) {
                0 => Jolt::Clock(rng.between(-7_200_000, 7_200_000)),
                1 => Jolt::Clock(rng.between(-30_000, 30_000)),
                2 => Jolt::Sleep(rng.between(1_000, 3_600_000).unsigned_abs()),
                _ => Jolt::Signal,
            };
            jolts.push((rng.between(1, 1_500).unsigned_abs(), jolt));
        }
        let gates = ["publish", "bump", "apply", "changelog", "pull-request"];
        let says = match rng.below(10) {
            0 => Says::NoTo((*rng.pick(&gates)).to_owned()),
            1 => Says::Nobody,
            _ => Says::Yes,
        };
        let thinks = Duration::from_secs(*rng.pick(&[1, 3, 30, 1_200]));
        let pause = *rng.pick(&[100, 5_000, 60_000, 900_000]);
        Process { command, weather, fault, death, power: rng.percent(30), disk, jolts, says, thinks, pause }
    }

    /// Makes a world as this scenario begins.
    pub fn begin(&self, world: &mut World) {
        world.airflow.skew = self.skew;
        world.airflow.audit = self.audit;
        world.terraform.boot = self.boot;
        world.terraform.drifted = self.drifted;
        world.terraform.failures = self.failures.clone();
        world.tagging_fails = self.tagging_fails;
        world.terraform.never_boots = self.never_boots;
        world.terraform.idle = self.idle;
        world.terraform.dead_before = self.dead_before;
        for (at, event) in &self.events {
            world.later(*at, event.clone());
        }
    }
}
