//! Everything below goes through the binary or the public library; decisions are tested beside their code.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage up has failed")]
#![expect(clippy::disallowed_methods, reason = "a test starts the binary and finds its tools on PATH")]

mod architecture;
mod colleague;
mod compile_fail;
mod deploy;
mod dry_run;
mod help;
mod input;
mod process;
mod readme;
mod reads;
mod rollback;
mod runs;
mod secrets;
mod startup;
mod support;
mod terminal;
mod traps;
