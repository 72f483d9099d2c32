//! A command of the runbook: `check` reads, `run` changes, `undo` gives back.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::transcript::{Transcript, tail};
use crate::adapters::process::{Command, Exit, LineSink, Traces};
use crate::adapters::{Cause, ServiceError, Writers};
use crate::event::{Evidence, Question, Refusal, Strength};
use crate::facts::{Held, Parameters, Place, Thing};
use crate::plan::digest::digest;
use crate::runbook::Runbook;
use crate::step::{Act, Decision, Effect, Finding, Look, Returned, Settled, Step, Trouble, Undo, Wait};

pub struct Shell {
    title: String,
    check: Option<Vec<String>>,
    run: Vec<String>,
    undo: Option<Vec<String>>,
}

/// How long a look waits for a child of an earlier process before it says that it is still at work.
const GLANCE: Duration = Duration::from_millis(500);
/// How long such a child is waited for in all.
const ORPHAN: Duration = Duration::from_secs(3600);

impl Shell {
    pub fn new(title: String, check: Option<Vec<String>>, run: Vec<String>, undo: Option<Vec<String>>) -> Self {
        Self { title, check, run, undo }
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

fn held_id(step: &str) -> String {
    format!("{step}/shell")
}

fn command(look: &Look<'_>, argv: &[String]) -> Command {
    let directory = look.runbook.infrastructure.as_ref().map(|_| look.readers.checkout.root());
    Command { argv: argv.to_vec(), directory, ..Command::default() }
}

/// Runs a recorded child to its end; any end but exit 0 may have changed something.
async fn carry_out(act: &Act<'_>, writers: Writers, argv: &[String]) -> Result<(), ServiceError> {
    let (transcript, lines) = Transcript::over(act.look.lines);
    let traces = Traces::of(act.look.workspace, &writers.effect);
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

/// What the last child left whose end is not known, in this run's directory or in that of a run that it has taken over.
fn traces(look: &Look<'_>) -> Option<Traces> {
    let effect = look.open.last()?;
    let directories = [look.workspace].into_iter().chain(look.adopted.iter().map(PathBuf::as_path));
    directories.map(|directory| Traces::of(directory, effect)).find(Traces::begun)
}

impl Shell {
    /// How a child of an earlier process ended; `Err` with what to wait for while it still runs.
    async fn child(&self, look: &Look<'_>, traces: &Traces) -> Result<Result<Option<Exit>, Wait>, Trouble> {
        let quiet: LineSink = Arc::new(|_: &str| ());
        match tokio::time::timeout(GLANCE, look.readers.commands.wait_recorded(traces, quiet)).await {
            Ok(ended) => Ok(Ok(ended?)),
            Err(_) => Ok(Err(Wait {
                on: format!("`{}`, which an earlier process of this run started, to end", self.run.join(" ")),
                poll: Duration::from_secs(2),
                at_most: ORPHAN,
                next: format!("look at {}, then `catalog-deploy resume`", traces.output.display()),
                ..Wait::default()
            })),
        }
    }
}

#[async_trait]
impl Step for Shell {
    fn holds(&self, _: &Runbook, _: &Parameters) -> Option<String> {
        Some(format!("what `{}` undoes", self.undo.as_ref()?.join(" ")))
    }

    fn undo(&self) -> Undo {
        match self.undo {
            Some(_) => Undo::GivesBack,
            None => Undo::Never("its runbook names no undo command"),
        }
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        let change = || Decision::Change(self.question(look.step));
        let Some(check) = &self.check else {
            // The world cannot be asked, so the journal tells.
            if look.did {
                return Ok(Finding::satisfied(format!("`{}` ended well", self.run.join(" "))));
            }
            let unseen = Evidence::not_previewable("the runbook gives no command to check whether it is needed");
            return Ok(Finding::new(change()).saw(unseen));
        };
        let line = check.join(" ");
        let finished = look.readers.commands.read(&command(&look, check)).await?;
        Ok(match finished.code {
            Some(0) => Finding::satisfied(format!("`{line}` says that there is nothing to do")),
            Some(code) => Finding::new(change()).saw(Evidence::verified(format!("`{line}` ended with exit {code}"))),
            None => Finding::new(Decision::Unknown(Refusal {
                what: format!("`{line}` was ended by a signal"),
                next: "run it yourself to see why".into(),
            })),
        })
    }

    async fn under_way(&self, look: Look<'_>) -> Result<Option<Wait>, Trouble> {
        let Some(traces) = traces(&look) else { return Ok(None) };
        Ok(self.child(&look, &traces).await?.err())
    }

    /// Waits for the command where an earlier process left it running. Then its check tells; without one its exit code
    /// does, and where it failed or left none, nobody but a person can.
    async fn settle(&self, look: Look<'_>) -> Result<Settled, Trouble> {
        let line = self.run.join(" ");
        let Some(traces) = traces(&look) else { return Ok(Settled::NoEffect) };
        let ended = match self.child(&look, &traces).await? {
            Ok(ended) => ended,
            Err(wait) => return Ok(Settled::UnderWay(wait)),
        };
        if self.check.is_some() {
            return Ok(match self.observe(look).await?.decision {
                Decision::Satisfied => Settled::TookEffect(Vec::new()),
                Decision::Unknown(refusal) => Settled::Unknown(refusal),
                _ => Settled::NoEffect,
            });
        }
        let how = match ended {
            Some(Exit::Code(0)) => return Ok(Settled::TookEffect(Vec::new())),
            Some(Exit::Code(code)) => format!("ended with exit {code}"),
            Some(Exit::Signal(signal)) => format!("was ended by signal {signal}"),
            None => "was started, and left no exit code".into(),
        };
        Ok(Settled::Unknown(Refusal {
            what: format!("`{line}` {how}, and it is not known whether it took effect"),
            next: format!("look for its effect, and at {}", traces.output.display()),
        }))
    }

    async fn act(&self, act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        let holds = self.undo.iter().map(|undo| Held {
            id: held_id(act.look.step),
            step: act.look.step.to_owned(),
            thing: Thing::Shell { undo: undo.clone() },
            place: Place::World,
        });
        let line = self.run.join(" ");
        let effect = Effect { what: format!("run `{line}`"), holds: holds.collect(), keeps: Vec::new() };
        match act.change(effect, |writers| carry_out(&act, writers, &self.run)).await {
            Ok(()) => Ok(()),
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
        if self.check.is_none() && !act.look.did {
            return Ok(Returned::Back(format!("`{}` took no effect", self.run.join(" "))));
        }
        if self.check.is_some() && !matches!(self.observe(act.look).await?.decision, Decision::Satisfied) {
            return Ok(Returned::Back("its check finds nothing of it".into()));
        }
        act.change(Effect::new(format!("run `{line}`")), |writers| carry_out(act, writers, undo)).await?;
        Ok(Returned::Back(format!("ran `{line}`")))
    }
}
