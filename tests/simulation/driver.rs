//! Plays a scenario: process after process, each polled by hand, then a calm world in which the run must come to rest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use catalog_deploy::engine::{Adopting, Outcome, Recorder, Run, StopSignal};
use catalog_deploy::event::{Event, FORMAT, Mode, Stamped};
use catalog_deploy::facts::{Held, Parameters, PastRun, Subject, Thing};
use catalog_deploy::journal::runs::{Runs, StoredRun};
use catalog_deploy::journal::status::RunState;
use catalog_deploy::plan::Plan;
use catalog_deploy::report::Sink;
use catalog_deploy::runbook::Loaded;
use catalog_deploy::runbook::load::{Source, load};
use catalog_deploy::steps;

use crate::adapters::{Person, clock, world};
use crate::checker::{Violation, judge};
use crate::rng::Rng;
use crate::scenario::{Command, Jolt, Process, RUNBOOK, SERVICES, Scenario};
use crate::sim::{Death, Sim};
use crate::world::history::Actor;
use crate::world::{Errand, NEW};

/// A process that is polled more often than this will never end.
const MOST_POLLS: u64 = 400_000;

/// How a process ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    Ended(Outcome),
    /// It could not begin, and why.
    Refused(String),
    Died,
    Panicked(String),
    NeverEnds,
}

/// What one scenario came to.
pub struct Played {
    pub story: String,
    /// Every process' end, in order, with its number.
    pub ends: Vec<(u32, Command, End)>,
    pub violations: Vec<Violation>,
    pub disk_ops: Vec<crate::disk::Op>,
    pub journal: Vec<u8>,
}

struct Teller(Arc<Sim>);

impl Sink for Teller {
    fn event(&mut self, stamped: &Stamped) {
        if stamped.event.durable() && self.0.telling() {
            self.0.tell(&format!("  {}", serde_json::to_string(&stamped.event).unwrap()));
        }
    }
}

static DIRECTORIES: AtomicU32 = AtomicU32::new(0);

/// A state directory of its own, whose name is as long as every other's: its length must not tell in a journal.
fn directory() -> PathBuf {
    static BASE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let base = BASE.get_or_init(|| {
        let base = tempfile::tempdir().unwrap();
        std::env::set_current_dir(base.path()).unwrap();
        base
    });
    debug_assert!(base.path().exists());
    PathBuf::from(format!("state-{:08}", DIRECTORIES.fetch_add(1, Ordering::SeqCst)))
}

/// Plays `scenario`; `seed` is behind everything that is left to chance.
pub fn play(scenario: &Scenario, seed: u64, telling: bool) -> Played {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let directory = directory();
        std::fs::create_dir_all(&directory).unwrap();
        let sim = Sim::new(Rng::new(seed), directory.clone(), telling);
        scenario.begin(&mut sim.state().world);
        let mut ends = Vec::new();
        for process in &scenario.processes {
            ends.push(live(&sim, scenario, process).await);
            tokio::time::sleep(Duration::from_millis(process.pause)).await;
        }
        rest(&sim, scenario, &mut ends).await;
        let played = judge(&sim, ends);
        std::fs::remove_dir_all(&directory).unwrap();
        played
    })
}

/// The weather clears, others have done what they do, the person does what refusals say: then a run must come to rest.
async fn rest(sim: &Arc<Sim>, scenario: &Scenario, ends: &mut Vec<(u32, Command, End)>) {
    tokio::time::sleep(Duration::from_secs(1200)).await;
    sim.state().world.calm();
    let runs = Runs::on(Arc::new(sim.disk.clone()), &sim.directory);
    // There may be two runs to bring to an end.
    for command in [Command::Resume, Command::Resume, Command::Restore, Command::Resume, Command::Restore] {
        let Some(state) = newest(&runs).filter(RunState::resumable) else { return };
        {
            let world = &mut sim.state().world;
            world.calm();
            world.terraform.failures.clear();
            if world.repo.head + 1 != world.repo.main.len() {
                world.repo.pull();
            }
            // Set by somebody else: the refusal says to set it back, once it is clear that nobody deploys.
            let ours = |held: &Held| matches!(&held.thing, Thing::Attribute { ours, .. } if ours == "true");
            if world.repo.flag() == "true" && !world.terraform.running() && !state.held.iter().any(ours) {
                let cleared = world.repo.with_flag("false");
                world.write(Actor::Other, cleared);
            }
        }
        ends.push(live(sim, scenario, &Process::quiet(command)).await);
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
}

pub fn stored(sim: &Sim, run: &str) -> Option<RunState> {
    Runs::on(Arc::new(sim.disk.clone()), &sim.directory).load(run).ok().map(|run| run.state)
}

/// One process from beginning to end, with its number.
async fn live(sim: &Arc<Sim>, scenario: &Scenario, process: &Process) -> (u32, Command, End) {
    let number = {
        let mut state = sim.state();
        state.weather = process.weather;
        (state.fault, state.death, state.requests) = (process.fault, process.death, 0);
        state.world.process += 1;
        state.world.process
    };
    sim.dead.store(false, Ordering::SeqCst);
    sim.disk.plan(process.disk);
    sim.tell(&format!("process {number}: {process:?}"));
    let stop = StopSignal::default();
    let mut polls = 0_u64;
    let end = {
        let mut work = pin!(work(sim, scenario, process, &stop));
        loop {
            // Polled whenever a timer of its own is due, and left alone in between, so that time can go on.
            let polled = std::future::poll_fn(|context| {
                let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
                polls += 1;
                let dies = sim.dead.load(Ordering::SeqCst) || process.death == Some(Death::Poll(polls));
                let jolted = process.jolts.iter().any(|(at, _)| *at == polls);
                match polled {
                    Err(panic) => Poll::Ready(Some(End::Panicked(said(&*panic)))),
                    Ok(Poll::Ready(end)) if !dies => Poll::Ready(Some(end)),
                    _ if dies => Poll::Ready(Some(End::Died)),
                    _ if polls > MOST_POLLS => Poll::Ready(Some(End::NeverEnds)),
                    Ok(_) if jolted => Poll::Ready(None),
                    Ok(_) => Poll::Pending,
                }
            });
            if let Some(end) = polled.await {
                break end;
            }
            for (_, jolt) in process.jolts.iter().filter(|(at, _)| *at == polls) {
                sim.tell(&format!("{jolt:?}"));
                match *jolt {
                    Jolt::Clock(by) => sim.state().clock_offset += by,
                    Jolt::Sleep(time) => {
                        tokio::time::advance(Duration::from_millis(time)).await;
                        let world = &mut sim.state().world;
                        world.woke = (world.now, time.cast_signed());
                    }
                    Jolt::Signal => drop(stop.raise(2)),
                }
            }
        }
    };
    // What the process held in memory is gone by here.
    sim.dead.store(false, Ordering::SeqCst);
    sim.disk.plan(None);
    if end == End::Died && process.power {
        sim.tell("the power is gone");
        sim.disk.power_off();
        sim.state().world.power_off();
    }
    // A rollback that was chosen at the terminal counts as a process of its own.
    let number = sim.state().world.process;
    sim.tell(&format!("process {number} ended: {end:?}"));
    (number, process.command, end)
}

async fn work(sim: &Arc<Sim>, scenario: &Scenario, process: &Process, stop: &StopSignal) -> End {
    let (mut command, mut adopts) = (process.command, None);
    loop {
        let end = command_of(sim, scenario, process, command, adopts.take(), stop).await;
        // Chosen at the terminal: as the command line does, the rollback begins at once, and takes over this run.
        match &end {
            End::Ended(outcome) if outcome.roll_back.is_some() => {
                command = Command::RollBack;
                let world = &mut sim.state().world;
                world.process += 1;
                adopts = Some(world.run.clone());
            }
            _ => return end,
        }
    }
}

async fn command_of(
    sim: &Arc<Sim>,
    scenario: &Scenario,
    process: &Process,
    command: Command,
    adopts: Option<String>,
    stop: &StopSignal,
) -> End {
    let loaded = loaded();
    let runs = Runs::on(Arc::new(sim.disk.clone()), &sim.directory);
    let begun = match command {
        Command::Deploy => begin(sim, scenario.parameters.clone(), None, &runs),
        Command::RollBack => back(sim, scenario, adopts, &runs),
        Command::Resume | Command::Restore => go_on(sim, &runs, command),
    };
    let Begun { recorder, directory, adopting, plan } = match begun {
        Ok(begun) => begun,
        Err(why) => return End::Refused(why),
    };
    let world = world(sim);
    let attended = scenario.attended;
    let person = Person { sim: sim.clone(), says: process.says.clone(), thinks: process.thinks, attended };
    // The obligations of this checkout carry the name that the system gives.
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let who = ("ada".to_owned(), host);
    std::fs::create_dir_all(&directory).unwrap();
    let mut run = Run::new(&loaded.runbook, &plan, &world, &recorder, &person, stop, directory, who);
    run.adopting = adopting;
    run.past = past(sim, &runs);
    End::Ended(match command {
        Command::Restore => run.give_up().await,
        Command::Deploy | Command::Resume | Command::RollBack => run.carry_out().await,
    })
}

fn loaded() -> &'static Loaded {
    static LOADED: OnceLock<Loaded> = OnceLock::new();
    LOADED.get_or_init(|| match load("prod", Source::Frozen, RUNBOOK) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{}", problems.render(false)),
    })
}

struct Begun {
    recorder: Arc<Recorder>,
    directory: PathBuf,
    adopting: Option<Adopting>,
    plan: Plan,
}

/// Every run there is, oldest first.
fn all(runs: &Runs) -> Vec<StoredRun> {
    runs.all().map(|(runs, _)| runs).unwrap_or_default()
}

fn past(sim: &Arc<Sim>, runs: &Runs) -> Vec<PastRun> {
    let run = sim.state().world.run.clone();
    all(runs).iter().filter(|other| other.state.run != run).filter_map(|other| other.state.past()).collect()
}

/// What the process at work is about.
fn errand(sim: &Arc<Sim>, run: &str, parameters: &Parameters) {
    let world = &mut sim.state().world;
    world.run = run.to_owned();
    let without = SERVICES.iter().filter(|(_, check)| parameters.overridden(*check).is_some());
    let may_kill = parameters.overrides.iter().filter_map(|given| match &given.subject {
        Subject::Dag { dag } => Some(dag.clone()),
        Subject::Check { .. } => None,
    });
    let errand = Errand {
        run: run.to_owned(),
        target: parameters.tag.clone().unwrap_or_else(|| NEW.into()),
        without: without.map(|(service, _)| *service).collect(),
        may_kill: may_kill.collect(),
    };
    world.errands.insert(world.process, errand);
}

fn begin(sim: &Arc<Sim>, parameters: Parameters, adopting: Option<Adopting>, runs: &Runs) -> Result<Begun, String> {
    let loaded = loaded();
    let run = format!("prod-20241001-090000-{:04}", all(runs).len());
    errand(sim, &run, &parameters);
    let (directory, journal) = runs.create(&run, &loaded.text).map_err(|error| error.to_string())?;
    let plan = Plan::new(&loaded.runbook, &parameters, steps::build);
    let mut steps = vec![catalog_deploy::engine::lock::head()];
    steps.extend(plan.heads());
    let start = Event::RunStarted {
        format: FORMAT,
        run,
        runbook: "prod".into(),
        source: "built in".into(),
        hash: loaded.hash.clone(),
        title: loaded.runbook.title.clone(),
        mode: if parameters.tag.is_some() { Mode::Rollback } else { Mode::Deploy },
        who: "ada".into(),
        host: "laptop".into(),
        parameters,
        steps,
    };
    let recorder = Recorder::begin(journal, start, Box::new(Teller(sim.clone())), clock(sim));
    let recorder = Arc::new(recorder.map_err(|error| error.to_string())?);
    Ok(Begun { recorder, directory, adopting, plan })
}

/// As the command line begins one: it takes over the run that is open, or that left its end open.
fn back(sim: &Arc<Sim>, scenario: &Scenario, adopts: Option<String>, runs: &Runs) -> Result<Begun, String> {
    let mut there = all(runs);
    let open = there.iter().position(|run| run.state.open());
    let last = there.len().checked_sub(1).filter(|last| there[*last].state.deployed_unfinished());
    let named = there.iter().position(|run| Some(&run.state.run) == adopts.as_ref());
    let adopting = match named.or(open).or(last) {
        Some(index) => {
            let stored = there.swap_remove(index);
            let (journal, events) = runs.open(&stored.state.run).map_err(|error| error.to_string())?;
            let state = RunState::replay(&events).map_err(|error| error.to_string())?.ok_or("an empty journal")?;
            Some(Adopting::new(state, stored.directory, journal))
        }
        None => None,
    };
    begin(sim, scenario.back(), adopting, runs)
}

/// The run that is open, else the newest.
pub fn newest(runs: &Runs) -> Option<RunState> {
    let mut there = all(runs);
    let at = there.iter().rposition(|run| run.state.open()).or(there.len().checked_sub(1))?;
    Some(there.swap_remove(at).state)
}

fn go_on(sim: &Arc<Sim>, runs: &Runs, command: Command) -> Result<Begun, String> {
    let newest = newest(runs).ok_or("there is no run")?;
    let stored = runs.load(&newest.run).map_err(|error| error.to_string())?;
    let may = if command == Command::Resume { stored.state.resumable() } else { stored.state.closed.is_none() };
    if !may {
        return Err("there is nothing to go on with".into());
    }
    let (journal, events) = runs.open(&newest.run).map_err(|error| error.to_string())?;
    let state = RunState::replay(&events).map_err(|error| error.to_string())?;
    let state = state.ok_or("the journal is empty")?;
    errand(sim, &newest.run, &state.parameters);
    let plan = Plan::new(&loaded().runbook, &state.parameters, steps::build);
    // A rollback that was stopped before its first change has taken over nothing yet.
    let adopting = match command {
        Command::Resume if state.parameters.tag.is_some() && state.took_over.is_none() && !state.changed() => {
            let mut others = all(runs).into_iter().filter(|other| other.state.run != newest.run && other.state.open());
            let other = others.next().map(|other| (runs.open(&other.state.run), other.directory));
            let other = other.map(|(opened, directory)| opened.map(|(journal, events)| (journal, events, directory)));
            match other.transpose().map_err(|error| error.to_string())? {
                Some((journal, events, directory)) => {
                    let state = RunState::replay(&events).map_err(|error| error.to_string())?.ok_or("empty")?;
                    Some(Adopting::new(state, directory, journal))
                }
                None => None,
            }
        }
        _ => None,
    };
    let recorder = Recorder::resume(journal, &events, state, Box::new(Teller(sim.clone())), clock(sim));
    let resumed = Event::RunResumed { who: "ada".into(), host: "laptop".into() };
    recorder.record(resumed).map_err(|error| error.to_string())?;
    Ok(Begun { recorder: Arc::new(recorder), directory: stored.directory, adopting, plan })
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word").to_owned()
}
