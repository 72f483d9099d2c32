//! Judges what was done by the world's own history, never by our journal.

#[cfg(test)]
mod forged;
mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog_deploy::journal::runs::Runs;

use crate::driver::{End, Played};
use crate::scenario::{Command, SERVICES};
use crate::sim::Sim;
use crate::world::history::{Actor, Happened};
use crate::world::{Errand, World};

pub use rules::RULES;

/// How far the laptop's clock may be ahead of Airflow's for what its log says to count, in milliseconds.
const AHEAD: i64 = 10 * 60 * 1000;

/// A rule that was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub how: String,
}

/// How the world and the run stand when all is over.
#[derive(Debug, Clone)]
pub struct Final {
    pub flag: String,
    pub version: String,
    pub first_version: String,
    pub holder: Option<String>,
    pub instance: Option<String>,
    pub applying: bool,
    pub last: Option<(u32, Command, End)>,
    /// Every process' end, in order, with its number.
    pub ends: Vec<(u32, Command, End)>,
    /// The journal says that nothing is left to be done.
    pub closed: bool,
    /// The journal can be read, or there never was one.
    pub readable: bool,
    /// Airflow's audit log was told whenever it was asked for, and the laptop's clock is one to compare it with.
    pub audit: bool,
}

pub fn judge(sim: &Arc<Sim>, ends: Vec<(u32, Command, End)>) -> Played {
    let runs = Runs::on(Arc::new(sim.disk.clone()), &sim.directory);
    let (stored, _) = runs.all().unwrap_or_default();
    let mut guard = sim.state();
    // Beyond that its entries look older than a run that begins now.
    let ahead = guard.clock_offset > AHEAD;
    let world: &mut World = &mut guard.world;
    let history = std::mem::take(&mut world.history);
    let mut errands = std::mem::take(&mut world.errands);
    // What was decided at the terminal is in the journal.
    for errand in errands.values_mut() {
        let state = stored.iter().map(|stored| &stored.state).find(|state| state.run == errand.run);
        let decided = |check| state.is_some_and(|state| state.parameters.overridden(check).is_some());
        errand.without.extend(SERVICES.iter().filter(|(_, check)| decided(*check)).map(|(service, _)| *service));
    }
    let first_version = format!("\"{}\"", crate::world::OLD);
    let changed = |run: &str| {
        let by = |it: &Happened| matches!(it.actor, Actor::Run(by) if errands.get(&by).is_some_and(|it| it.run == run));
        history.iter().any(by)
    };
    let known = |run: &str| stored.iter().any(|stored| stored.state.run == run);
    let readable = errands.values().all(|errand| known(&errand.run) || !changed(&errand.run));
    let last = Final {
        flag: world.repo.flag(),
        version: world.repo.version(),
        first_version,
        holder: world.lock.as_ref().map(|lock| lock.record.run.clone()),
        instance: world.terraform.instance.clone(),
        applying: world.terraform.running(),
        last: ends.last().cloned(),
        ends: ends.clone(),
        // An older run that left its end open is overtaken, and one that was refused has nothing to close; none may hold
        // anything.
        closed: stored.last().is_none_or(|newest| newest.state.closed.is_some() || !newest.state.changed())
            && !stored.iter().any(|run| run.state.open()),
        readable,
        audit: !world.airflow.untold && !ahead,
    };
    let run = world.run.clone();
    drop(guard);
    let case = Case { errands: &errands, history: &history, last: &last };
    let violations =
        RULES.iter().filter_map(|(rule, broken)| broken(&case).map(|how| Violation { rule, how })).collect::<Vec<_>>();
    let journal = sim.disk.get(&sim.directory.join("runs").join(&run).join(catalog_deploy::journal::store::JOURNAL));
    Played { story: sim.story(), ends, violations, disk_ops: sim.disk.ops(), journal }
}

/// What a rule judges.
pub struct Case<'a> {
    /// What each process of ours was about.
    pub errands: &'a BTreeMap<u32, Errand>,
    pub history: &'a [Happened],
    pub last: &'a Final,
}

impl<'a> Case<'a> {
    pub fn is_ours(&self, run: &str) -> bool {
        self.errands.values().any(|errand| errand.run == run)
    }

    /// What the process behind this was about; `None` where it is not ours.
    pub fn errand(&self, it: &Happened) -> Option<&'a Errand> {
        match it.actor {
            Actor::Run(process) => self.errands.get(&process),
            Actor::Other => None,
        }
    }

    /// What the last process was about.
    pub fn target(&self) -> &'a str {
        self.errands.values().next_back().map_or(crate::world::NEW, |errand| errand.target.as_str())
    }
}
