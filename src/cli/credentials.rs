//! Every credential that a deploy needs: whether it works, what it may do, and how long it lasts. Asked side by side; only
//! reads.

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};

use crate::adapters::process::Command;
use crate::adapters::{Cause, Readers, ServiceError};
use crate::runbook::{Kind, Runbook};

/// A credential that lasts less than this may run out during a deploy with its waits and questions. In seconds.
const SHORT: i64 = 3600;

/// One answer.
#[derive(Debug)]
pub struct Check {
    pub name: String,
    pub verdict: Verdict,
    pub text: String,
    /// It failed for the want of credentials.
    pub credentials: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Warn,
    Fail,
    Unknown,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Unknown => "unknown",
        }
    }
}

impl Check {
    pub fn new(name: impl Into<String>, verdict: Verdict, text: impl Into<String>) -> Self {
        Self { name: name.into(), verdict, text: text.into(), credentials: false }
    }
    pub fn failed(name: impl Into<String>, error: &ServiceError) -> Self {
        Self { credentials: error.credentials(), ..Self::new(name, Verdict::Fail, error.to_string()) }
    }
}

/// One question each. `session_end` is `AWS_CREDENTIAL_EXPIRATION`, where the environment has it.
pub fn credentials<'a>(
    readers: &'a Readers,
    runbook: &'a Runbook,
    session_end: Option<&'a str>,
) -> Vec<BoxFuture<'a, Check>> {
    let mut asked = github(readers, runbook);
    if let Some(service) = &runbook.registry {
        asked.push(registry(readers, &service.image).boxed());
    }
    if let Some(service) = &runbook.airflow {
        asked.push(airflow_account(readers, &service.known_dag).boxed());
    }
    if let Some(sentry) = &readers.sentry {
        asked.push(
            async {
                verdict("Sentry", sentry.unresolved().await, |found| format!("{} unresolved issues", found.len()))
            }
            .boxed(),
        );
    }
    for step in &runbook.steps {
        if let Kind::Identity { command, expect } = &step.kind {
            asked.push(identity(readers, command, expect).boxed());
        }
    }
    asked.push(async move { cloud_session(session_end) }.boxed());
    asked
}

fn github<'a>(readers: &'a Readers, runbook: &'a Runbook) -> Vec<BoxFuture<'a, Check>> {
    let mut asked = vec![async { verdict("GitHub account", readers.github.viewer().await, |login| login) }.boxed()];
    let own = runbook.github.as_ref().map(|service| service.repository.as_str());
    let infrastructure = runbook.infrastructure.as_ref().map(|it| it.repository.as_str());
    for repository in [own, infrastructure].into_iter().flatten() {
        asked.push(permissions(readers, repository).boxed());
    }
    asked
}

async fn permissions(readers: &Readers, repository: &str) -> Check {
    match readers.github.permissions(repository).await {
        Ok(found) if found.expires.is_some_and(|end| left(end) < SHORT) => {
            let text = format!("the token expires at {}: renew it before a deploy", found.expires.unwrap_or_default());
            Check::new(repository, Verdict::Warn, text)
        }
        Ok(found) if found.push && found.told => {
            let until = found.expires.map(|end| format!(" until {}", end.strftime("%Y-%m-%d"))).unwrap_or_default();
            Check::new(repository, Verdict::Pass, format!("may write{until}"))
        }
        Ok(found) if found.push => Check::new(
            repository,
            Verdict::Unknown,
            "its owner may write; the token does not tell what it may itself: it needs Contents and Pull requests, read and write",
        ),
        Ok(_) => Check {
            credentials: true,
            ..Check::new(repository, Verdict::Fail, "may read only: drafts are not seen and nothing can be published")
        },
        Err(error) => Check::failed(repository, &error),
    }
}

async fn registry(readers: &Readers, image: &str) -> Check {
    match readers.registry.digest(image, "latest").await {
        Ok(Some(digest)) => {
            Check::new(image, Verdict::Pass, format!("latest is {}", digest.get(..19).unwrap_or(&digest)))
        }
        Ok(None) => Check::new(image, Verdict::Warn, "has no tag `latest`"),
        Err(error) => Check::failed(image, &error),
    }
}

async fn airflow_account(readers: &Readers, known: &[String]) -> Check {
    let answers = join_all(known.iter().map(|dag| readers.airflow.dag(dag))).await;
    let mut failed = None;
    for (dag, answer) in known.iter().zip(answers) {
        match answer {
            Ok(_) => return Check::new("Airflow account", Verdict::Pass, format!("sees {dag}")),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) if !error.not_found() => Check::failed("Airflow account", &error),
        _ => Check {
            credentials: true,
            ..Check::new(
                "Airflow account",
                Verdict::Fail,
                format!("sees none of {}, so its \"nothing runs\" means nothing", known.join(", ")),
            )
        },
    }
}

async fn identity(readers: &Readers, command: &[String], expect: &str) -> Check {
    let command = Command { argv: command.to_vec(), ..Command::default() };
    match readers.commands.read(&command).await {
        Ok(done) if done.success() && String::from_utf8_lossy(&done.stdout).contains(expect) => {
            Check::new("cloud identity", Verdict::Pass, expect)
        }
        Ok(done) if done.success() => {
            Check::new("cloud identity", Verdict::Fail, format!("another account: the answer does not hold {expect:?}"))
        }
        Ok(_) => Check {
            credentials: true,
            ..Check::new("cloud identity", Verdict::Fail, "not logged in, or the session ran out")
        },
        Err(error) => Check::failed("cloud identity", &error),
    }
}

/// How long the cloud session lasts, where the environment says it.
fn cloud_session(expiry: Option<&str>) -> Check {
    const NAME: &str = "cloud session";
    let Some(text) = expiry else {
        return Check::new(NAME, Verdict::Unknown, "AWS_CREDENTIAL_EXPIRATION is not set, so its end is not known");
    };
    let Ok(end) = text.parse::<jiff::Timestamp>() else {
        return Check::new(NAME, Verdict::Unknown, format!("AWS_CREDENTIAL_EXPIRATION is no time: {text}"));
    };
    let left = left(end);
    match left {
        ..=0 => Check { credentials: true, ..Check::new(NAME, Verdict::Fail, format!("ran out at {end}")) },
        1..SHORT => Check::new(NAME, Verdict::Warn, format!("{} minutes left: renew it before an apply", left / 60)),
        _ => Check::new(NAME, Verdict::Pass, format!("{} minutes left", left / 60)),
    }
}

pub fn verdict<T>(name: &str, answer: Result<T, ServiceError>, text: impl FnOnce(T) -> String) -> Check {
    match answer {
        Ok(value) => Check::new(name, Verdict::Pass, text(value)),
        Err(error) if matches!(error.cause, Cause::NoAnswer(_)) => {
            Check::new(name, Verdict::Unknown, error.to_string())
        }
        Err(error) => Check::failed(name, &error),
    }
}

/// Seconds until `end`.
fn left(end: jiff::Timestamp) -> i64 {
    end.duration_since(jiff::Timestamp::now()).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cloud_session_is_judged_by_the_time_left() {
        let inside = |seconds: i64| (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string();
        let word = |expiry: Option<&str>| cloud_session(expiry).verdict.word();
        assert_eq!(word(None), "unknown");
        assert_eq!(word(Some("soon")), "unknown");
        assert_eq!(word(Some(&inside(-5))), "FAIL");
        assert_eq!(word(Some(&inside(600))), "warn");
        assert_eq!(word(Some(&inside(7200))), "pass");
    }
}
