//! `unlock RUNBOOK --run ID`: breaks the lock of a holder that is surely dead.

use std::process::ExitCode;

use crate::engine::lock::age;

use super::deploy::session;
use super::error::CliError;
use super::output::{Output, say};
use super::runbook;
use super::settings::Settings;

pub async fn run(settings: Settings, name: &str, run: &str) -> Result<ExitCode, CliError> {
    let loaded = runbook::trusted(&settings, name)?;
    let output = Output::of(&settings);
    let session = session(settings, loaded, Vec::new());
    let world = session.connection(&output).open().await?;
    let Some(found) = world.readers().lock.holder().await? else {
        say("nobody holds the lock");
        return Ok(ExitCode::SUCCESS);
    };
    let record = &found.record;
    let since = age(&found, session.clock.now());
    if record.run != run {
        return Err(CliError::refused(format!(
            "the lock is held by run {} ({} on {}, since {since}), not by {run}",
            record.run, record.who, record.host
        ))
        .next(format!("if that run is surely dead: catalog-deploy unlock {name} --run {}", record.run)));
    }
    let freed = world.break_lock(&found, run).await?;
    if !freed {
        return Err(CliError::refused("the lock changed hands just now; nothing was done")
            .next(format!("catalog-deploy status {name}")));
    }
    say(&format!("the lock of run {run} ({} on {}, since {since}) is free", record.who, record.host));
    say(
        "what that run still holds (flag, paused DAGs) was not touched: catalog-deploy restore on its laptop gives it back",
    );
    Ok(ExitCode::SUCCESS)
}
