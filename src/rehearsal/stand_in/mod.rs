//! Tiny stand-ins for `just` and `terraform`, for machines that have neither. They play the rehearsal's own repository
//! and nothing else; no proof may rest on them.

mod just;
mod terraform;

use std::cell::Cell;
use std::io::Write;

#[cfg(test)]
pub(super) use just::dump_of as just_dump;

/// The word by which our own binary plays a missing tool.
pub const STAND_IN: &str = "__stand-in";

thread_local! {
    /// The world's own calls say nothing: stdout belongs to the data of the command that builds it.
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// As [`run`], without a word on stdout.
pub(super) fn run_silently(tool: &str, args: &[String]) -> i32 {
    SILENT.set(true);
    let code = run(tool, args);
    SILENT.set(false);
    code
}

/// Runs `tool` with `args` in the current directory and returns its exit code. Called by the hidden `__stand-in`.
pub fn run(tool: &str, args: &[String]) -> i32 {
    let outcome = match tool {
        "just" => just::run(args),
        "terraform" => terraform::run(args),
        other => Err(Failure { code: 127, said: format!("there is no stand-in for {other}") }),
    };
    match outcome {
        Ok(()) => 0,
        Err(Failure { code, said }) => {
            tell(&format!("{said}\n"));
            code
        }
    }
}

/// Why a tool ends, and with which code.
struct Failure {
    code: i32,
    said: String,
}

impl<E: std::fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: 1, said: format!("error: {error}") }
    }
}

fn fail<T>(said: impl Into<String>) -> Result<T, Failure> {
    Err(Failure { code: 1, said: said.into() })
}

/// To standard output. A reader that has gone away is no reason to stop.
fn say(text: &str) {
    if SILENT.get() {
        return;
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
}

/// To standard error.
fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
