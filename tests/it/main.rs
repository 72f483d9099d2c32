//! Everything below goes through the binary or the public library; decisions are tested beside their code.

mod compile_fail;
mod deploy;
mod process;
mod support;
