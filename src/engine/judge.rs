//! Every reason for how a run ended, and which of them is the worst.

use crate::adapters::ServiceError;
use crate::event::{EndFinding, StepHead, StepResult};
use crate::facts::{Held, Parameters, Subject};
use crate::journal::status::{RunState, StepState};
use crate::report::text::shell_word;
use crate::step::Trouble;

use super::StopSignal;
use super::outcome::{Failure, Outcome, interrupted, listed, missing_message};
use super::rollback::{advice, back_to};

/// The kind of step that looks at production after the deploy.
const CHECKS: &str = "post-checks";

/// One reason for how a run ended.
struct End {
    /// Empty for an end of the run as a whole.
    step: String,
    outcome: Outcome,
    /// What is to be said of a deploy that ended so, before the reasons; `None` where the reason says it all.
    but: Option<&'static str>,
    /// A resume would try again.
    resumes: bool,
    /// What a resume would need beforehand, e.g. `--approve apply@…`.
    flags: Vec<String>,
}

impl End {
    fn new(exit: u8, reason: &'static str, step: &str, what: impl std::fmt::Display) -> Self {
        let outcome = Outcome::new(exit, reason, format!("{step}: {what}"));
        Self { step: step.to_owned(), outcome, but: None, resumes: false, flags: Vec::new() }
    }
    fn but(self, but: &'static str) -> Self {
        Self { but: Some(but), ..self }
    }
    fn next(mut self, next: impl Into<String>) -> Self {
        self.outcome = self.outcome.next(next);
        self
    }
    fn resumed(self) -> Self {
        Self { resumes: true, ..self }
    }

    /// The smaller, the worse. What can only end a run before its deploy stands with the failures.
    fn rank(&self) -> u8 {
        match (self.outcome.exit, self.outcome.reason) {
            (9, _) => 0,
            (128.., _) => 1,
            (7, "unhealthy") => 3,
            (8, _) => 4,
            (5, _) => 5,
            (7, "inconclusive") => 6,
            (7, _) => 7,
            (0, _) => 8,
            _ => 2,
        }
    }
}

/// Judges the end of a run: every reason is listed, the worst gives exit code and reason. `kept` is what could not be
/// given back, with the reason.
pub fn judge(state: &RunState, failures: Vec<Failure>, kept: &[(Held, String)], stop: &StopSignal) -> Outcome {
    let mut ends: Vec<End> = failures.iter().map(|failure| failed(state, failure, stop)).collect();
    ends.extend(open_ends(state));
    ends.sort_by_key(End::rank);
    let findings = ends.iter().map(|End { outcome, .. }| EndFinding {
        exit: outcome.exit,
        reason: outcome.reason.to_owned(),
        message: outcome.message.clone(),
    });
    let mut findings: Vec<EndFinding> = findings.collect();
    let flags: Vec<&str> = ends.iter().flat_map(|end| &end.flags).map(String::as_str).collect();
    let resume = [&["catalog-deploy", "resume", &state.run], flags.as_slice()].concat().join(" ");
    let resumes = ends.iter().any(|end| end.resumes);
    let mut outcome = merged(state, ends);
    outcome = left(state).into_iter().fold(outcome, Outcome::next);
    if resumes || !kept.is_empty() {
        outcome = outcome.next(resume);
    }
    if !kept.is_empty() {
        let list = listed(kept);
        let held = format!("manual action is needed now, still held: {list}");
        findings.insert(0, EndFinding { exit: 9, reason: "not-given-back".into(), message: held });
        outcome.message = format!("{}. Manual action is needed now, still held: {list}", outcome.message);
        outcome.exit = 9;
        outcome.reason = "not-given-back";
        outcome = outcome.next(format!("catalog-deploy restore {}", state.run));
        let said = outcome.next.iter().any(|next| next.contains(" --tag "));
        if deployed(state)
            && !said
            && let Some(running) = back_to(state)
        {
            outcome = outcome.next(format!("to roll back, which takes over what is held, {}", advice(state, running)));
        }
    } else if !matches!(outcome.exit, 0 | 7 | 128..) && state.open() {
        outcome = outcome.next(format!("to give the run up instead: catalog-deploy restore {}", state.run));
    }
    if findings.len() > 1 {
        outcome.findings = findings;
    }
    outcome
}

/// What no one has done who was asked to, without an effect on the exit code.
fn left(state: &RunState) -> Vec<String> {
    let ended = state.heads.iter().filter_map(|head| state.steps.get(&head.id));
    let left = ended.filter_map(|step| match step {
        StepState::Ended(StepResult::Left { what }) => Some(format!("left for you: {what}")),
        _ => None,
    });
    left.collect()
}

fn deployed(state: &RunState) -> bool {
    state.facts.applied.as_ref().is_some_and(|applied| applied.changed)
}

/// One outcome with the exit of the worst and the words of all.
fn merged(state: &RunState, ends: Vec<End>) -> Outcome {
    let named: Vec<String> = ends.iter().map(|end| end.step.clone()).collect();
    let but = ends.first().and_then(|end| end.but);
    let all: Vec<&str> = ends.iter().map(|end| end.outcome.message.as_str()).collect();
    let all = all.join(". ");
    let mut ends = ends.into_iter();
    let Some(worst) = ends.next() else { return done(state) };
    let worst = ends.flat_map(|end| end.outcome.next).fold(worst.outcome, Outcome::next);
    let tag = state.facts.target.as_ref().map_or("the new version", |target| target.tag.as_str());
    let undone: Vec<String> = state.undone().into_iter().filter(|step| !named.contains(step)).collect();
    let undone = undone.join(", ");
    let message = match (but, deployed(state)) {
        (Some(but), _) if undone.is_empty() => format!("{tag} is deployed, but {but}. {all}"),
        (Some(but), _) => format!("{tag} is deployed, but {but}. {all}. Not done: {undone}"),
        (None, true) if undone.is_empty() => format!("{all}. {tag} is deployed"),
        (None, true) => format!("{all}. {tag} is deployed; not done: {undone}"),
        (None, false) => all,
    };
    Outcome { message, ..worst }
}

/// What is not as it should be although every step had its turn.
fn open_ends(state: &RunState) -> Vec<End> {
    let mut ends = Vec::new();
    for (index, head) in state.heads.iter().enumerate() {
        let Some(StepState::Ended(result)) = state.steps.get(&head.id) else { continue };
        // The last look at production counts.
        let again = |later: &StepHead| {
            later.kind == CHECKS
                && matches!(state.steps.get(&later.id), Some(StepState::Ended(result)) if looked(result))
        };
        if head.kind == CHECKS && state.heads[index + 1..].iter().any(again) {
            continue;
        }
        let id = &head.id;
        let end = match result {
            StepResult::Unhealthy { why } => {
                let end = End::new(7, "unhealthy", id, why).but("not healthy");
                match back_to(state) {
                    Some(running) => end.next(format!("roll back {}", advice(state, running))),
                    None => end.next(format!("choose a tag to roll back to: catalog-deploy tags {}", state.runbook)),
                }
            }
            StepResult::Inconclusive { why } => inconclusive(state, id, why),
            StepResult::Unfinished { why } => {
                End::new(7, "unfinished", id, why).but("something is left open").resumed()
            }
            _ => continue,
        };
        ends.push(end);
    }
    if let Some(why) = state.facts.applied.as_ref().and_then(|applied| applied.unverified.as_ref()) {
        let what = format!("Terraform reported success, but that was not verified: {why}");
        ends.push(inconclusive(state, "apply", &what));
    }
    ends
}

/// Whether the step came to an end of its own.
fn looked(result: &StepResult) -> bool {
    matches!(
        result,
        StepResult::Satisfied | StepResult::Changed | StepResult::Unhealthy { .. } | StepResult::Inconclusive { .. }
    )
}

fn inconclusive(state: &RunState, step: &str, why: &str) -> End {
    End::new(7, "inconclusive", step, why)
        .but("not everything could be checked")
        .next(format!("look at it by hand; all that was seen: catalog-deploy show {}", state.run))
}

fn done(state: &RunState) -> Outcome {
    let tag = state.facts.target.as_ref().map_or("the deploy", |target| target.tag.as_str());
    let message = match &state.facts.applied {
        Some(applied) if applied.changed => format!("{tag} is deployed"),
        Some(_) => "nothing had to be changed: no service deployment was needed".into(),
        None => "every step is done".into(),
    };
    Outcome::new(0, "done", message)
}

/// The command that began this run, with what was overridden since.
fn anew(state: &RunState) -> String {
    let Parameters { tag, overrides, wait, lock_wait, allow_empty_release } = &state.parameters;
    let mut words = vec!["catalog-deploy".to_owned(), state.runbook.clone()];
    words.extend(tag.iter().flat_map(|tag| ["--tag".to_owned(), shell_word(tag)]));
    for given in overrides {
        let name = match &given.subject {
            Subject::Check { check } => check.to_string(),
            Subject::Dag { dag } => format!("dag:{dag}"),
        };
        words.extend(["--override".to_owned(), shell_word(&format!("{name}={}", given.reason))]);
    }
    for (flag, duration) in [("--wait", wait), ("--lock-wait", lock_wait)] {
        let duration = duration.map(|it| humantime::format_duration(it).to_string().replace(' ', ""));
        words.extend(duration.into_iter().flat_map(|it| [flag.to_owned(), it]));
    }
    words.extend(allow_empty_release.then(|| "--allow-empty-release".to_owned()));
    words.join(" ")
}

/// The gates that a resume asks before it comes to `step`: their change was given back, or never came about.
fn asked_again(state: &RunState, step: &str) -> Vec<String> {
    let earlier = state.heads.iter().take_while(|head| head.id != step);
    let open = earlier.filter(|head| head.gate && !matches!(state.steps.get(&head.id), Some(StepState::Ended(_))));
    open.map(|head| format!("--approve {}", head.id)).collect()
}

fn failed(state: &RunState, failure: &Failure, stop: &StopSignal) -> End {
    let changed = state.changed();
    let deployed = state.facts.applied.is_some();
    let (step, trouble) = (failure.step.as_str(), &failure.trouble);
    let end = |exit: u8, reason: &'static str| End::new(exit, reason, step, trouble);
    let stopped = |message: String| {
        let outcome = interrupted(stop.signal(), message);
        End { outcome, ..end(1, "interrupted") }.resumed()
    };
    match trouble {
        Trouble::Stopped => stopped(format!("stopped at {step}")),
        Trouble::Refused(refusals) => {
            let end = match changed {
                true => end(1, "refused-after-change").resumed(),
                false => End::new(3, "refused", step, format!("{trouble}. Nothing was changed")),
            };
            refusals.iter().fold(end, |end, refusal| end.next(refusal.next.clone()))
        }
        Trouble::Missing(missing) => {
            let flag = format!("--override {}=\"REASON\"", missing.check);
            let command = match changed {
                true => format!("catalog-deploy resume {} {flag}", state.run),
                false => format!("{} {flag}", anew(state)),
            };
            let consequence = missing.consequence.trim_end_matches('.');
            unanswered(state, step, missing_message(missing), &missing.error, changed, deployed)
                .next(format!("{consequence}. To continue without this check: {command}"))
        }
        Trouble::Service(error) => unanswered(state, step, error.to_string(), error, changed, deployed),
        Trouble::NotApproved { next, .. } => {
            let needs = next.contains("--approve");
            let end = end(5, if needs { "gate-needs-answer" } else { "gate-declined" }).resumed();
            match needs {
                true => End { flags: [asked_again(state, step), vec![next.clone()]].concat(), ..end },
                false => end.next(next.clone()),
            }
        }
        Trouble::Locked { next, .. } if deployed => end(1, "refused-after-change").next(next.clone()).resumed(),
        Trouble::Locked { next, .. } => end(6, "locked").next(next.clone()),
        Trouble::Deadline { next, .. } => end(8, "still-waiting").next(next.clone()).resumed(),
        // The command at work was asked to stop, by us or by the terminal's own Ctrl-C where it is attached: that it failed
        // is what was asked for.
        Trouble::Failed { next, .. } | Trouble::InDoubt { next, .. } if stop.signal().is_some() => {
            stopped(format!("{step}: {trouble}")).next(next.clone())
        }
        Trouble::Failed { next, .. } => end(1, "step-failed").next(next.clone()).resumed(),
        Trouble::InDoubt { next, .. } => end(1, "in-doubt").next(next.clone()).resumed(),
        Trouble::Journal(_) => {
            end(1, "journal").next("free disk space or repair the disk; nothing is changed without a journal").resumed()
        }
    }
}

/// A service that did not answer, or not to these credentials. After the deploy it only leaves this end open.
fn unanswered(state: &RunState, step: &str, what: String, error: &ServiceError, changed: bool, deployed: bool) -> End {
    let doctor = |words: &str| format!("{words}: catalog-deploy doctor {}", state.runbook);
    let credentials = error.credentials();
    let end = match (deployed, changed, credentials) {
        (true, ..) => End::new(7, "unfinished", step, what).but("something is left open").resumed(),
        (_, true, true) => End::new(4, "credentials", step, what).resumed(),
        (_, true, false) => End::new(1, "step-failed", step, what).resumed(),
        (_, false, true) => End::new(4, "credentials", step, what),
        (_, false, false) => End::new(3, "unreachable", step, format!("{what}. Nothing was changed")),
    };
    match (credentials, changed) {
        (true, _) => end.next(doctor("look at what these credentials may do")),
        (false, false) => end.next(doctor("try again, or see what is wrong")),
        (false, true) => end,
    }
}
