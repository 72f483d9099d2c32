//! The command line: one file per command, over `session.rs` (a run seen from outside) and `settings.rs`.

pub mod args;
mod broke;
mod completions;
pub mod connect;
mod credentials;
mod debug_log;
mod deploy;
mod doctor;
pub mod error;
mod history;
mod offer;
pub mod output;
mod parameters;
pub mod rehearse;
mod resume;
mod runbook;
pub mod session;
pub mod settings;
mod signals;
mod status;
mod tags;
mod take_over;
mod unlock;

use std::process::ExitCode;

use clap::Parser;

use crate::adapters::process::{RECORD_CHILD, record_child};
use crate::rehearsal::stand_in::{self, STAND_IN};
use args::{Cli, Command};
use error::CliError;
use settings::{Environment, Settings};

/// Parses the arguments of this process, does what they say and returns the exit code.
pub fn run() -> ExitCode {
    if let Some(ended) = own_child() {
        return code(ended);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let json = cli.shared.json;
    let environment = Environment::of_process();
    let redactor = environment.redactor.clone();
    let options = settings::options(&cli.shared);
    broke::told_without_secrets(redactor.clone());
    match dispatch(cli, environment) {
        Ok(code) => code,
        Err(error) => output::failed(&error.with_options(&options).without_secrets(&redactor), json),
    }
}

/// This process as a child of another one of ours: it has a word of its own and no interest in the rest.
fn own_child() -> Option<i32> {
    let arguments: Vec<String> = std::env::args_os().skip(1).map_while(|it| it.into_string().ok()).collect();
    match arguments.split_first() {
        Some((word, rest)) if word == RECORD_CHILD => Some(record_child(rest)),
        Some((word, rest)) if word == STAND_IN => {
            rest.split_first().map(|(tool, arguments)| stand_in::run(tool, arguments))
        }
        _ => None,
    }
}

/// What reads only files starts no runtime: `runbook check` is as quick as a shell's own words.
fn dispatch(cli: Cli, environment: Environment) -> Result<ExitCode, CliError> {
    let Cli { command, runbook, run, shared } = cli;
    let settings = || Settings::load(environment.clone(), &shared);
    let Some(command) = command else {
        let runbook = runbook.unwrap_or_default();
        return on_runtime(|| Ok(deploy::run(settings()?, &runbook, &run)));
    };
    if let Some(runbook) = runbook {
        return Err(CliError::usage(format!("`{runbook}` stands before a command: give one or the other")));
    }
    match command {
        Command::Rehearse(args) => on_runtime(|| Ok(rehearse::run(environment.clone(), &shared, &args))),
        Command::Resume(args) => on_runtime(|| Ok(resume::resume(settings()?, args))),
        Command::Restore(args) => on_runtime(|| Ok(resume::restore(settings()?, args))),
        Command::Status { runbook } => on_runtime(|| Ok(status::run(settings()?, runbook))),
        Command::Tags { runbook } => on_runtime(|| Ok(tags::run(settings()?, runbook))),
        Command::History => history::history(&settings()?),
        Command::Show { run, format } => history::show(&settings()?, &run, format),
        Command::Doctor { runbook } => on_runtime(|| Ok(doctor::run(settings()?, runbook))),
        Command::Runbook(command) => runbook::run(&shared, command),
        Command::Unlock { runbook, run } => on_runtime(|| Ok(unlock::run(settings()?, &runbook, &run))),
        Command::Completions { shell } => completions::completions(shell),
        Command::Man => completions::man(),
    }
}

/// Kept out of its callers: a run's future is large, and a stack frame that holds one is paid for by every command.
#[inline(never)]
fn on_runtime<F>(command: impl FnOnce() -> Result<F, CliError>) -> Result<ExitCode, CliError>
where
    F: Future<Output = Result<ExitCode, CliError>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("could not start: {error}")))?;
    let done = runtime.block_on(command()?);
    // A prompt that nobody will answer any more must not hold the process up.
    runtime.shutdown_background();
    done
}

fn usage(error: &clap::Error) -> ExitCode {
    // clap knows which stream: help and version are data. A closed pipe is nobody's error.
    let _closed = error.print();
    code(error.exit_code())
}

fn code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
