//! Real just, Terraform and git: several shapes of repository, both ways of applying, file and smart HTTP remotes.

mod attached;
mod bench;
mod http;
mod plans;
mod recipes;
mod remote;
mod run_lock;
mod shape;
mod shapes;
mod smart_http;
mod state;
mod state_server;

use crate::person;
use crate::stage;
