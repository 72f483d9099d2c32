//! Runs the steps of a plan. Knows no concrete step, no client and no terminal: it looks, asks, acts through
//! `crate::step` and tells everything as events.
//!
//! `run.rs` carries a run out (and goes on with one): `sequence.rs` gives each step its turn, `attempt.rs` is one turn,
//! `gate.rs` asks, `overrides.rs` asks about answers that are missing, `hands.rs` is what its steps get to work with.
//! `preview.rs` only looks, `doubt.rs` finds out how lost effects ended, `adoption.rs` takes over an open run, `rollback.rs`
//! offers to go back, `unwind.rs` restores what is held, `recorder.rs` writes to journal and watchers, `outcome.rs` is an
//! end as an exit code, and `judge.rs` finds the worst of several.

pub mod adoption;
mod attempt;
pub mod doubt;
pub mod gate;
pub mod hands;
mod judge;
pub mod lock;
mod offer;
pub mod outcome;
pub mod outlook;
mod overrides;
pub mod preview;
pub mod recorder;
pub mod rollback;
pub mod run;
mod sequence;
pub mod stop;
pub mod unwind;

#[cfg(test)]
mod tests;

pub use adoption::Adopting;
pub use outcome::Outcome;
pub use recorder::Recorder;
pub use run::Run;
pub use stop::StopSignal;
