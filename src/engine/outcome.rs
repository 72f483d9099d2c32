//! How a run ended, in the one form that exit codes, the last words and `--json` are made of.

use crate::event::{EndFinding, Refusal, StepResult};
use crate::facts::Held;
use crate::journal::status::RunState;
use crate::step::{Missing, Trouble};

use super::StopSignal;
use super::rollback::{advice, back_to};

/// The end of a run. `reason` is stable: scripts match on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub exit: u8,
    pub reason: &'static str,
    pub message: String,
    /// What to do, one command or sentence each.
    pub next: Vec<String>,
    /// Where there are several reasons: each, the worst first.
    pub findings: Vec<EndFinding>,
    /// The tag that someone at the terminal chose to go back to.
    pub roll_back: Option<String>,
}

impl Outcome {
    pub fn new(exit: u8, reason: &'static str, message: impl Into<String>) -> Self {
        Self { exit, reason, message: message.into(), next: Vec::new(), findings: Vec::new(), roll_back: None }
    }
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        let next = next.into();
        if !next.is_empty() && !self.next.contains(&next) {
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
        Trouble::Missing(missing) => StepResult::Blocked { refusals: vec![missing_refusal(missing)] },
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
    let outcome = Outcome::new(9, "not-given-back", message)
        .next(format!("catalog-deploy restore {}", state.run))
        .next(format!("catalog-deploy status {}", state.runbook));
    // Where the deploy itself has broken what it takes to restore, only another deploy helps.
    if !state.deploy_was_tried() {
        return outcome;
    }
    match back_to(state) {
        Some(running) => outcome.next(format!("or roll back {}", advice(state, running))),
        None => outcome.next(format!("or choose a tag to roll back to: catalog-deploy tags {}", state.runbook)),
    }
}

pub(super) fn listed(kept: &[(Held, String)]) -> String {
    kept.iter().map(|(held, why)| format!("{held}: {why}")).collect::<Vec<_>>().join("; ")
}

/// What a missing answer looks like among refusals: the override that exists is named.
pub fn missing_refusal(missing: &Missing) -> Refusal {
    let next = format!(
        "{}; to continue without it, pass --override {}=\"REASON\"",
        missing.consequence.trim_end_matches('.'),
        missing.check
    );
    Refusal { what: missing_message(missing), next }
}

pub(super) fn missing_message(missing: &Missing) -> String {
    match missing.hidden() {
        true => format!("{}; the service may be healthy, but this machine cannot see it", missing.error),
        false => missing.error.to_string(),
    }
}

pub(super) fn interrupted(signal: Option<i32>, message: String) -> Outcome {
    Outcome::new(128 + signal.and_then(|signal| u8::try_from(signal).ok()).unwrap_or(2), "interrupted", message)
}
