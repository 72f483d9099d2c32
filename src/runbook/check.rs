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

/// The longest procedure that anybody could follow has a tenth of this.
const MOST_STEPS: usize = 200;

/// Everything in the file that would go wrong in a run although its shape is right.
pub fn check(document: &Spanned<DeTable<'_>>) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    // The rules about pairs of steps would take for ever on a file that no person wrote.
    let steps = document.get_ref().get("step");
    if let Some(steps) = steps.filter(|it| it.get_ref().as_array().is_some_and(|steps| steps.len() > MOST_STEPS)) {
        let message = format!("a runbook has at most {MOST_STEPS} steps");
        return vec![Flaw::new(steps.span(), message).help("split it into several runbooks")];
    }
    let view = View::of(document);
    values::check(&view, &mut flaws);
    steps::check(&view, &mut flaws);
    order::check(&view, &mut flaws);
    text::check(&view, &mut flaws);
    flaws
}

#[cfg(test)]
mod tests;
