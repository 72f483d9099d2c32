//! The laptop: its clock, its children, and the person at it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use catalog_deploy::adapters::clock::Clock;
use catalog_deploy::adapters::process::{
    Command, CommandRead, CommandRun, Exit, Finished, LineSink, Recorded, Result, Traces,
};
use catalog_deploy::adapters::prompt::Prompt;
use catalog_deploy::adapters::{Cause, ServiceError};
use catalog_deploy::event::{AnsweredBy, Question, Strength};
use catalog_deploy::facts::Thing;
use catalog_deploy::plan::approval::Answer;
use jiff::Timestamp;

use super::Hands;
use crate::driver::stored;
use crate::scenario::Says;
use crate::sim::Sim;
use crate::world::infra;

/// The true time with an offset; jumps and sleep are the driver's to make.
pub struct SimClock(pub Arc<Sim>);

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let state = self.0.state();
        infra::moment(state.world.now + state.clock_offset)
    }
    fn uptime(&self) -> Duration {
        Duration::from_secs(3600) + Duration::from_millis(self.0.state().world.now.unsigned_abs())
    }
    async fn sleep(&self, duration: Duration) {
        self.0.pause(duration).await;
    }
    fn scaled(&self, duration: Duration) -> Duration {
        duration
    }
}

fn lost(what: &str) -> ServiceError {
    ServiceError::new("terraform", "apply", Cause::NoAnswer(what.into()))
}

impl Hands {
    /// Starts an apply and waits for its end, as the recorder tells it.
    pub async fn child(
        &self,
        plan: &Path,
        traces: &Traces,
        lines: LineSink,
        stop: tokio::sync::watch::Receiver<bool>,
    ) -> Result<Recorded> {
        let started = self
            .0
            .request("terraform", "apply".into(), true, |world| {
                // It stands before the child is started.
                std::fs::write(&traces.output, "").unwrap();
                Ok(world.start_apply(plan, &traces.exit))
            })
            .await;
        // Starting a process is not asking over a network: its answer cannot be lost.
        let child = match started {
            Ok(Some(child)) => child,
            Ok(None) => return Err(ServiceError::new("terraform", "apply", Cause::Refused("no such plan".into()))),
            Err(error) => {
                let refused = Cause::Refused(error.cause.to_string());
                let found = self.started(traces);
                found.ok_or_else(|| ServiceError::new("terraform", "apply", refused))?
            }
        };
        let mut told = 0;
        loop {
            self.0.pause(Duration::from_millis(100)).await;
            let mut state = self.0.state();
            let child = &mut state.world.terraform.children[child];
            child.interrupted |= *stop.borrow();
            let (said, exit, recorder) = (child.lines.clone(), child.exit, child.recorder);
            drop(state);
            said[told..].iter().for_each(|line| lines(line));
            told = said.len();
            if let Some(exit) = exit {
                return Ok(Recorded { exit, output: traces.output.clone() });
            }
            if !recorder {
                return Err(lost("its recorder was killed"));
            }
        }
    }

    fn started(&self, traces: &Traces) -> Option<usize> {
        self.0.state().world.terraform.children.iter().position(|child| child.exit_file == traces.exit)
    }
}

#[async_trait]
impl CommandRead for Hands {
    async fn read(&self, _: &Command) -> Result<Finished> {
        Ok(Finished { code: Some(0), stdout: Vec::new(), stderr: Vec::new() })
    }
    async fn wait_recorded(&self, traces: &Traces, _: LineSink) -> Result<Option<Exit>> {
        loop {
            let Some(index) = self.started(traces) else { return Ok(None) };
            let (alive, exit) = {
                let state = self.0.state();
                let child = &state.world.terraform.children[index];
                (child.alive, child.exit)
            };
            if exit.is_some() || !alive {
                return Ok(exit);
            }
            self.0.pause(Duration::from_millis(100)).await;
        }
    }
}

#[async_trait]
impl CommandRun for Hands {
    async fn run_recorded(
        &self,
        command: &Command,
        traces: &Traces,
        lines: LineSink,
        stop: tokio::sync::watch::Receiver<bool>,
    ) -> Result<Recorded> {
        self.child(Path::new(command.argv.last().unwrap()), traces, lines, stop).await
    }
    async fn run_attached(&self, _: &Command, _: &Traces) -> Result<Exit> {
        Err(ServiceError::new("terraform", "apply", Cause::Refused("nothing is attached in a simulation".into())))
    }
}

/// Whoever sits at the laptop, or nobody.
pub struct Person {
    pub sim: Arc<Sim>,
    pub says: Says,
    /// How long each answer takes.
    pub thinks: Duration,
    /// There to be asked what no flag may answer.
    pub attended: bool,
}

#[async_trait]
impl Prompt for Person {
    fn can_ask(&self) -> bool {
        self.says != Says::Nobody
    }
    fn attended(&self) -> bool {
        self.attended && self.can_ask()
    }
    async fn ask(&self, question: &Question) -> std::result::Result<Option<Answer>, ServiceError> {
        if self.says == Says::Nobody {
            return Ok(None);
        }
        self.sim.pause(self.thinks).await;
        let no = matches!(&self.says, Says::NoTo(gate) if *gate == question.gate);
        let text = match &question.strength {
            _ if no => "no".to_owned(),
            Strength::Yes => "yes".to_owned(),
            Strength::Typed { text } => text.clone(),
        };
        self.sim.tell(&format!("the person answers {}: {text}", question.gate));
        Ok(Some(Answer { gate: question.gate.clone(), text, digest: None, by: AnsweredBy::Terminal }))
    }
    /// Who paused the DAG in doubt: the person has a way to know. Of nothing else here the world cannot tell.
    async fn choose(&self, text: &str, _: &[&str]) -> std::result::Result<Option<usize>, ServiceError> {
        if self.says == Says::Nobody {
            return Ok(None);
        }
        self.sim.pause(self.thinks).await;
        if text.contains("is unhealthy") {
            self.sim.tell(&format!("the person rolls back: {text}"));
            return Ok(Some(0));
        }
        if !text.contains("who did it") {
            return Ok(None);
        }
        let run = self.sim.state().world.run.clone();
        let state = stored(&self.sim, &run);
        let mut held = state.iter().flat_map(|state| &state.held).filter_map(|held| match &held.thing {
            Thing::PausedDag { dag } => Some(dag),
            _ => None,
        });
        let Some(dag) = held.next_back() else { return Ok(None) };
        let log = self.sim.state().world.airflow.pauses.get(dag).and_then(|log| log.last().cloned());
        let ours = log.is_some_and(|entry| entry.ours == Some(true));
        self.sim.tell(&format!("the person answers {text} {}", if ours { "this run" } else { "somebody else" }));
        Ok(Some(usize::from(!ours)))
    }
}
