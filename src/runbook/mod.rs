//! A runbook: TOML text → validated [`Runbook`]. Pure: reads no environment, opens no connection.
//!
//! `schema.rs` is the one definition of the format. `definition.rs` turns it into JSON Schema, `shape.rs` holds a file
//! against that, `check.rs` against what a schema cannot say; `load.rs` reports what both found, every problem at once
//! and with its place (`problem.rs`). `document.rs` renders the text people read; `find.rs` looks a name up.

pub mod check;
pub mod definition;
pub mod document;
pub mod find;
pub mod load;
mod pattern;
pub mod problem;
pub mod schema;
mod shape;
pub mod suggest;

pub use find::{FindError, Found, Places, find, list};
pub use load::{Loaded, Source, content_hash, load};
pub use problem::{Problem, Problems};
pub use schema::{Kind, Runbook, StepSpec};
