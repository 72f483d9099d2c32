//! Effects whose end nobody wrote down: the world is asked, before anything else is done.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use jiff::Timestamp;

use crate::event::{Ended, Event, Evidence, Refusal, StepResult};
use crate::facts::FactKind;
use crate::plan::PlannedStep;
use crate::step::{Settled, Trouble};

use super::outcome::Failure;
use super::run::{PATIENCE, PAUSE, Run, broke};

impl Run<'_> {
    /// Finds out how everything ended that nobody wrote down, before anything else is looked at: while an apply of an
    /// earlier process is at work, Airflow may be down and no other look means anything.
    pub(super) async fn find_out_all(&self) -> Result<(), Vec<Failure>> {
        let since = self.readers().clock.now();
        let mut failures = Vec::new();
        for planned in self.plan.steps.iter().filter(|planned| self.unsure(planned)) {
            if let Err(trouble) = self.find_out_one(planned, since).await {
                let ends = !self.deployed() || matches!(trouble, Trouble::Stopped | Trouble::Journal(_));
                failures.push(Failure { step: planned.head.id.clone(), trouble });
                if ends {
                    break;
                }
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    async fn find_out_one(&self, planned: &PlannedStep, since: Timestamp) -> Result<(), Trouble> {
        let step = || planned.head.id.clone();
        self.recorder.record(Event::StepStarted { step: step() })?;
        let found = AssertUnwindSafe(self.find_out(planned, since)).catch_unwind().await;
        found.unwrap_or_else(|panic| Err(broke(&*panic)))?;
        // Once the apply landed no look goes back to it, so this is its end.
        if applies(planned) && self.deployed() {
            self.recorder.record(Event::StepFinished { step: step(), result: StepResult::Changed })?;
        }
        Ok(())
    }

    /// An effect of this step is in doubt; or an apply was done and the process died before it noted what follows.
    fn unsure(&self, planned: &PlannedStep) -> bool {
        let state = self.recorder.state();
        state.in_doubt().contains(&planned.head.id)
            || (applies(planned) && state.facts.applied.is_none() && state.did(&planned.head.id))
    }

    /// Asks the world how the effects of one step ended, and writes it down.
    pub(super) async fn find_out(&self, planned: &PlannedStep, since: Timestamp) -> Result<(), Trouble> {
        let clock = &self.readers().clock;
        let id = &planned.head.id;
        let mut unseen: Option<Timestamp> = None;
        loop {
            let settled = {
                let glance = self.glance(planned, since);
                planned.step.settle(glance.look()).await
            };
            // What could not be asked is as it was.
            if let Ok(settled) = &settled {
                let at_work = matches!(settled, Settled::UnderWay(_)) && applies(planned);
                self.is_under_way(at_work.then(|| id.clone()));
            }
            let poll = match settled {
                Ok(Settled::TookEffect(facts) | Settled::InPart(facts)) => {
                    facts.iter().try_for_each(|fact| self.learn_new(id, fact))?;
                    return self.settle(id, true);
                }
                Ok(Settled::NoEffect) => return self.settle(id, false),
                // It stays in doubt until it can be looked at, at the latest when it is given back.
                Ok(Settled::Unseen(evidence)) => {
                    self.saw(id, evidence);
                    return Ok(());
                }
                Ok(Settled::NotOurs(why)) => return self.surely_without_effect(id, &why),
                Ok(Settled::Unknown(refusal)) => {
                    let answers = ["it took effect", "it took no effect"];
                    let took_effect = self.ask(id, refusal, "how did it end?", answers).await?;
                    return self.settle(id, took_effect);
                }
                Ok(Settled::OursOrTheirs(refusal)) => {
                    let answers = ["this run did it", "somebody else did it"];
                    return match self.ask(id, refusal, "who did it?", answers).await? {
                        true => self.settle(id, true),
                        false => self.surely_without_effect(id, "a person says that somebody else did it"),
                    };
                }
                Ok(Settled::Stuck(refusal)) => {
                    return Err(Trouble::InDoubt { what: refusal.what, next: refusal.next });
                }
                Ok(Settled::UnderWay(wait)) => {
                    unseen = None;
                    let deadline = since + clock.scaled(wait.at_most);
                    if clock.now() >= deadline {
                        let what = format!("still waiting for {}", wait.on);
                        return Err(Trouble::Deadline { what, next: wait.next });
                    }
                    self.recorder.tell(Event::Waiting { step: id.clone(), on: wait.on, since, deadline });
                    wait.poll
                }
                Err(trouble) => {
                    let Some(error) = trouble.passing() else { return Err(trouble) };
                    let first = *unseen.get_or_insert(clock.now());
                    if clock.now() >= first + clock.scaled(PATIENCE) {
                        return Err(self.unseen(planned, trouble));
                    }
                    self.recorder.tell(Event::PollFailed { step: id.clone(), why: error.to_string() });
                    error.pause(PAUSE)
                }
            };
            self.pause(poll).await?;
        }
    }

    /// The last resort: a person, who has looked, says whether it took effect. Nobody's silence is an answer.
    async fn ask(&self, id: &str, unknown: Refusal, question: &str, answers: [&str; 2]) -> Result<bool, Trouble> {
        self.saw(id, Evidence::warning(format!("{}; {}", unknown.what, unknown.next)));
        let text = format!("{id}: {question}");
        let [yes, no] = answers;
        let answers = [yes, no, "I do not know: leave it open"];
        let chosen = self.unless_stopped(async { Ok(self.prompt.choose(&text, &answers).await?) }).await?;
        let took_effect = match chosen {
            Some(0) => true,
            Some(1) => false,
            _ if self.stop.wanted() => return Err(Trouble::Stopped),
            _ => {
                let next = format!("{}; then `catalog-deploy resume` at a terminal asks how it ended", unknown.next);
                return Err(Trouble::InDoubt { what: unknown.what, next });
            }
        };
        self.recorder.record(Event::DoubtAnswered { step: id.to_owned(), took_effect })?;
        Ok(took_effect)
    }

    /// As [`Self::settle`], where not even what the effects took is owed.
    fn surely_without_effect(&self, step: &str, why: &str) -> Result<(), Trouble> {
        let open = self.recorder.state().open_effects(step);
        open.iter().try_for_each(|effect| self.recorder.ended(effect, Ended::Refused { why: why.to_owned() }))
    }

    /// Writes down how the effects of `step` that were in doubt ended, now that the world was looked at.
    pub(super) fn settle(&self, step: &str, took_effect: bool) -> Result<(), Trouble> {
        let ended = || if took_effect { Ended::Done } else { Ended::NotSeen };
        let open = self.recorder.state().open_effects(step);
        open.iter().try_for_each(|effect| self.recorder.ended(effect, ended()))
    }

    /// A look that nobody answered: worse where something hangs on it.
    pub(super) fn unseen(&self, planned: &PlannedStep, trouble: Trouble) -> Trouble {
        if self.recorder.state().in_doubt().contains(&planned.head.id) {
            return Trouble::InDoubt {
                what: format!("it may or may not have taken effect, and could not be looked up: {trouble}"),
                next: "wait until the service answers".into(),
            };
        }
        trouble
    }
}

pub(super) fn applies(planned: &PlannedStep) -> bool {
    planned.step.gives().contains(&FactKind::Applied)
}
