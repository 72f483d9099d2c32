//! Everything below goes through the binary or the public library; decisions are tested beside their code.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage up has failed")]

mod compile_fail;
mod deploy;
mod input;
mod process;
mod support;
mod terminal;
