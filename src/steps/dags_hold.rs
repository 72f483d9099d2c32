//! Right before the flag: judged again, refreshes that wait are paused, and read again *after* the pause.
//!
//! Pausing stops new tasks, never a running one, so a refresh may move on under us: it is unpaused and waited for. A DAG
//! that was paused before us is left alone, now and afterwards.

#[cfg(test)]
mod tests;
mod whose;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use sha2::{Digest, Sha256};

use self::whose::Whose;
use super::dag_rules::{self, Verdict};
use super::dags_clear::{self, POLL};
use super::infrastructure::held_at;
use crate::adapters::airflow::{AirflowRead, Dag};
use crate::adapters::checkout::{Location, Tree};
use crate::adapters::{Cause, ServiceError, Writers};
use crate::event::{Evidence, Question, Refusal, Strength};
use crate::facts::{Check, FactKind, Held, Parameters, Place, Thing};
use crate::runbook::Runbook;
use crate::runbook::schema::AirflowService;
use crate::step::{Act, Decision, Effect, Finding, Look, Returned, Settled, Step, Trouble, Undo, Wait};

/// A refresh is between two sensors for minutes.
const MOVED_ON_WAIT: Duration = Duration::from_secs(600);

/// `kind = "dags-hold"`.
#[derive(Debug, Default)]
pub struct DagsHold {
    /// Refreshes that moved on although they were paused, and were given back by this process.
    moved_on: Mutex<BTreeSet<String>>,
}

impl DagsHold {
    pub fn new() -> Self {
        Self::default()
    }

    fn moved_on(&self) -> BTreeSet<String> {
        self.moved_on.lock().map(|set| set.clone()).unwrap_or_default()
    }

    /// Gives back the DAGs of `ours` that are in the way: they moved on although they were paused.
    async fn release(&self, act: &Act<'_>, ours: &[Held], verdict: &Verdict) -> Result<bool, Trouble> {
        let mut any = false;
        for held in ours {
            let Some(dag) = paused_dag(held).filter(|dag| verdict.blocks(dag)) else { continue };
            any = true;
            act.look.saw(Evidence::warning(format!("{dag} moved on although it was paused: it is to be unpaused")));
            match act.give_back(held).await? {
                Returned::Back(_) => {
                    if let Ok(mut moved_on) = self.moved_on.lock() {
                        moved_on.insert(dag.to_owned());
                    }
                }
                Returned::NotOurs(why) => act.look.saw(Evidence::warning(why)),
                Returned::NotYet(why) => {
                    let what = format!("could not unpause {dag}: {why}");
                    return Err(Trouble::Failed {
                        what,
                        next: "look at it in Airflow, then `catalog-deploy resume`".into(),
                    });
                }
            }
        }
        Ok(any)
    }
}

/// One look: the judgement, and which of the waiting refreshes are paused.
#[derive(Debug, Default)]
struct Seen {
    verdict: Verdict,
    paused: BTreeMap<String, bool>,
}

impl Seen {
    fn to_pause(&self) -> Vec<String> {
        let unpaused = |dag: &&str| self.paused.get(*dag) != Some(&true);
        self.verdict.waiting.iter().map(|it| it.dag.as_str()).filter(unpaused).map(str::to_owned).collect()
    }
}

/// Where all refreshes that wait are paused, the tasks are read once more: the first reading may be older than the pause.
async fn see(airflow: &dyn AirflowRead, service: &AirflowService, parameters: &Parameters) -> Result<Seen, Trouble> {
    let verdict = dags_clear::judged(airflow, service, parameters).await?;
    let dags = try_join_all(verdict.waiting.iter().map(|it| airflow.dag(&it.dag))).await?;
    let paused = dags.into_iter().map(|dag: Dag| (dag.dag_id, dag.is_paused)).collect();
    let mut seen = Seen { verdict, paused };
    if !seen.verdict.waiting.is_empty() && seen.to_pause().is_empty() {
        seen.verdict = dags_clear::judged(airflow, service, parameters).await?;
    }
    Ok(seen)
}

/// What follows. `ours` are the DAGs that this run holds paused, `moved_on` those it had to give back.
fn decide(
    step: &str,
    seen: &Seen,
    ours: &[&str],
    moved_on: &BTreeSet<String>,
    service: &AirflowService,
    parameters: &Parameters,
) -> Decision {
    let verdict = &seen.verdict;
    let release: Vec<String> = ours.iter().filter(|dag| verdict.blocks(dag)).map(|dag| (*dag).to_owned()).collect();
    if !release.is_empty() {
        let what = |dag: &String| format!("unpause {dag}: it moved on and no longer waits");
        return Decision::Change(question(step, "Unpause refreshes that moved on", &release, what));
    }
    if let Some(decision) = dags_clear::in_the_way(verdict, service, parameters) {
        let refresh_only = verdict.blocking.iter().all(|it| moved_on.contains(&it.dag));
        if refresh_only && matches!(decision, Decision::Blocked(_)) {
            return Decision::Wait(Wait {
                on: format!("{} to finish, or to wait on a sensor again", dag_rules::names(&verdict.blocking)),
                poll: POLL,
                at_most: MOVED_ON_WAIT,
                next: "run `catalog-deploy resume` once it waits on its sensor again".into(),
                refuse_after: true,
                ..Wait::default()
            });
        }
        return decision;
    }
    let pause = seen.to_pause();
    if pause.is_empty() {
        return Decision::Satisfied;
    }
    let what = |dag: &String| format!("pause {dag} until the new scheduler beats");
    Decision::Change(question(step, "Pause the refreshes that wait", &pause, what))
}

fn question(step: &str, title: &str, dags: &[String], what: impl Fn(&String) -> String) -> Question {
    let mut sorted = dags.to_vec();
    sorted.sort();
    let digest = Sha256::digest(sorted.join("\n"));
    Question {
        gate: step.to_owned(),
        title: title.to_owned(),
        summary: sorted.iter().map(what).collect(),
        digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        expected: true,
        strength: Strength::Yes,
        details: None,
    }
}

#[async_trait]
impl Step for DagsHold {
    fn gives(&self) -> &'static [FactKind] {
        &[FactKind::DagsCleared]
    }

    fn undo(&self) -> Undo {
        Undo::GivesBack
    }

    fn holds(&self, _: &Runbook, parameters: &Parameters) -> Option<String> {
        let seen = parameters.overridden(Check::Airflow).is_none();
        seen.then(|| "the refreshes that wait then, paused".into())
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        if look.facts.applied.is_some() {
            return Ok(Finding::satisfied("applied already: there is nothing left to hold for"));
        }
        let service = dags_clear::airflow(&look)?;
        let airflow = look.readers.airflow.as_ref();
        let (visible, seen) =
            tokio::join!(dags_clear::visible(airflow, service), see(airflow, service, look.parameters));
        let seen = match dags_clear::answered(&look, seen)? {
            Ok(seen) => seen,
            Err(evidence) => return Ok(dags_clear::not_checked(evidence)),
        };
        let blind = dags_clear::answered(&look, visible)?.err();
        let ours: Vec<&str> = own(&look).filter_map(paused_dag).collect();
        let decision = decide(look.step, &seen, &ours, &self.moved_on(), service, look.parameters);
        let mut finding = dags_clear::finding(decision, &seen.verdict);
        finding.evidence.extend(blind);
        if matches!(finding.decision, Decision::Satisfied) {
            finding.evidence.extend(seen.verdict.waiting.iter().map(|it| {
                let whose = if ours.contains(&it.dag.as_str()) {
                    "is paused by this run"
                } else {
                    "is paused by somebody else and stays so"
                };
                Evidence::verified(format!("{} {whose}; its tasks, read again since, still wait", it.dag))
            }));
        }
        Ok(finding)
    }

    async fn preview(&self, look: Look<'_>, _scratch: &std::sync::Arc<dyn Tree>) -> Result<Finding, Trouble> {
        let mut finding = dags_clear::without_waiting(self.observe(look).await?, Decision::Satisfied);
        if let Decision::Change(question) = &finding.decision {
            finding.evidence.extend(question.summary.iter().map(Evidence::predicted));
        }
        finding.evidence.push(Evidence::not_previewable("which DAGs run right before the apply is judged again then"));
        Ok(finding)
    }

    async fn guard(&self, look: Look<'_>) -> Result<Vec<Refusal>, Trouble> {
        if look.facts.applied.is_some() {
            return Ok(Vec::new());
        }
        let service = dags_clear::airflow(&look)?;
        let read = async {
            let verdict = dags_clear::settled(&look, service).await?;
            let dags = try_join_all(verdict.waiting.iter().map(|it| look.readers.airflow.dag(&it.dag))).await?;
            Ok((verdict, dags))
        };
        let Ok((verdict, dags)) = dags_clear::answered(&look, read.await)? else { return Ok(Vec::new()) };
        let mut refusals = dag_rules::refusals(&verdict);
        refusals.extend(dags.into_iter().filter(|dag| !dag.is_paused).map(|dag| Refusal {
            what: format!("{} waits on a sensor but is not paused: it started, or was unpaused, meanwhile", dag.dag_id),
            next: "`catalog-deploy resume` judges again and pauses it".into(),
        }));
        Ok(refusals)
    }

    async fn act(&self, act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        let look = act.look;
        let service = dags_clear::airflow(&look)?;
        let airflow = look.readers.airflow.as_ref();
        let mut ours: Vec<Held> = own(&look).cloned().collect();
        let Ok(seen) = dags_clear::answered(&look, see(airflow, service, look.parameters).await)? else {
            return Ok(());
        };
        // What moved on, or anything else that is in the way, first: nothing is paused for a deploy that cannot be.
        if self.release(&act, &ours, &seen.verdict).await? || !seen.verdict.clear() {
            return Ok(());
        }
        for dag in seen.to_pause() {
            let now = airflow.dag(&dag).await.map_err(Trouble::from);
            let Ok(now) = dags_clear::answered(&look, now)? else { return Ok(()) };
            if now.is_paused {
                look.saw(Evidence::verified(format!("{dag} was paused by somebody else just now: it stays theirs")));
                continue;
            }
            let held = Held {
                id: format!("{}/{dag}", look.step),
                step: look.step.to_owned(),
                thing: Thing::PausedDag { dag: dag.clone() },
                place: Place::World,
            };
            let effect = Effect { holds: vec![held.clone()], ..Effect::new(format!("pause DAG {dag}")) };
            let made = act.change(effect, |writers| set_paused(writers, dag, true)).await;
            // Surely not paused. (A lost answer is no error of this kind: it is looked up.)
            let Ok(()) = dags_clear::answered(&look, made)? else { return Ok(()) };
            ours.push(held);
        }
        // The safe order: paused, and only now are the tasks that count read.
        let verdict = dags_clear::judged(airflow, service, look.parameters).await;
        let Ok(verdict) = dags_clear::answered(&look, verdict)? else { return Ok(()) };
        self.release(&act, &ours, &verdict).await?;
        Ok(())
    }

    /// Pauses are made one after the other, and a lost answer ends them: the one in doubt is the last that was begun.
    async fn settle(&self, look: Look<'_>) -> Result<Settled, Trouble> {
        let Some(dag) = own(&look).filter_map(paused_dag).last() else { return Ok(Settled::NoEffect) };
        match look.readers.airflow.dag(dag).await {
            Ok(now) if now.is_paused => Ok(match whose_pause(&look, dag).await {
                Whose::Ours => Settled::TookEffect(Vec::new()),
                Whose::Theirs(told) => Settled::NotOurs(told),
                Whose::Unknown(why) => Settled::OursOrTheirs(Refusal {
                    what: format!("{dag} is paused, and Airflow does not tell whether by this run; {why}"),
                    next: format!("find out who paused {dag}"),
                }),
            }),
            Ok(_) => Ok(Settled::NoEffect),
            // Gone, or hidden: that is judged when it is given back.
            Err(error) if error.not_found() => Ok(Settled::NoEffect),
            Err(error) if look.parameters.overridden(Check::Airflow).is_some() => {
                Ok(Settled::Unseen(Evidence::warning(format!("{error}: whether {dag} is paused is found out later"))))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn give_back(&self, act: &Act<'_>, held: &Held) -> Result<Returned, Trouble> {
        let Some(dag) = paused_dag(held) else {
            return Ok(Returned::NotOurs(format!("{held}: this step only pauses DAGs")));
        };
        let look = &act.look;
        if let Some(step) = unsettled(look.in_doubt, held) {
            return Ok(Returned::NotYet(format!(
                "it is not known how step {step} ended, and an apply may still be under way"
            )));
        }
        if let Some(flag) = flag_held(look) {
            return Ok(Returned::NotYet(format!("{flag} comes first, and could not be given back")));
        }
        match look.readers.airflow.dag(dag).await {
            Ok(now) if !now.is_paused => return Ok(Returned::Back(format!("{dag} is not paused"))),
            Ok(_) => match whose_pause(look, dag).await {
                Whose::Theirs(told) => return Ok(Returned::NotOurs(told)),
                // A person did not know, or was not there to be asked.
                Whose::Unknown(why) if !look.open.is_empty() && own(look).last() == Some(held) => {
                    return Ok(Returned::NotYet(format!("it is not known whether this run paused it; {why}")));
                }
                // The journal has its word for it.
                Whose::Ours | Whose::Unknown(_) => {}
            },
            Err(error) if error.not_found() => {
                // Gone, or hidden from a weak account? Only the first ends what is owed.
                dags_clear::visible(look.readers.airflow.as_ref(), dags_clear::airflow(look)?).await?;
                return Ok(Returned::NotOurs(format!("Airflow has no DAG {dag} any more")));
            }
            Err(error) => return Err(error.into()),
        }
        let name = dag.to_owned();
        act.change(Effect::new(format!("unpause DAG {dag}")), |writers| set_paused(writers, name, false)).await?;
        Ok(Returned::Back(format!("{dag} is unpaused again")))
    }
}

/// The log is a help, so that whatever it is that keeps it from us is no more than not knowing.
async fn whose_pause(look: &Look<'_>, dag: &str) -> Whose {
    match look.readers.airflow.pause_log(dag).await {
        Ok(entries) => whose::judge(dag, &entries, look.began),
        Err(error) => Whose::Unknown(format!("its audit log cannot be read: {error}")),
    }
}

/// Sets the value and believes only the server's own word for it.
async fn set_paused(writers: Writers, dag: String, paused: bool) -> Result<(), ServiceError> {
    let now = writers.airflow.set_paused(&dag, paused).await?;
    if now.is_paused == paused {
        return Ok(());
    }
    let cause = Cause::Malformed(format!("is_paused is still {} after it was set to {paused}", now.is_paused));
    Err(ServiceError::new("Airflow", format!("PATCH DAG {dag}"), cause))
}

/// A step other than the one that took `held` whose effect may still be under way.
fn unsettled<'a>(in_doubt: &'a [String], held: &Held) -> Option<&'a String> {
    in_doubt.iter().find(|step| **step != held.step)
}

/// The flag of this checkout, where it is not back yet: while it says that no DAG runs, none may start.
fn flag_held<'a>(look: &Look<'a>) -> Option<&'a Held> {
    let flag = look.runbook.infrastructure.as_ref()?.flag.as_ref()?;
    held_at(look, &Location::from(flag))
}

fn own<'a>(look: &Look<'a>) -> impl Iterator<Item = &'a Held> + use<'a> {
    let (held, step) = (look.held, look.step);
    held.iter().filter(move |held| held.step == step)
}

fn paused_dag(held: &Held) -> Option<&str> {
    match &held.thing {
        Thing::PausedDag { dag } => Some(dag),
        _ => None,
    }
}
