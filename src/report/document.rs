//! `show RUN`: one run, told from its events, as text or Markdown. As JSON a run is its events ([`super::json`]).

mod told;

use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::held::{brief, describe};
use super::text::{between, clean, date_and_time, elapsed, limit, short_digest, time_of_day, wrap};
use super::words;
use crate::event::{Ended, Stamped};
use crate::facts::Facts;
use told::Told;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Markdown,
}

/// One run's report. `incident` is the runbook's line on whom to tell, added to a failed run.
pub fn render(events: &[Stamped], incident: Option<&str>, format: Format, width: usize) -> String {
    let told = Told::new(events);
    // Markdown renderers wrap by themselves.
    let width = if format == Format::Markdown { 10_000 } else { width };
    let mut page = Page { format, width, out: String::new() };
    header(&mut page, &told);
    parameters(&mut page, &told);
    timeline(&mut page, &told);
    gates(&mut page, &told);
    effects(&mut page, &told);
    held(&mut page, &told);
    facts(&mut page, &told.facts);
    page.list("Warnings", told.warnings.iter().map(|text| clean(text)));
    ending(&mut page, &told, incident);
    page.out
}

struct Page {
    format: Format,
    width: usize,
    out: String,
}

impl Page {
    fn title(&mut self, text: &str) {
        self.heading("# ", '=', text);
    }

    fn section(&mut self, text: &str) {
        self.out.push('\n');
        self.heading("## ", '-', text);
    }

    fn heading(&mut self, hashes: &str, rule: char, text: &str) {
        match self.format {
            Format::Markdown => {
                let _ = writeln!(self.out, "{hashes}{}\n", escape(text));
            }
            Format::Text => {
                let length = console::measure_text_width(text).min(self.width);
                let _ = writeln!(self.out, "{text}\n{}", rule.to_string().repeat(length));
            }
        }
    }

    fn item(&mut self, text: &str) {
        let text = if self.format == Format::Markdown { escape(text) } else { text.to_owned() };
        let first = if self.format == Format::Markdown { "- " } else { "  " };
        for (index, row) in wrap(&text, first, self.width).iter().enumerate() {
            // In text, further lines stand a little to the right, so that items can be told apart.
            let indent = if index > 0 && self.format == Format::Text { "  " } else { "" };
            let _ = writeln!(self.out, "{indent}{row}");
        }
    }

    /// Never wrapped: to be copied.
    fn command(&mut self, command: &str) {
        let command = clean(command);
        let _ = match self.format {
            Format::Markdown => writeln!(self.out, "- next: `{}`", command.replace('`', "'")),
            Format::Text => writeln!(self.out, "  next: {command}"),
        };
    }

    fn list(&mut self, title: &str, items: impl Iterator<Item = String>) {
        let mut items = items.peekable();
        if items.peek().is_some() {
            self.section(title);
            items.for_each(|item| self.item(&item));
        }
    }
}

/// Keeps text from outside from becoming markup.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|') {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

fn header(page: &mut Page, told: &Told) {
    let Some(start) = &told.start else {
        page.title("A run whose beginning is missing");
        return;
    };
    page.title(&format!("Run {}: {}", start.run, clean(&start.title)));
    page.item(&format!("runbook: {} ({}, sha256 {})", start.runbook, clean(&start.source), short_digest(&start.hash)));
    page.item(&format!("what: {}", words::mode(start.mode)));
    page.item(&format!("who: {} on {}", clean(&start.who), clean(&start.host)));
    for (at, who, host) in &told.resumed {
        page.item(&format!("gone on with: {} on {}, {}", clean(who), clean(host), date_and_time(*at)));
    }
    page.item(&format!("started: {}", date_and_time(start.at)));
    match &told.end {
        Some(end) => {
            page.item(&format!("ended: {}", date_and_time(end.at)));
            page.item(&format!("duration: {}", spent(start.at, end.at)));
            page.item(&format!("result: {} (exit {})", clean(&end.reason), end.exit));
        }
        None => page.item("result: not finished, or its process died"),
    }
    if let Some(why) = &told.closed {
        page.item(&format!("closed: {}", clean(why)));
    }
}

fn parameters(page: &mut Page, told: &Told) {
    let Some(start) = &told.start else { return };
    let given = &start.parameters;
    let lasting = |name: &str, of: Option<Duration>| of.map(|of| format!("{name}: {}", limit(of)));
    let mut items: Vec<String> = Vec::new();
    items.extend(given.tag.as_ref().map(|tag| format!("image tag: {}", clean(tag))));
    items.extend(lasting("wait for running DAGs", given.wait));
    items.extend(lasting("wait for the lock", given.lock_wait));
    items.extend(given.allow_empty_release.then(|| "an empty release was allowed".to_owned()));
    for it in &given.overrides {
        items.push(format!("override: DAG {} may be killed: {}", clean(&it.dag), clean(&it.reason)));
    }
    page.list("Asked for", items.into_iter());
}

fn timeline(page: &mut Page, told: &Told) {
    page.section("Steps");
    for (index, step) in told.steps.iter().enumerate() {
        let lock = if step.head.locked { "🔒 " } else { "" };
        let at = step.started.map_or_else(|| "--:--:--".to_owned(), time_of_day);
        let took = match (step.started, step.ended) {
            (Some(from), Some(to)) => format!(", {}", spent(from, to)),
            _ => String::new(),
        };
        let result = match &step.result {
            Some(result) => format!("{} {}", words::mark(result), words::result_line(result)),
            None if step.started.is_some() => "not finished".into(),
            None => "not reached".into(),
        };
        let number = index + 1;
        page.item(&format!("{at} {number}. {lock}{} ({}): {result}{took}", clean(&step.head.title), step.head.id));
    }
}

fn gates(page: &mut Page, told: &Told) {
    let items = told.gates.iter().map(|gate| {
        let digest = short_digest(&gate.digest);
        match &gate.answer {
            Some((at, yes, by)) => {
                let answer = if *yes { "yes" } else { "no" };
                format!("{} {}: {answer}, {} (digest {digest})", time_of_day(*at), gate.gate, words::answered_by(*by))
            }
            None => format!("{} {}: asked, not answered (digest {digest})", time_of_day(gate.at), gate.gate),
        }
    });
    page.list("Gates", items);
}

fn effects(page: &mut Page, told: &Told) {
    let items = told.effects.iter().map(|effect| {
        let ended = match &effect.ended {
            Some(Ended::Done) => "done".to_owned(),
            Some(Ended::Refused { why }) => format!("took no effect: {}", clean(why)),
            Some(Ended::InDoubt { why }) => format!("not known whether it happened: {}", clean(why)),
            None => "begun, and its end was not recorded".to_owned(),
        };
        format!("{} {}: {ended}", time_of_day(effect.at), clean(&effect.what))
    });
    page.list("Changes", items);
}

fn held(page: &mut Page, told: &Told) {
    let taken = told.taken.iter().map(|taken| {
        let fate = match &taken.returned {
            Some(Ok((at, how))) => format!("given back {}: {}", time_of_day(*at), clean(how)),
            Some(Err(why)) => format!("could not be given back: {}", clean(why)),
            None if told.held.all().iter().any(|held| held.id == taken.held.id) => "still held".into(),
            None => "stays, or never happened".into(),
        };
        let what = if taken.returned.is_some() { brief(&taken.held) } else { describe(&taken.held) };
        format!("{} {what}: {fate}", time_of_day(taken.at))
    });
    page.list("Changed only for the deploy", taken);
}

fn facts(page: &mut Page, facts: &Facts) {
    let mut items: Vec<String> = Vec::new();
    items.extend(facts.release.as_ref().map(|it| format!("release: {} {}", it.git_tag, it.url)));
    items.extend(facts.running.as_ref().map(|it| {
        let sure = if it.certain { "" } else { ", probably" };
        format!("before: {}{sure} ({})", it.tag, it.source)
    }));
    items.extend(facts.image.as_ref().map(|it| format!("image: {} {}", it.tag, it.digest)));
    items.extend(
        facts.image.as_ref().and_then(|it| it.airflow_version.as_ref()).map(|version| format!("Airflow: {version}")),
    );
    items.extend(facts.changelog.as_ref().map(|it| format!("changelog pull request: {}", it.url)));
    items.extend(facts.pull_request.as_ref().map(|it| format!("infrastructure pull request: {}", it.url)));
    page.list("Known", items.iter().map(|item| clean(item)));
}

fn ending(page: &mut Page, told: &Told, incident: Option<&str>) {
    let Some(end) = &told.end else {
        if let Some(start) = &told.start
            && told.closed.is_none()
        {
            page.section("Next");
            page.command(&format!("catalog-deploy resume {}", start.run));
            page.command(&format!("catalog-deploy restore {}", start.run));
        }
        return;
    };
    page.section(if end.exit == 0 { "End" } else { "What went wrong" });
    page.item(&clean(&end.message));
    for held in told.held.all() {
        page.item(&format!("still held: {}", describe(held)));
    }
    for what in told.held.in_doubt() {
        page.item(&format!("not known whether it happened: {}", clean(what)));
    }
    end.next.iter().for_each(|command| page.command(command));
    if matches!(end.exit, 1 | 7 | 9) {
        incident.into_iter().for_each(|line| page.item(&clean(line)));
    }
}

fn spent(from: Timestamp, to: Timestamp) -> String {
    elapsed(between(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Mode};
    use crate::report::samples::*;

    #[test]
    fn a_failed_run_as_text() {
        insta::assert_snapshot!(render(&failing(), Some(INCIDENT), Format::Text, 80), @r###"
Run 2024-09-09-adal: Deploy the catalog to production
=====================================================
  runbook: prod (built in, sha256 5f2d5f2d5f2d)
  what: deploy
  who: ada on laptop
  started: 2024-09-09 23:00:57 UTC
  ended: 2024-09-09 23:04:00 UTC
  duration: 3m 03s
  result: not-given-back (exit 9)

Asked for
---------
  override: DAG batched_update may be killed: agreed with Grace

Steps
-----
  23:00:57 1. The infrastructure checkout is clean and up to date (checkout): •
    nothing to do, 1s
  23:00:59 2. Publish the drafted catalog release (publish): ✔ done, 41s
  23:01:40 3. The release's Docker image is on GHCR (image): • nothing to do,
    46s
  23:02:27 4. 🔒 Bump the catalog version in the infrastructure repository
    (bump): ✔ done, 1s
  23:02:28 5. Set running_dags_cleared to true (flag): ✔ done, 1s
  23:02:29 6. 🔒 Plan and apply with Terraform (apply): ✘ failed: terraform:
    apply: InsufficientInstanceCapacity in us-east-1a, 1m 29s
  --:--:-- 7. Ist die Produktion gesund? 本番は正常ですか 🚀 (health): not
    reached

Gates
-----
  23:01:37 publish: yes, at the terminal (digest 0123456789ab)
  23:02:57 apply: yes, by --approve (digest 0123456789ab)

Changes
-------
  23:01:38 publish catalog-2024.09.09.23.00.57: done
  23:02:27 bump docker_image_tag to rel-2: done
  23:02:28 set running_dags_cleared to true: done
  23:02:58 apply the plan 0123456789ab: took no effect: terraform exited 1

Changed only for the deploy
---------------------------
  23:02:27 docker_image_tag in environments/prod/catalog-airflow.tf: could not
    be given back: somebody edited the line
  23:02:28 running_dags_cleared in environments/prod/catalog-airflow.tf: given
    back 23:03:59: running_dags_cleared is false again

Known
-----
  image: rel-2024.09.09.23.00.57 sha256:feed
  Airflow: 2.10.1

What went wrong
---------------
  could not apply the plan: InsufficientInstanceCapacity in us-east-1a
  still held: docker_image_tag in environments/prod/catalog-airflow.tf, now
    "rel-2", before "rel-1" (in /src/infra on laptop)
  next: catalog-deploy resume 2024-09-09-adal
  next: catalog-deploy restore 2024-09-09-adal
  Consider this a Production Incident and notify the team.
"###);
    }

    #[test]
    fn a_failed_run_as_markdown() {
        insta::assert_snapshot!(render(&failing(), Some(INCIDENT), Format::Markdown, 80), @r###"
# Run 2024-09-09-adal: Deploy the catalog to production

- runbook: prod (built in, sha256 5f2d5f2d5f2d)
- what: deploy
- who: ada on laptop
- started: 2024-09-09 23:00:57 UTC
- ended: 2024-09-09 23:04:00 UTC
- duration: 3m 03s
- result: not-given-back (exit 9)

## Asked for

- override: DAG batched_update may be killed: agreed with Grace

## Steps

- 23:00:57 1. The infrastructure checkout is clean and up to date (checkout): • nothing to do, 1s
- 23:00:59 2. Publish the drafted catalog release (publish): ✔ done, 41s
- 23:01:40 3. The release's Docker image is on GHCR (image): • nothing to do, 46s
- 23:02:27 4. 🔒 Bump the catalog version in the infrastructure repository (bump): ✔ done, 1s
- 23:02:28 5. Set running_dags_cleared to true (flag): ✔ done, 1s
- 23:02:29 6. 🔒 Plan and apply with Terraform (apply): ✘ failed: terraform: apply: InsufficientInstanceCapacity in us-east-1a, 1m 29s
- --:--:-- 7. Ist die Produktion gesund? 本番は正常ですか 🚀 (health): not reached

## Gates

- 23:01:37 publish: yes, at the terminal (digest 0123456789ab)
- 23:02:57 apply: yes, by --approve (digest 0123456789ab)

## Changes

- 23:01:38 publish catalog-2024.09.09.23.00.57: done
- 23:02:27 bump docker_image_tag to rel-2: done
- 23:02:28 set running_dags_cleared to true: done
- 23:02:58 apply the plan 0123456789ab: took no effect: terraform exited 1

## Changed only for the deploy

- 23:02:27 docker_image_tag in environments/prod/catalog-airflow.tf: could not be given back: somebody edited the line
- 23:02:28 running_dags_cleared in environments/prod/catalog-airflow.tf: given back 23:03:59: running_dags_cleared is false again

## Known

- image: rel-2024.09.09.23.00.57 sha256:feed
- Airflow: 2.10.1

## What went wrong

- could not apply the plan: InsufficientInstanceCapacity in us-east-1a
- still held: docker_image_tag in environments/prod/catalog-airflow.tf, now "rel-2", before "rel-1" (in /src/infra on laptop)
- next: `catalog-deploy resume 2024-09-09-adal`
- next: `catalog-deploy restore 2024-09-09-adal`
- Consider this a Production Incident and notify the team.
"###);
    }

    #[test]
    fn a_run_whose_process_died_names_the_way_on() {
        let events = &failing()[..30];
        let text = render(events, Some(INCIDENT), Format::Text, 80);
        assert!(text.contains("result: not finished, or its process died"), "{text}");
        assert!(text.contains("apply the plan 0123456789ab: begun, and its end was not recorded"), "{text}");
        assert!(text.ends_with("next: catalog-deploy restore 2024-09-09-adal\n"), "{text}");
        assert!(!text.contains(INCIDENT));
    }

    #[test]
    fn a_resumed_and_closed_run() {
        let mut events = failing();
        events.push(stamped(900, Event::RunResumed { who: "grace".into(), host: "desk".into() }));
        events.push(stamped(901, Event::GivenBack { held: "bump/version".into(), how: "put back by hand".into() }));
        events.push(stamped(902, Event::RunClosed { why: "restored".into() }));
        let text = render(&events, None, Format::Text, 80);
        assert!(text.contains("gone on with: grace on desk, 2024-09-09 23:15:57 UTC"), "{text}");
        assert!(text.contains("closed: restored"), "{text}");
        assert!(!text.contains("still held"), "{text}");
        assert!(!text.contains("next: "), "{text}");
    }

    #[test]
    fn outside_text_is_no_markup() {
        let events = [
            stamped(0, started(Mode::Deploy)),
            stamped(1, Event::Warned { text: "[click](http://evil) `x` <script>".into() }),
        ];
        let text = render(&events, None, Format::Markdown, 80);
        assert!(text.contains(r"\[click\](http://evil) \`x\` \<script\>"), "{text}");
    }
}
