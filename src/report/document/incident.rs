//! `show RUN --format incident`: what whoever takes over in the night has to know, as Markdown to paste. How severe it is,
//! people decide.

use jiff::Timestamp;

use super::told::{Gate, Told};
use super::{Format, Page, spent};
use crate::event::{Ended, Stamped, StepResult};
use crate::facts::Thing;
use crate::report::held::describe;
use crate::report::text::{clean, date_and_time, short_digest, time_of_day};
use crate::report::words;

/// The summary of one run. `incident` is the runbook's line on whom to tell.
pub fn render(events: &[Stamped], incident: Option<&str>) -> String {
    let told = Told::new(events);
    let mut page = Page { format: Format::Markdown, width: 10_000, out: String::new() };
    header(&mut page, &told);
    page.list("Timeline (UTC)", timeline(&told).into_iter());
    held(&mut page, &told);
    page.list("Overrides", overrides(&told).into_iter());
    page.list("Links", links(&told).into_iter());
    page.list("Open questions", questions(&told).into_iter());
    commands(&mut page, &told);
    page.list("Procedure", incident.into_iter().map(clean));
    page.out
}

fn header(page: &mut Page, told: &Told) {
    let Some(start) = &told.start else {
        page.title("Incident summary of a run whose beginning is missing");
        return;
    };
    page.title(&format!("Incident summary: {} (run {})", clean(&start.title), start.run));
    match &told.end {
        Some(end) => {
            page.item(&format!("what happened: {}", clean(&end.message)));
            page.item(&format!("result: {} (exit {})", clean(&end.reason), end.exit));
            page.item(&format!("began {}, ended {}", date_and_time(start.at), date_and_time(end.at)));
            page.item(&format!("duration: {}", spent(start.at, end.at)));
        }
        None => {
            page.item("what happened: the run has not finished, or its process died");
            page.item(&format!("began {}", date_and_time(start.at)));
        }
    }
    page.item(&format!("by: {} on {}", clean(&start.who), clean(&start.host)));
    let facts = &told.facts;
    match &facts.running {
        Some(running) => page.item(&format!("old tag: {} ({})", running.tag, clean(&running.source))),
        None => page.item("old tag: not known"),
    }
    let target = facts.target.as_ref().map(|target| &target.tag);
    match target.or(facts.image.as_ref().map(|image| &image.tag)) {
        Some(tag) => page.item(&format!("new tag: {tag}")),
        None => page.item("new tag: not known"),
    }
    page.item(match (&facts.applied, facts.applied_in_part) {
        (Some(applied), _) if !applied.changed => "apply: nothing had to be changed",
        (Some(applied), _) if applied.unverified.is_some() => "apply: reported as done, and not verified",
        (Some(_), _) => "apply: done",
        (None, true) => "apply: done in part",
        (None, false) => "apply: not done",
    });
    if let Some(gate) = plan(told) {
        page.item(&format!("plan: digest {}", short_digest(&gate.digest)));
    }
    page.item("severity: to be set by a person");
}

/// The last plan that was shown.
fn plan(told: &Told) -> Option<&Gate> {
    let applies = |gate: &&Gate| told.steps.iter().any(|step| step.head.id == gate.gate && step.head.kind == "apply");
    told.gates.iter().rfind(applies)
}

fn timeline(told: &Told) -> Vec<String> {
    let mut entries: Vec<(Timestamp, String)> = Vec::new();
    for (at, who, host) in &told.resumed {
        entries.push((*at, format!("resumed by {} on {}", clean(who), clean(host))));
    }
    if let Some((at, run)) = &told.took_over {
        entries.push((*at, format!("took over run {run}")));
    }
    for step in &told.steps {
        let Some(started) = step.started else { continue };
        let took = step.ended.map(|ended| format!(", {}", spent(started, ended))).unwrap_or_default();
        let result = step.result.as_ref().map_or_else(|| "not finished".to_owned(), words::result_line);
        // What took its time is told where it ended, after the answers and changes that it is made of.
        entries.push((step.ended.unwrap_or(started), format!("{}: {result}{took}", step.head.id)));
    }
    for gate in &told.gates {
        let Some((at, yes, by)) = gate.answer else { continue };
        let answer = if yes { "yes" } else { "no" };
        let waited = spent(gate.at, at);
        entries.push((at, format!("{} answered {answer}, {}, after {waited}", gate.gate, words::answered_by(by))));
    }
    for effect in &told.effects {
        let ended = match &effect.ended {
            Some(Ended::Done) => "done".to_owned(),
            Some(Ended::NotSeen) => "took no effect".into(),
            Some(Ended::Refused { why }) => format!("took no effect: {}", clean(why)),
            Some(Ended::InDoubt { .. }) | None => "not known whether it happened".into(),
        };
        entries.push((effect.at, format!("change: {}: {ended}", clean(&effect.what))));
    }
    entries.sort_by_key(|(at, _)| *at);
    entries.into_iter().map(|(at, text)| format!("{} {text}", time_of_day(at))).collect()
}

fn held(page: &mut Page, told: &Told) {
    let all = told.held.all();
    let dags: Vec<String> = all
        .iter()
        .filter_map(|held| match &held.thing {
            Thing::PausedDag { dag } => Some(dag.clone()),
            _ => None,
        })
        .collect();
    page.section("Held now");
    if all.is_empty() {
        page.item("nothing");
    }
    all.iter().for_each(|held| page.item(&describe(held)));
    page.item(&match dags.is_empty() {
        true => "paused DAGs: none".to_owned(),
        false => format!("paused DAGs: {}", dags.join(", ")),
    });
}

fn overrides(told: &Told) -> Vec<String> {
    let given = told.start.iter().flat_map(|start| &start.parameters.overrides);
    let given = given.map(|it| format!("at the start: {}", clean(&it.to_string())));
    given.chain(told.overrides.iter().map(|(at, it)| format!("{}: {}", time_of_day(*at), clean(it)))).collect()
}

fn links(told: &Told) -> Vec<String> {
    let facts = &told.facts;
    let release = facts.release.as_ref().map(|it| format!("release: {}", it.url));
    let changelog = facts.changelog.as_ref().map(|it| format!("changelog pull request: {}", it.url));
    let bump = facts.pull_request.as_ref().map(|it| format!("infrastructure pull request: {}", it.url));
    [release, changelog, bump].into_iter().flatten().map(|link| clean(&link)).collect()
}

/// What no one knows yet.
fn questions(told: &Told) -> Vec<String> {
    let doubt = told.held.in_doubt().map(|what| format!("did it happen? {}", clean(what)));
    let steps = told.steps.iter().filter_map(|step| {
        let id = &step.head.id;
        match step.result.as_ref()? {
            StepResult::Unhealthy { why } => Some(format!("is production healthy by now? {id}: {}", clean(why))),
            StepResult::Inconclusive { why } => Some(format!("{id}: {}", clean(why))),
            StepResult::Left { what } => Some(format!("no one has looked: {}", clean(what))),
            StepResult::Unfinished { why } => Some(format!("left open, {id}: {}", clean(why))),
            _ => None,
        }
    });
    let running = told.facts.running.as_ref().filter(|running| !running.certain);
    let running = running.map(|running| format!("did {} really run before? ({})", running.tag, clean(&running.source)));
    let unverified = told.facts.applied.as_ref().and_then(|applied| applied.unverified.as_ref());
    let unverified = unverified.map(|why| format!("did the apply take effect? {}", clean(why)));
    doubt.chain(steps).chain(running).chain(unverified).collect()
}

fn commands(page: &mut Page, told: &Told) {
    let Some(start) = &told.start else { return };
    page.section("Commands that help now");
    let next = told.end.iter().flat_map(|end| end.next.iter().cloned());
    let always = [format!("catalog-deploy status {}", start.runbook), format!("catalog-deploy show {}", start.run)];
    let mut commands: Vec<String> = next.collect();
    let known = |command: &String, commands: &[String]| commands.iter().any(|other| other.contains(command.as_str()));
    for command in always {
        if !known(&command, &commands) {
            commands.push(command);
        }
    }
    commands.iter().for_each(|command| page.command(command));
}
