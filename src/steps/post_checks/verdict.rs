//! The decision of post-checks. Pure: a reading, what is expected, and the times in; one of three answers out.

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;

use crate::adapters::airflow::Health;
use crate::adapters::sentry::Issue;
use crate::adapters::{Cause, ServiceError};
use crate::facts::{AppliedFact, BaselineFact};
use crate::steps::dag_rules::same_version;
use crate::steps::give_back::ended_there;

/// After the time to boot, a lapse shorter than this is a hiccup and not a verdict. Runbook time.
pub const GRACE: Duration = Duration::from_secs(60);
/// Adapters read at most this many issues, so an older one may come into view when others are resolved.
const SENTRY_LIMIT: usize = 1000;
/// New things named in a sentence.
const NAMED: usize = 5;

/// A question that got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    pub why: String,
    /// The credentials were refused, or there was a login page: that says nothing about the service's health.
    pub credentials: bool,
}

impl From<ServiceError> for Unread {
    fn from(error: ServiceError) -> Self {
        let login_page = matches!(error.cause, Cause::Malformed(_));
        Self { credentials: error.credentials() || login_page, why: error.to_string() }
    }
}

/// One look at production.
#[derive(Debug, Clone)]
pub struct Reading {
    pub health: Result<Health, Unread>,
    pub version: Result<String, Unread>,
    /// As [`BaselineFact::import_errors`].
    pub import_errors: Result<Vec<String>, Unread>,
    /// `None` where the runbook names no Sentry.
    pub sentry: Option<Result<Vec<Issue>, Unread>>,
}

/// What the run knows.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    pub applied: Option<AppliedFact>,
    pub baseline: Option<BaselineFact>,
    /// `AIRFLOW_VERSION` of the deployed image.
    pub version: Option<String>,
}

/// What one reading says, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    pub well: Vec<String>,
    /// Not as it should be: waited for while it may still boot.
    pub unwell: Vec<String>,
    /// Not as it should be, and waiting does not help.
    pub bad: Vec<String>,
    /// Could not be told.
    pub untold: Vec<String>,
    /// All that is unwell is that our credentials were refused.
    pub only_credentials: bool,
}

/// The moments that matter, on our clock.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub now: Timestamp,
    pub boot_until: Timestamp,
    /// `None` until all was well once.
    pub soak_until: Option<Timestamp>,
    /// Start of the present spell in which not all is well.
    pub unwell_since: Option<Timestamp>,
    pub grace: Duration,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// What is waited for.
    Wait(String),
    Done,
    Unhealthy(String),
    Inconclusive(String),
}

/// Judges one reading.
pub fn judge(reading: &Reading, expected: &Expected) -> Verdict {
    let mut verdict = Verdict::default();
    let mut refused = 0;
    let mut unread = |verdict: &mut Verdict, what: &str, error: &Unread| {
        refused += usize::from(error.credentials);
        verdict.unwell.push(format!("{what}: {}", error.why));
    };
    match &reading.health {
        Ok(health) => components(health, expected, &mut verdict),
        Err(error) => unread(&mut verdict, "Airflow's health cannot be read", error),
    }
    match (&reading.version, &expected.version) {
        (Ok(now), Some(wanted)) if same_version(now, wanted) => verdict.well.push(format!("Airflow {now} answers")),
        (Ok(now), Some(wanted)) => {
            let wanted = wanted.trim_start_matches('v');
            verdict.unwell.push(format!("expected Airflow {wanted}, but it still answers {now}"));
        }
        (Ok(now), None) => {
            verdict.untold.push(format!("Airflow {now} answers, and it is not known which version the image holds"))
        }
        (Err(error), _) => unread(&mut verdict, "Airflow's version cannot be read", error),
    }
    let before = expected.baseline.as_ref().and_then(|baseline| baseline.import_errors.as_ref());
    match (&reading.import_errors, before) {
        (Ok(now), Some(before)) => {
            let known = |line: &&String| before.iter().any(|it| same_import_error(it, line));
            let new: Vec<&String> = now.iter().filter(|line| !known(line)).collect();
            if new.is_empty() {
                verdict.well.push(format!("no new import errors ({} known)", now.len()));
            } else {
                verdict.unwell.push(format!("new import errors: {}", some(&new)));
            }
        }
        (Ok(now), None) if now.is_empty() => verdict.well.push("no import errors".into()),
        (Ok(now), None) => {
            let all: Vec<&String> = now.iter().collect();
            verdict.untold.push(format!("import errors, and no earlier ones to compare with: {}", some(&all)));
        }
        (Err(error), _) => unread(&mut verdict, "import errors cannot be read", error),
    }
    match &reading.sentry {
        None => {}
        Some(Err(error)) => verdict.untold.push(format!("new Sentry issues could not be told: {}", error.why)),
        Some(Ok(issues)) => sentry(issues, expected, &mut verdict),
    }
    verdict.only_credentials = refused > 0 && refused == verdict.unwell.len();
    if let (Err(error), Err(_), Err(_)) = (&reading.health, &reading.version, &reading.import_errors) {
        // The three of them say the same.
        verdict.unwell.splice(..3, [format!("Airflow cannot be read: {}", error.why)]);
    }
    verdict
}

/// Airflow 2 names the file by its whole path, 3 within its bundle: a deploy from one to the other changes each line.
fn same_import_error(before: &str, now: &str) -> bool {
    let within = |whole: &str, part: &str| whole.strip_suffix(part).is_some_and(|rest| rest.ends_with('/'));
    before == now || within(before, now) || within(now, before)
}

/// Database and scheduler must be healthy; others where they are deployed (a null status is "not deployed").
fn components(health: &Health, expected: &Expected, verdict: &mut Verdict) {
    for name in ["metadatabase", "scheduler"] {
        if health.components.get(name).and_then(|it| it.status.as_deref()).is_none() {
            verdict.unwell.push(format!("Airflow does not say how its {name} is"));
        }
    }
    for (name, component) in &health.components {
        match component.status.as_deref() {
            Some("healthy") => verdict.well.push(format!("{name} is healthy")),
            Some(status) => verdict.unwell.push(format!("{name} is {status}")),
            None => {}
        }
    }
    let Some(applied) = expected.applied.as_ref().filter(|applied| applied.changed) else { return };
    let ended = ended_there(applied);
    match health.components.get("scheduler").and_then(|scheduler| scheduler.heartbeat) {
        Some(beat) if beat > ended => verdict.well.push("the scheduler has beaten since the apply".into()),
        Some(beat) => verdict.unwell.push(format!(
            "the scheduler's last heartbeat, {beat}, is older than the apply's end, {ended}: it is the old one's"
        )),
        None => verdict.unwell.push("the scheduler has no heartbeat yet".into()),
    }
}

fn sentry(issues: &[Issue], expected: &Expected, verdict: &mut Verdict) {
    let before = expected.baseline.as_ref().and_then(|it| Some((it.taken_at, it.sentry_issues.as_ref()?)));
    let Some((taken_at, known)) = before else {
        verdict.untold.push("new Sentry issues could not be told: there is no list from before the deploy".into());
        return;
    };
    // A full list hides older issues, so one of those may look new.
    let full = known.len() >= SENTRY_LIMIT;
    let old = |issue: &Issue| full && issue.first_seen.is_some_and(|seen| seen < taken_at);
    let new: Vec<String> = issues
        .iter()
        .filter(|issue| !known.contains(&issue.id) && !old(issue))
        .map(|issue| format!("{} {} ({})", issue.short_id, issue.title, issue.permalink))
        .collect();
    if new.is_empty() {
        verdict.well.push("no new Sentry issues".into());
    } else {
        verdict.bad.push(format!("new Sentry issues: {}", some(&new)));
    }
}

/// The first few, then how many more.
fn some(lines: &[impl AsRef<str>]) -> String {
    let mut text = lines.iter().take(NAMED).map(AsRef::as_ref).collect::<Vec<_>>().join("; ");
    if lines.len() > NAMED {
        text.push_str(&format!("; and {} more", lines.len() - NAMED));
    }
    text
}

/// What follows from a verdict at this moment.
pub fn decide(verdict: &Verdict, times: &Times) -> Next {
    let booted = times.now >= times.boot_until;
    if !verdict.bad.is_empty() {
        let seen = verdict.bad.iter().chain(&verdict.unwell).cloned().collect::<Vec<_>>().join("; ");
        // What else is wrong is only known once it had its time to boot.
        return match verdict.unwell.is_empty() || booted {
            true => Next::Unhealthy(seen),
            false => Next::Wait(format!("production to boot ({seen})")),
        };
    }
    if !verdict.unwell.is_empty() {
        let seen = verdict.unwell.join("; ");
        // Once it was well, a single failed look is no verdict.
        let lasting = times.soak_until.is_none()
            || times.unwell_since.is_none_or(|since| times.now.duration_since(since).unsigned_abs() >= times.grace);
        return match (booted && lasting, verdict.only_credentials) {
            (false, _) => Next::Wait(format!("production to be well ({seen})")),
            (true, true) => Next::Inconclusive(seen),
            (true, false) => Next::Unhealthy(seen),
        };
    }
    match times.soak_until {
        Some(until) if times.now >= until && verdict.untold.is_empty() => Next::Done,
        Some(until) if times.now >= until => Next::Inconclusive(verdict.untold.join("; ")),
        _ => Next::Wait("production to stay well through the soak".into()),
    }
}
