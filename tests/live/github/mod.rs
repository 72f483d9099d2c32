//! GitHub: every request of ours and every answer of the embedded world held against GitHub's own API description, and
//! GitHub's own examples read by our client.

mod between;
mod description;
mod examples;
mod exchange;
mod limits;
mod product;
mod schema;
mod script;
mod scripted;
mod strict;
mod violations;
mod world;

use crate::stage;
