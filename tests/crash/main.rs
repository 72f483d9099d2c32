//! Proof by enumeration: the real binary is killed at every record, every request and every child of a scenario, and what
//! `resume` or `restore` make of it is judged by the world's own history.
//!
//! `cargo test --test crash` plays a sample for `CRASH_SECONDS` (300), or until some of each kind were judged where that
//! takes longer, and prints its seed; `CRASH_SEED=N` plays it again, `CRASH_ALL=1` plays everything (`CRASH_PART=2/5` a
//! fifth of it), `CRASH_ONLY=down` what has this in its scenario's or its kind's name, `CRASH_REAL=1` with the real
//! Terraform, `CRASH_POINT='prod write journal.ndjson#57:torn'` one point.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage up has failed")]
#![expect(clippy::disallowed_methods, reason = "a test starts the binary and finds its tools on PATH")]
#![expect(clippy::print_stdout, reason = "the table is what this suite is for")]

mod case;
mod checker;
mod director;
mod disk;
mod facts;
mod history;
mod kill;
mod mutants;
mod point;
mod sample;
mod scenario;
mod stage;
mod table;
mod watch;
