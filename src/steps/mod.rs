//! One file per kind of step: decisions, no clients. `registry::build` is the registry: a new kind is a file and a line there.

pub mod apply;
pub mod bump;
pub mod checkout_ready;
pub mod identity;
mod infrastructure;
pub mod infrastructure_pull_request;
pub mod manual;
pub mod set_flag;
pub mod shell;
mod transcript;
