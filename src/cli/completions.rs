//! `completions SHELL` and `man`: made from the same definition as `--help`.

use std::process::ExitCode;

use clap::CommandFactory;

use super::args::Cli;
use super::error::CliError;
use super::output::data;

pub fn completions(shell: clap_complete::Shell) -> Result<ExitCode, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "catalog-deploy", &mut text);
    data(&text)
}

pub fn man() -> Result<ExitCode, CliError> {
    let mut text = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut text)
        .map_err(|error| CliError::failed(format!("could not render the manual page: {error}")))?;
    data(&text)
}
