//! Which events are worth a message to the team, and its words. Pure: sending is `adapters::notify`'s.

use super::held::{StillHeld, describe};
use super::text::{clean, short_digest};
use super::words;
use crate::event::{Event, Mode, StepResult};
use crate::facts::Facts;

/// A fold over a run's events; each may give one message in Slack's mrkdwn.
#[derive(Debug, Clone, Default)]
pub struct Announcer {
    /// The runbook's line on whom to tell at a failure.
    incident: Option<String>,
    /// Gates answered by a flag: nobody has to come.
    beforehand: Vec<String>,
    run: String,
    runbook: String,
    preview: bool,
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

    /// Names gates that flags answer, so that no message calls a person to them.
    #[must_use]
    pub fn answered_beforehand(mut self, gates: impl IntoIterator<Item = String>) -> Self {
        self.beforehand.extend(gates);
        self
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
                Some(format!("{} starts: run {}, by {} on {}{tag}.", self.name(), code(run), escape(who), escape(host)))
            }
            Event::RunResumed { who, host } => Some(format!(
                "{} goes on: run {}, by {} on {}.",
                self.name(),
                code(&self.run),
                escape(who),
                escape(host)
            )),
            Event::Learned { fact, .. } => {
                self.facts.learn(fact.clone());
                None
            }
            Event::GateAsked { question } if !self.beforehand.contains(&question.gate) => Some(format!(
                "{} waits for a person at {}: {} (digest {}).",
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
            Event::RunFinished { exit: 0, message, .. } => Some(self.end(message)),
            Event::RunFinished { exit, message, next, .. } => Some(self.failure(*exit, message, next)),
            _ => None,
        };
        text.filter(|_| !self.preview)
    }

    fn name(&self) -> String {
        format!("*{}*", escape(&self.runbook))
    }

    fn end(&self, message: &str) -> String {
        let mut lines = vec![format!("{} is done: {}", self.name(), escape(message))];
        self.deployment(&mut lines);
        lines.extend(self.health.as_deref().map(|health| format!("Production: {}.", escape(health))));
        lines.join("\n")
    }

    fn failure(&self, exit: u8, message: &str, next: &[String]) -> String {
        let word = match exit {
            3 => "refused, and nothing was changed",
            5 => "was not approved",
            6 => "did not start: somebody else deploys",
            7 => "deployed, but production is not known to be well",
            8 => "still waits at its deadline and stopped",
            9 => "needs a person now",
            129..=143 => "was interrupted",
            _ => "failed",
        };
        let mut lines = vec![format!("{} {word}: {}", self.name(), escape(message))];
        if exit == 7 {
            lines.extend(self.health.as_deref().map(|health| format!("Production: {}.", escape(health))));
        }
        self.deployment(&mut lines);
        lines.extend(self.held.all().iter().map(|held| format!("Still held: {}.", escape(&describe(held)))));
        lines.extend(self.held.in_doubt().map(|what| format!("Not known whether it happened: {}.", escape(what))));
        let resume = format!("catalog-deploy resume {}", self.run);
        let resumable = matches!(exit, 1 | 5 | 8 | 9 | 129..=143);
        if resumable && !next.contains(&resume) {
            lines.push(format!("Next: {}", code(&resume)));
        }
        lines.extend(next.iter().map(|command| format!("Next: {}", code(command))));
        if matches!(exit, 1 | 7 | 9) {
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
    use crate::event::AnsweredBy;
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
        insta::assert_snapshot!(announced(&events).join("\n---\n"), @r###"
*prod* starts: run `2024-09-09-adal`, by ada on laptop.
---
*prod* waits for a person at `publish`: Apply the plan to production (digest `0123456789ab`).
---
*prod* waits for a person at `apply`: Apply the plan to production (digest `0123456789ab`).
---
*prod* needs a person now: could not apply the plan: InsufficientInstanceCapacity in us-east-1a
Image: `rel-2024.09.09.23.00.57`
Still held: docker_image_tag in environments/prod/catalog-airflow.tf, now "rel-2", before "rel-1" (in /src/infra on laptop).
Next: `catalog-deploy resume 2024-09-09-adal`
Next: `catalog-deploy restore 2024-09-09-adal`
Consider this a Production Incident and notify the team.
"###);
    }

    #[test]
    fn the_end_names_the_pull_requests_and_the_health() {
        let pull = PullRequestFact { number: 7, url: "https://github.com/o/r/pull/7".into() };
        let learned = Event::Learned { step: "pull-request".into(), fact: Fact::PullRequest(pull) };
        let events = [started(Mode::Rollback), learned, finished("health", StepResult::Satisfied), ended(0)];
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
        let events = [started(Mode::Preview), Event::GateAsked { question: question("apply") }, ended(3)];
        assert!(announced(&events).is_empty());
    }

    #[test]
    fn nobody_is_called_to_a_gate_that_a_flag_answers() {
        let mut announcer = Announcer::new(None).answered_beforehand(["apply".into()]);
        announcer.event(&started(Mode::Deploy));
        assert_eq!(announcer.event(&Event::GateAsked { question: question("apply") }), None);
        assert_eq!(announcer.event(&answered("apply", AnsweredBy::Flag)), None);
        assert!(announcer.event(&Event::GateAsked { question: question("bump") }).is_some());
    }

    #[test]
    fn outside_text_calls_nobody() {
        let mut asked = question("apply");
        asked.title = "<!channel> & <https://evil|here>".into();
        let said = announced(&[started(Mode::Deploy), Event::GateAsked { question: asked }]);
        assert!(said[1].contains("&lt;!channel&gt; &amp; &lt;https://evil|here&gt;"), "{said:?}");
    }

    #[test]
    fn the_incident_line_is_for_incidents() {
        let with = |exit| announced(&[started(Mode::Deploy), ended(exit)]).pop().unwrap().contains(INCIDENT);
        assert_eq!(
            [0, 1, 3, 5, 6, 7, 8, 9, 130].map(with),
            [false, true, false, false, false, true, false, true, false]
        );
    }
}
