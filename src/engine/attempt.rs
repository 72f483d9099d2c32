//! One step: look, decide, ask, act, look again.

use std::time::Duration;

use jiff::Timestamp;

use crate::event::{Event, Evidence, Refusal, StepResult};
use crate::facts::Fact;
use crate::plan::PlannedStep;
use crate::plan::approval::Consent;
use crate::step::{Decision, Finding, Inquiry, Trouble, Wait};

use super::run::{PATIENCE, PAUSE, Run};

/// How often one step may act before acting is taken to be no help.
const MOST_ACTS: usize = 4;

/// How an attempt ended.
pub(super) enum Attempted {
    Ended(StepResult),
    /// It waits for something outside, and others may be tried meanwhile; to be tried again after this long.
    Aside(Duration),
}

/// What a look came to.
enum Looked {
    Found(Finding),
    Aside(Duration),
}

impl Run<'_> {
    pub(super) async fn attempt(
        &self,
        index: usize,
        planned: &PlannedStep,
        since: Timestamp,
        again: bool,
    ) -> Result<Attempted, Trouble> {
        let id = &planned.head.id;
        let ended = |result| Ok(Attempted::Ended(result));
        let mut approved: Option<(String, Consent)> = None;
        let mut lost: Option<String> = None;
        for acted in 0..=MOST_ACTS {
            let looked = self.unless_overridden(id, || async {
                if acted == 0 {
                    // Nothing is under way yet, so a look can be given up at any moment.
                    self.unless_stopped(self.look(planned, since, again)).await
                } else {
                    self.look(planned, since, true).await
                }
            });
            let finding = match looked.await? {
                Looked::Found(finding) => finding,
                Looked::Aside(poll) => return Ok(Attempted::Aside(poll)),
            };
            match finding.decision {
                Decision::Satisfied => {
                    self.settle(id, true)?;
                    let changed = acted > 0 || self.recorder.state().did(id);
                    return ended(if changed { StepResult::Changed } else { StepResult::Satisfied });
                }
                Decision::Unhealthy(why) => return ended(StepResult::Unhealthy { why }),
                Decision::Inconclusive(why) => return ended(StepResult::Inconclusive { why }),
                Decision::Unfinished(why) => return ended(StepResult::Unfinished { why }),
                Decision::Ask(inquiry) => return self.inquire(id, inquiry).await.map(Attempted::Ended),
                Decision::Blocked(refusals) => return Err(Trouble::Refused(refusals)),
                Decision::Unknown(refusal) => {
                    return Err(Trouble::InDoubt { what: refusal.what, next: refusal.next });
                }
                Decision::Wait(wait) => {
                    return Err(Trouble::Deadline { what: format!("still waiting for {}", wait.on), next: wait.next });
                }
                Decision::Change(question) => {
                    // Whatever was in doubt has been looked for and is not there.
                    self.settle(id, false)?;
                    self.look_ahead(index).await;
                    let consent = match approved.take() {
                        Some((digest, consent)) if digest == question.digest => consent,
                        _ => self.consent(index, planned, &question).await?,
                    };
                    self.unless_overridden(id, || self.take_over()).await?;
                    let made = self.act(planned, since, &question, &consent).await;
                    approved = Some((question.digest.clone(), consent));
                    match made {
                        Ok(()) => lost = None,
                        // What it has done by then is seen by the next look.
                        Err(Trouble::Missing(missing)) => self.ask_override(id, *missing).await?,
                        Err(Trouble::InDoubt { what, .. }) => {
                            self.find_out(planned, since).await?;
                            lost = Some(what);
                        }
                        Err(trouble) => return Err(trouble),
                    }
                }
            }
        }
        Err(match lost {
            Some(what) => Trouble::Failed {
                what: format!("tried {} times and looked up each time: it took no effect; {what}", MOST_ACTS + 1),
                next: "wait until the service answers as it should".into(),
            },
            None => Trouble::Failed {
                what: "it was changed, and still is not as wanted".into(),
                next: "look at the output above".into(),
            },
        })
    }

    /// Asks whoever is there to look at something that only a person can see.
    async fn inquire(&self, step: &str, inquiry: Inquiry) -> Result<StepResult, Trouble> {
        for line in inquiry.instructions {
            self.recorder.tell(Event::Said { text: format!("{step}: {line}") });
        }
        let texts: Vec<&str> = inquiry.answers.iter().map(|(text, _)| text.as_str()).collect();
        let question = format!("{step}: {}", inquiry.question);
        let chosen = self.unless_stopped(async { Ok(self.prompt.choose(&question, &texts).await?) }).await?;
        if chosen.is_none() && self.stop.wanted() {
            return Err(Trouble::Stopped);
        }
        let chosen = chosen.and_then(|index| inquiry.answers.into_iter().nth(index));
        Ok(match chosen {
            Some((text, result)) => {
                self.saw(step, Evidence::verified(format!("{} on {} answered: {text}", self.who, self.host)));
                result
            }
            None => inquiry.otherwise,
        })
    }

    /// Gives `look` up at once when a stop is wanted. Only for what changes nothing.
    pub(super) async fn unless_stopped<T>(&self, look: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
        tokio::select! {
            biased;
            () = self.stop.soon() => Err(Trouble::Stopped),
            found = look => found,
        }
    }

    /// Observes until there is something else to say than "wait", or the deadline passes (then the wait comes back).
    /// `patient`: it is not the first look, so that a hiccup of a service does not end the step.
    async fn look(&self, planned: &PlannedStep, since: Timestamp, patient: bool) -> Result<Looked, Trouble> {
        let clock = &self.readers().clock;
        let mut waiting: Option<Wait> = None;
        let mut unseen: Option<Timestamp> = None;
        loop {
            let found = {
                let glance = self.glance(planned, since);
                planned.step.observe(glance.look()).await
            };
            let finding = match found {
                Ok(finding) => finding,
                Err(trouble) => {
                    let Some(error) = trouble.passing().filter(|_| patient || waiting.is_some()) else {
                        return Err(trouble);
                    };
                    let first = *unseen.get_or_insert(clock.now());
                    let patience = waiting.as_ref().map_or(PATIENCE, |wait| wait.at_most);
                    if clock.now() >= first + clock.scaled(patience) {
                        return Err(self.unseen(planned, trouble));
                    }
                    self.recorder.tell(Event::PollFailed { step: planned.head.id.clone(), why: error.to_string() });
                    self.pause(error.pause(waiting.as_ref().map_or(PAUSE, |wait| wait.poll))).await?;
                    continue;
                }
            };
            unseen = None;
            let Decision::Wait(wait) = &finding.decision else {
                self.told(planned, &finding)?;
                return Ok(Looked::Found(finding));
            };
            let from = wait.from.unwrap_or(since);
            let deadline = from + clock.scaled(wait.at_most);
            if clock.now() >= deadline {
                self.told(planned, &finding)?;
                if wait.from.is_some() {
                    self.waited_enough();
                }
                if wait.refuse_after {
                    let what = format!("waited {} for {}", humantime::format_duration(wait.at_most), wait.on);
                    let refusal = Refusal { what, next: wait.next.clone() };
                    return Ok(Looked::Found(Finding { decision: Decision::Blocked(vec![refusal]), ..finding }));
                }
                return Ok(Looked::Found(finding));
            }
            for fact in &finding.learned {
                self.learn_new(&planned.head.id, fact)?;
            }
            let step = planned.head.id.clone();
            self.recorder.tell(Event::Waiting { step, on: wait.on.clone(), since: from, deadline });
            if wait.aside && self.deployed() {
                return Ok(Looked::Aside(wait.poll));
            }
            self.pause(wait.poll).await?;
            waiting = Some(wait.clone());
        }
    }

    /// Ends at once when a stop is wanted.
    pub(super) async fn pause(&self, poll: Duration) -> Result<(), Trouble> {
        tokio::select! {
            biased;
            () = self.stop.soon() => Err(Trouble::Stopped),
            () = self.readers().clock.sleep(poll) => Ok(()),
        }
    }

    fn told(&self, planned: &PlannedStep, finding: &Finding) -> Result<(), Trouble> {
        for evidence in &finding.evidence {
            self.saw(&planned.head.id, evidence.clone());
        }
        finding.learned.iter().try_for_each(|fact| self.learn_new(&planned.head.id, fact))
    }

    /// Facts that say nothing new are not written again at every poll.
    pub(super) fn learn_new(&self, step: &str, fact: &Fact) -> Result<(), Trouble> {
        let facts = self.recorder.state().facts;
        let mut after = facts.clone();
        after.learn(fact.clone());
        if after == facts {
            return Ok(());
        }
        self.recorder.record(Event::Learned { step: step.to_owned(), fact: fact.clone() })
    }
}
