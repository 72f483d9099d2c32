//! Plays a scenario: process after process, each polled by hand, then a calm world in which the run must come to rest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use catalog_deploy::engine::{Outcome, Recorder, Run, StopSignal};
use catalog_deploy::event::{Event, FORMAT, Mode, Stamped};
use catalog_deploy::facts::{Held, Thing};
use catalog_deploy::journal::runs::Runs;
use catalog_deploy::journal::status::RunState;
use catalog_deploy::plan::Plan;
use catalog_deploy::report::Sink;
use catalog_deploy::runbook::Loaded;
use catalog_deploy::runbook::load::{Source, load};
use catalog_deploy::steps;

use crate::adapters::{Person, clock, world};
use crate::checker::{Violation, judge};
use crate::rng::Rng;
use crate::scenario::{Command, Jolt, Process, RUNBOOK, Scenario};
use crate::sim::{Death, Sim};
use crate::world::history::Actor;

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
    pub ends: Vec<(Command, End)>,
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
            let end = live(&sim, scenario, process).await;
            ends.push((process.command, end));
            tokio::time::sleep(Duration::from_millis(process.pause)).await;
        }
        rest(&sim, scenario, &mut ends).await;
        let played = judge(&sim, scenario, ends);
        std::fs::remove_dir_all(&directory).unwrap();
        played
    })
}

/// The weather clears, others have done what they do, the person does what refusals say: then a run must come to rest.
async fn rest(sim: &Arc<Sim>, scenario: &Scenario, ends: &mut Vec<(Command, End)>) {
    tokio::time::sleep(Duration::from_secs(1200)).await;
    sim.state().world.calm();
    let run = sim.state().world.run.clone();
    for command in [Command::Resume, Command::Resume, Command::Restore] {
        let Some(state) = stored(sim, &run) else { return };
        if !state.resumable() {
            return;
        }
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
        let end = live(sim, scenario, &Process::quiet(command)).await;
        ends.push((command, end));
        tokio::time::sleep(Duration::from_secs(600)).await;
    }
}

pub fn stored(sim: &Sim, run: &str) -> Option<RunState> {
    Runs::on(Arc::new(sim.disk.clone()), &sim.directory).load(run).ok().map(|run| run.state)
}

/// One process from beginning to end.
async fn live(sim: &Arc<Sim>, scenario: &Scenario, process: &Process) -> End {
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
    sim.tell(&format!("process {number} ended: {end:?}"));
    end
}

async fn work(sim: &Arc<Sim>, scenario: &Scenario, process: &Process, stop: &StopSignal) -> End {
    static LOADED: OnceLock<Loaded> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| match load("prod", Source::Frozen, RUNBOOK) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{}", problems.render(false)),
    });
    let runs = Runs::on(Arc::new(sim.disk.clone()), &sim.directory);
    let plan = Plan::new(&loaded.runbook, &scenario.parameters, steps::build);
    let begun = match process.command {
        Command::Deploy => begin(sim, scenario, loaded, &plan, &runs),
        Command::Resume | Command::Restore => go_on(sim, &runs, process.command),
    };
    let (recorder, directory) = match begun {
        Ok(begun) => begun,
        Err(why) => return End::Refused(why),
    };
    let world = world(sim);
    let person = Person { sim: sim.clone(), says: process.says.clone(), thinks: process.thinks };
    // The obligations of this checkout carry the name that the system gives.
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let who = ("ada".to_owned(), host);
    std::fs::create_dir_all(&directory).unwrap();
    let run = Run::new(&loaded.runbook, &plan, &world, &recorder, &person, stop, directory, who);
    End::Ended(match process.command {
        Command::Restore => run.give_up().await,
        Command::Deploy | Command::Resume => run.carry_out().await,
    })
}

type Begun = Result<(Arc<Recorder>, PathBuf), String>;

fn begin(sim: &Arc<Sim>, scenario: &Scenario, loaded: &Loaded, plan: &Plan, runs: &Runs) -> Begun {
    let run = "prod-20241001-090000-0000".to_owned();
    sim.state().world.run.clone_from(&run);
    let (directory, journal) = runs.create(&run, &loaded.text).map_err(|error| error.to_string())?;
    let mut steps = vec![catalog_deploy::engine::lock::head()];
    steps.extend(plan.heads());
    let start = Event::RunStarted {
        format: FORMAT,
        run,
        runbook: "prod".into(),
        source: "built in".into(),
        hash: loaded.hash.clone(),
        title: loaded.runbook.title.clone(),
        mode: if scenario.parameters.tag.is_some() { Mode::Rollback } else { Mode::Deploy },
        who: "ada".into(),
        host: "laptop".into(),
        parameters: scenario.parameters.clone(),
        steps,
    };
    let recorder = Recorder::begin(journal, start, Box::new(Teller(sim.clone())), clock(sim));
    Ok((Arc::new(recorder.map_err(|error| error.to_string())?), directory))
}

fn go_on(sim: &Arc<Sim>, runs: &Runs, command: Command) -> Begun {
    let run = sim.state().world.run.clone();
    let stored = runs.load(&run).map_err(|error| error.to_string())?;
    let may = if command == Command::Resume { stored.state.resumable() } else { stored.state.closed.is_none() };
    if !may {
        return Err("there is nothing to go on with".into());
    }
    let (journal, events) = runs.open(&run).map_err(|error| error.to_string())?;
    let state = RunState::replay(&events).map_err(|error| error.to_string())?;
    let state = state.ok_or("the journal is empty")?;
    let recorder = Recorder::resume(journal, &events, state, Box::new(Teller(sim.clone())), clock(sim));
    let resumed = Event::RunResumed { who: "ada".into(), host: "laptop".into() };
    recorder.record(resumed).map_err(|error| error.to_string())?;
    Ok((Arc::new(recorder), stored.directory))
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word").to_owned()
}
