//! What a person at the terminal is offered when a run ended badly.
//!
//! Which offers there are is decided purely; nothing is offered where nobody can be asked.

use std::sync::PoisonError;

use crate::adapters::ServiceError;
use crate::adapters::prompt::Prompt;
use crate::engine::rollback::{back_to, schema_warning};
use crate::engine::{Outcome, StopSignal};
use crate::facts::Subject;
use crate::journal::status::RunState;

use super::error::CliError;
use super::output::{Output, say};
use super::session::{Asking, Go, Session, signal_error};
use super::signals;

/// One way on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Offer {
    Resume,
    /// Deploy this tag, which ran before, as `source` says.
    RollBack {
        tag: String,
        source: String,
    },
    Leave,
}

impl Offer {
    fn text(&self) -> String {
        match self {
            Self::Resume => "Continue with it now (resume)".into(),
            Self::RollBack { tag, .. } => format!("Roll back to {tag} now"),
            Self::Leave => "Leave it for now; `catalog-deploy resume` continues later".into(),
        }
    }
}

/// After an apply that was tried and did not work out. Nothing is offered after a signal (the person wants to be let go),
/// or while it is not known how the apply ended. What could not be given back, a rollback takes over.
fn offers(state: &RunState, outcome: &Outcome) -> Vec<Offer> {
    let applies = |step: &str| state.heads.iter().any(|head| head.id == step && head.kind == "apply");
    let tried = state.effects.values().any(|effect| applies(&effect.step) && effect.returns.is_none());
    let known = !state.in_doubt().iter().any(|step| applies(step));
    if !matches!(outcome.exit, 1 | 9) || !tried || !known || state.facts.applied.is_some() || !state.resumable() {
        return Vec::new();
    }
    let mut offers = vec![Offer::Resume];
    offers.extend(back_to(state).map(|running| {
        let schema = schema_warning(&state.facts).map(|warning| format!("; {warning}")).unwrap_or_default();
        Offer::RollBack { tag: running.tag.clone(), source: format!("{}{schema}", running.source) }
    }));
    offers.push(Offer::Leave);
    offers
}

/// No run is at work while this is asked, so a signal is simply no answer. (Its handler stands since the run, and would
/// swallow it.)
async fn unless_signalled<T>(
    asked: impl Future<Output = Result<Option<T>, ServiceError>>,
) -> Result<Option<T>, CliError> {
    let stop = StopSignal::default();
    let _signals = signals::watch(&stop, |_| ()).map_err(signal_error)?;
    tokio::select! {
        biased;
        () = stop.soon() => Ok(None),
        answer = asked => Ok(answer?),
    }
}

impl Session {
    /// The end of a run, and what the person chose to do about it.
    pub(super) async fn after(&self, mut run: String, mut outcome: Outcome) -> Result<Outcome, CliError> {
        if self.asking != Asking::Terminal {
            return Ok(outcome);
        }
        loop {
            let stored = self.runs.load(&run)?;
            let choice = match outcome.roll_back.take() {
                Some(tag) => Offer::RollBack { tag, source: String::new() },
                None => self.choose(offers(&stored.state, &outcome)).await?,
            };
            match choice {
                Offer::Leave => return Ok(outcome),
                Offer::Resume => outcome = self.go_on(&stored, Go::On, &[]).await?,
                Offer::RollBack { tag, .. } => {
                    let mut parameters = stored.state.parameters.clone();
                    parameters.tag = Some(tag);
                    // Whoever continues without an answer decides that anew for another deploy.
                    parameters.overrides.retain(|given| matches!(given.subject, Subject::Dag { .. }));
                    self.approvals.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    let adopting = self.adopt(&stored, &self.plan(&parameters))?;
                    (run, outcome) = self.begin(parameters, Some(adopting)).await?;
                }
            }
        }
    }

    async fn choose(&self, mut offers: Vec<Offer>) -> Result<Offer, CliError> {
        if offers.is_empty() {
            return Ok(Offer::Leave);
        }
        for offer in &offers {
            // Too long for a line of the menu.
            if let Offer::RollBack { tag, source } = offer {
                say(&format!("{tag} ran before this deploy ({source})"));
            }
        }
        let texts: Vec<String> = offers.iter().map(Offer::text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let prompt = self.person(&Output::of(&self.settings))?;
        let chosen = unless_signalled(prompt.choose("The apply failed. What next?", &texts)).await?;
        Ok(chosen.filter(|index| *index < offers.len()).map_or(Offer::Leave, |index| offers.swap_remove(index)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Ended, Event, FORMAT, Mode, Stamped, StepHead};
    use crate::facts::{AppliedFact, Fact, Parameters, RunningFact, TargetFact};

    fn at(event: Event) -> Stamped {
        Stamped { at: jiff::Timestamp::UNIX_EPOCH, event }
    }

    /// A run whose apply ended as `ended` says, with `more` known.
    fn state(ended: Option<Ended>, more: Vec<Fact>) -> RunState {
        let head = StepHead { id: "tf".into(), title: "".into(), kind: "apply".into(), gate: true, locked: true };
        let mut events = vec![at(Event::RunStarted {
            format: FORMAT,
            run: "r".into(),
            runbook: "prod".into(),
            source: "built in".into(),
            hash: String::new(),
            title: String::new(),
            mode: Mode::Deploy,
            who: "ada".into(),
            host: "laptop".into(),
            parameters: Parameters::default(),
            steps: vec![head],
        })];
        let target = Fact::Target(TargetFact { tag: "rel-new".into(), predicted: false });
        events.extend(more.into_iter().chain([target]).map(|fact| at(Event::Learned { step: "tf".into(), fact })));
        if let Some(ended) = ended {
            events.push(at(Event::StepStarted { step: "tf".into() }));
            events.push(at(Event::Intent {
                step: "tf".into(),
                effect: "tf/1".into(),
                what: "apply".into(),
                holds: vec![],
                keeps: vec![],
                returns: None,
                forever: true,
            }));
            events.push(at(Event::Outcome { effect: "tf/1".into(), ended }));
        }
        RunState::replay(&events).unwrap().unwrap()
    }

    fn running(tag: &str, certain: bool) -> Fact {
        Fact::Running(RunningFact { tag: tag.into(), certain, source: "Terraform's state".into() })
    }

    fn back_to_old() -> Offer {
        let schema = schema_warning(&crate::facts::Facts::default()).unwrap();
        Offer::RollBack { tag: "rel-old".into(), source: format!("Terraform's state; {schema}") }
    }

    fn refused() -> Option<Ended> {
        Some(Ended::Refused { why: "limit".into() })
    }

    #[test]
    fn a_failed_apply_leaves_three_ways() {
        let failed = Outcome::new(1, "step-failed", "");
        let all = [Offer::Resume, back_to_old(), Offer::Leave];
        assert_eq!(offers(&state(refused(), vec![running("rel-old", true)]), &failed), all);
        assert_eq!(offers(&state(Some(Ended::Done), vec![running("rel-old", true)]), &failed), all, "in part");
    }

    #[test]
    fn the_tag_just_deployed_is_none_to_go_back_to() {
        let failed = Outcome::new(1, "step-failed", "");
        let same = state(refused(), vec![running("rel-new", true)]);
        assert_eq!(offers(&same, &failed), [Offer::Resume, Offer::Leave]);
        // One that is only inferred is offered too: it is named with its source.
        let inferred = state(refused(), vec![running("rel-old", false)]);
        assert_eq!(offers(&inferred, &failed), [Offer::Resume, back_to_old(), Offer::Leave]);
    }

    #[test]
    fn nothing_is_offered_for_other_ends() {
        let failed = Outcome::new(1, "step-failed", "");
        let applied = AppliedFact {
            ended_at: jiff::Timestamp::UNIX_EPOCH,
            airflow_clock_skew_ms: 0,
            changed: true,
            unverified: None,
        };
        assert_eq!(offers(&state(None, vec![]), &failed), [], "never tried");
        assert_eq!(offers(&state(Some(Ended::InDoubt { why: "?".into() }), vec![]), &failed), [], "in doubt");
        assert_eq!(offers(&state(Some(Ended::Done), vec![Fact::Applied(applied)]), &failed), [], "a later step failed");
        for exit in [0, 3, 5, 7, 130] {
            assert_eq!(offers(&state(refused(), vec![]), &Outcome::new(exit, "", "")), [], "exit {exit}");
        }
    }
}
