//! Plans, asks, applies; and after anything but a clear answer, finds out by planning again whether it took effect.

mod carry_out;
pub mod plan_judgement;
mod question;
pub mod resolve;
mod terraform_says;
#[cfg(test)]
mod tests;
pub mod traces;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use self::carry_out::{carry_out, in_words};
use self::plan_judgement::{Judgement, judge_plan};
use self::question::{Asked, Binding, binding, crosses_airflow_version, question};
use self::resolve::{Approved, never_converges, remember_approved, whole};
pub use self::resolve::{Landed, landed};
use self::terraform_says::plan_failed;
use self::traces::latest_traces;
use super::infrastructure::{deploy_attributes, held_at, infrastructure, literal, refused, target};
use super::transcript::Transcript;
use crate::adapters::checkout::{Location, Plan, Planned, Tree};
use crate::adapters::process::{Exit, LineSink};
use crate::adapters::{Cause, ServiceError};
use crate::event::{Evidence, Question, Refusal};
use crate::facts::{AppliedFact, Check, Fact, FactKind};
use crate::plan::digest::digest;
use crate::step::{Act, Decision, Effect, Finding, Look, Settled, Step, Trouble, Undo, Wait};

/// How long one look waits for an earlier process' apply before it is reported as a wait.
const GLANCE: Duration = Duration::from_secs(2);

/// Longest time that an apply of an earlier process is waited for.
const ORPHAN: Duration = Duration::from_secs(2 * 60 * 60);

pub struct Apply {
    needs: &'static [FactKind],
    /// The plan behind the question that was asked last.
    ready: Mutex<Option<Ready>>,
}

/// A plan that waits for its yes.
#[derive(Debug, Clone)]
struct Ready {
    /// The question's digest.
    digest: String,
    plan: Plan,
    file: PathBuf,
    binding: Binding,
    /// The runbook's command, without the plan file.
    apply: Vec<String>,
}

/// What it means to apply without the run lock what Terraform plans anew by itself.
const UNBOUND: &str = "the check `lock` is overridden, and this apply is not bound to the plan that was shown: someone \
                       else may deploy in between";

impl Apply {
    /// Which of the two edits that a plan depends on the runbook makes in earlier steps.
    pub fn new(after_bump: bool, after_flag: bool) -> Self {
        let needs: &'static [FactKind] = match (after_bump, after_flag) {
            (true, true) => &[FactKind::Target, FactKind::Bumped, FactKind::FlagSet],
            (true, false) => &[FactKind::Target, FactKind::Bumped],
            (false, true) => &[FactKind::Target, FactKind::FlagSet],
            (false, false) => &[FactKind::Target],
        };
        Self { needs, ready: Mutex::new(None) }
    }

    /// Plans in `scratch`, or in the checkout itself, and judges the plan.
    async fn decide(&self, look: Look<'_>, scratch: Option<&Arc<dyn Tree>>) -> Result<Finding, Trouble> {
        let infrastructure = infrastructure(&look)?;
        let target = target(&look)?;
        // Before the plan: what changes while Terraform plans must not pass for approved.
        let fingerprint = fingerprint(&look, scratch).await?;
        if scratch.is_none() && self.needs.contains(&FactKind::Bumped) {
            bumped(&look, &fingerprint)?;
        }
        let (transcript, lines) = Transcript::over(look.lines);
        let name = if scratch.is_some() { "preview" } else { "plan" };
        let file = look.workspace.join(format!("{}.{name}.tfplan", look.step));
        let checkout = &look.readers.checkout;
        let planned = match scratch {
            Some(tree) => tree.plan(&infrastructure.plan, &file, lines).await?,
            None => checkout.plan(&infrastructure.plan, &file, lines).await?,
        };
        let plan = match planned {
            Planned::Ready(plan) => plan,
            Planned::Failed { code, tail } => return blocked(plan_failed(code, &whole(&transcript, &tail))),
        };
        let judgement = judge_plan(&plan, infrastructure);
        if judgement.nothing() {
            return Ok(nothing_to_do(&look, &judgement, &plan, scratch.is_some()).await);
        }
        let arguments = checkout.arguments(&infrastructure.apply).await?;
        let program = infrastructure.apply.first().map_or("", String::as_str);
        let binding = binding(infrastructure.apply_with, arguments, program);
        if let Some(refusal) = unbound(&look, binding) {
            return Ok(Finding::new(Decision::Blocked(vec![refusal])));
        }
        let digest = bound_to(&plan, &fingerprint, &target.tag, target.predicted, binding);
        let details = write_details(&look, &file, &transcript, scratch.is_some()).await;
        let rollback = look.parameters.tag.is_some();
        let asked = question(Asked {
            step: look.step,
            environment: &look.runbook.environment,
            tag: &target.tag,
            running: look.facts.running.as_ref().map(|running| running.tag.as_str()),
            judgement: &judgement,
            binding,
            crossing: crosses_airflow_version(look.facts, rollback),
            rollback,
            overrides: &look.parameters.overrides,
            digest: digest.clone(),
            details: details.map(|file| file.display().to_string()),
        });
        if scratch.is_none() {
            *self.ready.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(Ready { digest, plan, file, binding, apply: infrastructure.apply.clone() });
        }
        Ok(Finding::new(Decision::Change(asked)))
    }
}

/// Why an apply may not be made that nothing binds to the plan, where the run lock does not protect it either.
fn unbound(look: &Look<'_>, binding: Binding) -> Option<Refusal> {
    let unprotected = binding == Binding::Terminal && look.parameters.overridden(Check::Lock).is_some();
    unprotected.then(|| Refusal {
        what: UNBOUND.into(),
        next: "wait until the infrastructure remote answers, or let the apply recipe take a plan file".into(),
    })
}

/// The checkout as a yes is bound to it: HEAD and tracked files but for the deploy's two attributes, and the version.
async fn fingerprint(look: &Look<'_>, scratch: Option<&Arc<dyn Tree>>) -> Result<[String; 2], Trouble> {
    let infrastructure = infrastructure(look)?;
    let checkout = &look.readers.checkout;
    let version = Location::from(&infrastructure.version);
    let literal = match scratch {
        Some(tree) => tree.attribute(&version).await?.literal,
        None => checkout.attribute(&version).await?.literal,
    };
    Ok([checkout.fingerprint(&deploy_attributes(infrastructure)).await?, literal])
}

/// The version that a step of this run set still stands: without it a plan finds nothing to do, and would pass for a
/// deploy that was not needed.
fn bumped(look: &Look<'_>, [_, version]: &[String; 2]) -> Result<(), Trouble> {
    let wanted = literal(&target(look)?.tag)?;
    if *version == wanted {
        return Ok(());
    }
    let attribute = &infrastructure(look)?.version.attribute;
    Err(refused(
        format!("{attribute} is {version} by now, not {wanted}"),
        "somebody set it back meanwhile: find out why, then `catalog-deploy restore` and begin anew",
    ))
}

/// A plan of a tag that does not exist yet has another digest than any real one.
fn bound_to(plan: &Plan, fingerprint: &[String; 2], tag: &str, predicted: bool, binding: Binding) -> String {
    let [files, version] = fingerprint;
    let certainty = if predicted { "predicted" } else { "verified" };
    let bound = if binding == Binding::PlanFile { "plan file" } else { "terminal" };
    digest(&[plan.digest.as_str(), files, version, tag, certainty, bound])
}

fn blocked(trouble: Trouble) -> Result<Finding, Trouble> {
    match trouble {
        Trouble::Refused(refusals) => Ok(Finding::new(Decision::Blocked(refusals))),
        other => Err(other),
    }
}

async fn nothing_to_do(look: &Look<'_>, judgement: &Judgement, plan: &Plan, preview: bool) -> Finding {
    let target = look.facts.target.as_ref();
    let label = if target.is_some_and(|target| target.predicted) { Evidence::predicted } else { Evidence::verified };
    let mut finding = Finding::new(Decision::Satisfied).saw(label(format!(
        "nothing would change (Terraform {}): no service deployment is needed",
        plan.terraform_version
    )));
    finding.evidence.extend(judgement.concerns.iter().map(Evidence::warning));
    // Nobody restarts, so a preview needs no clock of Airflow's.
    let skew = if preview { None } else { skew(look).await };
    finding.learned(applied(look.readers.clock.now(), false, skew, None))
}

fn applied(ended_at: Timestamp, changed: bool, skew: Option<i64>, unverified: Option<String>) -> Fact {
    let airflow_clock_skew_ms = skew.unwrap_or_default();
    Fact::Applied(AppliedFact { ended_at, airflow_clock_skew_ms, changed, unverified })
}

/// Airflow's clock minus ours in milliseconds, by the middle of one request; `None` where it cannot be asked.
async fn skew(look: &Look<'_>) -> Option<i64> {
    look.runbook.airflow.as_ref()?;
    let sent = look.readers.clock.now().as_millisecond();
    let health = tokio::time::timeout(Duration::from_secs(5), look.readers.airflow.health()).await.ok()?.ok()?;
    let answered = look.readers.clock.now().as_millisecond();
    Some(health.server_time?.as_millisecond() - i64::midpoint(sent, answered))
}

/// The whole plan as people read it. Best effort: the question stands without it.
async fn write_details(look: &Look<'_>, plan_file: &Path, transcript: &Transcript, preview: bool) -> Option<PathBuf> {
    let directory = &look.runbook.infrastructure.as_ref()?.directory;
    let mut text = None;
    if !preview {
        let argv = ["terraform", &format!("-chdir={directory}"), "show", "-no-color", plan_file.to_str()?];
        let shown = look.readers.checkout.output(&argv.map(str::to_owned)).await;
        text = shown.ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    }
    let text = text.unwrap_or_else(|| console::strip_ansi_codes(&transcript.text()).into_owned());
    let file = look.workspace.join(format!("{}.plan.txt", look.step));
    std::fs::write(&file, text).ok()?;
    Some(file)
}

/// An apply whose session ended in the middle leaves the state it could not write.
async fn errored_state(look: &Look<'_>) -> Result<Option<Refusal>, Trouble> {
    let file = super::checkout_ready::errored_state_file(&infrastructure(look)?.directory);
    match look.readers.checkout.read(&file).await {
        Ok(_) => Ok(Some(super::checkout_ready::errored_state_refusal(&infrastructure(look)?.directory))),
        Err(error) if error.not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How a child of an earlier process ended; `Err` with what to wait for while it still runs. `None` where there was none,
/// or it left no exit code.
async fn child(look: &Look<'_>) -> Result<Result<Option<Exit>, Wait>, Trouble> {
    let Some(traces) = latest_traces(look.workspace, look.step) else { return Ok(Ok(None)) };
    // Its lines were shown, or kept, by the process that started it.
    let quiet: LineSink = Arc::new(|_: &str| ());
    match tokio::time::timeout(GLANCE, look.readers.commands.wait_recorded(&traces, quiet)).await {
        Ok(ended) => Ok(Ok(ended?)),
        Err(_) => Ok(Err(Wait {
            on: "the apply that an earlier process of this run started to end".into(),
            poll: Duration::from_secs(5),
            at_most: ORPHAN,
            next: format!("look at {}, then `catalog-deploy resume`", traces.output.display()),
            ..Wait::default()
        })),
    }
}

#[async_trait]
impl Step for Apply {
    fn needs(&self) -> &'static [FactKind] {
        self.needs
    }
    fn gives(&self) -> &'static [FactKind] {
        &[FactKind::Applied]
    }
    fn undo(&self) -> Undo {
        Undo::Never("production runs the new version; deploy the earlier tag with --tag to go back")
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        if let Some(applied) = &look.facts.applied {
            let what = if applied.changed { "applied" } else { "nothing to apply" };
            return Ok(Finding::satisfied(format!("{what} at {}", applied.ended_at.strftime("%Y-%m-%d %H:%M:%S UTC"))));
        }
        if let Some(refusal) = errored_state(&look).await? {
            return Ok(Finding::new(Decision::Blocked(vec![refusal])));
        }
        self.decide(look, None).await
    }

    async fn under_way(&self, look: Look<'_>) -> Result<Option<Wait>, Trouble> {
        Ok(child(&look).await?.err())
    }

    /// Needs no plan to approve, so it works with the flag false as well.
    async fn settle(&self, look: Look<'_>) -> Result<Settled, Trouble> {
        let exit = match child(&look).await? {
            Ok(exit) => exit,
            Err(wait) => return Ok(Settled::UnderWay(wait)),
        };
        if let Some(refusal) = errored_state(&look).await? {
            return Ok(Settled::Stuck(refusal));
        }
        let succeeded = exit == Some(Exit::Code(0));
        let landed = match landed(look, succeeded).await {
            // Terraform itself reported success, and nothing can be found against it: as right after the apply.
            Err(trouble) if succeeded && trouble.passing().is_none() => {
                let unverified = Some(trouble.to_string());
                let fact = applied(look.readers.clock.now(), true, skew(&look).await, unverified);
                return Ok(Settled::TookEffect(vec![fact]));
            }
            landed => landed?,
        };
        Ok(match landed {
            Landed::Yes { remains } => {
                let found = if remains.is_empty() { "nothing left to do" } else { "nothing of what was approved" };
                look.saw(Evidence::verified(format!("a plan finds {found}: the apply took effect")));
                remains.iter().for_each(|line| look.saw(never_converges(line)));
                Settled::TookEffect(vec![applied(look.readers.clock.now(), true, skew(&look).await, None)])
            }
            Landed::No(shown) => {
                look.saw(Evidence::verified(format!("the earlier apply took no effect: {shown}")));
                Settled::NoEffect
            }
            Landed::Partly { left } => {
                let left = left.join(", ");
                let text = format!("the earlier apply did not take effect completely; left: {left}");
                look.saw(Evidence::warning(text));
                Settled::InPart(vec![Fact::AppliedInPart])
            }
        })
    }

    /// Plans in the copy, where the version is bumped and the flag true; takes no state lock.
    async fn preview(&self, look: Look<'_>, scratch: &Arc<dyn Tree>) -> Result<Finding, Trouble> {
        let mut finding = self.decide(look, Some(scratch)).await?;
        if let Some(refusal) = errored_state(&look).await? {
            finding.decision = Decision::Blocked(vec![refusal]);
        }
        if let Decision::Change(question) = &finding.decision {
            let predicted = look.facts.target.as_ref().is_some_and(|target| target.predicted);
            let label = if predicted { Evidence::predicted } else { Evidence::verified };
            let lines = question.summary.iter().map(|line| {
                let stands_out = ["NOT EXPECTED", "ATTENTION", "not bound"].iter().any(|mark| line.starts_with(mark));
                if stands_out { Evidence::warning(line) } else { label(line.clone()) }
            });
            finding.evidence.extend(lines);
        }
        Ok(finding)
    }

    async fn act(&self, act: Act<'_>, question: &Question) -> Result<(), Trouble> {
        let look = act.look;
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(ready) = ready.filter(|ready| ready.digest == question.digest) else {
            return Err(refused(
                "the plan on the disk is not the one that was approved",
                "run it again for a new plan",
            ));
        };
        let (approved, skew_before, serial) =
            tokio::join!(still_approved(&look, &ready), skew(&look), resolve::serial(&look));
        approved?;
        remember_approved(&look, &Approved { plan: ready.plan.clone(), serial })?;
        let infrastructure = infrastructure(&look)?;
        let version = Location::from(&infrastructure.version);
        let effect = Effect {
            what: format!("apply {} to {}", target(&look)?.tag, look.runbook.environment),
            holds: Vec::new(),
            keeps: held_at(&look, &version).map(|held| held.id.clone()).into_iter().collect(),
        };
        let partly = Mutex::new(None);
        // Learned before the outcome is written: a crash in between leaves an effect in doubt that is known to have landed,
        // never a landed apply that nobody knows of.
        let made = act
            .change(effect, async |writers| {
                let done = carry_out(&act, writers, &ready, &partly).await?;
                let skew = match skew_before {
                    Some(skew) => Some(skew),
                    None => skew(&look).await,
                };
                act.learn(applied(done.ended_at, true, skew, done.unverified))
                    .map_err(|error| ServiceError::new("journal", "apply", Cause::Failed(error.to_string())))
            })
            .await;
        made.map_err(|trouble| in_words(trouble, partly.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// What was approved is what is applied: nothing in the checkout has moved since the plan, and the flag is true.
async fn still_approved(look: &Look<'_>, ready: &Ready) -> Result<(), Trouble> {
    if let Some(refusal) = unbound(look, ready.binding) {
        return Err(Trouble::Refused(vec![refusal]));
    }
    let target = target(look)?;
    let now = bound_to(&ready.plan, &fingerprint(look, None).await?, &target.tag, target.predicted, ready.binding);
    if now != ready.digest {
        return Err(refused(
            "the checkout has changed since the plan was made",
            "look at `git status` and `git diff` there, then `catalog-deploy resume` for a new plan",
        ));
    }
    let Some(flag) = infrastructure(look)?.flag.as_ref() else { return Ok(()) };
    let found = look.readers.checkout.attribute(&Location::from(flag)).await?;
    if found.literal == "true" {
        return Ok(());
    }
    Err(refused(
        format!("{} is {} by now ({}:{})", flag.attribute, found.literal, flag.file, found.line),
        "somebody set it back meanwhile: find out why, then `catalog-deploy resume`",
    ))
}
