//! `tags [RUNBOOK]`: what `--tag` can name, and what is known of each.

use std::process::ExitCode;

use serde_json::json;

use crate::adapters::Readers;
use crate::event::FORMAT;
use crate::facts::Parameters;
use crate::release::{Deployed, age, time_of};
use crate::runbook::Runbook;
use crate::steps::candidates::{Candidates, Image};
use crate::steps::deploys::{Deploy, Source};
use crate::steps::running::{Running, running_tag};

use super::args::RunArgs;
use super::deploy::session;
use super::error::CliError;
use super::output::{Output, data};
use super::parameters::parameters;
use super::runbook;
use super::session::{Asking, Session};
use super::settings::Settings;

const DEFAULT: &str = "prod";

pub async fn run(settings: Settings, name: Option<String>) -> Result<ExitCode, CliError> {
    let json = settings.shared.json;
    let output = Output::of(&settings);
    let loaded = runbook::trusted(&settings, name.as_deref().unwrap_or(DEFAULT))?;
    let session = session(settings, loaded, Vec::new());
    let world = session.connection(&output).open().await?;
    let listed = List::read(&session, world.readers()).await?;
    let text = if json { listed.json().to_string() + "\n" } else { listed.text() };
    data(text.as_bytes())
}

/// The tags, with all that is known of them.
struct List<'a> {
    runbook: &'a Runbook,
    running: Running,
    candidates: Candidates<'a>,
    images: Vec<Image>,
    now: jiff::Timestamp,
}

impl<'a> List<'a> {
    async fn read(session: &'a Session, readers: &Readers) -> Result<Self, CliError> {
        let runbook = &session.loaded.runbook;
        let past = session.past(None)?;
        let refused = |trouble: crate::step::Trouble| CliError::refused(trouble.to_string());
        let running = running_tag(readers, runbook, &past).await.map_err(refused)?;
        let candidates = Candidates::read(readers, runbook, &past, running.fact.as_ref()).await.map_err(refused)?;
        let images = candidates.images(readers, runbook, &past).await;
        Ok(Self { runbook, running, candidates, images, now: session.clock.now() })
    }

    fn rows(&self) -> impl Iterator<Item = (&String, &Image)> {
        self.candidates.tags.iter().zip(&self.images)
    }

    fn changelog(&self, tag: &str) -> Option<String> {
        let version = self.runbook.release.as_ref()?.version_of_image(tag)?;
        Some(self.runbook.github.as_ref()?.changelog.as_ref()?.replace("{version}", version))
    }

    fn age(&self, tag: &str) -> Option<String> {
        let version = self.runbook.release.as_ref()?.version_of_image(tag)?;
        Some(age(self.now, time_of(version)?))
    }

    /// What could not be seen.
    fn warnings(&self) -> Vec<String> {
        let evidence = self.running.evidence.iter().map(|evidence| evidence.text.clone());
        let unseen = self.candidates.unseen().map(|error| format!("could not list the registry's tags: {error}"));
        evidence.chain(unseen).collect()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (tag, image) in self.rows() {
            let stable = self.candidates.stable.as_ref() == Some(tag);
            let age = self.age(tag).map(|age| format!("  {age}")).unwrap_or_default();
            let latest = if stable { ", the latest stable one before what runs now" } else { "" };
            text.push_str(&format!("{tag}{age}{latest}\n"));
            let mut row = |name: &str, value: &str| text.push_str(&format!("  {name:<10} {value}\n"));
            let deploys = self.candidates.deploys(tag);
            match self.candidates.history(tag) {
                Deployed::Now(source) => row("runs now", source),
                Deployed::Probably(source) => row("probably", &format!("it runs or ran ({source})")),
                Deployed::Before(source) if deploys.is_empty() => row("deployed", source),
                Deployed::Never => row("deployed", "never"),
                Deployed::NotKnown => row("deployed", "not known"),
                Deployed::Before(_) | Deployed::Unwell(_) => {}
            }
            for deploy in &deploys {
                row("deployed", &line(deploy));
            }
            row("Airflow", image.airflow_version.as_deref().unwrap_or("not known"));
            row("image", there(image));
            if let Some(url) = self.changelog(tag) {
                row("changelog", &url);
            }
        }
        if text.is_empty() {
            text.push_str("no tags are known\n");
        }
        text.extend(self.warnings().iter().map(|warning| format!("warning: {warning}\n")));
        text
    }

    fn json(&self) -> serde_json::Value {
        let tags = self.rows().map(|(tag, image)| {
            let deploys: Vec<_> = self.candidates.deploys(tag).iter().map(deploy_json).collect();
            let (status, source) = status(self.candidates.history(tag));
            json!({
                "tag": tag,
                "status": status,
                "source": source,
                "latest_stable": self.candidates.stable.as_ref() == Some(tag),
                "deploys": deploys,
                "airflow_version": image.airflow_version,
                "image_present": image.there,
                "changelog": self.changelog(tag),
            })
        });
        json!({
            "format": FORMAT,
            "running": self.running.fact,
            "tags": tags.collect::<Vec<_>>(),
            "warnings": self.warnings(),
        })
    }
}

/// One deploy, without the words around it.
fn line(deploy: &Deploy) -> String {
    let at = deploy.at.strftime("%Y-%m-%d %H:%M UTC");
    match &deploy.source {
        Source::Main => format!("{at}, by {} (merged into main)", deploy.by),
        Source::Run { run, ended } => format!("{at}, by {}: {ended} (run {run})", deploy.by),
    }
}

fn deploy_json(deploy: &Deploy) -> serde_json::Value {
    let (source, run, ended) = match &deploy.source {
        Source::Main => ("main", None, None),
        Source::Run { run, ended } => ("run", Some(run), Some(ended)),
    };
    json!({ "at": deploy.at, "by": deploy.by, "source": source, "run": run, "ended": ended })
}

fn there(image: &Image) -> &'static str {
    match image.there {
        Some(true) => "on the registry",
        Some(false) => "not on the registry",
        None => "not known",
    }
}

/// Stable words for scripts.
fn status(deployed: &Deployed) -> (&'static str, Option<&str>) {
    match deployed {
        Deployed::Now(source) => ("running", Some(source)),
        Deployed::Before(source) => ("deployed", Some(source)),
        Deployed::Unwell(source) => ("deployed-unhealthy", Some(source)),
        Deployed::Probably(source) => ("probably-deployed", Some(source)),
        Deployed::Never => ("never-deployed", None),
        Deployed::NotKnown => ("unknown", None),
    }
}

impl Session {
    /// The run's parameters; where `--tag` stands without a value, someone at the terminal chooses one.
    pub(super) async fn parameters(&self, args: &RunArgs) -> Result<Parameters, CliError> {
        if args.tag != Some(None) || self.asking != Asking::Terminal {
            return parameters(args);
        }
        let output = Output::of(&self.settings);
        let world = self.connection(&output).open().await?;
        let (readers, runbook, past) = (world.readers(), &self.loaded.runbook, self.past(None)?);
        let refused = |trouble: crate::step::Trouble| CliError::refused(trouble.to_string());
        let running = running_tag(readers, runbook, &past).await.map_err(refused)?;
        let candidates = Candidates::read(readers, runbook, &past, running.fact.as_ref()).await.map_err(refused)?;
        let mut lines = candidates.lines(self.clock.now());
        lines.push("None of these".into());
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let chosen = self.person(&output)?.choose("Deploy which tag?", &lines).await?;
        match chosen.and_then(|index| candidates.tags.get(index)) {
            Some(tag) => parameters(&RunArgs { tag: Some(Some(tag.clone())), ..args.clone() }),
            None => {
                let details = format!("see what is known of each: catalog-deploy tags {}", self.loaded.name);
                let none = CliError::refused("no tag was chosen. Nothing was changed").next(details);
                Err(CliError { exit: 5, reason: "gate-declined", ..none })
            }
        }
    }
}
