//! `catalog-deploy` executes deployment runbooks. Data flows from the top of this list to its bottom.
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests start programs and find them on PATH"))]

pub mod adapters;
pub mod cli;
pub mod engine;
pub mod event;
pub mod facts;
pub mod journal;
pub mod plan;
pub mod rehearsal;
pub mod release;
pub mod report;
pub mod runbook;
pub mod step;
pub mod steps;
