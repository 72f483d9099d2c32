//! The product held against software and descriptions that nobody here wrote. `tests/live/install` fetches what it
//! needs; a test whose tool is missing fails and says how to get it.

#![expect(clippy::disallowed_methods, reason = "a test starts the tools it is held against")]
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage up has failed")]

mod airflow;
mod faults;
mod github;
mod infrastructure;
mod notify;
#[expect(dead_code, reason = "shared with the tests against the embedded world, which use all of it")]
#[path = "../it/terminal/person.rs"]
mod person;
mod registry;
#[path = "../it/support/mod.rs"]
mod stage;
mod support;
mod terminals;
