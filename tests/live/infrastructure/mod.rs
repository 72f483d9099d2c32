//! Real just, Terraform and git: several shapes of repository, both ways of applying, file and smart HTTP remotes.

mod attached;
mod bench;
mod http;
#[expect(dead_code, reason = "shared with the tests of terminals, which use all of it")]
#[path = "../../it/terminal/person.rs"]
mod person;
mod plans;
mod recipes;
mod remote;
mod run_lock;
mod shape;
mod shapes;
mod smart_http;
#[expect(dead_code, reason = "shared with the tests against the embedded world, which use all of it")]
#[path = "../../it/support/mod.rs"]
mod stage;
mod state;
mod state_server;
