//! Whether production is healthy after the apply: healthy, unhealthy or inconclusive, against the baseline.
//!
//! This file reads; `post_checks/verdict.rs` decides.

mod verdict;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::baseline;
use super::dags_clear::{self, POLL};
use crate::adapters::checkout::Tree;
use crate::event::{Evidence, Question};
use crate::facts::Fact;
use crate::step::{Act, Decision, Finding, Look, Step, Trouble, Undo, Wait};

pub use verdict::{Expected, Reading, Unread, Verdict, judge};

/// `kind = "post-checks"`.
#[derive(Debug)]
pub struct PostChecks {
    /// Longest time until everything is well, from the end of the deploy; runbook time.
    boot: Duration,
    /// How long it must stay well, from the first moment at which it was; runbook time.
    soak: Duration,
    /// Start of the present spell in which not all is well.
    unwell: Mutex<Option<Timestamp>>,
}

impl PostChecks {
    pub fn new(boot: Duration, soak: Duration) -> Self {
        Self { boot, soak, unwell: Mutex::default() }
    }

    async fn read(&self, look: &Look<'_>) -> Reading {
        let airflow = &look.readers.airflow;
        let sentry = async {
            match &look.readers.sentry {
                Some(sentry) => Some(sentry.unresolved().await.map_err(Unread::from)),
                None => None,
            }
        };
        let (health, version, errors, sentry) =
            tokio::join!(airflow.health(), airflow.version(), airflow.import_errors(), sentry);
        Reading {
            health: health.map_err(Unread::from),
            version: version.map_err(Unread::from),
            import_errors: errors.map(baseline::lines).map_err(Unread::from),
            sentry,
        }
    }
}

#[async_trait]
impl Step for PostChecks {
    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        dags_clear::airflow(&look)?;
        let reading = self.read(&look).await;
        let clock = &look.readers.clock;
        let now = clock.now();
        let expected = Expected {
            applied: look.facts.applied.clone(),
            baseline: look.facts.baseline.clone(),
            version: look.facts.image.as_ref().and_then(|image| image.airflow_version.clone()),
        };
        let verdict = judge(&reading, &expected);
        let well = verdict.unwell.is_empty() && verdict.bad.is_empty();
        let unwell_since = {
            let mut unwell = self.unwell.lock().unwrap_or_else(PoisonError::into_inner);
            *unwell = if well { None } else { unwell.or(Some(now)) };
            *unwell
        };
        // An earlier step of this kind, or an earlier process, may have seen it first; time at gates counts.
        let well_since = look.facts.healthy_since.or(well.then_some(now));
        let times = verdict::Times {
            now,
            boot_until: later(look.restarted, clock.scaled(self.boot)),
            soak_until: well_since.map(|well| later(well, clock.scaled(self.soak))),
            unwell_since,
            grace: clock.scaled(verdict::GRACE),
        };
        let decision = match verdict::decide(&verdict, &times) {
            verdict::Next::Wait(on) => Decision::Wait(Wait {
                on,
                poll: POLL,
                // Its own deadlines come first; this one only ends what they could not. A lapse counts from its beginning.
                at_most: if well { self.soak } else { self.boot + self.soak + verdict::GRACE } + verdict::GRACE,
                from: [Some(look.restarted), well_since, unwell_since].into_iter().flatten().max(),
                aside: well,
                next: "`catalog-deploy resume` checks again".into(),
                ..Wait::default()
            }),
            verdict::Next::Done => Decision::Satisfied,
            verdict::Next::Unhealthy(why) => Decision::Unhealthy(why),
            verdict::Next::Inconclusive(why) => Decision::Inconclusive(why),
        };
        let mut finding = Finding::new(decision);
        if well && look.facts.healthy_since.is_none() {
            finding = finding.learned(Fact::HealthySince(now));
        }
        if !matches!(finding.decision, Decision::Wait(_)) {
            finding = finding.learned(Fact::HealthUntold(verdict.untold.clone()));
            finding.evidence.extend(verdict.well.into_iter().map(Evidence::verified));
            finding.evidence.extend(verdict.untold.into_iter().map(Evidence::warning));
        }
        Ok(finding)
    }

    async fn preview(&self, look: Look<'_>, _scratch: &std::sync::Arc<dyn Tree>) -> Result<Finding, Trouble> {
        dags_clear::airflow(&look)?;
        let (boot, soak) = (humantime::format_duration(self.boot), humantime::format_duration(self.soak));
        let soak = if self.soak.is_zero() { String::new() } else { format!(", and {soak} of soak") };
        let what = format!(
            "after the apply: Airflow is reachable and its new scheduler sends heartbeats within {boot}, its version, \
             import errors{soak}"
        );
        let mut finding = Finding::new(Decision::Satisfied).saw(Evidence::not_previewable(what));
        if let Some(version) = look.facts.image.as_ref().and_then(|image| image.airflow_version.as_ref()) {
            finding = finding.saw(Evidence::predicted(format!("Airflow will answer version {version}")));
        }
        Ok(finding)
    }

    async fn act(&self, _act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        // `observe` never finds anything to change.
        Ok(())
    }
}

/// A runbook may hold any length of time; one beyond the calendar is for ever.
fn later(moment: Timestamp, by: Duration) -> Timestamp {
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}
