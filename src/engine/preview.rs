//! A dry run: every step looks, side by side where one does not need what another learns, and nothing is changed.
//!
//! A [`Preview`] holds readers. There is no journal, no lock and no authority in it, so no path leads to a writer.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::join_all;
use tokio::sync::OnceCell;

use crate::adapters::checkout::{Attribute, CheckoutRead, Location, Planned, Tree};
use crate::adapters::process::LineSink;
use crate::adapters::{Readers, ServiceError};
use crate::event::{Adoption, Event, Evidence, Question, Refusal, Stamped, StepResult};
use crate::facts::{Check, Facts, Parameters, PastRun};
use crate::journal::status::LOCK_STEP;
use crate::plan::{Plan, PlannedStep};
use crate::report::Sink;
use crate::runbook::Runbook;
use crate::step::{Decision, Finding, Look, Trouble, Undo, without};

use super::lock::{WITHOUT, age, locked};
use super::outcome::{missing_refusal, step_result};
use super::{Outcome, StopSignal};

/// Everything a dry run has.
pub struct Preview<'a> {
    pub readers: &'a Readers,
    pub runbook: &'a Runbook,
    /// The runbook's name, for the commands that a person is told.
    pub name: &'a str,
    pub plan: &'a Plan,
    pub parameters: &'a Parameters,
    /// A private directory that is removed afterwards.
    pub workspace: PathBuf,
    /// Where the text of the plan stays readable when the preview is over; replaced by the next one's.
    pub plan_text: PathBuf,
    pub stop: &'a StopSignal,
    /// What stands in the way before any step looks (an open run).
    pub refusals: Vec<Refusal>,
    /// What a run would take over.
    pub adoption: Option<Adoption>,
    /// Earlier runs of this runbook on this machine, oldest first.
    pub past: Vec<PastRun>,
}

/// What the steps of a preview share.
struct Board {
    facts: Facts,
    troubles: Vec<(usize, Trouble)>,
    /// Steps that could not be looked at to the end, and the step that is in the way.
    stuck: BTreeMap<String, String>,
    would_change: bool,
    sink: Box<dyn Sink>,
}

type Shared = Arc<Mutex<Board>>;

fn board(shared: &Shared) -> MutexGuard<'_, Board> {
    // Plain data: a panic elsewhere leaves nothing half-done in it.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Preview<'_> {
    /// Looks at everything and tells it to `sink`, which gets the list of steps in `start` first.
    pub async fn look(&self, start: Event, sink: Box<dyn Sink>) -> Outcome {
        let shared: Shared = Arc::new(Mutex::new(Board {
            facts: Facts::default(),
            troubles: Vec::new(),
            stuck: BTreeMap::new(),
            would_change: false,
            sink,
        }));
        self.tell(&shared, start);
        let outcome = tokio::select! {
            () = self.all(&shared) => self.judge(&shared),
            () = self.stop.soon() => {
                let exit = 128 + u8::try_from(self.stop.signal().unwrap_or(2)).unwrap_or(2);
                Outcome::new(exit, "interrupted", "stopped; nothing was changed")
            }
        };
        self.tell(
            &shared,
            Event::RunFinished {
                exit: outcome.exit,
                reason: outcome.reason.to_owned(),
                message: outcome.message.clone(),
                next: outcome.next.clone(),
                findings: Vec::new(),
            },
        );
        outcome
    }

    fn tell(&self, shared: &Shared, event: Event) {
        let stamped = Stamped { at: self.readers.clock.now(), event };
        board(shared).sink.event(&stamped);
    }

    /// Starts every step as soon as the steps that teach what it needs are done.
    async fn all(&self, shared: &Shared) {
        let scratch: Arc<dyn Tree> = Arc::new(LateScratch::new(self.readers.checkout.clone()));
        let lock = async { self.lock(shared).await }.boxed_local().shared();
        let mut running = Vec::new();
        for (index, planned) in self.plan.steps.iter().enumerate() {
            let teaches =
                |earlier: &PlannedStep| planned.step.needs().iter().any(|need| earlier.step.gives().contains(need));
            let teachers: Vec<(futures::future::Shared<_>, &PlannedStep)> =
                running.iter().cloned().zip(&self.plan.steps).filter(|(_, earlier)| teaches(earlier)).collect();
            let scratch = &scratch;
            let step = async move {
                let teachers = teachers.into_iter().map(|(looked, earlier)| async move {
                    looked.await;
                    earlier
                });
                let (teachers, ()) = futures::join!(join_all(teachers), self.foresee(planned));
                match missing(planned, &teachers, shared) {
                    None => self.step(index, planned, scratch, shared).await,
                    Some(cause) => self.not_looked_at(planned, cause, shared),
                }
            };
            running.push(step.boxed_local().shared());
        }
        futures::join!(lock, join_all(running));
    }

    async fn lock(&self, shared: &Shared) {
        let step = || LOCK_STEP.to_owned();
        self.tell(shared, Event::StepStarted { step: step() });
        for held in self.adoption.iter().flat_map(|it| it.held.iter().map(move |held| (&it.run, held))) {
            let text = format!("would take over from run {}: {}", held.0, held.1);
            self.tell(shared, Event::Saw { step: step(), evidence: Evidence::predicted(text) });
        }
        let result = match self.readers.lock.reference() {
            None => Ok(StepResult::Skipped { why: "this runbook is used by one person alone".into() }),
            Some(reference) => match self.readers.lock.holder().await {
                Err(error) => without(self.parameters, Check::Lock, error, WITHOUT).map(|evidence| {
                    self.tell(shared, Event::Saw { step: step(), evidence });
                    StepResult::Skipped { why: "the remote does not answer, and the check is overridden".into() }
                }),
                Ok(Some(state)) if self.adoption.as_ref().is_some_and(|it| it.knows(&state.record.run)) => {
                    Ok(StepResult::WouldChange)
                }
                Ok(Some(state)) => {
                    let since = age(&state, self.readers.clock.now());
                    Err(locked(&state, &since, &self.runbook.environment))
                }
                Ok(None) => {
                    let evidence = Evidence::verified(format!("{reference} is free"));
                    self.tell(shared, Event::Saw { step: step(), evidence });
                    Ok(StepResult::WouldChange)
                }
            },
        };
        let result = result.and_then(|result| match self.refusals.as_slice() {
            [] => Ok(result),
            refusals => Err(Trouble::Refused(refusals.to_vec())),
        });
        self.ended(shared, 0, LOCK_STEP, result);
    }

    async fn step(&self, index: usize, planned: &PlannedStep, scratch: &Arc<dyn Tree>, shared: &Shared) {
        let id = &planned.head.id;
        self.tell(shared, Event::StepStarted { step: id.clone() });
        let result = match &planned.skip {
            Some(why) => Ok(StepResult::Skipped { why: why.clone() }),
            None => {
                self.preview(planned, scratch, shared).await.and_then(|finding| self.told(planned, finding, shared))
            }
        };
        self.ended(shared, index + 1, id, result);
    }

    /// What it needs was not learned, and why is told where it belongs.
    fn not_looked_at(&self, planned: &PlannedStep, cause: String, shared: &Shared) {
        let step = || planned.head.id.clone();
        self.tell(shared, Event::StepStarted { step: step() });
        board(shared).stuck.insert(step(), cause.clone());
        let evidence = Evidence::not_previewable(format!("depends on what is in the way at {cause}"));
        self.tell(shared, Event::Saw { step: step(), evidence });
        let why = format!("cannot be looked at before {cause} is settled");
        self.tell(shared, Event::StepFinished { step: step(), result: StepResult::Skipped { why } });
    }

    fn ended(&self, shared: &Shared, index: usize, step: &str, result: Result<StepResult, Trouble>) {
        let result = result.unwrap_or_else(|trouble| {
            let result = match refusals(&trouble, self.name) {
                refusals if refusals.is_empty() => step_result(&trouble),
                refusals => StepResult::Blocked { refusals },
            };
            let mut board = board(shared);
            board.troubles.push((index, trouble));
            board.stuck.insert(step.to_owned(), step.to_owned());
            result
        });
        self.tell(shared, Event::StepFinished { step: step.to_owned(), result });
    }

    async fn foresee(&self, planned: &PlannedStep) {
        if planned.skip.is_none() {
            let lines: LineSink = Arc::new(|_: &str| {});
            planned.step.foresee(self.at(planned, &Facts::default(), &|_| (), &lines)).await;
        }
    }

    async fn preview(
        &self,
        planned: &PlannedStep,
        scratch: &Arc<dyn Tree>,
        shared: &Shared,
    ) -> Result<Finding, Trouble> {
        let facts = board(shared).facts.clone();
        let emit = {
            let (shared, clock) = (shared.clone(), self.readers.clock.clone());
            move |event| board(&shared).sink.event(&Stamped { at: clock.now(), event })
        };
        let lines: LineSink = Arc::new(|_: &str| {});
        planned.step.preview(self.at(planned, &facts, &emit, &lines), scratch).await
    }

    fn at<'a>(
        &'a self,
        planned: &'a PlannedStep,
        facts: &'a Facts,
        emit: &'a (dyn Fn(Event) + Send + Sync),
        lines: &'a LineSink,
    ) -> Look<'a> {
        Look {
            step: &planned.head.id,
            run: "preview",
            readers: self.readers,
            runbook: self.runbook,
            parameters: self.parameters,
            facts,
            approvals: &[],
            past: &self.past,
            held: self.adoption.as_ref().map_or(&[], |it| it.held.as_slice()),
            in_doubt: &[],
            open: &[],
            did: false,
            workspace: &self.workspace,
            adopted: &[],
            began: self.readers.clock.now(),
            restarted: self.readers.clock.now(),
            since: self.readers.clock.now(),
            emit,
            lines,
        }
    }

    fn told(&self, planned: &PlannedStep, finding: Finding, shared: &Shared) -> Result<StepResult, Trouble> {
        let step = || planned.head.id.clone();
        for evidence in finding.evidence {
            self.tell(shared, Event::Saw { step: step(), evidence });
        }
        for fact in finding.learned {
            board(shared).facts.learn(fact);
        }
        Ok(match finding.decision {
            Decision::Satisfied => StepResult::Satisfied,
            Decision::Change(question) => {
                board(shared).would_change |= lasts(planned);
                self.tell(shared, Event::GateAsked { question: unbound(question, &self.plan_text), waits: false });
                StepResult::WouldChange
            }
            Decision::Wait(wait) => {
                let most = humantime::format_duration(wait.at_most);
                let evidence = Evidence::not_previewable(format!("would wait for {}, at most {most}", wait.on));
                self.tell(shared, Event::Saw { step: step(), evidence });
                StepResult::WouldChange
            }
            Decision::Blocked(refusals) => return Err(Trouble::Refused(refusals)),
            Decision::Unknown(refusal) => return Err(Trouble::Refused(vec![refusal])),
            Decision::Unhealthy(why) => StepResult::Unhealthy { why },
            Decision::Inconclusive(why) => StepResult::Inconclusive { why },
            Decision::Unfinished(why) => StepResult::Unfinished { why },
            Decision::Ask(inquiry) => inquiry.otherwise,
        })
    }

    /// All that stands in the way, in the order of the steps; the gravest kind picks the code.
    fn judge(&self, shared: &Shared) -> Outcome {
        let mut board = board(shared);
        board.troubles.sort_by_key(|(index, _)| *index);
        let grave = |trouble: &Trouble| match trouble {
            Trouble::Service(error) if error.credentials() => (3, 4, "credentials"),
            Trouble::Missing(missing) if missing.error.credentials() => (3, 4, "credentials"),
            Trouble::Locked { .. } => (2, 6, "locked"),
            _ => (1, 3, "refused"),
        };
        let Some((_, exit, reason)) = board.troubles.iter().map(|(_, trouble)| grave(trouble)).max() else {
            let nothing = board.facts.applied.as_ref().is_some_and(|applied| !applied.changed);
            let message = if nothing && !board.would_change {
                "nothing would change: no service deployment is needed"
            } else {
                "nothing is in the way"
            };
            return Outcome::new(0, "done", message);
        };
        let count: usize = board.troubles.iter().map(|(_, trouble)| refusals(trouble, self.name).len().max(1)).sum();
        let things = if count == 1 { "thing is" } else { "things are" };
        let mut outcome = Outcome::new(exit, reason, format!("{count} {things} in the way; nothing was changed"));
        for (_, trouble) in &board.troubles {
            outcome = refusals(trouble, self.name).into_iter().fold(outcome, |it, refusal| it.next(refusal.next));
        }
        outcome
    }
}

/// The step that keeps `planned` from knowing what it needs.
fn missing(planned: &PlannedStep, teachers: &[&PlannedStep], shared: &Shared) -> Option<String> {
    let board = board(shared);
    if planned.skip.is_some() {
        return None;
    }
    let unknown = planned.step.needs().iter().filter(|need| !board.facts.knows(**need));
    let mut should = unknown.flat_map(|need| teachers.iter().filter(|it| it.step.gives().contains(need)));
    should.find_map(|it| board.stuck.get(&it.head.id).cloned())
}

/// What is in the way, each with what to do next.
fn refusals(trouble: &Trouble, runbook: &str) -> Vec<Refusal> {
    let one = |next: &str| vec![Refusal { what: trouble.to_string(), next: next.to_owned() }];
    match trouble {
        Trouble::Refused(refusals) => refusals.clone(),
        Trouble::Missing(missing) => vec![missing_refusal(missing)],
        Trouble::Service(_) => one(&format!("catalog-deploy doctor {runbook}")),
        Trouble::Failed { next, .. } | Trouble::Locked { next, .. } | Trouble::InDoubt { next, .. } => one(next),
        _ => Vec::new(),
    }
}

/// Whether a change of this step stays, other than what is changed only for the time of a deploy.
fn lasts(planned: &PlannedStep) -> bool {
    planned.head.gate || matches!(planned.step.undo(), Undo::Never(_))
}

/// What a preview shows is never what a run approves, so its digest is not shown. The workspace vanishes, so what a
/// person is told to read is kept in `plan_text`.
fn unbound(question: Question, plan_text: &Path) -> Question {
    let details = question.details.as_deref().and_then(|file| match keep(Path::new(file), plan_text) {
        Ok(()) => Some(plan_text.display().to_string()),
        Err(error) => {
            tracing::warn!(%error, file = %plan_text.display(), "could not keep the plan's text");
            None
        }
    });
    Question { digest: String::new(), details, ..question }
}

/// Whole or not at all, and readable by its owner only.
fn keep(from: &Path, to: &Path) -> std::io::Result<()> {
    let parent = to.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let mut kept = tempfile::NamedTempFile::new_in(parent)?;
    std::io::copy(&mut std::fs::File::open(from)?, &mut kept)?;
    kept.persist(to)?;
    Ok(())
}

/// A scratch copy that is made when the first step touches it, while other steps read.
struct LateScratch {
    checkout: Arc<dyn CheckoutRead>,
    made: OnceCell<Arc<dyn Tree>>,
}

impl LateScratch {
    fn new(checkout: Arc<dyn CheckoutRead>) -> Self {
        Self { checkout, made: OnceCell::new() }
    }

    async fn tree(&self) -> Result<&Arc<dyn Tree>, ServiceError> {
        self.made.get_or_try_init(|| self.checkout.scratch()).await
    }
}

#[async_trait]
impl Tree for LateScratch {
    fn root(&self) -> PathBuf {
        self.made.get().map_or_else(|| self.checkout.root(), |tree| tree.root())
    }
    async fn attribute(&self, at: &Location) -> Result<Attribute, ServiceError> {
        self.tree().await?.attribute(at).await
    }
    async fn read(&self, file: &str) -> Result<Vec<u8>, ServiceError> {
        self.tree().await?.read(file).await
    }
    async fn restore(&self, file: &str, bytes: Option<&[u8]>) -> Result<(), ServiceError> {
        self.tree().await?.restore(file, bytes).await
    }
    async fn set_attribute(&self, at: &Location, literal: &str) -> Result<String, ServiceError> {
        self.tree().await?.set_attribute(at, literal).await
    }
    async fn run(&self, argv: &[String], lines: LineSink) -> Result<(Option<i32>, String), ServiceError> {
        self.tree().await?.run(argv, lines).await
    }
    async fn plan(&self, argv: &[String], plan_file: &Path, lines: LineSink) -> Result<Planned, ServiceError> {
        self.tree().await?.plan(argv, plan_file, lines).await
    }
    async fn diff(&self) -> Result<String, ServiceError> {
        self.tree().await?.diff().await
    }
    async fn changed(&self) -> Result<Vec<String>, ServiceError> {
        self.tree().await?.changed().await
    }
}
