//! What a run's state answers: what is in doubt, what stands, what is left to do.

use super::{EffectState, LOCK_STEP, RunState, StepState};
use crate::event::{Adoption, Ended, StepHead, StepResult};
use crate::facts::{PastDeploy, PastRun};

impl RunState {
    /// Steps with an effect whose end is unknown; effects that give back are left out, since looking again settles them.
    pub fn in_doubt(&self) -> Vec<String> {
        let mut steps: Vec<String> = self
            .effects
            .values()
            .filter(|effect| effect.in_doubt() && effect.returns.is_none())
            .map(|effect| effect.step.clone())
            .collect();
        steps.sort();
        steps.dedup();
        steps
    }

    /// Whether a change of this step stands: it was made in any process of this run, and is not being given back.
    pub fn did(&self, step: &str) -> bool {
        let mut effects: Vec<_> =
            self.effects.iter().filter(|(_, it)| it.step == step && !it.without_effect()).collect();
        effects.sort_by_key(|(id, _)| number(id));
        effects.last().is_some_and(|(_, it)| it.returns.is_none() && it.ended == Some(Ended::Done))
    }

    /// Ids of the effects of one step whose end is not known, oldest first; those that give back are left out.
    pub fn open_effects(&self, step: &str) -> Vec<String> {
        let open = |(id, effect): (&String, &EffectState)| {
            (effect.step == step && effect.in_doubt() && effect.returns.is_none()).then(|| id.clone())
        };
        let mut open: Vec<String> = self.effects.iter().filter_map(open).collect();
        open.sort_by_key(|id| number(id));
        open
    }

    /// Whether anything but the lock was ever meant to be changed. What was refused did not happen.
    pub fn changed(&self) -> bool {
        self.effects
            .values()
            .any(|effect| effect.step != LOCK_STEP && effect.returns.is_none() && !effect.without_effect())
    }

    /// Something that cannot be taken back was done (a release published) and what follows from it was not (the apply):
    /// the world is between two states, so no other run may start.
    pub fn half_way(&self) -> bool {
        !self.complete() && self.facts.applied.is_none() && !self.forever().is_empty()
    }

    /// The step whose apply may have done a part of its work, or all of it, or none: nobody knows yet, or it is known to
    /// have ended in between.
    pub fn unsettled_apply(&self) -> Option<&str> {
        if self.facts.applied.is_some() {
            return None;
        }
        let doubt = self.in_doubt();
        let unsettled =
            |head: &&StepHead| head.kind == "apply" && (self.facts.applied_in_part || doubt.contains(&head.id));
        self.heads.iter().find(unsettled).map(|head| head.id.as_str())
    }

    /// Whether this run has taken over everything that `run` held.
    pub fn has_taken_over(&self, run: &str) -> bool {
        self.took_over.as_ref().is_some_and(|(other, _)| other == run)
    }

    /// Whether the deploy was begun, however it ended.
    pub fn deploy_was_tried(&self) -> bool {
        self.facts.applied.is_some() || self.facts.applied_in_part || self.unsettled_apply().is_some()
    }

    /// Effects whose end is not known and that `adoption` leaves behind.
    pub fn doubts_apart_from<'s>(&'s self, adoption: &'s Adoption) -> impl Iterator<Item = &'s str> {
        let adopted = |id: &str| adoption.effects.iter().any(|effect| effect.id == id);
        let doubts = self.effects.iter().filter(|(_, effect)| effect.in_doubt() && effect.returns.is_none());
        doubts.filter(move |(id, _)| !adopted(id)).map(|(_, effect)| effect.what.as_str())
    }

    /// What was done that cannot be taken back, or may have been.
    pub fn forever(&self) -> Vec<String> {
        let done = |effect: &&EffectState| effect.forever && !effect.without_effect();
        self.effects.values().filter(done).map(|effect| effect.what.clone()).collect()
    }

    /// Went through to its end, with no step left open.
    pub fn complete(&self) -> bool {
        self.finish.as_ref().is_some_and(|finish| self.went_through(finish.exit))
    }

    /// Whether an end with this exit code leaves nothing for a resume. Without a deploy, what was held and is restored
    /// counts as not done, so success is taken at its word.
    pub fn went_through(&self, exit: u8) -> bool {
        exit == 0 || (exit == 7 && self.undone().is_empty())
    }

    /// Stands in the way of a new run: it holds something, leaves something in doubt, or is half-way.
    pub fn open(&self) -> bool {
        self.closed.is_none() && (!self.held.is_empty() || !self.in_doubt().is_empty() || self.half_way())
    }

    /// Production runs the new version, and what follows (its pull request, the checks) is not done.
    pub fn deployed_unfinished(&self) -> bool {
        self.resumable() && self.facts.applied.as_ref().is_some_and(|applied| applied.changed)
    }

    /// This run as a later one on the same machine sees it; `None` where it was not known yet which tag to deploy.
    pub fn past(&self) -> Option<PastRun> {
        let deploy = match &self.facts.applied {
            Some(applied) if applied.unverified.is_none() => PastDeploy::Done(applied.ended_at),
            _ if self.deploy_was_tried() => PastDeploy::Unsure,
            _ => PastDeploy::Never,
        };
        Some(PastRun {
            run: self.run.clone(),
            by: format!("{} on {}", self.who, self.host),
            tag: self.facts.target.as_ref().filter(|target| !target.predicted)?.tag.clone(),
            began: self.started_at,
            deploy,
            ended: self.finish.as_ref().map_or_else(|| "open".to_owned(), |finish| finish.reason.clone()),
            image: self.facts.image.clone(),
            running: self.facts.running.clone(),
            bumped: self.facts.bumped.is_some(),
        })
    }

    /// Steps that did not come to an end of their own, in order.
    pub fn undone(&self) -> Vec<String> {
        let done = |head: &&StepHead| {
            !matches!(
                self.steps.get(&head.id),
                Some(StepState::Ended(
                    StepResult::Satisfied
                        | StepResult::Changed
                        | StepResult::Skipped { .. }
                        | StepResult::Unhealthy { .. }
                        | StepResult::Inconclusive { .. }
                        | StepResult::Left { .. }
                ))
            )
        };
        self.heads.iter().filter(done).map(|head| head.id.clone()).collect()
    }

    /// A resume would still do something.
    pub fn resumable(&self) -> bool {
        self.closed.is_none() && !self.complete()
    }
}

/// An effect's place among those of its step.
fn number(effect: &str) -> Option<usize> {
    effect.rsplit('/').next()?.parse().ok()
}
