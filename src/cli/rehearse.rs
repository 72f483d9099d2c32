//! `rehearse`: the real run, with the real adapters, against the embedded world on loopback.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::rehearsal::{AirflowEdition, Fault, Options, World};

use super::args::{RehearseArgs, SharedArgs};
use super::deploy::session;
use super::error::CliError;
use super::output::{code, data, say};
use super::runbook;
use super::session::Asking;
use super::settings::{Environment, Settings};

/// Waits are this many times shorter: a deadline of 15 minutes passes in 6 seconds.
const HURRY: u32 = 150;

pub async fn run(environment: Environment, shared: &SharedArgs, args: &RehearseArgs) -> Result<ExitCode, CliError> {
    if args.list_faults {
        let lines: Vec<String> =
            Fault::ALL.iter().map(|fault| format!("{:<28} {}\n", fault.to_string(), fault.about())).collect();
        return data(lines.concat().as_bytes());
    }
    let faults = args.fault.iter().map(|name| fault(name)).collect::<Result<Vec<_>, _>>()?;
    let place = Place::of(args)?;
    let options = Options {
        directory: place.path().to_owned(),
        airflow: if args.airflow == 3 { AirflowEdition::V3 } else { AirflowEdition::V2 },
        faults,
        seed: 0,
        answer_delay: Duration::from_millis(args.delay),
        infrastructure: None,
        pace: 1,
    };
    let world = World::start(options).await?;
    let config_path = configure(&world, place.path())?;
    let stand_ins = world.stand_ins();
    if stand_ins.is_empty() {
        say("rehearsal: an embedded world on loopback, with the real git, just and terraform");
    } else {
        say(&format!(
            "rehearsal: an embedded world on loopback, with the real git\nnot installed here, so played by a stand-in: {}",
            stand_ins.join(" and ")
        ));
    }
    say(&format!("rehearsal: waits and deadlines are {HURRY} times shorter than in a real run"));
    if args.serve.is_some() {
        return serve(&config_path).await;
    }
    let shared = SharedArgs { config: Some(config_path), ..shared.clone() };
    let settings = Settings::load(environment, &shared)?;
    let loaded = runbook::trusted(&settings, &args.runbook)?;
    let mut session = session(settings, loaded, args.run.approve.clone());
    if args.yes {
        session.asking = Asking::RehearsalYes;
    }
    let parameters = session.parameters(&args.run).await?;
    let outcome =
        if args.run.dry_run { session.preview(parameters).await? } else { session.deploy(parameters).await? };
    if let Place::Kept(path) = &place {
        say(&format!("left behind: {0}/infrastructure, {0}/requests.ndjson, {0}/state", path.display()));
    }
    if let (Place::Temporary(_), true) = (&place, args.run.dry_run) {
        say("the plan's text is gone with this world: -v shows it in the report, --keep DIR keeps it");
    }
    if outcome.exit != 0 && matches!(place, Place::Temporary(_)) && !args.run.dry_run {
        say("this was a rehearsal, and its world is gone; to practise going on: catalog-deploy rehearse --serve DIR");
    }
    Ok(code(&outcome))
}

/// Writes the laptop's configuration for this world: every run that uses the file is a rehearsal.
pub fn configure(world: &World, place: &Path) -> Result<PathBuf, CliError> {
    let path = world.path_with_tools().and_then(|path| path.into_string().ok());
    let mut text = world.config_toml();
    text.push_str(&format!("\n[rehearsal]\nhurry = {HURRY}\nstate = \"state\"\n"));
    if let Some(path) = path {
        text.push_str(&format!("path = {}\n", toml::Value::String(path)));
    }
    let config = place.join("config.toml");
    std::fs::write(&config, text)
        .map_err(|error| CliError::failed(format!("could not write {}: {error}", config.display())))?;
    Ok(config)
}

fn fault(name: &str) -> Result<Fault, CliError> {
    name.parse().map_err(|_| {
        let near = Fault::ALL
            .iter()
            .map(ToString::to_string)
            .max_by_key(|fault| (similar::TextDiff::from_chars(fault.as_str(), name).ratio() * 1000.0) as u32);
        let meant = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        CliError::usage(format!("no fault is called `{name}`{meant}")).next("catalog-deploy rehearse --list-faults")
    })
}

/// Where the world lives.
enum Place {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Place {
    fn of(args: &RehearseArgs) -> Result<Self, CliError> {
        let failed = |error: std::io::Error| CliError::failed(format!("could not make a place for the world: {error}"));
        let Some(path) = args.keep.as_ref().or(args.serve.as_ref()) else {
            return tempfile::Builder::new()
                .prefix("catalog-deploy-rehearsal-")
                .tempdir()
                .map(Self::Temporary)
                .map_err(failed);
        };
        let path = std::path::absolute(path).map_err(failed)?;
        std::fs::create_dir_all(&path).map_err(failed)?;
        if std::fs::read_dir(&path).map_err(failed)?.next().is_some() {
            return Err(CliError::usage(format!("{} is not empty", path.display())).next("name a new directory"));
        }
        Ok(Self::Kept(path))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Temporary(directory) => directory.path(),
            Self::Kept(path) => path,
        }
    }
}

async fn serve(config: &Path) -> Result<ExitCode, CliError> {
    say(&format!("the world is up; in another terminal: catalog-deploy prod --config {}", config.display()));
    say("Ctrl-C ends it");
    tokio::signal::ctrl_c().await.map_err(|error| CliError::failed(format!("could not wait for Ctrl-C: {error}")))?;
    Ok(ExitCode::SUCCESS)
}
