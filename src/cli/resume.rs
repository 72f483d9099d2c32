//! `resume` and `restore`: go on with a run, or give back what it holds.

use std::process::ExitCode;

use crate::facts::Override;
use crate::journal::runs::{Runs, RunsError, StoredRun};
use crate::journal::store::JournalError;
use crate::runbook::load::Source;

use super::args::{RestoreArgs, ResumeArgs};
use super::deploy::session;
use super::error::CliError;
use super::output;
use super::parameters::parse_overrides;
use super::session::{Go, busy};
use super::settings::Settings;

pub async fn resume(settings: Settings, args: ResumeArgs) -> Result<ExitCode, CliError> {
    let runs = Runs::new(&settings.state_directory);
    let stored = match args.run.as_deref() {
        Some(run) => runs.load(run)?,
        None => newest(&runs)?,
    };
    if !stored.state.resumable() {
        let why = stored.state.closed.clone().unwrap_or_else(|| "it went through to its end".into());
        return Err(CliError::refused(format!("run {} cannot go on: {why}", stored.state.run))
            .next(format!("start a new one: catalog-deploy {}", stored.state.runbook)));
    }
    go(settings, &runs, &stored, args.approve, Go::On, &parse_overrides(&args.overrides)?).await
}

pub async fn restore(settings: Settings, args: RestoreArgs) -> Result<ExitCode, CliError> {
    let run = args.run;
    let overrides = parse_overrides(&args.overrides)?;
    let runs = Runs::new(&settings.state_directory);
    let stored = match run.as_deref() {
        Some(run) => runs.load_at_least_to_give_back(run)?,
        None => open_to_give_back(&runs)?.ok_or_else(|| {
            CliError::refused("no run holds anything: there is nothing to restore")
                .next("see past runs: catalog-deploy history")
        })?,
    };
    if let Some(why) = &stored.state.closed {
        return Err(CliError::refused(format!(
            "run {} is closed already, and holds nothing any more: {why}",
            stored.state.run
        ))
        .next(format!("see what it did: catalog-deploy show {}", stored.state.run)));
    }
    go(settings, &runs, &stored, Vec::new(), Go::GiveUp, &overrides).await
}

/// The newest run that holds something, is in doubt or half-way; else the newest one of all that changed something, where
/// it deployed and left steps open.
fn open(runs: &Runs) -> Result<Option<StoredRun>, CliError> {
    let (mut all, _broken) = runs.all()?;
    if let Some(at) = all.iter().rposition(|run| run.state.open()) {
        return Ok(Some(all.swap_remove(at)));
    }
    Ok(all.into_iter().rfind(|run| run.state.changed()).filter(|run| run.state.deployed_unfinished()))
}

/// The same, of those as well that a newer version wrote.
fn open_to_give_back(runs: &Runs) -> Result<Option<StoredRun>, CliError> {
    let (mut all, broken) = runs.all()?;
    for error in broken {
        match newer(&error) {
            Some(run) => all.push(runs.load_at_least_to_give_back(&run)?),
            None => return Err(error.into()),
        }
    }
    all.sort_by_key(|run| run.state.started_at);
    Ok(all.into_iter().rev().find(|run| run.state.open()))
}

/// The run that a newer version wrote.
fn newer(error: &RunsError) -> Option<String> {
    let RunsError::Journal(JournalError::Newer { path, .. }) = error else { return None };
    path.parent()?.file_name()?.to_str().map(str::to_owned)
}

/// The run that `resume` means: the open one, else the last one if it did not get to its end. Never an older one behind
/// it: what came after has overtaken it.
fn newest(runs: &Runs) -> Result<StoredRun, CliError> {
    if let Some(run) = open(runs)? {
        return Ok(run);
    }
    let (all, broken) = runs.all()?;
    // One that cannot be read may be the one that is meant.
    if let Some(error) = broken.into_iter().next() {
        return Err(error.into());
    }
    all.into_iter()
        .last()
        .filter(|run| run.state.resumable())
        .ok_or_else(|| CliError::refused("there is no run to go on with").next("see past runs: catalog-deploy history"))
}

/// Neither its journal nor its runbook can be read in full: nothing is given back by guessing.
fn only_by_the_newer(stored: &StoredRun) -> CliError {
    let held: Vec<String> = stored.state.held.iter().map(ToString::to_string).collect();
    let holds = if held.is_empty() { "nothing that this one knows of".to_owned() } else { held.join("; ") };
    CliError::refused(format!(
        "run {} was begun by a newer version of catalog-deploy, and this one cannot read its runbook. It holds: {holds}",
        stored.state.run
    ))
    .next("give it back by the version that wrote it, or a newer one")
}

async fn go(
    settings: Settings,
    runs: &Runs,
    stored: &StoredRun,
    approvals: Vec<String>,
    go: Go,
    overrides: &[Override],
) -> Result<ExitCode, CliError> {
    if stored.busy {
        return Err(busy(&stored.state.run));
    }
    // The run's own frozen runbook, whatever the file says by now.
    let text = runs.runbook(&stored.state.run)?;
    let loaded = crate::runbook::load(&stored.state.runbook, Source::Frozen, &text).map_err(|problems| match stored
        .in_part
    {
        false => CliError::usage(problems.render(false)),
        true => only_by_the_newer(stored),
    })?;
    if loaded.hash != stored.state.hash {
        return Err(CliError::refused(format!("the frozen runbook of run {} was changed", stored.state.run))
            .next(format!("put it back as it was in {}", stored.directory.display())));
    }
    let session = session(settings, loaded, approvals);
    let outcome = session.go_on(stored, go, overrides).await?;
    let outcome = match go {
        Go::On => session.after(stored.state.run.clone(), outcome).await?,
        Go::GiveUp => outcome,
    };
    Ok(output::code(&outcome))
}
