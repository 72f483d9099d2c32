//! The contract of a step: it looks, decides, acts, and is looked at again.
//!
//! `observe` gets readers only. `act` gets an [`Act`], whose one way to change the world is [`Act::change`]: intent,
//! fsync, effect, outcome, fsync. After `act` the engine observes again and goes on only when the step is satisfied.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::adapters::checkout::Tree;
use crate::adapters::process::LineSink;
use crate::adapters::{Cause, Readers, ServiceError, World, Writers};
use crate::event::{Ended, Event, Evidence, Question, Refusal, StepResult};
use crate::facts::{Approval, Check, Fact, FactKind, Facts, Held, Parameters, PastRun};
use crate::journal::DurableIntent;
use crate::plan::approval::{Authority, Consent};
use crate::runbook::Runbook;

/// How far the person (or the machine) wants the run to stop. Each level holds all lower ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    #[default]
    No,
    /// Ends waits at once; a change in progress is finished first.
    Soon,
    /// Asks the child at work to stop: exactly one SIGINT.
    Child,
}

/// Why a step did not get done.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The world is not as the step needs it. Nothing was attempted.
    #[error("{}", .0.iter().map(|refusal| refusal.what.as_str()).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Refusal>),
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A check got no answer, and no one has overridden it.
    #[error(transparent)]
    Missing(Box<Missing>),
    /// It was attempted and did not work.
    #[error("{what}")]
    Failed { what: String, next: String },
    /// It was attempted and nobody knows whether it took effect.
    #[error("{what}")]
    InDoubt { what: String, next: String },
    #[error("stopped")]
    Stopped,
    /// A person said no, or could not be asked.
    #[error("{what}")]
    NotApproved { what: String, next: String },
    /// Somebody else deploys.
    #[error("{what}")]
    Locked { what: String, next: String },
    /// The deadline of a wait passed; the thing may still come.
    #[error("{what}")]
    Deadline { what: String, next: String },
    /// The journal cannot be written: nothing may be changed any more.
    #[error("could not write the journal: {0}")]
    Journal(String),
}

impl Trouble {
    /// The failed request behind it, where asking again may help.
    pub fn passing(&self) -> Option<&ServiceError> {
        match self {
            Self::Service(error) => Some(error),
            Self::Missing(missing) => Some(&missing.error),
            _ => None,
        }
        .filter(|error| error.passing())
    }
}

/// An answer that a check needs and did not get.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Missing {
    pub check: Check,
    pub error: ServiceError,
    /// What it means to continue without it: whole sentences, for whoever decides.
    pub consequence: String,
}

impl Missing {
    /// Something answered, but not to this machine (credentials, a login page, a limit): the service may be healthy.
    pub fn hidden(&self) -> bool {
        !matches!(
            self.error.cause,
            Cause::Unreachable(_) | Cause::NoAnswer(_) | Cause::Broken { .. } | Cause::Failed(_)
        )
    }
}

/// What a step found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub decision: Decision,
    pub evidence: Vec<Evidence>,
    pub learned: Vec<Fact>,
}

impl Finding {
    pub fn new(decision: Decision) -> Self {
        Self { decision, evidence: Vec::new(), learned: Vec::new() }
    }
    pub fn satisfied(evidence: impl Into<String>) -> Self {
        Self::new(Decision::Satisfied).saw(Evidence::verified(evidence))
    }
    pub fn blocked(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Decision::Blocked(vec![Refusal { what: what.into(), next: next.into() }]))
    }
    #[must_use]
    pub fn saw(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }
    #[must_use]
    pub fn learned(mut self, fact: Fact) -> Self {
        self.learned.push(fact);
        self
    }
}

/// What follows from what was found.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// As wanted already.
    Satisfied,
    /// Something is to be changed. The question is asked where the step has a gate.
    Change(Question),
    /// Not yet; ask again.
    Wait(Wait),
    Blocked(Vec<Refusal>),
    /// Cannot be told, so a person must look.
    Unknown(Refusal),
    /// Deployed, but unwell: the run goes on to its end and exits 7.
    Unhealthy(String),
    /// Deployed, and it could not be told: exit 7 as well.
    Inconclusive(String),
    /// Deployed, and this end stays open: exit 7 as well.
    Unfinished(String),
    /// Only a person can see this. Never answered beforehand.
    Ask(Inquiry),
}

/// Something for a person to look at, and what each answer means.
#[derive(Debug, Clone, PartialEq)]
pub struct Inquiry {
    /// What to look at, where, and what for: one line each.
    pub instructions: Vec<String>,
    pub question: String,
    pub answers: Vec<(String, StepResult)>,
    /// Where no one is there to look.
    pub otherwise: StepResult,
}

/// How an effect that was in doubt turned out to have ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// It took effect; what is known by that.
    TookEffect(Vec<Fact>),
    /// It ended, and did some of it: no longer under way, and not undone either; what is known by that.
    InPart(Vec<Fact>),
    NoEffect,
    /// It took none, and what is there is somebody else's: nothing is owed for it. Whose, in a sentence.
    NotOurs(String),
    /// It is there, and cannot be told whether by this run or by somebody else: a person is asked by whom.
    OursOrTheirs(Refusal),
    /// Cannot be looked at now, and someone decided to continue without the answer: it stays in doubt.
    Unseen(Evidence),
    /// Still at work.
    UnderWay(Wait),
    /// Cannot be told, so a person is asked how it ended.
    Unknown(Refusal),
    /// Cannot be told before a person has mended something: there is nothing to be asked yet.
    Stuck(Refusal),
}

/// Something to wait for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wait {
    /// What is waited for, e.g. `ghcr.io to have rel-2024.08.22.20.53.01`.
    pub on: String,
    pub poll: Duration,
    /// Longest wait, counted from `from`. Runbook time.
    pub at_most: Duration,
    /// `None`: from the step's first look. Several steps that wait for the same thing share one deadline by sharing this.
    pub from: Option<jiff::Timestamp>,
    /// After the deploy the other steps are tried meanwhile.
    pub aside: bool,
    /// What to do when the deadline passes.
    pub next: String,
    /// Whether passing the deadline is a refusal (exit 3/1) instead of "still waiting" (exit 8).
    pub refuse_after: bool,
}

/// How a step's effect can be taken back; every kind declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// Changes nothing.
    Nothing,
    /// Takes obligations that it can give back.
    GivesBack,
    /// Cannot be taken back, and why.
    Never(&'static str),
}

/// What a step may look with.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// The step that looks.
    pub step: &'a str,
    /// The run's id.
    pub run: &'a str,
    pub readers: &'a Readers,
    pub runbook: &'a Runbook,
    pub parameters: &'a Parameters,
    pub facts: &'a Facts,
    /// The gates of this run that were answered with yes.
    pub approvals: &'a [Approval],
    /// Earlier runs of this runbook on this machine, oldest first.
    pub past: &'a [PastRun],
    /// What the run holds at this moment.
    pub held: &'a [Held],
    /// Steps with an effect whose end is not known.
    pub in_doubt: &'a [String],
    /// Effects of this step whose end is not known, oldest first, those that give back left out.
    pub open: &'a [String],
    /// A change that this run made at this step stands, by its journal. For what the world cannot tell.
    pub did: bool,
    /// A private directory of this run (0700) for plan files and children's output.
    pub workspace: &'a Path,
    /// Directories of the runs that this one has taken over, where their children left their traces; the newest first.
    pub adopted: &'a [PathBuf],
    /// When the run began (or the one that it has taken over), by this machine's clock.
    pub began: jiff::Timestamp,
    /// When the deploy ended, or this process began where that is later: all waits for what the deploy restarted count
    /// from here.
    pub restarted: jiff::Timestamp,
    /// When the step looked first, for its deadlines.
    pub since: jiff::Timestamp,
    pub emit: &'a (dyn Fn(Event) + Send + Sync),
    /// Turns a child's lines into `Output` events of this step.
    pub lines: &'a LineSink,
}

impl Look<'_> {
    pub fn saw(&self, evidence: Evidence) {
        (self.emit)(Event::Saw { step: self.step.to_owned(), evidence });
    }

    /// As [`without`], with what this run has overridden.
    ///
    /// # Errors
    /// [`Trouble::Missing`] where the check is not overridden.
    pub fn without(&self, check: Check, error: ServiceError, consequence: &str) -> Result<Evidence, Trouble> {
        without(self.parameters, check, error, consequence)
    }
}

/// What follows where `check` got no answer: evidence that someone decided to continue without it, or the reason to stop
/// here. `consequence` says what continuing means, in whole sentences.
///
/// # Errors
/// [`Trouble::Missing`] where the check is not overridden; the error itself where nothing was asked.
pub fn without(
    parameters: &Parameters,
    check: Check,
    error: ServiceError,
    consequence: &str,
) -> Result<Evidence, Trouble> {
    if matches!(error.cause, Cause::Refused(_)) {
        return Err(error.into());
    }
    match parameters.overridden(check) {
        Some(reason) => {
            // What was typed at the terminal names it already.
            let error = error.to_string();
            let seen = if reason.contains(&error) { String::new() } else { format!(": {error}") };
            Ok(Evidence::warning(format!("{check} is overridden ({reason}){seen}. {consequence}")))
        }
        None => Err(Trouble::Missing(Box::new(Missing { check, error, consequence: consequence.to_owned() }))),
    }
}

/// A change about to be made.
#[derive(Debug, Clone, Default)]
pub struct Effect {
    /// One sentence, e.g. `publish catalog-2024.08.22.20.53.01`.
    pub what: String,
    /// Obligations taken from this moment on.
    pub holds: Vec<Held>,
    /// Obligations that become permanent with this effect.
    pub keeps: Vec<String>,
}

impl Effect {
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }
}

/// Where intents and outcomes go; the engine's journal in a real run.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Durable before it returns. Also proves that the lock is still ours.
    async fn intend(&self, step: &str, effect: &Effect) -> Result<DurableIntent, Trouble>;
    fn ended(&self, intent: DurableIntent, ended: Ended) -> Result<(), Trouble>;
    fn learn(&self, step: &str, fact: Fact) -> Result<(), Trouble>;
    /// Has the step that took `held` give it back, and records how that ended.
    async fn give_back(&self, held: &Held) -> Result<Returned, Trouble>;
}

/// What a step may change with.
pub struct Act<'a> {
    pub look: Look<'a>,
    /// Turns true when the child at work should be asked to stop.
    pub stop: watch::Receiver<bool>,
    world: &'a World,
    ledger: &'a dyn Ledger,
    consent: &'a Consent,
}

impl<'a> Act<'a> {
    pub fn new(
        look: Look<'a>,
        stop: watch::Receiver<bool>,
        world: &'a World,
        ledger: &'a dyn Ledger,
        consent: &'a Consent,
    ) -> Self {
        Self { look, stop, world, ledger, consent }
    }

    /// Makes one change: intent, effect, outcome. A lost answer comes back as [`Trouble::InDoubt`]; whoever gets it
    /// observes, and never sends again.
    pub async fn change<T, F>(&self, effect: Effect, make: impl FnOnce(Writers) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, ServiceError>>,
    {
        let intent = self.ledger.intend(self.look.step, &effect).await?;
        let authority = Authority::grant(&intent, self.consent).ok_or_else(|| Trouble::Failed {
            what: format!("no approval covers: {}", effect.what),
            next: "report this as a bug: a step acted outside its approval".into(),
        })?;
        let made = make(self.world.writers(&authority)).await;
        match made {
            Ok(value) => {
                self.ledger.ended(intent, Ended::Done)?;
                Ok(value)
            }
            Err(error) if error.surely_refused() => {
                self.ledger.ended(intent, Ended::Refused { why: error.to_string() })?;
                Err(error.into())
            }
            Err(error) => {
                self.ledger.ended(intent, Ended::InDoubt { why: error.to_string() })?;
                Err(Trouble::InDoubt { what: format!("{}: {error}", effect.what), next: String::new() })
            }
        }
    }

    pub fn learn(&self, fact: Fact) -> Result<(), Trouble> {
        self.ledger.learn(self.look.step, fact)
    }

    /// Has an obligation of another step given back by its owner.
    pub async fn give_back(&self, held: &Held) -> Result<Returned, Trouble> {
        self.ledger.give_back(held).await
    }
}

/// How giving back one obligation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returned {
    /// As it was before; how, in a sentence.
    Back(String),
    /// Somebody else changed it since; left alone, and why.
    NotOurs(String),
    /// Must wait, and why (a DAG while an apply is in doubt).
    NotYet(String),
}

/// One kind of step.
#[async_trait]
pub trait Step: Send + Sync {
    /// Facts that must be known before it can look; it runs after the steps that give them.
    fn needs(&self) -> &'static [FactKind] {
        &[]
    }
    /// Facts it teaches.
    fn gives(&self) -> &'static [FactKind] {
        &[]
    }
    /// How its effect is taken back, or why it cannot be.
    fn undo(&self) -> Undo;

    /// What is not as usual between this step's change and its undoing, in a few words; for whoever decides to begin.
    fn holds(&self, _runbook: &Runbook, _parameters: &Parameters) -> Option<String> {
        None
    }

    /// Looks and decides. Called before the change, after it, while waiting, and on resume.
    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble>;

    /// Starts those reads of a preview that need no fact, side by side with the steps that teach the facts. Gives nothing
    /// back: the readers of a preview ask each question once, so `preview` is told what was read here, failures too.
    async fn foresee(&self, _look: Look<'_>) {}

    /// As `observe`, for a preview: what depends on earlier changes is tried in `scratch`.
    async fn preview(&self, look: Look<'_>, _scratch: &Arc<dyn Tree>) -> Result<Finding, Trouble> {
        self.observe(look).await
    }

    /// Looked at again after somebody's yes, for every earlier step: does what was true still hold?
    async fn guard(&self, _look: Look<'_>) -> Result<Vec<Refusal>, Trouble> {
        Ok(Vec::new())
    }

    /// Whether something that an earlier process started for this step is still running, and what to wait for.
    async fn under_way(&self, _look: Look<'_>) -> Result<Option<Wait>, Trouble> {
        Ok(None)
    }

    /// Finds out how an effect of this step ended that nobody wrote down. Asked before anything else is done on resume,
    /// and by `restore`, where nothing is to be decided.
    async fn settle(&self, look: Look<'_>) -> Result<Settled, Trouble> {
        let finding = self.observe(look).await?;
        Ok(match finding.decision {
            Decision::Satisfied | Decision::Unhealthy(_) | Decision::Inconclusive(_) | Decision::Unfinished(_) => {
                Settled::TookEffect(finding.learned)
            }
            Decision::Change(_) | Decision::Ask(_) => Settled::NoEffect,
            Decision::Wait(wait) => Settled::UnderWay(wait),
            Decision::Unknown(refusal) => Settled::Unknown(refusal),
            Decision::Blocked(refusals) => Settled::Stuck(Refusal {
                what: refusals.iter().map(|refusal| refusal.what.as_str()).collect::<Vec<_>>().join("; "),
                next: refusals.into_iter().next().map_or_else(String::new, |refusal| refusal.next),
            }),
        })
    }

    /// Makes the change. Only called after `observe` said [`Decision::Change`] and its gate, if any, was answered.
    async fn act(&self, act: Act<'_>, question: &Question) -> Result<(), Trouble>;

    /// Gives back one obligation that this step took: looks whether it is still ours, then undoes.
    async fn give_back(&self, _act: &Act<'_>, held: &Held) -> Result<Returned, Trouble> {
        Ok(Returned::NotOurs(format!("{held}: this step takes no obligations")))
    }
}
