//! The real engine, steps, runbook and journal over simulated adapters, disk and time, from seeds.
//!
//! `cargo test --test simulation` runs 500 seeds from a random base and every seed that ever found something;
//! `SIM_SEEDS=100000` runs more, `SIM_SEED=N` replays one and tells its story.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage up has failed")]
#![expect(
    clippy::disallowed_methods,
    reason = "seeds come in the environment, and a relative state directory makes journals equally long everywhere"
)]
#![expect(clippy::print_stderr, reason = "seeds and stories are for whoever runs the tests")]

mod adapters;
mod checker;
mod conformance;
mod disk;
mod driver;
mod faults;
mod rng;
mod scenario;
mod seeds;
mod sim;
mod world;
