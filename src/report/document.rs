//! `show RUN`: one run, told from its events, as text or Markdown. As JSON a run is its events ([`super::json`]).

pub mod incident;
#[cfg(test)]
mod tests;
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
        // A sentence may end in its command.
        let (words, typed) = match command.split_once("catalog-deploy ") {
            Some((words, _)) if words.is_empty() || words.ends_with(": ") => command.split_at(words.len()),
            _ => (command.as_str(), ""),
        };
        let _ = match self.format {
            Format::Markdown if typed.is_empty() => writeln!(self.out, "- next: {}", escape(words)),
            Format::Markdown => writeln!(self.out, "- next: {}`{}`", escape(words), typed.replace('`', "'")),
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
    if let Some((at, run)) = &told.took_over {
        page.item(&format!("took over: run {run}, {}", date_and_time(*at)));
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
        items.push(format!("override: {}", clean(&it.to_string())));
    }
    for (at, it) in &told.overrides {
        items.push(format!("override, {}: {}", time_of_day(*at), clean(it)));
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
            Some(Ended::NotSeen) => "looked up later: it took no effect".into(),
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
            None if told.facts.applied.is_some() => "stays: it is deployed".into(),
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
    for finding in &end.findings {
        page.item(&format!("{} (exit {}): {}", finding.reason, finding.exit, clean(&finding.message)));
    }
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
