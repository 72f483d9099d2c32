//! A runbook: TOML text → validated [`Runbook`]. Pure: reads no environment, opens no connection.
//!
//! `schema.rs` is the one definition of the format; `load.rs` and `check.rs` report every problem of a file at once, with
//! its place; `document.rs` renders the text people read; `find.rs` looks a name up.

pub mod check;
pub mod document;
pub mod find;
pub mod load;
pub mod schema;

pub use load::{Loaded, Problems, load};
pub use schema::{Kind, Runbook, StepSpec};
