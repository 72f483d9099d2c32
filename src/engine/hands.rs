//! What a step gets into its hands: a look at this moment, and acts whose intents and outcomes go to the journal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::adapters::process::LineSink;
use crate::event::{Ended, Event, Question};
use crate::facts::{Fact, Held};
use crate::journal::DurableIntent;
use crate::journal::status::{LOCK_STEP, RunState};
use crate::plan::PlannedStep;
use crate::plan::approval::Consent;
use crate::step::{Act, Effect, Ledger, Look, Returned, Trouble, Undo};

use super::run::Run;

impl Run<'_> {
    pub(super) async fn act(
        &self,
        planned: &PlannedStep,
        since: Timestamp,
        question: &Question,
        consent: &Consent,
    ) -> Result<(), Trouble> {
        let forever = matches!(planned.step.undo(), Undo::Never(_));
        let ledger = RunLedger { run: self, returns: None, forever };
        let glance = self.glance(planned, since);
        let act = Act::new(glance.look(), self.stop.child(), self.world, &ledger, consent);
        planned.step.act(act, question).await
    }

    /// Has the owner of `held` give it back, through its own act.
    pub(super) async fn give_back_one(&self, held: &Held) -> Result<Returned, Trouble> {
        let Some(planned) = self.plan.step(&held.step) else {
            return Ok(Returned::NotYet("the runbook no longer has the step that took it".into()));
        };
        let ledger = RunLedger { run: self, returns: Some(held), forever: false };
        let consent = Consent::to_give_back(held);
        let glance = self.glance(planned, self.readers().clock.now());
        let act = Act::new(glance.look(), self.stop.child(), self.world, &ledger, &consent);
        let returned = planned.step.give_back(&act, held).await?;
        match &returned {
            Returned::Back(how) | Returned::NotOurs(how) => self.given_back(held, how.clone())?,
            Returned::NotYet(_) => {}
        }
        Ok(returned)
    }

    /// Writes down that `held` is owed no more, whichever of several attempts it was.
    pub(super) fn given_back(&self, held: &Held, how: String) -> Result<(), Trouble> {
        for effect in self.returning(held) {
            self.recorder.ended(&effect, Ended::Done)?;
        }
        self.recorder.record(Event::GivenBack { held: held.id.clone(), how })
    }

    /// Open effects that were to give `held` back: the look just now settled them.
    fn returning(&self, held: &Held) -> Vec<String> {
        let state = self.recorder.state();
        let open = |(id, effect): (&String, &crate::journal::status::EffectState)| {
            (effect.in_doubt() && effect.returns.as_deref() == Some(&held.id)).then(|| id.clone())
        };
        state.effects.iter().filter_map(open).collect()
    }

    /// Everything a step may look with, as of now.
    pub(super) fn glance<'g>(&'g self, planned: &'g PlannedStep, since: Timestamp) -> Glance<'g> {
        let state = self.state_in_view();
        let (recorder, step) = (self.recorder.clone(), planned.head.id.clone());
        let lines: LineSink = Arc::new(move |line: &str| {
            recorder.tell(Event::Output { step: step.clone(), line: line.to_owned() });
        });
        let recorder = self.recorder.clone();
        let emit = Box::new(move |event| recorder.tell(event));
        let id = &planned.head.id;
        // A lock whose end is not known moves nothing that a step could look at.
        let in_doubt = state.in_doubt().into_iter().filter(|step| step != LOCK_STEP).collect();
        let (open, did) = (state.open_effects(id), state.did(id));
        let runs = self.workspace.parent();
        let adopted = runs.iter().flat_map(|runs| state.predecessors.iter().map(|run| runs.join(run))).collect();
        let (restarted, workspace) = (self.restarted(), self.workspace.clone());
        Glance { run: self, step: id, in_doubt, open, did, state, since, restarted, workspace, adopted, emit, lines }
    }
}

/// One moment of a run, owned so that a step can borrow from it while the run goes on.
pub(super) struct Glance<'g> {
    run: &'g Run<'g>,
    step: &'g str,
    state: RunState,
    in_doubt: Vec<String>,
    open: Vec<String>,
    did: bool,
    since: Timestamp,
    restarted: Timestamp,
    workspace: PathBuf,
    adopted: Vec<PathBuf>,
    emit: Box<dyn Fn(Event) + Send + Sync>,
    lines: LineSink,
}

impl Glance<'_> {
    /// Looks for what children left in another run's directory instead of this one's.
    pub(super) fn in_directory(&mut self, directory: &Path) {
        self.workspace = directory.to_owned();
    }

    pub(super) fn look(&self) -> Look<'_> {
        Look {
            step: self.step,
            run: &self.state.run,
            readers: self.run.readers(),
            runbook: self.run.runbook,
            parameters: &self.state.parameters,
            facts: &self.state.facts,
            approvals: &self.state.approvals,
            past: &self.run.past,
            held: &self.state.held,
            in_doubt: &self.in_doubt,
            open: &self.open,
            did: self.did,
            workspace: &self.workspace,
            adopted: &self.adopted,
            began: self.state.began(),
            restarted: self.restarted,
            since: self.since,
            emit: &*self.emit,
            lines: &self.lines,
        }
    }
}

/// The run's journal as a step sees it. `returns` marks effects that give something back.
struct RunLedger<'a, 'b> {
    run: &'a Run<'b>,
    returns: Option<&'a Held>,
    forever: bool,
}

#[async_trait]
impl Ledger for RunLedger<'_, '_> {
    async fn intend(&self, step: &str, effect: &Effect) -> Result<DurableIntent, Trouble> {
        match self.returns {
            Some(held) => self.run.nobody_else_deploys(held).await?,
            // A change in progress is finished first; the next one is not begun.
            None if self.run.stop.wanted() => return Err(Trouble::Stopped),
            None => self.run.lock_is_ours().await?,
        }
        self.run.recorder.intend(step, effect, self.returns.map(|held| held.id.clone()), self.forever)
    }

    fn ended(&self, intent: DurableIntent, ended: Ended) -> Result<(), Trouble> {
        self.run.recorder.ended(intent.effect(), ended)
    }

    fn learn(&self, step: &str, fact: Fact) -> Result<(), Trouble> {
        self.run.learn_new(step, &fact)
    }

    async fn give_back(&self, held: &Held) -> Result<Returned, Trouble> {
        self.run.give_back_one(held).await
    }
}
