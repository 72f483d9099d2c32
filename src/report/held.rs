//! What a run still holds, as its events tell it: for showing only. What is owed for real is `journal::status`'s word.

use std::collections::BTreeMap;

use crate::event::{Ended, Event};
use crate::facts::{Held, Place, Thing};

/// A fold over events: changed for the time of the deploy and not given back yet.
#[derive(Debug, Clone, Default)]
pub struct StillHeld {
    held: Vec<Held>,
    /// Effects whose end is not known, with what to do where they turn out not to have happened.
    open: BTreeMap<String, Intended>,
}

#[derive(Debug, Clone)]
struct Intended {
    what: String,
    takes: Vec<String>,
    keeps: Vec<Held>,
}

impl StillHeld {
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::TookOver { adoption } => {
                let own = std::mem::take(&mut self.held);
                self.held = adoption.held.clone();
                self.held.extend(own);
            }
            Event::Intent { effect, what, holds, keeps, .. } => {
                let (kept, held): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut self.held).into_iter().partition(|held| keeps.contains(&held.id));
                self.held = held;
                self.held.extend(holds.iter().cloned());
                let takes = holds.iter().map(|held| held.id.clone()).collect();
                self.open.insert(effect.clone(), Intended { what: what.clone(), takes, keeps: kept });
            }
            Event::Outcome { effect, ended: Ended::Done } => {
                self.open.remove(effect);
            }
            Event::Outcome { effect, ended: Ended::NotSeen } => {
                if let Some(intended) = self.open.remove(effect) {
                    self.held.extend(intended.keeps);
                }
            }
            // Nothing was taken, and what should have become permanent has not.
            Event::Outcome { effect, ended: Ended::Refused { .. } } => {
                if let Some(intended) = self.open.remove(effect) {
                    self.held.retain(|held| !intended.takes.contains(&held.id));
                    self.held.extend(intended.keeps);
                }
            }
            Event::GivenBack { held, .. } => self.held.retain(|it| &it.id != held),
            _ => {}
        }
    }

    /// In the order they were taken.
    pub fn all(&self) -> &[Held] {
        &self.held
    }

    /// What an obligation is, without its values, which have just changed; its id where it is not known.
    pub fn name(&self, id: &str) -> String {
        self.held.iter().find(|held| held.id == id).map_or_else(|| id.to_owned(), brief)
    }

    /// What an effect is for; its name where it is not known.
    pub fn effect(&self, effect: &str) -> String {
        self.open.get(effect).map_or_else(|| effect.to_owned(), |intended| intended.what.clone())
    }

    /// Effects of which nobody knows whether they happened: an unknown answer, or none recorded at all.
    pub fn in_doubt(&self) -> impl Iterator<Item = &str> {
        self.open.values().map(|intended| intended.what.as_str())
    }
}

/// What was changed, without its values.
pub fn brief(held: &Held) -> String {
    match &held.thing {
        Thing::Attribute { file, attribute, .. } => format!("{attribute} in {file}"),
        Thing::PausedDag { dag } => format!("DAG {dag}"),
        Thing::Lock { .. } | Thing::Shell { .. } => held.to_string(),
    }
}

/// One obligation in words, with where it is.
pub fn describe(held: &Held) -> String {
    match &held.place {
        Place::World => held.to_string(),
        Place::Checkout { host, path } => format!("{held} (in {path} on {host})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    fn told(events: &[Event]) -> (Vec<String>, Vec<String>) {
        let mut fold = StillHeld::default();
        events.iter().for_each(|event| fold.event(event));
        (fold.all().iter().map(|held| held.id.clone()).collect(), fold.in_doubt().map(str::to_owned).collect())
    }

    fn ended(effect: &str, ended: Ended) -> Event {
        Event::Outcome { effect: effect.into(), ended }
    }

    #[test]
    fn a_refused_effect_takes_nothing_and_keeps_nothing() {
        let take = samples::intent("bump", "bump/1", "bump", vec![samples::version_held()]);
        let mut apply = samples::intent("apply", "apply/1", "apply the plan", vec![]);
        if let Event::Intent { keeps, .. } = &mut apply {
            keeps.push(samples::version_held().id);
        }
        let refused = || Ended::Refused { why: "no".into() };
        assert!(told(&[take.clone(), ended("bump/1", refused())]).0.is_empty());
        let taken = [take, ended("bump/1", Ended::Done), apply];
        assert!(told(&taken).0.is_empty());
        let back = [&taken[..], &[ended("apply/1", refused())]].concat();
        assert_eq!(told(&back).0, ["bump/version"]);
    }

    #[test]
    fn an_unanswered_effect_stays_in_doubt() {
        let doubt = Ended::InDoubt { why: "timeout".into() };
        let events = [samples::intent("apply", "apply/1", "apply the plan", vec![]), ended("apply/1", doubt)];
        assert_eq!(told(&events).1, ["apply the plan"]);
    }
}
