//! The run without a terminal (CI, a pipe, `TERM=dumb`): plain lines with UTC time, no animation, no escape codes.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};

use super::held::{StillHeld, describe};
use super::steps::Steps;
use super::text::{between, clean, clean_lines, count, elapsed, time_of_day};
use super::{Sink, Verbosity, words};
use crate::event::{Ended, Event, Label, Question, Stamped, StepResult};

/// Seconds between two signs of life while waiting.
const HEARTBEAT: i64 = 30;

/// Writes lines to stderr or wherever `out` goes. A reader that went away ends the telling, never the run.
pub struct Lines<W> {
    out: W,
    verbosity: Verbosity,
    steps: Steps,
    held: StillHeld,
    /// When a step's waiting was told last.
    beat: HashMap<String, Timestamp>,
    told: HashSet<(String, String)>,
    asked: Option<Question>,
}

impl<W: Write + Send> Lines<W> {
    pub fn new(out: W, verbosity: Verbosity) -> Self {
        Self {
            out,
            verbosity,
            steps: Steps::default(),
            held: StillHeld::default(),
            beat: HashMap::new(),
            told: HashSet::new(),
            asked: None,
        }
    }

    fn say(&mut self, at: Timestamp, text: &str) {
        for line in clean_lines(text) {
            // Whoever read this is gone; the journal has it all.
            let _ = writeln!(self.out, "{} {line}", time_of_day(at));
        }
    }

    fn of(&mut self, at: Timestamp, step: &str, text: &str) {
        let total = self.steps.rows().len();
        let place = match self.steps.number(step) {
            Some(number) => format!("[{number:>2}/{total:>2}] {step}: "),
            None => format!("{step}: "),
        };
        for line in clean_lines(text) {
            self.say(at, &format!("{place}{line}"));
        }
    }

    fn question(&mut self, at: Timestamp, question: &Question) {
        let gate = &question.gate;
        self.of(at, gate, &format!("asks: {}", question.title));
        for entry in words::summary(question) {
            match entry {
                words::Entry::Point(text) => self.of(at, gate, &format!("- {text}")),
                words::Entry::Below(text) => self.of(at, gate, &format!("    {text}")),
            }
        }
        if !question.expected {
            self.of(at, gate, "warning: this holds more than the runbook expects");
        }
        self.of(at, gate, &format!("to answer beforehand: {}", words::approve_flag(question)));
    }

    /// What to do next is said once, at the end.
    fn finished(&mut self, at: Timestamp, step: &str, result: &StepResult) {
        if let StepResult::Blocked { refusals } = result {
            for refusal in refusals {
                self.of(at, step, &format!("refused: {}", refusal.what));
            }
            return;
        }
        let took = self.steps.get(step).and_then(|row| Some(elapsed(between(row.started?, at))));
        let took = took.map(|took| format!(" ({took})")).unwrap_or_default();
        self.of(at, step, &format!("{}{took}", words::result_line(result)));
    }

    /// Whether the report of a preview says this better: its steps run side by side, so their lines would be mixed up.
    fn told_by_report(&mut self, stamped: &Stamped) -> bool {
        match &stamped.event {
            Event::RunStarted { runbook, title, mode, .. } => {
                self.say(stamped.at, &format!("{runbook}: {title} ({}); looking", words::mode(*mode)));
                let _ = self.out.flush();
                true
            }
            Event::RunFinished { exit, .. } => *exit < 128,
            Event::Waiting { .. } | Event::PollFailed { .. } | Event::Warned { .. } | Event::Said { .. } => false,
            _ => true,
        }
    }

    /// A sign of life is due: the first one, and one each half minute of the events' time.
    fn due(&mut self, step: &str, at: Timestamp) -> bool {
        let due = self.beat.get(step).is_none_or(|last| at >= *last + HEARTBEAT.seconds());
        if due {
            self.beat.insert(step.to_owned(), at);
        }
        due
    }

    fn waiting(&mut self, at: Timestamp, step: &str, on: &str, spent: Duration, most: Duration) {
        if self.due(step, at) {
            self.of(at, step, &format!("waiting for {on}{}", words::waited(spent, most)));
        }
    }

    fn ended(&mut self, at: Timestamp, message: &str, next: &[String]) {
        if let Some(question) = self.asked.take() {
            self.say(at, &format!("not answered: {}", question.gate));
        }
        self.say(at, message);
        let held: Vec<_> = self.held.all().iter().map(|held| format!("still held: {}", describe(held))).collect();
        let doubt: Vec<_> = self.held.in_doubt().map(|what| format!("not known whether it happened: {what}")).collect();
        for line in held.iter().chain(&doubt) {
            self.say(at, line);
        }
        for command in next {
            self.say(at, &format!("next: {command}"));
        }
    }
}

impl<W: Write + Send> Sink for Lines<W> {
    fn event(&mut self, stamped: &Stamped) {
        let at = stamped.at;
        let normal = self.verbosity > Verbosity::Quiet;
        let verbose = self.verbosity == Verbosity::Verbose;
        if !matches!(stamped.event, Event::StepFinished { .. }) {
            self.steps.event(stamped);
        }
        if self.steps.preview() && !verbose && self.told_by_report(stamped) {
            self.steps.event(stamped);
            return;
        }
        match &stamped.event {
            Event::RunStarted { run, runbook, source, title, mode, who, host, steps, .. } => {
                self.say(at, &format!("{runbook}: {title} ({})", words::mode(*mode)));
                let steps = count(steps.len(), "step");
                self.say(at, &format!("run {run}, {steps}, by {who} on {host}, runbook {source}, times in UTC"));
            }
            Event::RunResumed { who, host } => {
                let run = self.steps.run().to_owned();
                self.say(at, &format!("{who} on {host} goes on with run {run}"));
            }
            Event::TookOver { adoption } => self.say(at, &format!("took over run {}", adoption.run)),
            Event::Overridden { step, given, by } => {
                let text = format!("overridden {}: {given}", words::overridden_by(*by));
                match step {
                    Some(step) => self.of(at, step, &text),
                    None => self.say(at, &text),
                }
            }
            Event::StepStarted { step } => {
                self.beat.remove(step);
                let title = self.steps.get(step).map(|row| row.head.title.clone()).unwrap_or_default();
                if normal {
                    self.of(at, step, &title);
                }
            }
            Event::Saw { step, evidence } => {
                let text = words::evidence(evidence);
                let wanted = normal || evidence.label == Label::Warning;
                if wanted && self.told.insert((step.clone(), text.clone())) {
                    self.of(at, step, &text);
                }
            }
            Event::Waiting { step, on, since, deadline } => {
                self.waiting(at, step, on, between(*since, at), between(*since, *deadline));
            }
            Event::PollFailed { step, why } => {
                let text = format!("could not ask just now, asking again: {why}");
                let wanted = verbose || (normal && self.due(&format!("{step}: poll"), at));
                self.of(at, step, if wanted { &text } else { "" });
            }
            Event::Output { step, line } if normal && !words::unboxed(line).is_empty() => {
                self.of(at, step, &format!("| {}", clean(line)));
            }
            Event::GateAsked { question, .. } if !self.steps.preview() => {
                self.question(at, question);
                self.asked = Some(question.clone());
            }
            Event::GateAnswered { gate, yes, by, .. } => {
                self.asked = None;
                let answer = if *yes { "yes" } else { "no" };
                self.of(at, gate, &format!("answered {answer}, {}", words::answered_by(*by)));
            }
            Event::Intent { step, what, .. } if normal => self.of(at, step, what),
            Event::Outcome { effect, ended: Ended::Refused { why } } => {
                let what = self.held.effect(effect);
                self.say(at, &format!("took no effect: {what}: {why}"));
            }
            Event::Outcome { effect, ended: Ended::NotSeen } => {
                let what = self.held.effect(effect);
                self.say(at, &format!("looked up: it took no effect: {what}"));
            }
            Event::Outcome { effect, ended: Ended::InDoubt { why } } => {
                let what = self.held.effect(effect);
                self.say(at, &format!("not known whether it happened: {what}: {why}"));
            }
            Event::DoubtAnswered { step, took_effect } => self.of(at, step, words::doubt_answered(*took_effect)),
            Event::GivenBack { held, how } if normal => {
                let name = self.held.name(held);
                self.say(at, &format!("given back: {}", words::given_back(&name, how)));
            }
            Event::NotGivenBack { held, why } => {
                let name = self.held.name(held);
                self.say(at, &format!("could not give back: {name}: {why}"));
            }
            Event::StepFinished { step, result } => {
                if normal || !matches!(words::mark(result), '✔' | '•' | '↷') {
                    self.finished(at, step, result);
                }
                self.steps.event(stamped);
            }
            Event::Warned { text } => self.say(at, &format!("warning: {text}")),
            Event::Said { text } => self.say(at, text),
            Event::RunFinished { message, next, .. } => self.ended(at, message, next),
            Event::RunClosed { why } if verbose => self.say(at, &format!("this run is closed: {why}")),
            _ => {}
        }
        self.held.event(&stamped.event);
        let _ = self.out.flush();
    }

    fn past(&mut self, stamped: &Stamped) {
        self.steps.event(stamped);
        self.held.event(&stamped.event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AnsweredBy, Mode};
    use crate::report::samples::*;

    fn told(events: &[Stamped], verbosity: Verbosity) -> String {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, verbosity);
        events.iter().for_each(|event| lines.event(event));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_failing_run() {
        insta::assert_snapshot!(told(&failing(), Verbosity::Normal), @r###"
23:00:57 prod: Deploy the catalog to production (deploy)
23:00:57 run 2024-09-09-adal, 7 steps, by ada on laptop, runbook built in, times in UTC
23:00:57 [ 1/ 7] checkout: The infrastructure checkout is clean and up to date
23:00:58 [ 1/ 7] checkout: no DAG is running among 14 that this account sees: flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, 日本語_dag
23:00:58 [ 1/ 7] checkout: nothing to do (1s)
23:00:59 [ 2/ 7] publish: Publish the drafted catalog release
23:01:00 [ 2/ 7] publish: draft catalog-2024.09.09.23.00.57 holds 4 changes
23:01:00 [ 2/ 7] publish: asks: Apply the plan to production
23:01:00 [ 2/ 7] publish: - replace module.catalog-airflow.aws_instance.instance (its user data changed)
23:01:00 [ 2/ 7] publish: - Airflow stops for some minutes
23:01:00 [ 2/ 7] publish: to answer beforehand: --approve publish@sha256:0123456789abcdef0123456789abcdef
23:01:37 [ 2/ 7] publish: answered yes, at the terminal
23:01:38 [ 2/ 7] publish: publish catalog-2024.09.09.23.00.57
23:01:40 [ 2/ 7] publish: done (41s)
23:01:40 [ 3/ 7] image: The release's Docker image is on GHCR
23:01:41 [ 3/ 7] image: waiting for ghcr.io to have rel-2024.09.09.23.00.57, 1s of 30m
23:01:56 [ 3/ 7] image: could not ask just now, asking again: registry ghcr.io: broken (502): bad gateway
23:02:11 [ 3/ 7] image: waiting for ghcr.io to have rel-2024.09.09.23.00.57, 31s of 30m
23:02:26 [ 3/ 7] image: nothing to do (46s)
23:02:27 [ 4/ 7] bump: Bump the catalog version in the infrastructure repository
23:02:27 [ 4/ 7] bump: bump docker_image_tag to rel-2
23:02:28 [ 4/ 7] bump: done (1s)
23:02:28 [ 5/ 7] flag: Set running_dags_cleared to true
23:02:28 [ 5/ 7] flag: set running_dags_cleared to true
23:02:29 [ 5/ 7] flag: done (1s)
23:02:29 [ 6/ 7] apply: Plan and apply with Terraform
23:02:30 [ 6/ 7] apply: asks: Apply the plan to production
23:02:30 [ 6/ 7] apply: - replace module.catalog-airflow.aws_instance.instance (its user data changed)
23:02:30 [ 6/ 7] apply: - Airflow stops for some minutes
23:02:30 [ 6/ 7] apply: to answer beforehand: --approve apply@sha256:0123456789abcdef0123456789abcdef
23:02:57 [ 6/ 7] apply: answered yes, by --approve
23:02:58 [ 6/ 7] apply: apply the plan 0123456789ab
23:02:59 [ 6/ 7] apply: | module.catalog-airflow: Destroying...
23:03:57 [ 6/ 7] apply: | Error: InsufficientInstanceCapacity
23:03:58 took no effect: apply the plan 0123456789ab: terraform exited 1
23:03:58 [ 6/ 7] apply: failed: terraform: apply: InsufficientInstanceCapacity in us-east-1a (1m 29s)
23:03:59 given back: running_dags_cleared in environments/prod/catalog-airflow.tf: running_dags_cleared is false again
23:04:00 could not give back: docker_image_tag in environments/prod/catalog-airflow.tf: somebody edited the line
23:04:00 could not apply the plan: InsufficientInstanceCapacity in us-east-1a
23:04:00 still held: docker_image_tag in environments/prod/catalog-airflow.tf, now "rel-2", before "rel-1" (in /src/infra on laptop)
23:04:00 next: catalog-deploy resume 2024-09-09-adal
23:04:00 next: catalog-deploy restore 2024-09-09-adal
"###);
    }

    #[test]
    fn quietly_only_what_a_person_needs() {
        insta::assert_snapshot!(told(&failing(), Verbosity::Quiet), @r###"
23:00:57 prod: Deploy the catalog to production (deploy)
23:00:57 run 2024-09-09-adal, 7 steps, by ada on laptop, runbook built in, times in UTC
23:01:00 [ 2/ 7] publish: asks: Apply the plan to production
23:01:00 [ 2/ 7] publish: - replace module.catalog-airflow.aws_instance.instance (its user data changed)
23:01:00 [ 2/ 7] publish: - Airflow stops for some minutes
23:01:00 [ 2/ 7] publish: to answer beforehand: --approve publish@sha256:0123456789abcdef0123456789abcdef
23:01:37 [ 2/ 7] publish: answered yes, at the terminal
23:01:41 [ 3/ 7] image: waiting for ghcr.io to have rel-2024.09.09.23.00.57, 1s of 30m
23:02:11 [ 3/ 7] image: waiting for ghcr.io to have rel-2024.09.09.23.00.57, 31s of 30m
23:02:30 [ 6/ 7] apply: asks: Apply the plan to production
23:02:30 [ 6/ 7] apply: - replace module.catalog-airflow.aws_instance.instance (its user data changed)
23:02:30 [ 6/ 7] apply: - Airflow stops for some minutes
23:02:30 [ 6/ 7] apply: to answer beforehand: --approve apply@sha256:0123456789abcdef0123456789abcdef
23:02:57 [ 6/ 7] apply: answered yes, by --approve
23:03:58 took no effect: apply the plan 0123456789ab: terraform exited 1
23:03:58 [ 6/ 7] apply: failed: terraform: apply: InsufficientInstanceCapacity in us-east-1a (1m 29s)
23:04:00 could not give back: docker_image_tag in environments/prod/catalog-airflow.tf: somebody edited the line
23:04:00 could not apply the plan: InsufficientInstanceCapacity in us-east-1a
23:04:00 still held: docker_image_tag in environments/prod/catalog-airflow.tf, now "rel-2", before "rel-1" (in /src/infra on laptop)
23:04:00 next: catalog-deploy resume 2024-09-09-adal
23:04:00 next: catalog-deploy restore 2024-09-09-adal
"###);
    }

    #[test]
    fn a_heartbeat_each_half_minute_of_the_events_time() {
        let mut events = vec![stamped(0, started(Mode::Deploy)), stamped(0, step_started("image"))];
        events.extend((0..=90).step_by(5).map(|second| stamped(second, waiting("image", 0, 1800))));
        insta::assert_snapshot!(told(&events, Verbosity::Normal), @r###"
23:00:57 prod: Deploy the catalog to production (deploy)
23:00:57 run 2024-09-09-adal, 7 steps, by ada on laptop, runbook built in, times in UTC
23:00:57 [ 3/ 7] image: The release's Docker image is on GHCR
23:00:57 [ 3/ 7] image: waiting for ghcr.io to have rel-2024.09.09.23.00.57, 0s of 30m
23:01:27 [ 3/ 7] image: waiting for ghcr.io to have rel-2024.09.09.23.00.57, 30s of 30m
23:01:57 [ 3/ 7] image: waiting for ghcr.io to have rel-2024.09.09.23.00.57, 1m 00s of 30m
23:02:27 [ 3/ 7] image: waiting for ghcr.io to have rel-2024.09.09.23.00.57, 1m 30s of 30m
"###);
    }

    #[test]
    fn a_preview_asks_nobody() {
        let events = [
            stamped(0, started(Mode::Preview)),
            stamped(1, Event::GateAsked { question: question("apply"), waits: false }),
        ];
        assert!(!told(&events, Verbosity::Verbose).contains("--approve"));
    }

    #[test]
    fn a_preview_leaves_the_telling_to_its_report() {
        let mut events = failing();
        events[0] = stamped(0, started(Mode::Preview));
        insta::assert_snapshot!(told(&events, Verbosity::Normal), @r###"
23:00:57 prod: Deploy the catalog to production (dry run, nothing is changed); looking
23:01:41 [ 3/ 7] image: waiting for ghcr.io to have rel-2024.09.09.23.00.57, 1s of 30m
23:01:56 [ 3/ 7] image: could not ask just now, asking again: registry ghcr.io: broken (502): bad gateway
23:02:11 [ 3/ 7] image: waiting for ghcr.io to have rel-2024.09.09.23.00.57, 31s of 30m
"###);
        assert!(told(&events, Verbosity::Verbose).contains("checkout: nothing to do"));
        let stopped = Event::RunFinished {
            exit: 130,
            reason: "interrupted".into(),
            message: "stopped".into(),
            next: vec![],
            findings: vec![],
        };
        assert!(told(&[events[0].clone(), stamped(1, stopped)], Verbosity::Quiet).ends_with(" stopped\n"));
    }

    #[test]
    fn outside_text_stays_one_line_each_and_cannot_steer() {
        let events = [stamped(0, output("apply", "a\u{1b}[2Jb\rc")), stamped(0, Event::Said { text: "x\ny".into() })];
        assert_eq!(told(&events, Verbosity::Normal), "23:00:57 apply: | ab c\n23:00:57 x\n23:00:57 y\n");
    }

    #[test]
    fn a_question_that_nobody_answered_names_the_flag() {
        let mut events = vec![stamped(0, started(Mode::Deploy)), stamped(0, step_started("apply"))];
        events.push(stamped(1, Event::GateAsked { question: question("apply"), waits: false }));
        let asked = told(&events, Verbosity::Quiet);
        assert!(asked.contains("--approve apply@sha256:0123456789abcdef0123456789abcdef"), "{asked}");
        events.push(stamped(2, answered("apply", AnsweredBy::Flag)));
        assert!(told(&events, Verbosity::Quiet).ends_with("apply: answered yes, by --approve\n"));
    }
}
