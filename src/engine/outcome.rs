//! How a run ended, in the one form that exit codes, the last words and `--json` are made of.

use crate::adapters::ServiceError;
use crate::event::{EndFinding, Refusal, StepResult};
use crate::facts::{Held, RunningFact};
use crate::journal::status::{RunState, StepState};
use crate::step::{Missing, Trouble};

use super::StopSignal;
use super::rollback::{back_to, schema_warning};

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
    Outcome::new(9, "not-given-back", message)
        .next(format!("catalog-deploy restore {}", state.run))
        .next(format!("catalog-deploy status {}", state.runbook))
}

fn listed(kept: &[(Held, String)]) -> String {
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

fn missing_message(missing: &Missing) -> String {
    match missing.hidden() {
        true => format!("{}; the service may be healthy, but this machine cannot see it", missing.error),
        false => missing.error.to_string(),
    }
}

/// One reason for how a run ended.
struct End {
    outcome: Outcome,
    /// A resume would try again.
    resumes: bool,
    /// What a resume would need beforehand, e.g. `--approve apply@…`.
    flags: Vec<String>,
}

impl End {
    fn new(exit: u8, reason: &'static str, message: impl Into<String>) -> Self {
        Self { outcome: Outcome::new(exit, reason, message), resumes: false, flags: Vec::new() }
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
    if ends.is_empty() {
        ends.push(done(state));
    }
    ends.sort_by_key(End::rank);
    let findings = ends.iter().filter(|end| end.outcome.exit != 0).map(|End { outcome, .. }| EndFinding {
        exit: outcome.exit,
        reason: outcome.reason.to_owned(),
        message: outcome.message.clone(),
    });
    let mut findings: Vec<EndFinding> = findings.collect();
    let flags: Vec<&str> = ends.iter().flat_map(|end| &end.flags).map(String::as_str).collect();
    let resume = [&["catalog-deploy", "resume", &state.run], flags.as_slice()].concat().join(" ");
    let resumes = ends.iter().any(|end| end.resumes);
    let mut outcome = merged(ends);
    let deployed = state.facts.applied.as_ref().is_some_and(|applied| applied.changed);
    let undone = state.undone();
    if outcome.exit != 0 && deployed && !undone.is_empty() {
        let tag = state.facts.target.as_ref().map_or("the new version", |target| target.tag.as_str());
        outcome.message = format!("{}. {tag} is deployed; not done: {}", outcome.message, undone.join(", "));
    }
    if resumes || !kept.is_empty() {
        outcome = outcome.next(resume);
    }
    if !kept.is_empty() {
        let list = listed(kept);
        let held = format!("manual action is needed now, still held: {list}");
        findings.insert(0, EndFinding { exit: 9, reason: "not-given-back".into(), message: held.clone() });
        outcome.message = format!("{}. Manual action is needed now, still held: {list}", outcome.message);
        outcome.exit = 9;
        outcome.reason = "not-given-back";
        outcome = outcome.next(format!("catalog-deploy restore {}", state.run));
        if deployed && let Some(running) = back_to(&state.facts) {
            outcome =
                outcome.next(format!("to roll back, which takes over what is held, {}", roll_back(state, running)));
        }
    } else if !matches!(outcome.exit, 0 | 7 | 128..) && state.open() {
        outcome = outcome.next(format!("to give the run up instead: catalog-deploy restore {}", state.run));
    }
    if findings.len() > 1 {
        outcome.findings = findings;
    }
    outcome
}

/// One outcome with the exit of the worst and the words of all.
fn merged(ends: Vec<End>) -> Outcome {
    let mut ends = ends.into_iter().map(|end| end.outcome);
    let worst = ends.next().unwrap_or_else(|| Outcome::new(0, "done", "every step is done"));
    ends.fold(worst, |worst, other| {
        let message = match worst.message.contains(&other.message) {
            true => worst.message.clone(),
            false => format!("{}. {}", worst.message, other.message),
        };
        other.next.into_iter().fold(Outcome { message, ..worst }, Outcome::next)
    })
}

/// Where what ran before is known, and from where: a tag is never named without its source.
fn roll_back(state: &RunState, running: &RunningFact) -> String {
    let schema = schema_warning(&state.facts).map(|warning| format!("; {warning}")).unwrap_or_default();
    let RunningFact { tag, source, .. } = running;
    format!("to {tag} ({source}){schema}: catalog-deploy {} --tag {tag}", state.runbook)
}

/// What is not as it should be although every step had its turn.
fn open_ends(state: &RunState) -> Vec<End> {
    let tag = state.facts.target.as_ref().map_or("the deploy", |target| target.tag.as_str());
    let mut ends = Vec::new();
    for (index, head) in state.heads.iter().enumerate() {
        let Some(StepState::Ended(result)) = state.steps.get(&head.id) else { continue };
        // The same check that passes later has the last word.
        let passed = state.heads[index + 1..].iter().filter(|later| later.kind == head.kind).any(|later| {
            matches!(state.steps.get(&later.id), Some(StepState::Ended(StepResult::Satisfied | StepResult::Changed)))
        });
        let id = &head.id;
        let end = match result {
            _ if passed => continue,
            StepResult::Unhealthy { why } => {
                let end = End::new(7, "unhealthy", format!("{tag} is deployed, but not healthy. {id}: {why}"));
                match back_to(&state.facts) {
                    Some(running) => end.next(format!("roll back {}", roll_back(state, running))),
                    None => end.next(format!("choose a tag to roll back to: catalog-deploy tags {}", state.runbook)),
                }
            }
            StepResult::Inconclusive { why } => inconclusive(state, tag, &format!("{id}: {why}")),
            StepResult::Unfinished { why } => {
                End::new(7, "unfinished", format!("{tag} is deployed; left open: {id}: {why}")).resumed()
            }
            _ => continue,
        };
        ends.push(end);
    }
    if let Some(why) = state.facts.applied.as_ref().and_then(|applied| applied.unverified.as_ref()) {
        ends.push(inconclusive(state, tag, &format!("Terraform reported success, but that was not verified: {why}")));
    }
    ends
}

fn inconclusive(state: &RunState, tag: &str, why: &str) -> End {
    End::new(7, "inconclusive", format!("{tag} is deployed, but not everything could be checked. {why}"))
        .next(format!("look at it by hand; all that was seen: catalog-deploy show {}", state.run))
}

fn done(state: &RunState) -> End {
    let tag = state.facts.target.as_ref().map_or("the deploy", |target| target.tag.as_str());
    let message = match &state.facts.applied {
        Some(applied) if applied.changed => format!("{tag} is deployed"),
        Some(_) => "nothing had to be changed: no service deployment was needed".into(),
        None => "every step is done".into(),
    };
    End::new(0, "done", message)
}

/// The gates that a resume asks before it comes to `step`: their change was given back, or never came about.
fn asked_again(state: &RunState, step: &str) -> Vec<String> {
    let earlier = state.heads.iter().take_while(|head| head.id != step);
    let open = earlier.filter(|head| head.gate && !matches!(state.steps.get(&head.id), Some(StepState::Ended(_))));
    open.map(|head| format!("--approve {}", head.id)).collect()
}

fn interrupted(signal: Option<i32>, message: String) -> Outcome {
    Outcome::new(128 + signal.and_then(|signal| u8::try_from(signal).ok()).unwrap_or(2), "interrupted", message)
}

fn failed(state: &RunState, failure: &Failure, stop: &StopSignal) -> End {
    let changed = state.changed();
    let deployed = state.facts.applied.is_some();
    let message = format!("{}: {}", failure.step, failure.trouble);
    let stopped =
        |message: String| End { outcome: interrupted(stop.signal(), message), resumes: true, flags: Vec::new() };
    match &failure.trouble {
        Trouble::Stopped => stopped(format!("stopped at {}", failure.step)),
        Trouble::Refused(refusals) => {
            let end = match changed {
                true => End::new(1, "refused-after-change", message).resumed(),
                false => End::new(3, "refused", format!("{message}. Nothing was changed")),
            };
            refusals.iter().fold(end, |end, refusal| end.next(refusal.next.clone()))
        }
        Trouble::Missing(missing) => {
            let flag = format!("--override {}=\"REASON\"", missing.check);
            let command = match changed {
                true => format!("catalog-deploy resume {} {flag}", state.run),
                false => {
                    let tag = state.parameters.tag.as_ref().map(|tag| format!(" --tag {tag}")).unwrap_or_default();
                    format!("catalog-deploy {}{tag} {flag}", state.runbook)
                }
            };
            let message = format!("{}: {}", failure.step, missing_message(missing));
            let consequence = missing.consequence.trim_end_matches('.');
            unanswered(state, message, &missing.error, changed, deployed)
                .next(format!("{consequence}. To continue without this check: {command}"))
        }
        Trouble::Service(error) => unanswered(state, message, error, changed, deployed),
        Trouble::NotApproved { next, .. } => {
            let needs = next.contains("--approve");
            let reason = if needs { "gate-needs-answer" } else { "gate-declined" };
            let end = End::new(5, reason, message).resumed();
            match needs {
                true => End { flags: [asked_again(state, &failure.step), vec![next.clone()]].concat(), ..end },
                false => end.next(next.clone()),
            }
        }
        Trouble::Locked { next, .. } if deployed => {
            End::new(1, "refused-after-change", message).next(next.clone()).resumed()
        }
        Trouble::Locked { next, .. } => End::new(6, "locked", message).next(next.clone()),
        Trouble::Deadline { next, .. } => End::new(8, "still-waiting", message).next(next.clone()).resumed(),
        // The command at work was asked to stop, by us or by the terminal's own Ctrl-C where it is attached: that it failed
        // is what was asked for.
        Trouble::Failed { next, .. } | Trouble::InDoubt { next, .. } if stop.signal().is_some() => {
            stopped(message).next(next.clone())
        }
        Trouble::Failed { next, .. } => End::new(1, "step-failed", message).next(next.clone()).resumed(),
        Trouble::InDoubt { next, .. } => End::new(1, "in-doubt", message).next(next.clone()).resumed(),
        Trouble::Journal(_) => End::new(1, "journal", message)
            .next("free disk space or repair the disk; nothing is changed without a journal")
            .resumed(),
    }
}

/// A service that did not answer, or not to these credentials. After the deploy it only leaves this end open.
fn unanswered(state: &RunState, message: String, error: &ServiceError, changed: bool, deployed: bool) -> End {
    let doctor = |words: &str| format!("{words}: catalog-deploy doctor {}", state.runbook);
    let credentials = error.credentials();
    let end = match (deployed, changed, credentials) {
        (true, ..) => End::new(7, "unfinished", message).resumed(),
        (_, true, true) => End::new(4, "credentials", message).resumed(),
        (_, true, false) => End::new(1, "step-failed", message).resumed(),
        (_, false, true) => End::new(4, "credentials", message),
        (_, false, false) => End::new(3, "unreachable", format!("{message}. Nothing was changed")),
    };
    match (credentials, changed) {
        (true, _) => end.next(doctor("look at what these credentials may do")),
        (false, false) => end.next(doctor("try again, or see what is wrong")),
        (false, true) => end,
    }
}
