//! `resume` and `restore`: go on with a run, or give back what it holds.

use std::process::ExitCode;

use crate::journal::runs::{Runs, StoredRun};
use crate::runbook::load::Source;

use super::args::ResumeArgs;
use super::deploy::session;
use super::error::CliError;
use super::output;
use super::session::Go;
use super::settings::Settings;

pub async fn resume(settings: Settings, args: ResumeArgs) -> Result<ExitCode, CliError> {
    let runs = Runs::new(&settings.state_directory);
    let stored = find(&runs, args.run.as_deref(), |run| run.state.resumable())?;
    if !stored.state.resumable() {
        let why = stored.state.closed.clone().unwrap_or_else(|| "it went through to its end".into());
        return Err(CliError::refused(format!("run {} cannot go on: {why}", stored.state.run))
            .next(format!("start a new one: catalog-deploy {}", stored.state.runbook)));
    }
    go(settings, &runs, &stored, args.approve, Go::On).await
}

pub async fn restore(settings: Settings, run: Option<String>) -> Result<ExitCode, CliError> {
    let runs = Runs::new(&settings.state_directory);
    let stored = find(&runs, run.as_deref(), |run| run.state.open())?;
    if let Some(why) = &stored.state.closed {
        return Err(CliError::refused(format!("run {} is closed already: {why}", stored.state.run)));
    }
    go(settings, &runs, &stored, Vec::new(), Go::GiveUp).await
}

/// The named run, or the newest one that `wanted` picks.
fn find(runs: &Runs, run: Option<&str>, wanted: impl Fn(&StoredRun) -> bool) -> Result<StoredRun, CliError> {
    if let Some(run) = run {
        return Ok(runs.load(run)?);
    }
    let (all, _broken) = runs.all()?;
    all.into_iter()
        .rev()
        .find(wanted)
        .ok_or_else(|| CliError::refused("there is no run to go on with").next("see past runs: catalog-deploy history"))
}

async fn go(
    settings: Settings,
    runs: &Runs,
    stored: &StoredRun,
    approvals: Vec<String>,
    go: Go,
) -> Result<ExitCode, CliError> {
    if stored.busy {
        return Err(CliError::refused(format!("run {} is at work in another process", stored.state.run)));
    }
    // The run's own frozen runbook, whatever the file says by now.
    let text = runs.runbook(&stored.state.run)?;
    let loaded = crate::runbook::load(&stored.state.runbook, Source::Frozen, &text)
        .map_err(|problems| CliError::usage(problems.render(false)))?;
    if loaded.hash != stored.state.hash {
        return Err(CliError::refused(format!("the frozen runbook of run {} was changed", stored.state.run))
            .next(format!("put it back as it was in {}", stored.directory.display())));
    }
    let outcome = session(settings, loaded, approvals).go_on(stored, go).await?;
    Ok(output::code(&outcome))
}
