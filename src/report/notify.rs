//! Which events are worth a message to the team, and its words. Pure: sending is `adapters::notify`'s.

use super::held::{StillHeld, describe};
use super::text::{clean, short_digest};
use super::words;
use crate::event::{Event, Mode, StepResult};
use crate::facts::Facts;

/// The run lock's place in the list of steps: taking it changes nothing for anyone who does not deploy.
const LOCK: &str = "lock";

/// A fold over a run's events; each may give one message in Slack's mrkdwn. Nothing is said before the run changes
/// something or someone is waited for: whoever is refused before that bothers no one.
#[derive(Debug, Clone, Default)]
pub struct Announcer {
    /// The runbook's line on whom to tell at a failure.
    incident: Option<String>,
    run: String,
    runbook: String,
    preview: bool,
    /// That this process began, not said yet.
    opening: Option<String>,
    /// The team has heard of this run.
    known: bool,
    facts: Facts,
    held: StillHeld,
    /// Ids of the steps that judge production after the apply.
    checks: Vec<String>,
    health: Option<String>,
}

impl Announcer {
    pub fn new(incident: Option<String>) -> Self {
        Self { incident, ..Self::default() }
    }

    /// An event of an earlier process of the same run: known, not announced.
    pub fn past(&mut self, event: &Event) {
        self.event(event);
    }

    /// The message for this event, if it is worth one. Never one in a preview.
    pub fn event(&mut self, event: &Event) -> Option<String> {
        self.held.event(event);
        let text = match event {
            Event::RunStarted { run, runbook, mode, who, host, parameters, steps, .. } => {
                let checks = steps.iter().filter(|head| head.kind == "post-checks");
                self.checks = checks.map(|head| head.id.clone()).collect();
                self.run.clone_from(run);
                self.runbook.clone_from(runbook);
                self.preview = *mode == Mode::Preview;
                let tag = parameters.tag.as_ref().map(|tag| format!(", image {}", code(tag))).unwrap_or_default();
                self.opening(format!("starts: run {}, by {} on {}{tag}.", code(run), escape(who), escape(host)))
            }
            Event::RunResumed { who, host } => {
                let run = code(&self.run);
                self.opening(format!("continues: run {run}, by {} on {}.", escape(who), escape(host)))
            }
            Event::TookOver { adoption } => Some(format!("{} takes over run {}.", self.name(), code(&adoption.run))),
            Event::Intent { step, returns: None, .. } if step != LOCK && !self.known => self.opening.take(),
            Event::Learned { fact, .. } => {
                self.facts.learn(fact.clone());
                None
            }
            Event::GateAsked { question, waits: true } => Some(format!(
                "{} waits for approval at {}: {} (digest {}).",
                self.name(),
                code(&question.gate),
                escape(&question.title),
                code(short_digest(&question.digest)),
            )),
            Event::StepFinished { step, result } => {
                match result {
                    StepResult::Unhealthy { .. } | StepResult::Inconclusive { .. } => {
                        self.health = Some(words::result_line(result));
                    }
                    StepResult::Satisfied | StepResult::Changed if self.checks.contains(step) => {
                        self.health.get_or_insert_with(|| "healthy".into());
                    }
                    _ => {}
                }
                None
            }
            Event::RunFinished { .. } if !self.known => None,
            Event::RunFinished { exit: 0, message, next, .. } => Some(self.end(message, next)),
            Event::RunFinished { exit, reason, message, next, .. } => Some(self.failure(*exit, reason, message, next)),
            _ => None,
        };
        let text = text.filter(|_| !self.preview)?;
        self.known = true;
        Some(self.opening.take().into_iter().chain([text]).collect::<Vec<_>>().join("\n"))
    }

    /// Kept until there is something to say, unless the team knows of this run.
    fn opening(&mut self, text: String) -> Option<String> {
        let text = format!("{} {text}", self.name());
        if self.known {
            return Some(text);
        }
        self.opening = Some(text);
        None
    }

    fn name(&self) -> String {
        format!("*{}*", escape(&self.runbook))
    }

    fn end(&self, message: &str, next: &[String]) -> String {
        let mut lines = vec![format!("{} is done: {}", self.name(), escape(message))];
        self.deployment(&mut lines);
        lines.extend(self.health.as_deref().map(|health| format!("Production: {}.", escape(health))));
        lines.extend(next.iter().map(|next| format!("Next: {}", code(next))));
        lines.join("\n")
    }

    fn failure(&self, exit: u8, reason: &str, message: &str, next: &[String]) -> String {
        let word = match (exit, reason) {
            (3, _) => "was refused",
            (5, _) => "was not approved",
            (6, _) => "stopped: someone else is deploying",
            (7, "unhealthy") => "deployed, and production is unhealthy",
            (7, "inconclusive") => "deployed, and not everything could be checked",
            (7, _) => "deployed, and something is left open",
            (8, _) => "stopped: a deadline passed",
            (9, _) => "needs manual action now",
            (129..=143, _) => "was interrupted",
            _ => "failed",
        };
        let mut lines = vec![format!("{} {word}: {}", self.name(), escape(message))];
        if exit == 7 {
            lines.extend(self.health.as_deref().map(|health| format!("Production: {}.", escape(health))));
        }
        self.deployment(&mut lines);
        lines.extend(self.held.all().iter().map(|held| format!("Still held: {}.", escape(&describe(held)))));
        lines.extend(self.held.in_doubt().map(|what| format!("Not known whether it happened: {}.", escape(what))));
        lines.extend(next.iter().map(|command| format!("Next: {}", code(command))));
        if matches!((exit, reason), (1 | 9, _) | (7, "unhealthy" | "inconclusive")) {
            lines.extend(self.incident.as_deref().map(escape));
        }
        lines.join("\n")
    }

    /// What was deployed and its pull requests, where known.
    fn deployment(&self, lines: &mut Vec<String>) {
        if let Some(tag) = self.facts.image.as_ref().map(|image| &image.tag) {
            lines.push(format!("Image: {}", code(tag)));
        }
        for (name, pull) in [("Changelog", &self.facts.changelog), ("Infrastructure", &self.facts.pull_request)] {
            lines.extend(pull.as_ref().map(|pull| format!("{name} pull request: {}", escape(&pull.url))));
        }
    }
}

/// For Slack's mrkdwn (`&`, `<`, `>`), so that nothing from outside becomes a link or calls a channel.
/// Source: Slack, "Formatting text for app surfaces".
fn escape(text: &str) -> String {
    clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn code(text: &str) -> String {
    format!("`{}`", escape(text).replace('`', "'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Fact, PullRequestFact};
    use crate::report::samples::*;

    fn announced(events: &[Event]) -> Vec<String> {
        let mut announcer = Announcer::new(Some(INCIDENT.into()));
        events.iter().filter_map(|event| announcer.event(event)).collect()
    }

    fn ended(exit: u8) -> Event {
        Event::RunFinished { exit, reason: "x".into(), message: "Deployed.".into(), next: vec![], findings: vec![] }
    }

    #[test]
    fn a_failing_run() {
        let events: Vec<_> = failing().into_iter().map(|stamped| stamped.event).collect();
        insta::assert_snapshot!(announced(&events).join("\n---\n"), @r#"
        *prod* starts: run `2024-09-09-adal`, by ada on laptop.
        *prod* waits for approval at `publish`: Apply the plan to production (digest `0123456789ab`).
        ---
        *prod* waits for approval at `apply`: Apply the plan to production (digest `0123456789ab`).
        ---
        *prod* needs manual action now: could not apply the plan: InsufficientInstanceCapacity in us-east-1a
        Image: `rel-2024.09.09.23.00.57`
        Still held: docker_image_tag in environments/prod/catalog-airflow.tf, now "rel-2", before "rel-1" (in /src/infra on laptop).
        Next: `catalog-deploy resume 2024-09-09-adal`
        Next: `catalog-deploy restore 2024-09-09-adal`
        Consider this a Production Incident and notify the team.
        "#);
    }

    #[test]
    fn the_end_names_the_pull_requests_and_the_health() {
        let pull = PullRequestFact { number: 7, url: "https://github.com/o/r/pull/7".into() };
        let learned = Event::Learned { step: "pull-request".into(), fact: Fact::PullRequest(pull) };
        let events =
            [started(Mode::Rollback), changing("apply"), learned, finished("health", StepResult::Satisfied), ended(0)];
        insta::assert_snapshot!(announced(&events).join("\n---\n"), @r###"
*prod* starts: run `2024-09-09-adal`, by ada on laptop, image `rel-2024.08.22.20.53.01`.
---
*prod* is done: Deployed.
Infrastructure pull request: https://github.com/o/r/pull/7
Production: healthy.
"###);
    }

    #[test]
    fn nothing_in_a_preview() {
        let events = [started(Mode::Preview), asked("apply", true), ended(3)];
        assert!(announced(&events).is_empty());
    }

    fn asked(gate: &str, waits: bool) -> Event {
        Event::GateAsked { question: question(gate), waits }
    }

    fn changing(step: &str) -> Event {
        Event::Intent {
            step: step.into(),
            effect: format!("{step}/1"),
            what: "change".into(),
            holds: vec![],
            keeps: vec![],
            returns: None,
            forever: false,
        }
    }

    #[test]
    fn approval_is_asked_for_only_where_someone_is_waited_for() {
        let said = announced(&[started(Mode::Deploy), asked("apply", false), asked("bump", true)]);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("starts: run") && said[0].contains("waits for approval at `bump`"), "{said:?}");
    }

    #[test]
    fn nothing_is_said_of_a_run_that_ended_before_it_changed_anything() {
        for exit in [0, 1, 3, 4, 5, 6, 8, 130] {
            let events = [started(Mode::Deploy), changing("lock"), asked("publish", false), ended(exit)];
            assert_eq!(announced(&events), [] as [&str; 0], "{exit}");
        }
        let said = announced(&[started(Mode::Deploy), changing("lock"), changing("publish"), ended(1)]);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("starts: run") && said[1].contains("failed: "), "{said:?}");
    }

    #[test]
    fn a_resume_is_announced_where_the_run_is_known() {
        for known in [true, false] {
            let mut announcer = Announcer::new(None);
            announcer.past(&started(Mode::Deploy));
            announcer.past(&changing(if known { "publish" } else { "lock" }));
            let resumed = Event::RunResumed { who: "ada".into(), host: "laptop".into() };
            assert_eq!(announcer.event(&resumed).is_some(), known);
        }
    }

    #[test]
    fn outside_text_calls_nobody() {
        let mut asked = question("apply");
        asked.title = "<!channel> & <https://evil|here>".into();
        let said = announced(&[started(Mode::Deploy), Event::GateAsked { question: asked, waits: true }]);
        assert!(said[0].contains("&lt;!channel&gt; &amp; &lt;https://evil|here&gt;"), "{said:?}");
    }

    #[test]
    fn the_incident_line_is_for_incidents() {
        let events = |exit| [started(Mode::Deploy), changing("apply"), ended(exit)];
        let with = |exit| announced(&events(exit)).pop().unwrap().contains(INCIDENT);
        assert_eq!(
            [0, 1, 3, 5, 6, 7, 8, 9, 130].map(with),
            [false, true, false, false, false, false, false, true, false]
        );
    }
}
