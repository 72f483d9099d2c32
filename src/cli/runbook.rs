//! `runbook list|show|check|schema`, and how a run gets its runbook.

use std::path::PathBuf;
use std::process::ExitCode;

use etcetera::BaseStrategy;

use crate::adapters::prompt::menu;
use crate::runbook::find::{self, Found, Places};
use crate::runbook::{Loaded, Source, document};

use super::args::{RunbookCommand, SharedArgs};
use super::error::CliError;
use super::output::{data, say};
use super::settings::{Environment, Settings};

pub fn run(shared: &SharedArgs, command: RunbookCommand) -> Result<ExitCode, CliError> {
    match command {
        RunbookCommand::Schema => data(document::render_schema().as_bytes()),
        RunbookCommand::List => list(),
        RunbookCommand::Show { runbook } => {
            let loaded = load(&found(&runbook, &places())?, colour(shared))?;
            data(document::render(&loaded).as_bytes())
        }
        RunbookCommand::Check { runbook } => {
            // A file needs no home directory to be found.
            let places = Places { config: None, ..places_here() };
            let looked = if runbook.contains('/') || runbook.ends_with(".toml") { places } else { self::places() };
            let loaded = load(&found(&runbook, &looked)?, colour(shared))?;
            say(&format!("{}: {} steps, no problems", loaded.source, loaded.runbook.steps.len()));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn list() -> Result<ExitCode, CliError> {
    let listing = find::list(&places());
    for broken in &listing.broken {
        say(&format!("warning: {} cannot be run: {}", broken.name, broken.why));
    }
    let lines = listing.runnable.iter().map(|it| {
        let shadows = if it.shadows { " (instead of the built-in one)" } else { "" };
        format!("{:<16} {:<44} {}{shadows}\n", it.name, it.title, it.source)
    });
    data(lines.collect::<String>().as_bytes())
}

fn colour(shared: &SharedArgs) -> bool {
    Environment::of_process().colour(shared.color)
}

fn places_here() -> Places {
    Places { here: PathBuf::from("."), config: None }
}

fn places() -> Places {
    let environment = Environment::of_process();
    let configured = environment.get("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || etcetera::choose_base_strategy().ok().map(|base| base.config_dir());
    Places { config: configured.or_else(home).map(|path| path.join("catalog-deploy")), ..places_here() }
}

fn found(name: &str, places: &Places) -> Result<Found, CliError> {
    find::find(name, places).map_err(|error| CliError::usage(error.to_string()).next(error.help()))
}

fn load(found: &Found, colour: bool) -> Result<Loaded, CliError> {
    crate::runbook::load(&found.name, found.source.clone(), &found.text)
        .map_err(|problems| CliError { reason: "runbook", ..CliError::usage(problems.render(colour)) })
}

/// The runbook of a run. Says which file it is; one that shadows a built-in name is asked about once per content.
pub fn trusted(settings: &Settings, name: &str) -> Result<Loaded, CliError> {
    let places = Places { config: Some(settings.config_directory.clone()), ..places_here() };
    let found = found(name, &places)?;
    let loaded = load(&found, settings.environment.colour(settings.shared.color))?;
    // Of a built-in one the run's first line says it.
    if !settings.shared.quiet && !matches!(loaded.source, Source::BuiltIn) {
        say(&format!("runbook {}: {}", loaded.name, loaded.source));
    }
    if found.shadows {
        confirm_shadow(settings, &found)?;
    }
    Ok(loaded)
}

fn confirm_shadow(settings: &Settings, found: &Found) -> Result<(), CliError> {
    let directory = settings.state_directory.join("trusted");
    let mark = directory.join(found.content_hash());
    if mark.exists() {
        return Ok(());
    }
    let refused = CliError {
        exit: 5,
        reason: "gate-needs-answer",
        message: format!("{} stands in the way of the built-in runbook `{}`", found.source, found.name),
        next: vec![format!(
            "run it once at a terminal and answer, or name the file: catalog-deploy ./runbooks/{}.toml",
            found.name
        )],
    };
    if !settings.environment.stdin_is_terminal || settings.shared.no_input {
        return Err(refused);
    }
    say(&format!("{} would be used instead of the built-in runbook `{}`", found.source, found.name));
    let answer = menu::confirm("Use it from now on?")
        .map_err(|error| CliError::failed(format!("could not ask at the terminal: {error}")))?;
    if answer != Some(true) {
        return Err(CliError { reason: "gate-declined", ..refused });
    }
    std::fs::create_dir_all(&directory)
        .and_then(|()| std::fs::write(&mark, ""))
        .map_err(|error| CliError::failed(format!("could not remember the answer in {}: {error}", directory.display())))
}
