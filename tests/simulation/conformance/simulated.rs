//! The simulated adapters on a bench.

use std::sync::Arc;

use super::{Bench, Case, Trouble};
use crate::adapters::Hands;
use crate::rng::Rng;
use crate::sim::{Fault, Sim};
use crate::world::Event;

pub fn play(trouble: Trouble, cases: &[(&str, Case)]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let workspace = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let sim = Sim::new(Rng::new(1), workspace.path().to_owned(), false);
        match trouble {
            Trouble::None => {}
            Trouble::ApplyFails => sim.state().world.terraform.failures = vec![0],
            Trouble::PublishAnswerLost => sim.state().loses = Some(("publish", Fault::LostAfter)),
        }
        let hands = Arc::new(Hands(sim.clone()));
        let bench = Bench {
            github: hands.clone(),
            registry: hands.clone(),
            airflow: hands.clone(),
            checkout: hands.clone(),
            lock: hands.clone(),
            commands: hands,
            workspace: workspace.path().to_owned(),
            start_refresh: Box::new(move || sim.state().world.later(0, Event::DagStarts("image_data_refresh".into()))),
        };
        for (name, case) in cases {
            eprintln!("simulated, {trouble:?}: {name}");
            case(&bench).await;
        }
    });
}
