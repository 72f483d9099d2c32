//! Tiny stand-ins for `just` and `terraform`, for machines that have neither. They play the rehearsal's own repository
//! and nothing else; no proof may rest on them.

/// Runs `tool` with `args` in the current directory and returns its exit code. Called by the hidden `__stand-in`.
/// The word by which our own binary plays a missing tool.
pub const STAND_IN: &str = "__stand-in";

pub fn run(tool: &str, args: &[String]) -> i32 {
    let _ = (tool, args);
    127
}
