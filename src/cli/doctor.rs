//! `doctor [RUNBOOK]`: everything a deploy will need, asked side by side before anybody starts one. Changes nothing.
//!
//! One line each on stdout (`--json`: one object each): tools and their versions, checkout, run lock, GitHub account and
//! what it may do, registry, Airflow and what its account sees, Sentry, cloud identity and the time left on its session.
//! `pass`; `warn`: would be in the way, or is worth knowing; `FAIL`; `unknown`: nobody answered. Exit 0 without a
//! failure, 4 where a credential failed, else 3.

use std::process::ExitCode;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};

use crate::adapters::Readers;
use crate::adapters::process::Command;
use crate::runbook::Runbook;

use super::credentials::{Check, Verdict, credentials, verdict};

use super::deploy::session;
use super::error::CliError;
use super::output::{Output, data};
use super::runbook;
use super::settings::Settings;

const DEFAULT: &str = "prod";

pub async fn run(settings: Settings, name: Option<String>) -> Result<ExitCode, CliError> {
    let loaded = runbook::trusted(&settings, name.as_deref().unwrap_or(DEFAULT))?;
    let json = settings.shared.json;
    let expiry = settings.environment.get("AWS_CREDENTIAL_EXPIRATION");
    let slack = settings.config.slack.webhook_url.is_some();
    let output = Output::of(&settings);
    let mut session = session(settings, loaded, Vec::new());
    let mut opened = session.connection(&output).open().await;
    let mut unknown = None;
    if let Err(error) = &opened
        && session.settings.shared.checkout.is_none()
    {
        // Not knowing the checkout is a finding; everything else can be looked at all the same.
        unknown = Some(error.clone());
        session.settings.shared.checkout = Some(".".into());
        opened = session.connection(&output).open().await;
    }
    let world = opened?;
    let (readers, runbook) = (world.readers(), &session.loaded.runbook);
    let mut asked: Vec<BoxFuture<'_, Check>> =
        tools(runbook).into_iter().map(|(program, arguments)| tool(readers, program, arguments).boxed()).collect();
    match unknown {
        Some(error) => asked.push(async { no_checkout(error) }.boxed()),
        None => {
            asked.push(checkout(readers, runbook).boxed());
            asked.push(lock(readers).boxed());
        }
    }
    if runbook.airflow.is_some() {
        asked.push(airflow(readers).boxed());
    }
    asked.extend(credentials(readers, runbook, expiry.as_deref()));
    let mut checks = join_all(asked).await;
    if runbook.slack.is_some() && !slack {
        checks.push(Check::new("Slack", Verdict::Warn, "no [slack] webhook_url: nobody is told"));
    }
    let redactor = &session.settings.environment.redactor;
    checks.iter_mut().for_each(|check| check.text = redactor.clean(&check.text).into_owned());
    report(&checks, json)?;
    let failed: Vec<&Check> = checks.iter().filter(|check| check.verdict == Verdict::Fail).collect();
    Ok(match (failed.is_empty(), failed.iter().any(|check| check.credentials)) {
        (true, _) => ExitCode::SUCCESS,
        (false, true) => ExitCode::from(4),
        (false, false) => ExitCode::from(3),
    })
}

fn report(checks: &[Check], json: bool) -> Result<ExitCode, CliError> {
    let line = |check: &Check| {
        if json {
            let value = serde_json::json!({ "check": check.name, "verdict": check.verdict.word().to_lowercase(), "text": check.text });
            value.to_string() + "\n"
        } else {
            format!("{:<8} {:<22} {}\n", check.verdict.word(), check.name, check.text)
        }
    };
    data(checks.iter().map(line).collect::<String>().as_bytes())
}

/// Programs the runbook's commands start, each with what prints its version.
fn tools(runbook: &Runbook) -> Vec<(String, Vec<String>)> {
    let mut programs = vec!["git".to_owned()];
    if let Some(infrastructure) = &runbook.infrastructure {
        let commands = [
            Some(&infrastructure.plan),
            Some(&infrastructure.apply),
            infrastructure.bump.as_ref(),
            infrastructure.state.as_ref(),
        ];
        programs.extend(commands.into_iter().flatten().filter_map(|argv| argv.first().cloned()));
        programs.push("terraform".into());
    }
    programs.sort();
    programs.dedup();
    programs.into_iter().map(|program| (program, vec!["--version".to_owned()])).collect()
}

async fn tool(readers: &Readers, program: String, arguments: Vec<String>) -> Check {
    let mut argv = vec![program.clone()];
    argv.extend(arguments);
    match readers.commands.read(&Command { argv, ..Command::default() }).await {
        Ok(done) if done.success() => {
            let text = String::from_utf8_lossy(&done.stdout).lines().next().unwrap_or_default().to_owned();
            Check::new(program, Verdict::Pass, text)
        }
        Ok(done) => {
            Check::new(program, Verdict::Warn, format!("does not tell its version (exit code {:?})", done.code))
        }
        Err(error) => Check::failed(program, &error),
    }
}

fn no_checkout(error: CliError) -> Check {
    Check::new("checkout", Verdict::Fail, [&[error.message], error.next.as_slice()].concat().join("; "))
}

async fn checkout(readers: &Readers, runbook: &Runbook) -> Check {
    let root = readers.checkout.root();
    let standing = match readers.checkout.standing().await {
        Ok(standing) => standing,
        Err(error) => return Check::failed("checkout", &error),
    };
    let branch = standing.branch.as_deref().unwrap_or("no branch");
    // Not yet a refusal: there is time to mend it before a deploy.
    let version = runbook.infrastructure.as_ref().map(|infrastructure| infrastructure.version.file.as_str());
    let bumped = standing.dirty.iter().all(|file| Some(file.as_str()) == version);
    let remote = match &standing.remote {
        Ok(remote) => remote,
        Err(error) => return Check::failed("checkout", error),
    };
    let (found, state) = match (standing.dirty.is_empty(), remote.in_head) {
        (true, Some(true)) => (Verdict::Pass, "clean and up to date"),
        // The remote's commit is one that this clone has never seen, or has not merged.
        (true, Some(false) | None) => (Verdict::Warn, "behind its remote: pull before a deploy"),
        (false, _) if bumped => (
            Verdict::Warn,
            "the version file is changed and not committed: right if it is the bump that runs, until its pull request is merged",
        ),
        (false, _) => (Verdict::Warn, "has uncommitted changes: commit or stash them before a deploy"),
    };
    Check::new("checkout", found, format!("{} on {branch}: {state}", root.display()))
}

async fn lock(readers: &Readers) -> Check {
    if readers.lock.reference().is_none() {
        return Check::new("run lock", Verdict::Pass, "none: one person alone");
    }
    match readers.lock.holder().await {
        Ok(None) => Check::new("run lock", Verdict::Pass, "free"),
        Ok(Some(state)) => {
            let of = &state.record;
            let text = format!("held by {} on {} (run {}): a deploy would have to wait", of.who, of.host, of.run);
            Check::new("run lock", Verdict::Warn, text)
        }
        Err(error) => verdict("run lock", Err::<(), _>(error), |()| String::new()),
    }
}

async fn airflow(readers: &Readers) -> Check {
    let (version, health) = futures::join!(readers.airflow.version(), readers.airflow.health());
    match (version, health) {
        (Ok(version), Ok(health)) => {
            let ill: Vec<&str> = health
                .components
                .iter()
                .filter(|(_, component)| component.status.as_deref().is_some_and(|status| status != "healthy"))
                .map(|(name, _)| name.as_str())
                .collect();
            if ill.is_empty() {
                Check::new("Airflow", Verdict::Pass, format!("{version}, healthy"))
            } else {
                Check::new("Airflow", Verdict::Warn, format!("{version}, unhealthy: {}", ill.join(", ")))
            }
        }
        (Err(error), _) | (_, Err(error)) => Check::failed("Airflow", &error),
    }
}
