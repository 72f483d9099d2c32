//! `status [RUNBOOK]`: what is deployed, who holds the lock, what is still open.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::adapters::process::{CommandRead, Commands, LineSink};
use crate::engine::lock::age;
use crate::journal::runs::{Runs, StoredRun};
use crate::runbook::Loaded;
use crate::steps::apply::traces::latest_traces;
use crate::steps::running::{Running, running_tag};

use super::deploy::session;
use super::error::CliError;
use super::output::{Output, data};
use super::runbook;
use super::settings::Settings;

const DEFAULT: &str = "prod";

/// How long a look at a child takes whose end nobody wrote down.
const GLANCE: Duration = Duration::from_millis(500);

pub async fn run(settings: Settings, name: Option<String>) -> Result<ExitCode, CliError> {
    let json = settings.shared.json;
    let options = settings.options();
    let runs = Runs::new(&settings.state_directory);
    let loaded = runbook::trusted(&settings, name.as_deref().unwrap_or(DEFAULT))?;
    let (all, broken) = runs.all()?;
    let open: Vec<&StoredRun> =
        all.iter().filter(|run| run.state.open() || run.state.deployed_unfinished() || run.busy).collect();
    let world = world(settings, loaded).await;
    if json {
        return data((status_json(&world, &open).to_string() + "\n").as_bytes());
    }
    let mut text = String::new();
    text.push_str(&format!("deployed   {}\n", world.deployed));
    text.push_str(&format!("lock       {}\n", world.lock));
    if open.is_empty() {
        text.push_str(if broken.is_empty() { "open       nothing\n" } else { "open       unknown\n" });
    }
    for run in open {
        let state = &run.state;
        let doing = match run.busy {
            true => "at work",
            false if apply_at_work(run).await => "not at work, but its apply is",
            false => "not at work",
        };
        text.push_str(&format!("open       run {} ({} on {}, {doing})\n", state.run, state.who, state.host));
        for held in &state.held {
            text.push_str(&format!("             holds {held}\n"));
        }
        for step in state.in_doubt() {
            text.push_str(&format!("             in doubt: {step}\n"));
        }
        if state.unsettled_apply().is_some() {
            let unsettled = "the apply of this run has not been settled: `deployed` may be half-way";
            text.push_str(&format!("             {unsettled}\n"));
        } else if state.half_way() {
            text.push_str("             published, and not deployed\n");
        }
        if state.deployed_unfinished() {
            text.push_str(&format!("             deployed; not done: {}\n", state.undone().join(", ")));
        }
        if !run.busy {
            text.push_str(&format!(
                "             go on: catalog-deploy resume {0}{options}\n             give back: catalog-deploy restore {0}{options}\n",
                state.run
            ));
        }
    }
    for error in broken {
        let CliError { message, next, .. } = CliError::from(error).with_options(&options);
        text.push_str(&format!("warning    {message}\n"));
        text.extend(next.iter().map(|next| format!("             {next}\n")));
    }
    data(text.as_bytes())
}

/// Whether the apply that a process of this run began goes on without it.
async fn apply_at_work(run: &StoredRun) -> bool {
    let Some(traces) = run.state.unsettled_apply().and_then(|step| latest_traces(&run.directory, step)) else {
        return false;
    };
    // It runs nothing, so it needs no program.
    let commands = Commands::new(PathBuf::new());
    let quiet: LineSink = Arc::new(|_: &str| ());
    tokio::time::timeout(GLANCE, commands.wait_recorded(&traces, quiet)).await.is_err()
}

/// What the outside says, or why it could not be asked.
struct Outside {
    deployed: String,
    lock: String,
}

async fn world(settings: Settings, loaded: Loaded) -> Outside {
    let output = Output::of(&settings);
    let session = session(settings, loaded, Vec::new());
    let world = match session.connection(&output).open().await {
        Ok(world) => world,
        Err(error) => {
            let unknown = format!("not known: {}", error.message);
            return Outside { deployed: unknown.clone(), lock: unknown };
        }
    };
    let readers = world.readers();
    let past = session.past(None).unwrap_or_default();
    let (running, holder) = futures::join!(running_tag(readers, &session.loaded.runbook, &past), readers.lock.holder());
    let deployed = match running {
        Ok(Running { fact: Some(fact), .. }) if fact.certain => format!("{} ({})", fact.tag, fact.source),
        Ok(Running { fact: Some(fact), .. }) => format!("probably {} ({})", fact.tag, fact.source),
        Ok(Running { evidence, .. }) => {
            let why = evidence.into_iter().next().map_or(String::new(), |evidence| format!(": {}", evidence.text));
            format!("not known{why}")
        }
        Err(error) => format!("not known: {error}"),
    };
    let lock = match (readers.lock.reference(), holder) {
        (None, _) => "none: this runbook is used by one person alone".into(),
        (_, Ok(None)) => "free".into(),
        (_, Ok(Some(state))) => {
            let record = &state.record;
            format!("{} on {}, run {}, since {}", record.who, record.host, record.run, age(&state, session.clock.now()))
        }
        (_, Err(error)) => format!("not known: {error}"),
    };
    Outside { deployed, lock }
}

fn status_json(world: &Outside, open: &[&StoredRun]) -> serde_json::Value {
    let runs: Vec<serde_json::Value> = open
        .iter()
        .map(|run| {
            serde_json::json!({
                "run": run.state.run,
                "busy": run.busy,
                "held": run.state.held,
                "in_doubt": run.state.in_doubt(),
                "half_way": run.state.half_way(),
                "apply_unsettled": run.state.unsettled_apply().is_some(),
            })
        })
        .collect();
    serde_json::json!({ "format": crate::event::FORMAT, "deployed": world.deployed, "lock": world.lock, "open": runs })
}
