//! `history` and `show RUN`: what happened, from the journals.

use std::process::ExitCode;

use crate::journal::runs::Runs;
use crate::journal::status::RunState;
use crate::report::document::{self, Format};

use super::args::ShowFormat;
use super::error::CliError;
use super::output::{data, say, width};
use super::settings::Settings;

pub fn history(settings: &Settings) -> Result<ExitCode, CliError> {
    let (runs, broken) = Runs::new(&settings.state_directory).all()?;
    let all_read = broken.is_empty();
    for error in broken {
        let CliError { message, next, .. } = CliError::from(error).with_options(&settings.options());
        say(&format!("warning: {message}"));
        next.iter().for_each(|next| say(&format!("  next: {next}")));
    }
    if settings.shared.json {
        let lines: Vec<String> = runs.iter().map(|run| json(&run.state).to_string() + "\n").collect();
        return data(lines.concat().as_bytes());
    }
    if runs.is_empty() && all_read {
        say("no runs yet; try one without any risk: catalog-deploy rehearse prod");
    }
    let lines: Vec<String> = runs.iter().rev().map(|run| line(&run.state, run.busy)).collect();
    data(lines.concat().as_bytes())
}

fn line(state: &RunState, busy: bool) -> String {
    let tag = state.facts.target.as_ref().map_or("-", |target| target.tag.as_str());
    let end = if busy {
        "at work".to_owned()
    } else {
        state.finish.as_ref().map_or_else(|| "died".to_owned(), |finish| format!("{} ({})", finish.reason, finish.exit))
    };
    let open = match (state.open(), state.deployed_unfinished()) {
        (true, _) => "  still open",
        (false, true) => "  deployed, not finished",
        (false, false) => "",
    };
    let at = state.started_at.strftime("%Y-%m-%d %H:%M UTC");
    format!("{}  {:<36} {:<24} {:<20} {}{open}\n", at, state.run, tag, end, state.who)
}

fn json(state: &RunState) -> serde_json::Value {
    serde_json::json!({
        "run": state.run,
        "runbook": state.runbook,
        "mode": state.mode,
        "who": state.who,
        "host": state.host,
        "started_at": state.started_at,
        "tag": state.facts.target.as_ref().map(|target| &target.tag),
        "exit": state.finish.as_ref().map(|finish| finish.exit),
        "reason": state.finish.as_ref().map(|finish| &finish.reason),
        "open": state.open(),
        "held": state.held,
    })
}

pub fn show(settings: &Settings, run: &str, format: ShowFormat) -> Result<ExitCode, CliError> {
    let runs = Runs::new(&settings.state_directory);
    let stored = runs.load(run)?;
    let text = runs
        .runbook(run)
        .ok()
        .and_then(|text| crate::runbook::load(&stored.state.runbook, crate::runbook::load::Source::Frozen, &text).ok());
    let incident = text.and_then(|loaded| loaded.runbook.incident);
    let width = width();
    let text = match format {
        ShowFormat::Text => document::render(&stored.events, incident.as_deref(), Format::Text, width),
        ShowFormat::Markdown => document::render(&stored.events, incident.as_deref(), Format::Markdown, width),
        ShowFormat::Incident => document::incident::render(&stored.events, incident.as_deref()),
        ShowFormat::Json => {
            let lines = stored.events.iter().filter_map(|stamped| serde_json::to_string(stamped).ok());
            lines.map(|line| line + "\n").collect()
        }
    };
    data(text.as_bytes())
}
