//! The append-only journal of a run: intent, fsync, effect, outcome, fsync.
//!
//! `store.rs` writes and reads lines; `status.rs` is the one table of legal histories, used live and in replay.

pub mod runs;
pub mod status;
pub mod store;

pub use store::{DurableIntent, Journal};
