//! Judges what was done by the world's own history, never by our journal.

#[cfg(test)]
mod forged;
mod rules;

use std::sync::Arc;

use crate::driver::{End, Played, stored};
use crate::scenario::{Command, Scenario};
use crate::sim::Sim;
use crate::world::World;
use crate::world::history::{Actor, Happened};

pub use rules::RULES;

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
    pub last: Option<(Command, End)>,
    /// Every process' end, in order, with its number.
    pub ends: Vec<(u32, Command, End)>,
    /// The journal says that nothing is left to be done.
    pub closed: bool,
    /// The journal can be read, or there never was one.
    pub readable: bool,
    /// Airflow's audit log was told whenever it was asked for.
    pub audit: bool,
}

pub fn judge(sim: &Arc<Sim>, scenario: &Scenario, ends: Vec<(Command, End)>) -> Played {
    let run = sim.state().world.run.clone();
    let state = stored(sim, &run);
    let mut guard = sim.state();
    let world: &mut World = &mut guard.world;
    let history = std::mem::take(&mut world.history);
    let first_version = format!("\"{}\"", crate::world::OLD);
    let readable = state.is_some() || !history.iter().any(|it| matches!(it.actor, Actor::Run(_)));
    let last = Final {
        flag: world.repo.flag(),
        version: world.repo.version(),
        first_version,
        holder: world.lock.as_ref().map(|lock| lock.record.run.clone()),
        instance: world.terraform.instance.clone(),
        applying: world.terraform.running(),
        last: ends.last().cloned(),
        ends: (1..).zip(&ends).map(|(number, (command, end))| (number, *command, end.clone())).collect(),
        closed: state.as_ref().is_none_or(|state| state.closed.is_some()),
        readable,
        audit: !world.airflow.untold,
    };
    drop(guard);
    let target = scenario.parameters.tag.clone().unwrap_or_else(|| crate::world::NEW.into());
    let case = Case { run: &run, target: &target, history: &history, last: &last };
    let violations =
        RULES.iter().filter_map(|(rule, broken)| broken(&case).map(|how| Violation { rule, how })).collect::<Vec<_>>();
    let journal = sim.disk.get(&sim.directory.join("runs").join(&run).join(catalog_deploy::journal::store::JOURNAL));
    Played { story: sim.story(), ends, violations, disk_ops: sim.disk.ops(), journal }
}

/// What a rule judges.
pub struct Case<'a> {
    pub run: &'a str,
    pub target: &'a str,
    pub history: &'a [Happened],
    pub last: &'a Final,
}
