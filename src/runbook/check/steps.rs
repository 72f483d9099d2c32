//! Each step by itself: its id, its gate, what it needs, its own values.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::kinds::{Nature, nature, needs, rollback_needs};
use super::text::{address, branch, placeholders, relative};
use super::values::command;
use super::view::{StepView, View, texts};
use crate::runbook::problem::{Flaw, quoted};
use crate::runbook::schema::Kind;

/// No wait of a deploy is longer; what is longer is a slip of the unit, and could overflow a deadline.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

pub fn check(view: &View<'_>, flaws: &mut Vec<Flaw>) {
    if let Some(steps) = view.value("step")
        && steps.get_ref().as_array().is_some_and(|steps| steps.is_empty())
    {
        flaws.push(Flaw::new(steps.span(), "the runbook has no step").help("add a `[[step]]`"));
    }
    unique_ids(view, flaws);
    for step in &view.steps {
        commands(step, flaws);
        durations(step, flaws);
        templates(view, step, flaws);
        words(step, flaws);
        let Some(spec) = &step.spec else { continue };
        gate(step, &spec.kind, spec.gate, flaws);
        release_only(step, &spec.kind, spec.release_only, flaws);
        for path in needs(&spec.kind) {
            need(view, step, path, flaws);
        }
    }
}

fn unique_ids(view: &View<'_>, flaws: &mut Vec<Flaw>) {
    let mut seen: BTreeMap<&str, Range<usize>> = BTreeMap::new();
    for step in &view.steps {
        let Some((id, span)) = step.text("id") else { continue };
        if let Some(first) = seen.get(id) {
            let flaw = Flaw::new(span, format!("two steps are called {}", quoted(id)))
                .label("used again")
                .also(first.clone(), "first used here")
                .help("a step's id names its gate and its place in the journal: give each its own");
            flaws.push(flaw);
        } else {
            seen.insert(id, span);
        }
    }
}

fn gate(step: &StepView<'_>, kind: &Kind, gate: bool, flaws: &mut Vec<Flaw>) {
    match nature(kind) {
        Nature::Never(why) if !gate => {
            let message = format!("{} cannot be taken back, so it needs `gate = true`", step.name());
            flaws.push(
                Flaw::new(step.span("gate"), message).label(why).help("add `gate = true`: it asks before it acts"),
            );
        }
        Nature::Looks if gate => {
            let message = format!("{} changes nothing, so its gate would never ask", step.name());
            flaws.push(
                Flaw::new(step.span("gate"), message)
                    .help("remove `gate`; for a question to a person use a `manual` step"),
            );
        }
        _ => {}
    }
}

fn release_only(step: &StepView<'_>, kind: &Kind, release_only: bool, flaws: &mut Vec<Flaw>) {
    if !release_only && matches!(kind, Kind::PublishRelease { .. } | Kind::ApproveChangelog { .. }) {
        let message = format!("{} belongs to a release, so it needs `release_only = true`", step.name());
        let flaw = Flaw::new(step.span("release_only"), message).label("a rollback would do it as well");
        flaws.push(flaw.help("add `release_only = true`: a run with `--tag` skips it"));
    }
    if release_only && let Some(why) = rollback_needs(kind) {
        let message = format!("{} cannot be `release_only`", step.name());
        flaws.push(Flaw::new(step.span("release_only"), message).label(why).help("remove `release_only`"));
    }
}

fn need(view: &View<'_>, step: &StepView<'_>, path: &str, flaws: &mut Vec<Flaw>) {
    // A missing table is told once, not again for each key in it.
    let missing_parent = path.split_once('.').is_some_and(|(table, _)| view.value(table).is_none());
    if view.value(path).is_some() || missing_parent {
        return;
    }
    let kind = step.kind.unwrap_or_default();
    let (wanted, help) = match path {
        "infrastructure.bump" => (
            "`bump` in `[infrastructure]`".to_owned(),
            "add the recipe, e.g. `bump = [\"just\", \"bump\", \"prod\", \"catalog-airflow\"]`, or say `tag = \"pin\"`"
                .to_owned(),
        ),
        path => (format!("`[{path}]`"), format!("add `[{path}]`, or remove the step")),
    };
    let message = format!("{} needs {wanted}, which the runbook does not have", step.name());
    flaws.push(Flaw::new(step.span("kind"), message).label(format!("`{kind}` needs it")).help(help));
}

fn commands(step: &StepView<'_>, flaws: &mut Vec<Flaw>) {
    for key in ["command", "check", "run", "undo"] {
        if let Some(value) = step.table.get(key) {
            command(&format!("`{key}` of {}", step.name()), value, flaws);
        }
    }
}

fn durations(step: &StepView<'_>, flaws: &mut Vec<Flaw>) {
    for key in ["wait", "build_wait", "boot", "soak", "poll"] {
        let Some((text, span)) = step.text(key) else { continue };
        duration(key, text, span, flaws);
    }
    if let Some(Kind::ImageReady { poll, .. }) = step.spec.as_ref().map(|spec| &spec.kind)
        && poll.0 < Duration::from_secs(1)
    {
        let message = format!("`poll` of {} is shorter than a second", step.name());
        flaws.push(
            Flaw::new(step.span("poll"), message)
                .help("write at least `1s`: the registry limits how often it is asked"),
        );
    }
}

pub fn duration(key: &str, text: &str, span: Range<usize>, flaws: &mut Vec<Flaw>) {
    if humantime::parse_duration(text).is_ok_and(|length| length > LONGEST) {
        flaws.push(
            Flaw::new(span, format!("`{key}` is longer than seven days"))
                .help("no step waits that long: check the unit"),
        );
    }
}

fn templates(view: &View<'_>, step: &StepView<'_>, flaws: &mut Vec<Flaw>) {
    let (keys, known): (&[&str], &str) = match step.kind {
        Some("approve-changelog") => (&["branch"], "git_tag"),
        Some("infrastructure-pull-request") => (&["branch", "pull_title", "pull_body"], "tag"),
        _ => return,
    };
    for key in keys {
        let Some((text, span)) = step.text(key) else { continue };
        placeholders(key, text, span.clone(), known, flaws);
        if *key == "branch" {
            branch(text, span.clone(), flaws);
            let main = view.text("infrastructure.main").map_or("main", |(main, _)| main);
            if known == "tag" && text == main {
                let message = format!("{} would push to {} itself", step.name(), quoted(main));
                flaws.push(Flaw::new(span, message).help("name a branch of its own, e.g. `catalog-deploy/{tag}`"));
            }
        }
    }
}

fn words(step: &StepView<'_>, flaws: &mut Vec<Flaw>) {
    for key in ["title", "instructions", "expect", "branch", "pull_title"] {
        if let Some((text, span)) = step.text(key)
            && text.trim().is_empty()
        {
            flaws
                .push(Flaw::new(span, format!("`{key}` of {} is empty", step.name())).help(format!("write a `{key}`")));
        }
    }
    for key in ["tag_workflow", "build_workflow", "draft_workflow"] {
        if let Some((text, span)) = step.text(key)
            && (text.trim().is_empty() || text.contains('/'))
        {
            let base = text.rsplit('/').next().unwrap_or_default();
            let help = match base.is_empty() {
                true => "write its file name, e.g. `ci_cd.yml`".to_owned(),
                false => format!("write {}", quoted(base)),
            };
            let message = format!("`{key}` of {} must be a workflow's file name, without a folder", step.name());
            flaws.push(Flaw::new(span, message).help(help));
        }
    }
    for (key, name) in [("build_paths", "a path in `build_paths`"), ("image_files", "a path in `image_files`")] {
        let paths = step.table.get(key).and_then(|value: &Spanned<_>| texts(value));
        for (path, span) in paths.into_iter().flatten() {
            relative(name, path, span, flaws);
        }
    }
    // A page for a person: unlike a service's address, it may hold a query and a fragment.
    if let Some((link, span)) = step.text("link")
        && let Some((why, help)) = address(link.split(['?', '#']).next().unwrap_or_default())
    {
        let message = format!("`link` of {} is no address that can be opened", step.name());
        flaws.push(Flaw::new(span, message).label(why).help(help));
    }
}
