//! The adapters' traits over the simulated world.

mod airflow;
mod checkout;
mod github;
mod laptop;
mod registry;
mod tree;

use std::sync::Arc;

use catalog_deploy::adapters::World;
use catalog_deploy::adapters::clock::Clock;

use crate::sim::Sim;
pub use laptop::{Person, SimClock};

/// All that a run gets into its hands, simulated.
#[derive(Clone)]
pub struct Hands(pub Arc<Sim>);

pub fn world(sim: &Arc<Sim>) -> World {
    let hands = Arc::new(Hands(sim.clone()));
    World::new(
        hands.clone(),
        hands.clone(),
        hands.clone(),
        Some(hands.clone()),
        hands.clone(),
        hands.clone(),
        hands,
        clock(sim),
    )
}

pub fn clock(sim: &Arc<Sim>) -> Arc<dyn Clock> {
    Arc::new(SimClock(sim.clone()))
}
