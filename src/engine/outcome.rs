//! How a run ended, in the one form that exit codes, the last words and `--json` are made of.

use crate::event::{Refusal, StepResult};
use crate::facts::Held;
use crate::journal::status::RunState;
use crate::step::Trouble;

/// The end of a run. `reason` is stable: scripts match on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub exit: u8,
    pub reason: &'static str,
    pub message: String,
    /// What to do, one command or sentence each.
    pub next: Vec<String>,
}

impl Outcome {
    pub fn new(exit: u8, reason: &'static str, message: impl Into<String>) -> Self {
        Self { exit, reason, message: message.into(), next: Vec::new() }
    }
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        let next = next.into();
        if !next.is_empty() {
            self.next.push(next);
        }
        self
    }
}

/// What ended a run early, at which step.
#[derive(Debug)]
pub struct Failure {
    pub step: String,
    pub trouble: Trouble,
}

/// The step's own result for the journal.
pub fn step_result(trouble: &Trouble) -> StepResult {
    match trouble {
        Trouble::Refused(refusals) => StepResult::Blocked { refusals: refusals.clone() },
        Trouble::Stopped | Trouble::NotApproved { .. } | Trouble::Deadline { .. } => {
            StepResult::Stopped { why: trouble.to_string() }
        }
        Trouble::Locked { what, next } => {
            StepResult::Blocked { refusals: vec![Refusal { what: what.clone(), next: next.clone() }] }
        }
        _ => StepResult::Failed { why: trouble.to_string() },
    }
}

/// Judges the end of a run. `kept` is what could not be given back, with the reason.
pub fn judge(state: &RunState, end: Result<(), Failure>, kept: &[(Held, String)], signal: Option<i32>) -> Outcome {
    let mut outcome = match end {
        Ok(()) => finished(state),
        Err(failure) => failed(state, &failure, signal),
    };
    if !kept.is_empty() {
        let list = kept.iter().map(|(held, why)| format!("{held}: {why}")).collect::<Vec<_>>().join("; ");
        outcome.message = format!("{}. A person is needed now, still held: {list}", outcome.message);
        outcome.exit = 9;
        outcome.reason = "not-given-back";
        let restore = format!("catalog-deploy restore {}", state.run);
        if !outcome.next.iter().any(|next| next.contains("catalog-deploy resume")) {
            outcome.next.push(format!("catalog-deploy resume {}", state.run));
        }
        outcome.next.push(restore);
    } else if outcome.exit != 0 && outcome.exit != 7 && outcome.exit < 128 && state.open() {
        outcome.next.push(format!("to give the run up instead: catalog-deploy restore {}", state.run));
    }
    outcome
}

fn finished(state: &RunState) -> Outcome {
    let find = |pick: fn(&StepResult) -> Option<&str>| {
        state.heads.iter().find_map(|head| match state.steps.get(&head.id) {
            Some(crate::journal::status::StepState::Ended(result)) => {
                pick(result).map(|why| format!("{}: {why}", head.id))
            }
            _ => None,
        })
    };
    let tag = state.facts.target.as_ref().map_or("the deploy", |target| target.tag.as_str());
    if let Some(why) = find(|result| match result {
        StepResult::Unhealthy { why } => Some(why),
        _ => None,
    }) {
        return Outcome::new(7, "unhealthy", format!("{tag} is deployed, but not healthy. {why}")).next(
            "roll back with: catalog-deploy RUNBOOK --tag TAG"
                .replace("RUNBOOK", &state.runbook)
                .replace("TAG", state.facts.running.as_ref().map_or("rel-…", |running| running.tag.as_str())),
        );
    }
    if let Some(why) = find(|result| match result {
        StepResult::Inconclusive { why } => Some(why),
        _ => None,
    }) {
        return Outcome::new(
            7,
            "inconclusive",
            format!("{tag} is deployed, but not everything could be checked. {why}"),
        )
        .next(format!("look at it by hand; all that was seen: catalog-deploy show {}", state.run));
    }
    match &state.facts.applied {
        Some(applied) if applied.changed => Outcome::new(0, "done", format!("{tag} is deployed")),
        Some(_) => Outcome::new(0, "done", "nothing had to be changed: no service deployment was needed"),
        None => Outcome::new(0, "done", "every step is done"),
    }
}

fn failed(state: &RunState, failure: &Failure, signal: Option<i32>) -> Outcome {
    let resume = format!("catalog-deploy resume {}", state.run);
    let changed = state.changed();
    let text = failure.trouble.to_string();
    let message = format!("{}: {text}", failure.step);
    match &failure.trouble {
        Trouble::Stopped => {
            let signal = signal.unwrap_or(2);
            let exit = 128 + u8::try_from(signal).unwrap_or(2);
            let outcome = Outcome::new(exit, "interrupted", format!("stopped at {}", failure.step));
            outcome.next(resume)
        }
        Trouble::Refused(refusals) => {
            let mut outcome = if changed {
                Outcome::new(1, "refused-after-change", message)
            } else {
                Outcome::new(3, "refused", format!("{message}. Nothing was changed"))
            };
            for refusal in refusals {
                outcome = outcome.next(refusal.next.clone());
            }
            if changed { outcome.next(resume) } else { outcome }
        }
        Trouble::Service(error) if error.credentials() => {
            let outcome = Outcome::new(4, "credentials", message)
                .next(format!("look at what these credentials may do: catalog-deploy doctor {}", state.runbook));
            if changed { outcome.next(resume) } else { outcome }
        }
        Trouble::Service(_) if !changed => Outcome::new(3, "unreachable", format!("{message}. Nothing was changed"))
            .next(format!("try again, or see what is wrong: catalog-deploy doctor {}", state.runbook)),
        Trouble::NotApproved { next, .. } => {
            let needs = next.contains("--approve");
            let reason = if needs { "gate-needs-answer" } else { "gate-declined" };
            let outcome = Outcome::new(5, reason, message);
            if needs { outcome.next(format!("{resume} {next}")) } else { outcome.next(next.clone()).next(resume) }
        }
        Trouble::Locked { next, .. } => Outcome::new(6, "locked", message).next(next.clone()),
        Trouble::Deadline { next, .. } => Outcome::new(8, "still-waiting", message).next(next.clone()).next(resume),
        Trouble::Failed { next, .. } | Trouble::InDoubt { next, .. } => {
            let reason = if matches!(failure.trouble, Trouble::InDoubt { .. }) { "in-doubt" } else { "step-failed" };
            Outcome::new(1, reason, message).next(next.clone()).next(resume)
        }
        Trouble::Service(_) => Outcome::new(1, "step-failed", message).next(resume),
        Trouble::Journal(_) => Outcome::new(1, "journal", message)
            .next("free the disk or mend it; nothing is changed without a journal")
            .next(resume),
    }
}
