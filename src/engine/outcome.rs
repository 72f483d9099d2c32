//! How a run ended, in the one form that exit codes, the last words and `--json` are made of.

use crate::event::{Refusal, StepResult};
use crate::facts::Held;
use crate::journal::status::{RunState, StepState};
use crate::step::Trouble;

use super::StopSignal;

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

impl Outcome {
    /// Completes the commands among the next things to do with the options that this run was given, so that they can be
    /// typed as they are printed. A command stands at the end of its line.
    #[must_use]
    pub fn with_options(mut self, options: &str) -> Self {
        complete(&mut self.next, options);
        self
    }
}

/// Adds `options` to every command that does not have them yet.
pub fn complete(next: &mut [String], options: &str) {
    if !options.is_empty() {
        for next in next.iter_mut().filter(|next| ends_in_command(next) && !next.ends_with(options)) {
            next.push_str(options);
        }
    }
}

/// Whether the text is a command, or ends in one after a colon.
fn ends_in_command(text: &str) -> bool {
    let command = text.rsplit_once(": ").map_or(text, |(_, command)| command);
    command.starts_with("catalog-deploy ") && !command.contains(['`', ';', ','])
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
        Trouble::Stopped => StepResult::Stopped { why: "by a signal".into() },
        Trouble::NotApproved { .. } | Trouble::Deadline { .. } => StepResult::Stopped { why: trouble.to_string() },
        Trouble::Locked { what, next } => {
            StepResult::Blocked { refusals: vec![Refusal { what: what.clone(), next: next.clone() }] }
        }
        _ => StepResult::Failed { why: trouble.to_string() },
    }
}

/// A run that was given up and holds nothing any more: what stays of it, and what to do about that.
pub fn restored(state: &RunState) -> Outcome {
    let closed = format!("nothing is held any more by run {}; it is closed", state.run);
    let outcome = |stays: String| Outcome::new(0, "restored", format!("{closed}. {stays}"));
    let has = |kind: &str| state.heads.iter().any(|head| head.kind == kind);
    let tag = state.facts.target.as_ref().map(|target| target.tag.as_str());
    let deploy = tag.map_or_else(String::new, |tag| format!("catalog-deploy {} --tag {tag}", state.runbook));
    if state.facts.applied.as_ref().is_some_and(|applied| applied.changed) {
        let tag = tag.unwrap_or("the new version");
        // The lock and what was to give back are over, by this run's own giving back.
        let over =
            |id: &str| state.heads.iter().any(|head| head.id == id && ["lock", "give-back"].contains(&&*head.kind));
        let undone: Vec<String> = state.undone().into_iter().filter(|id| !over(id)).collect();
        let undone = if undone.is_empty() { String::new() } else { format!(". Not done: {}", undone.join(", ")) };
        if has("infrastructure-pull-request") && state.facts.pull_request.is_none() {
            let stays =
                format!("{tag} is deployed; its version stays in the checkout until its pull request is opened");
            return outcome(format!("{stays}{undone}"))
                .next("commit the version that stands in the checkout, and open its pull request by hand");
        }
        return outcome(format!("{tag} is deployed{undone}"));
    }
    if state.facts.applied.is_none() && state.facts.applied_in_part {
        let stays = format!("{} is deployed in part, and stays so until something is deployed", tag.unwrap_or("it"));
        return outcome(stays).next(and_deploy("deploy the rest with", &deploy));
    }
    if state.half_way() {
        let published = state.heads.iter().any(|head| head.kind == "publish-release" && state.did(&head.id));
        return match &state.facts.release {
            Some(release) if published => outcome(format!("{} stays published and is not deployed", release.git_tag)),
            _ => outcome(format!("not taken back, and not deployed: {}", state.forever().join("; "))),
        }
        .next(and_deploy("deploy it with", &deploy));
    }
    Outcome::new(0, "restored", closed)
}

/// Nothing where the command is not known.
fn and_deploy(words: &str, command: &str) -> String {
    if command.is_empty() { String::new() } else { format!("{words}: {command}") }
}

/// A stop while an apply of an earlier process is still under way: all stays as it is until that has ended, and nobody
/// is needed but for calling again.
pub fn still_at_work(
    state: &RunState,
    step: &str,
    command: &str,
    kept: &[(Held, String)],
    stop: &StopSignal,
) -> Outcome {
    let held: Vec<String> = kept.iter().map(|(held, _)| held.to_string()).collect();
    let held = if held.is_empty() { String::new() } else { format!(", kept until then: {}", held.join("; ")) };
    let message = format!("stopped at {step}: Terraform is still at work{held}");
    let outcome = match stop.signal() {
        Some(_) => interrupted(stop.signal(), message),
        None => Outcome::new(8, "still-waiting", message),
    };
    outcome.next(format!("when it has ended: catalog-deploy {command} {}", state.run))
}

/// What a run that gave up could not give back, with the reason.
pub fn not_given_back(state: &RunState, kept: &[(Held, String)]) -> Outcome {
    let message = format!("a person is needed now; run {} still holds {}", state.run, listed(kept));
    Outcome::new(9, "not-given-back", message)
        .next(format!("catalog-deploy restore {}", state.run))
        .next(format!("catalog-deploy status {}", state.runbook))
}

fn listed(kept: &[(Held, String)]) -> String {
    kept.iter().map(|(held, why)| format!("{held}: {why}")).collect::<Vec<_>>().join("; ")
}

/// Judges the end of a run. `kept` is what could not be given back, with the reason.
pub fn judge(state: &RunState, end: Result<(), Failure>, kept: &[(Held, String)], stop: &StopSignal) -> Outcome {
    let mut outcome = match end {
        Ok(()) => finished(state),
        Err(failure) => failed(state, &failure, stop),
    };
    if outcome.exit != 0 && outcome.exit != 7 && state.facts.applied.as_ref().is_some_and(|applied| applied.changed) {
        let tag = state.facts.target.as_ref().map_or("the new version", |target| target.tag.as_str());
        outcome.message = format!("{}. {tag} is deployed; not done: {}", outcome.message, state.undone().join(", "));
    }
    if !kept.is_empty() {
        let list = listed(kept);
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

/// The gates that a resume asks before it comes to `step`: their change was given back, or never came about.
fn asked_again(state: &RunState, step: &str) -> String {
    let earlier = state.heads.iter().take_while(|head| head.id != step);
    let open = earlier.filter(|head| head.gate && !matches!(state.steps.get(&head.id), Some(StepState::Ended(_))));
    open.map(|head| format!("--approve {} ", head.id)).collect()
}

fn interrupted(signal: Option<i32>, message: String) -> Outcome {
    Outcome::new(128 + signal.and_then(|signal| u8::try_from(signal).ok()).unwrap_or(2), "interrupted", message)
}

fn failed(state: &RunState, failure: &Failure, stop: &StopSignal) -> Outcome {
    let resume = format!("catalog-deploy resume {}", state.run);
    let changed = state.changed();
    let text = failure.trouble.to_string();
    let message = format!("{}: {text}", failure.step);
    match &failure.trouble {
        Trouble::Stopped => interrupted(stop.signal(), format!("stopped at {}", failure.step)).next(resume),
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
            let again = asked_again(state, &failure.step);
            if needs {
                outcome.next(format!("{resume} {again}{next}"))
            } else {
                outcome.next(next.clone()).next(resume)
            }
        }
        Trouble::Locked { next, .. } => Outcome::new(6, "locked", message).next(next.clone()),
        Trouble::Deadline { next, .. } => Outcome::new(8, "still-waiting", message).next(next.clone()).next(resume),
        // The command at work was asked to stop, by us or by the terminal's own Ctrl-C where it is attached: that it failed
        // is what was asked for.
        Trouble::Failed { next, .. } | Trouble::InDoubt { next, .. } if stop.signal().is_some() => {
            interrupted(stop.signal(), message).next(next.clone()).next(resume)
        }
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
