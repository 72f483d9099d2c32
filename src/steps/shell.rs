//! A command of the runbook: `check` reads, `run` changes, `undo` gives back.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::apply::traces::next_traces;
use super::transcript::{Transcript, tail};
use crate::adapters::process::{Command, Exit};
use crate::adapters::{Cause, ServiceError, Writers};
use crate::event::{Evidence, Question, Strength};
use crate::facts::{Held, Place, Thing};
use crate::plan::digest::digest;
use crate::step::{Act, Decision, Effect, Finding, Look, Returned, Step, Trouble, Undo};

pub struct Shell {
    title: String,
    check: Option<Vec<String>>,
    run: Vec<String>,
    undo: Option<Vec<String>>,
    /// Without `check` the world cannot be asked. Later processes skip the step by its journalled result.
    done: AtomicBool,
}

impl Shell {
    pub fn new(title: String, check: Option<Vec<String>>, run: Vec<String>, undo: Option<Vec<String>>) -> Self {
        Self { title, check, run, undo, done: AtomicBool::new(false) }
    }

    fn question(&self, step: &str) -> Question {
        let mut summary = vec![format!("runs `{}`", self.run.join(" "))];
        summary.push(match &self.undo {
            Some(undo) => format!("taken back with `{}` when the run ends or fails", undo.join(" ")),
            None => "cannot be taken back".into(),
        });
        let mut parts = vec![step.to_owned()];
        parts.extend(self.run.iter().cloned());
        Question {
            gate: step.to_owned(),
            title: self.title.clone(),
            summary,
            digest: digest(&parts),
            expected: true,
            strength: Strength::Yes,
            details: None,
        }
    }
}

fn command(look: &Look<'_>, argv: &[String]) -> Command {
    let directory = look.runbook.infrastructure.as_ref().map(|_| look.readers.checkout.root());
    Command { argv: argv.to_vec(), directory, ..Command::default() }
}

/// Runs a recorded child to its end; any end but exit 0 may have changed something.
async fn carry_out(act: &Act<'_>, writers: Writers, argv: &[String]) -> Result<(), ServiceError> {
    let (transcript, lines) = Transcript::over(act.look.lines);
    let traces = next_traces(act.look.workspace, act.look.step);
    let command = command(&act.look, argv);
    let recorded = writers.commands.run_recorded(&command, &traces, lines, act.stop.clone()).await?;
    let how = match recorded.exit {
        Exit::Code(0) => return Ok(()),
        Exit::Code(code) => format!("exit {code}"),
        Exit::Signal(signal) => format!("signal {signal}"),
    };
    let why = format!("ended with {how}: {}", tail(&transcript.text(), 3));
    Err(ServiceError::new("command", format!("`{}`", argv.join(" ")), Cause::Failed(why)))
}

#[async_trait]
impl Step for Shell {
    fn undo(&self) -> Undo {
        match self.undo {
            Some(_) => Undo::GivesBack,
            None => Undo::Never("its runbook names no undo command"),
        }
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        let change = || Decision::Change(self.question(look.step));
        let Some(check) = &self.check else {
            if self.done.load(Ordering::SeqCst) {
                return Ok(Finding::satisfied(format!("`{}` ended with exit 0", self.run.join(" "))));
            }
            if look.in_doubt.iter().any(|step| step == look.step) {
                return Ok(Finding::new(Decision::Unknown(crate::event::Refusal {
                    what: format!("`{}` was started, and it is not known whether it took effect", self.run.join(" ")),
                    next: "look for its effect yourself; a `check` command in the runbook would tell".into(),
                })));
            }
            let unseen = Evidence::not_previewable("the runbook gives no command to check whether it is needed");
            return Ok(Finding::new(change()).saw(unseen));
        };
        let line = check.join(" ");
        let finished = look.readers.commands.read(&command(&look, check)).await?;
        Ok(match finished.code {
            Some(0) => Finding::satisfied(format!("`{line}` says that there is nothing to do")),
            Some(code) => Finding::new(change()).saw(Evidence::verified(format!("`{line}` ended with exit {code}"))),
            None => Finding::new(Decision::Unknown(crate::event::Refusal {
                what: format!("`{line}` was ended by a signal"),
                next: "run it yourself to see why".into(),
            })),
        })
    }

    async fn act(&self, act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        let holds = self.undo.iter().map(|undo| Held {
            id: format!("{}/shell", act.look.step),
            step: act.look.step.to_owned(),
            thing: Thing::Shell { undo: undo.clone() },
            place: Place::World,
        });
        let line = self.run.join(" ");
        let effect = Effect { what: format!("run `{line}`"), holds: holds.collect(), keeps: Vec::new() };
        match act.change(effect, |writers| carry_out(&act, writers, &self.run)).await {
            Ok(()) => {
                self.done.store(true, Ordering::SeqCst);
                Ok(())
            }
            Err(Trouble::InDoubt { what, .. }) => Err(Trouble::Failed {
                what,
                next: format!("find out what `{line}` has changed, then `catalog-deploy resume`"),
            }),
            Err(other) => Err(other),
        }
    }

    async fn give_back(&self, act: &Act<'_>, held: &Held) -> Result<Returned, Trouble> {
        let Thing::Shell { undo } = &held.thing else {
            return Ok(Returned::NotOurs(format!("{held}: this step holds what its undo command gives back")));
        };
        let line = undo.join(" ");
        act.change(Effect::new(format!("run `{line}`")), |writers| carry_out(act, writers, undo)).await?;
        Ok(Returned::Back(format!("ran `{line}`")))
    }
}
