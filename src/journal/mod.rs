//! The append-only journal of a run: intent, fsync, effect, outcome, fsync.
//!
//! `disk.rs` is what it needs of a disk, `store.rs` writes and reads lines; `status.rs` is the one table of legal histories, used live and in replay.

pub mod disk;
pub mod runs;
pub mod status;
pub mod store;

pub use store::{DurableIntent, Journal};
