//! Whether production is healthy after the apply: healthy, unhealthy or inconclusive, against the baseline.
//!
//! This file reads; `post_checks/verdict.rs` decides.

mod verdict;

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::baseline;
use super::dags_clear::{self, POLL};
use crate::adapters::checkout::Tree;
use crate::event::{Evidence, Question};
use crate::step::{Act, Decision, Finding, Look, Step, Trouble, Undo, Wait};

pub use verdict::{Expected, Reading, Unread, Verdict, judge};

/// `kind = "post-checks"`.
#[derive(Debug)]
pub struct PostChecks {
    /// Longest time until everything is well, from the first look; runbook time.
    boot: Duration,
    /// How long it must stay well; runbook time.
    soak: Duration,
    /// First moment at which all was well, and the start of the present spell in which it is not.
    spells: Mutex<Spells>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Spells {
    well: Option<Timestamp>,
    unwell: Option<Timestamp>,
}

impl PostChecks {
    pub fn new(boot: Duration, soak: Duration) -> Self {
        Self { boot, soak, spells: Mutex::default() }
    }

    async fn read(&self, look: &Look<'_>) -> Reading {
        let airflow = &look.readers.airflow;
        let sentry = async {
            match &look.runbook.sentry {
                Some(_) => Some(look.readers.sentry.unresolved().await.map_err(Unread::from)),
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
        let spells = match self.spells.lock() {
            Ok(mut spells) => {
                if verdict.unwell.is_empty() {
                    *spells = Spells { well: spells.well.or(Some(now)), unwell: None };
                } else {
                    spells.unwell = spells.unwell.or(Some(now));
                }
                *spells
            }
            Err(_) => Spells::default(),
        };
        let times = verdict::Times {
            now,
            boot_until: later(look.since, clock.scaled(self.boot)),
            soak_until: spells.well.map(|well| later(well, clock.scaled(self.soak))),
            unwell_since: spells.unwell,
            grace: clock.scaled(verdict::GRACE),
        };
        let decision = match verdict::decide(&verdict, &times) {
            verdict::Next::Wait(on) => Decision::Wait(Wait {
                on,
                poll: POLL,
                // Its own deadlines come first; this one only ends what they could not.
                at_most: self.boot + self.soak + verdict::GRACE * 2,
                next: "`catalog-deploy resume` checks again".into(),
                refuse_after: false,
            }),
            verdict::Next::Done => Decision::Satisfied,
            verdict::Next::Unhealthy(why) => Decision::Unhealthy(why),
            verdict::Next::Inconclusive(why) => Decision::Inconclusive(why),
        };
        let mut finding = Finding::new(decision);
        if !matches!(finding.decision, Decision::Wait(_)) {
            finding.evidence.extend(verdict.well.into_iter().map(Evidence::verified));
            finding.evidence.extend(verdict.untold.into_iter().map(Evidence::warning));
        }
        Ok(finding)
    }

    async fn preview(&self, look: Look<'_>, _scratch: &std::sync::Arc<dyn Tree>) -> Result<Finding, Trouble> {
        dags_clear::airflow(&look)?;
        let (boot, soak) = (humantime::format_duration(self.boot), humantime::format_duration(self.soak));
        let what = format!(
            "after the apply: Airflow reachable and beating within {boot}, its version, import errors, and {soak} of soak"
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
