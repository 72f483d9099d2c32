//! `catalog-deploy RUNBOOK`: the run itself, or its preview.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use crate::adapters::clock::SystemClock;
use crate::journal::runs::Runs;

use super::args::RunArgs;
use super::error::CliError;
use super::output;
use super::runbook;
use super::session::{Asking, Session};
use super::settings::Settings;

pub async fn run(settings: Settings, name: &str, args: &RunArgs) -> Result<ExitCode, CliError> {
    let loaded = runbook::trusted(&settings, name)?;
    let session = session(settings, loaded, args.approve.clone());
    let parameters = session.parameters(args).await?;
    let outcome = if args.dry_run { session.preview(parameters).await? } else { session.deploy(parameters).await? };
    Ok(output::code(&outcome))
}

/// A session with the services that the settings name.
pub fn session(settings: Settings, loaded: crate::runbook::Loaded, approvals: Vec<String>) -> Session {
    let can_ask = settings.environment.stdin_is_terminal && !settings.shared.no_input;
    let rehearsal = settings.config.rehearsal.as_ref();
    let path = rehearsal.and_then(|rehearsal| rehearsal.path.clone());
    Session {
        runs: Runs::new(&settings.state_directory),
        scratch: settings.state_directory.join("scratch"),
        loaded,
        clock: Arc::new(rehearsal.map_or(SystemClock::real(), |rehearsal| SystemClock::hurried(rehearsal.hurry))),
        environment: path.map(|path| BTreeMap::from([("PATH".to_owned(), path)])).unwrap_or_default(),
        asking: if can_ask { Asking::Terminal } else { Asking::Nobody },
        approvals: Mutex::new(approvals),
        settings,
    }
}
