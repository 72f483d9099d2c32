//! What a schema cannot say: steps that refer to each other, services a step needs, URLs, commands, paths.
//!
//! Works on the parsed text and not on a [`super::Runbook`], so that it reports its problems together with those of
//! the shape: whatever has the wrong shape is left out here, because `shape.rs` tells it.

mod kinds;
mod order;
mod steps;
mod text;
mod values;
mod view;

use toml::Spanned;
use toml::de::DeTable;

use super::problem::Flaw;
pub use kinds::{Nature, nature};
use view::View;

/// Everything in the file that would go wrong in a run although its shape is right.
pub fn check(document: &Spanned<DeTable<'_>>) -> Vec<Flaw> {
    let view = View::of(document);
    let mut flaws = Vec::new();
    values::check(&view, &mut flaws);
    steps::check(&view, &mut flaws);
    order::check(&view, &mut flaws);
    text::check(&view, &mut flaws);
    flaws
}

#[cfg(test)]
mod tests;
