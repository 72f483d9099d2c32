//! Gives back what an earlier step holds, in reverse order; DAGs only once Airflow's new scheduler beats.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::dags_clear::POLL;
use crate::adapters::ServiceError;
use crate::adapters::airflow::Health;
use crate::adapters::checkout::Tree;
use crate::event::{Evidence, Question, Strength};
use crate::facts::{AppliedFact, Held};
use crate::step::{Act, Decision, Finding, Look, Returned, Step, Trouble, Undo, Wait};

/// `kind = "give-back"`.
#[derive(Debug)]
pub struct GiveBack {
    /// Id of the step whose obligations these are.
    of: String,
    after_heartbeat: bool,
    /// Longest wait for the heartbeat, runbook time.
    wait: Duration,
}

impl GiveBack {
    pub fn new(of: String, after_heartbeat: bool, wait: Duration) -> Self {
        Self { of, after_heartbeat, wait }
    }

    fn owed<'a>(&'a self, look: &Look<'a>) -> impl DoubleEndedIterator<Item = &'a Held> {
        let held = look.held;
        held.iter().filter(|held| held.step == self.of)
    }

    fn question(&self, look: &Look<'_>) -> Question {
        let ids: Vec<&str> = self.owed(look).rev().map(|held| held.id.as_str()).collect();
        Question {
            gate: look.step.to_owned(),
            title: format!("Give back what step {} holds", self.of),
            summary: self.owed(look).rev().map(|held| format!("give back {held}")).collect(),
            digest: ids.join(","),
            expected: true,
            strength: Strength::Yes,
            details: None,
        }
    }
}

#[async_trait]
impl Step for GiveBack {
    fn undo(&self) -> Undo {
        // It takes nothing: what it gives back was owed, so there is nothing to take back and no gate to insist on.
        Undo::Nothing
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        if self.owed(&look).next().is_none() {
            return Ok(Finding::satisfied(format!("nothing of `{}` is held any more", self.of)));
        }
        let restarted = look.facts.applied.as_ref().filter(|applied| applied.changed && self.after_heartbeat);
        if let Some(applied) = restarted
            && let Some(on) = not_beating(look.readers.airflow.health().await, applied)?
        {
            return Ok(Finding::new(Decision::Wait(Wait {
                on,
                poll: POLL,
                at_most: self.wait,
                from: Some(look.restarted),
                next: "look at the new instance, then `catalog-deploy resume`; `catalog-deploy restore` gives back \
                       without waiting"
                    .into(),
                ..Wait::default()
            })));
        }
        Ok(Finding::new(Decision::Change(self.question(&look))))
    }

    async fn preview(&self, look: Look<'_>, _scratch: &std::sync::Arc<dyn Tree>) -> Result<Finding, Trouble> {
        let when = if self.after_heartbeat { ", once the new scheduler beats" } else { "" };
        let what = format!("gives back whatever step {} holds by then{when}", self.of);
        Ok(Finding::new(Decision::Change(self.question(&look))).saw(Evidence::predicted(what)))
    }

    async fn act(&self, act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        let look = act.look;
        let mut left = Vec::new();
        // Where all that failed is an answer that got lost, looking again tells what became of it.
        let mut known = false;
        // One that cannot be given back must not keep the others from it.
        for held in self.owed(&look).rev() {
            match act.give_back(held).await {
                Ok(Returned::Back(_)) => {}
                Ok(Returned::NotOurs(why)) => look.saw(Evidence::warning(why)),
                Ok(Returned::NotYet(why)) => {
                    known = true;
                    left.push(format!("{held}: {why}"));
                }
                Err(trouble @ (Trouble::Journal(_) | Trouble::Stopped)) => return Err(trouble),
                Err(trouble) => {
                    known |= !matches!(trouble, Trouble::InDoubt { .. });
                    left.push(format!("{held}: {trouble}"));
                }
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        let what = format!("could not give back {}", left.join("; "));
        let next = "`catalog-deploy resume` or `catalog-deploy restore` tries again".into();
        Err(if known { Trouble::Failed { what, next } } else { Trouble::InDoubt { what, next } })
    }
}

/// The moment on Airflow's own clock at which the apply ended: only a later heartbeat is the new scheduler's.
pub(super) fn ended_there(applied: &AppliedFact) -> Timestamp {
    let skew = SignedDuration::from_millis(applied.airflow_clock_skew_ms);
    applied.ended_at.checked_add(skew).unwrap_or(applied.ended_at)
}

/// What is still waited for, `None` where the new scheduler beats. A booting Airflow cannot be reached or answers
/// nonsense, so only refused credentials are an error.
fn not_beating(health: Result<Health, ServiceError>, applied: &AppliedFact) -> Result<Option<String>, Trouble> {
    let health = match health {
        Ok(health) => health,
        Err(error) if error.credentials() => return Err(error.into()),
        Err(error) => return Ok(Some(format!("Airflow's new scheduler to beat ({error})"))),
    };
    let ended = ended_there(applied);
    let beat = health.components.get("scheduler").and_then(|scheduler| scheduler.heartbeat);
    Ok(match beat {
        Some(beat) if beat > ended => None,
        Some(beat) => Some(format!("Airflow's new scheduler to beat (last beat {beat}, the apply ended {ended})")),
        None => Some("Airflow's new scheduler to beat (no heartbeat yet)".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::Cause;
    use crate::adapters::airflow::Component;

    fn health(heartbeat: Option<&str>) -> Health {
        let heartbeat = heartbeat.map(|text| text.parse().expect("timestamp"));
        let scheduler = Component { status: Some("healthy".into()), heartbeat };
        Health { components: [("scheduler".to_owned(), scheduler)].into(), server_time: None }
    }

    fn applied(skew: i64) -> AppliedFact {
        AppliedFact {
            ended_at: "2026-11-20T09:00:00Z".parse().expect("timestamp"),
            airflow_clock_skew_ms: skew,
            changed: true,
            unverified: None,
        }
    }

    #[test]
    fn only_a_beat_after_the_apply_on_the_servers_clock_counts() {
        let beating = |beat, skew| not_beating(Ok(health(beat)), &applied(skew)).expect("health").is_none();
        assert!(beating(Some("2026-11-20T09:00:01Z"), 0));
        assert!(!beating(Some("2026-11-20T08:59:59Z"), 0), "the old scheduler still beats");
        assert!(!beating(Some("2026-11-20T09:00:01Z"), 60_000), "Airflow's clock is a minute ahead");
        assert!(beating(Some("2026-11-20T08:59:30Z"), -60_000), "Airflow's clock is a minute behind");
        assert!(!beating(None, 0));
    }

    #[test]
    fn a_booting_airflow_is_waited_for_and_refused_credentials_are_not() {
        let error = |cause| Err(ServiceError::new("Airflow", "GET /health", cause));
        let on = not_beating(error(Cause::Unreachable("connection refused".into())), &applied(0)).expect("waits");
        assert!(on.expect("text").contains("connection refused"));
        assert!(not_beating(error(Cause::Malformed("a page".into())), &applied(0)).expect("waits").is_some());
        assert!(not_beating(error(Cause::Unauthorized("no".into())), &applied(0)).is_err());
    }
}
