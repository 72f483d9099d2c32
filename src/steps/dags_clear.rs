//! No DAG is running, but for waiting refreshes and overrides. Also what every judgement of DAGs shares.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;

use super::dag_rules::{self, Rules, Verdict};
use crate::adapters::airflow::AirflowRead;
use crate::adapters::checkout::Tree;
use crate::adapters::{Cause, ServiceError};
use crate::event::{Event, Evidence, Question, Refusal};
use crate::facts::{Check, Fact, FactKind, Parameters};
use crate::runbook::schema::AirflowService;
use crate::step::{Act, Decision, Finding, Look, Step, Trouble, Undo, Wait};

/// Between two looks at what still runs.
pub(super) const POLL: Duration = Duration::from_secs(10);

/// `kind = "dags-clear"`.
#[derive(Debug, Default)]
pub struct DagsClear {}

impl DagsClear {
    pub fn new() -> Self {
        Self {}
    }
}

#[async_trait]
impl Step for DagsClear {
    fn gives(&self) -> &'static [FactKind] {
        &[FactKind::DagsCleared]
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        if look.facts.applied.is_some() {
            return Ok(Finding::satisfied("applied already: DAGs may run again"));
        }
        let service = airflow(&look)?;
        // Side by side: what may be seen, and what is active.
        let (visible, verdict) = tokio::join!(
            visible(look.readers.airflow.as_ref(), service),
            judged(look.readers.airflow.as_ref(), service, look.parameters)
        );
        let verdict = match answered(&look, verdict)? {
            Ok(verdict) => verdict,
            Err(evidence) => return Ok(not_checked(evidence)),
        };
        let blind = answered(&look, visible)?.err();
        let decision = in_the_way(&verdict, service, look.parameters).unwrap_or(Decision::Satisfied);
        let mut finding = finding(decision, &verdict);
        finding.evidence.extend(blind);
        Ok(finding)
    }

    async fn preview(&self, look: Look<'_>, _scratch: &std::sync::Arc<dyn Tree>) -> Result<Finding, Trouble> {
        Ok(without_waiting(self.observe(look).await?, Decision::Satisfied))
    }

    async fn guard(&self, look: Look<'_>) -> Result<Vec<Refusal>, Trouble> {
        if look.facts.applied.is_some() {
            // Deployed: DAGs may run again.
            return Ok(Vec::new());
        }
        let verdict = answered(&look, settled(&look, airflow(&look)?).await)?;
        Ok(verdict.map_or_else(|_| Vec::new(), |verdict| dag_rules::refusals(&verdict)))
    }

    async fn act(&self, _act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        // `observe` never finds anything to change.
        Ok(())
    }
}

/// The runbook's Airflow.
pub(super) fn airflow<'a>(look: &Look<'a>) -> Result<&'a AirflowService, Trouble> {
    look.runbook.airflow.as_ref().ok_or_else(|| {
        Trouble::Refused(vec![Refusal {
            what: format!("step {} needs Airflow, and the runbook names none", look.step),
            next: "add an [airflow] table to the runbook".into(),
        }])
    })
}

/// Refuses an account that sees none of the DAGs that should exist: its "nothing runs" would mean nothing. One of them is
/// enough, since DAGs come and go.
pub(super) async fn visible(airflow: &dyn AirflowRead, service: &AirflowService) -> Result<(), Trouble> {
    let mut hidden = None;
    let asked = join_all(service.known_dag.iter().map(|dag| airflow.dag(dag))).await;
    for answer in asked {
        match answer {
            Ok(_) => return Ok(()),
            // Which of the two an account gets that may not read the DAG depends on Airflow's version and its auth manager.
            Err(error) if error.not_found() || matches!(error.cause, Cause::Forbidden(_)) => hidden = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    let Some(error) = hidden else { return Ok(()) };
    let known = service.known_dag.join(", ");
    let why = format!(
        "this account cannot see any of the DAGs that should exist ({known}), so its \"no DAG is running\" would mean \
         nothing; give it read access to all DAGs, or correct `known_dag` in the runbook"
    );
    Err(Trouble::Service(ServiceError::new(error.service, error.request, Cause::Forbidden(why))))
}

/// What it means to continue while Airflow does not answer.
const KILLED: &str = "Running tasks are unknown and will be killed; no further refresh is paused";

/// What Airflow said; or, where it said nothing, why the deploy may continue all the same: someone decided so, or an
/// apply that took effect in part has taken the instance with it. Then Airflow comes back only with the rest of the
/// apply, and nothing runs there that could be killed.
pub(super) fn answered<T>(look: &Look<'_>, read: Result<T, Trouble>) -> Result<Result<T, Evidence>, Trouble> {
    match read {
        Err(Trouble::Service(error)) if look.facts.applied_in_part && error.passing() => {
            let text = format!(
                "an apply of this run took effect in part, and Airflow does not answer since ({error}): it is not known \
                 whether a DAG runs"
            );
            Ok(Err(Evidence::warning(text)))
        }
        Err(Trouble::Service(error)) => look.without(Check::Airflow, error, KILLED).map(Err),
        read => read.map(Ok),
    }
}

/// Nothing is known of the DAGs, and the deploy continues.
pub(super) fn not_checked(evidence: Evidence) -> Finding {
    Finding::new(Decision::Satisfied).learned(Fact::DagsCleared(vec![evidence.text.clone()])).saw(evidence)
}

/// One fresh reading, judged.
pub(super) async fn judged(
    airflow: &dyn AirflowRead,
    service: &AirflowService,
    parameters: &Parameters,
) -> Result<Verdict, Trouble> {
    let activity = airflow.activity().await?;
    Ok(dag_rules::judge(&activity, &Rules::from(service), &parameters.overrides))
}

/// What to do about the DAGs that are in the way; `None` where none is.
pub(super) fn in_the_way(verdict: &Verdict, service: &AirflowService, parameters: &Parameters) -> Option<Decision> {
    if verdict.clear() {
        return None;
    }
    let all = dag_rules::names(verdict.blocking.iter().chain(&verdict.short));
    let next = "see what they do in Airflow, then run the command again; \
                --override DAG=\"reason\" accepts that the tasks of one DAG are killed";
    Some(if let Some(at_most) = parameters.wait {
        let on = format!("{all} to finish");
        Decision::Wait(Wait { on, poll: POLL, at_most, next: next.into(), ..Wait::default() })
    } else if verdict.blocking.is_empty() {
        let on = format!("the short run of {all} to finish");
        Decision::Wait(Wait {
            on,
            poll: POLL,
            at_most: service.short_wait.0,
            next: next.into(),
            refuse_after: true,
            ..Wait::default()
        })
    } else {
        Decision::Blocked(dag_rules::refusals(verdict))
    })
}

/// A finding with what the verdict shows, and what it allowed where nothing is in the way.
pub(super) fn finding(decision: Decision, verdict: &Verdict) -> Finding {
    let mut finding = Finding::new(decision);
    finding.evidence = dag_rules::evidence(verdict);
    if verdict.clear() {
        if verdict.waiting.is_empty() && verdict.overridden.is_empty() {
            finding.evidence.push(Evidence::verified("no DAG is running"));
        }
        finding.learned.push(Fact::DagsCleared(verdict.allowed()));
    }
    finding
}

/// A preview does not wait; it says that the run would.
pub(super) fn without_waiting(mut finding: Finding, instead: Decision) -> Finding {
    if let Decision::Wait(wait) = &finding.decision {
        let at_most = humantime::format_duration(wait.at_most);
        finding.evidence.push(Evidence::warning(format!("a run would wait up to {at_most} for {}", wait.on)));
        finding.decision = instead;
    }
    finding
}

/// Judges for a guard, which cannot wait as a step does: runs of seconds are given their time right here.
pub(super) async fn settled(look: &Look<'_>, service: &AirflowService) -> Result<Verdict, Trouble> {
    let clock = &look.readers.clock;
    let since = clock.now();
    let deadline = since.checked_add(clock.scaled(service.short_wait.0)).unwrap_or(jiff::Timestamp::MAX);
    loop {
        let verdict = judged(look.readers.airflow.as_ref(), service, look.parameters).await?;
        if verdict.short.is_empty() || !verdict.blocking.is_empty() || clock.now() >= deadline {
            return Ok(verdict);
        }
        let on = format!("the short run of {} to finish", dag_rules::names(&verdict.short));
        (look.emit)(Event::Waiting { step: look.step.to_owned(), on, since, deadline });
        clock.sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::dag_rules::{Reason, Running};

    fn running(dag: &str) -> Running {
        Running { dag: dag.into(), runs: 1, run: "r".into(), reason: Reason::Runs { state: "running".into() } }
    }

    fn service() -> AirflowService {
        serde_json::from_value(serde_json::json!({ "url": "http://127.0.0.1", "known_dag": ["k"] })).expect("service")
    }

    #[test]
    fn short_runs_are_waited_for_and_others_refused() {
        let short = Verdict { short: vec![running("healthcheck")], ..Verdict::default() };
        let both = Verdict { blocking: vec![running("flickr_workflow")], ..short.clone() };
        let parameters = Parameters::default();
        assert_eq!(in_the_way(&Verdict::default(), &service(), &parameters), None);
        let Some(Decision::Wait(wait)) = in_the_way(&short, &service(), &parameters) else { panic!("waits") };
        assert_eq!((wait.at_most, wait.refuse_after), (Duration::from_secs(120), true));
        assert_eq!(wait.on, "the short run of healthcheck to finish");
        let Some(Decision::Blocked(refusals)) = in_the_way(&both, &service(), &parameters) else { panic!("blocks") };
        assert_eq!(refusals.len(), 2);
    }

    #[test]
    fn with_wait_everything_is_waited_for() {
        let verdict = Verdict { blocking: vec![running("flickr_workflow")], ..Verdict::default() };
        let parameters = Parameters { wait: Some(Duration::from_secs(1800)), ..Parameters::default() };
        let Some(Decision::Wait(wait)) = in_the_way(&verdict, &service(), &parameters) else { panic!("waits") };
        assert_eq!((wait.at_most, wait.refuse_after), (Duration::from_secs(1800), false));
        let previewed = without_waiting(finding(Decision::Wait(wait), &verdict), Decision::Satisfied);
        assert_eq!(previewed.decision, Decision::Satisfied);
        assert_eq!(previewed.evidence[0].text, "a run would wait up to 30m for flickr_workflow to finish");
        assert!(previewed.learned.is_empty(), "nothing was cleared");
    }
}
