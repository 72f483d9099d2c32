//! The steps among each other: what must come before what, and that everything held is given back.

use super::kinds::{Nature, nature};
use super::view::{StepView, View};
use crate::runbook::problem::{Flaw, quoted};
use crate::runbook::schema::Kind;
use crate::runbook::suggest::nearest;

/// Where both kinds are present, every step of the first comes before every step of the second, and why.
pub(super) const ORDER: [(&str, &str, &str); 10] = [
    ("bump", "apply", "it would apply the earlier version"),
    ("set-flag", "apply", "a plan fails while the flag is false"),
    ("dags-hold", "apply", "DAGs must be held before the instance is replaced"),
    ("baseline", "apply", "a baseline shows how it was before"),
    ("apply", "post-checks", "there is nothing to check yet"),
    ("publish-release", "image-ready", "the image is tagged by publishing"),
    ("publish-release", "bump", "the version is not released yet"),
    ("publish-release", "approve-changelog", "publishing opens the changelog's pull request"),
    ("image-ready", "apply", "the image may not exist yet"),
    ("bump", "infrastructure-pull-request", "there is no version bump to propose yet"),
];
/// Kinds that a runbook can have once: a second would undo or repeat the first.
pub(super) const ONCE: [&str; 4] = ["apply", "publish-release", "bump", "set-flag"];

pub fn check(view: &View<'_>, flaws: &mut Vec<Flaw>) {
    for kind in ONCE {
        let mut found = of_kind(view, kind);
        let Some((_, first)) = found.next() else { continue };
        for (_, again) in found {
            let flaw = Flaw::new(again.span("kind"), format!("a runbook can have one `{kind}` step"))
                .label("the second one")
                .also(first.span("kind"), "the first one")
                .help("make a runbook of its own of the second part");
            flaws.push(flaw);
        }
    }
    for (earlier, later, why) in ORDER {
        let Some((limit, late)) = of_kind(view, later).next() else { continue };
        for (at, early) in of_kind(view, earlier) {
            if at > limit {
                let message = format!("{} must come before {}", early.name(), late.name());
                let flaw = Flaw::new(early.span("kind"), message)
                    .label(format!("`{earlier}`"))
                    .also(late.span("kind"), format!("`{later}`: {why}"))
                    .help(format!("move {} up", early.name()));
                flaws.push(flaw);
            }
        }
    }
    for (at, step) in view.steps.iter().enumerate() {
        match step.spec.as_ref().map(|spec| &spec.kind) {
            Some(Kind::GiveBack { of, after_heartbeat, .. }) => {
                give_back(view, at, of, flaws);
                if *after_heartbeat && !view.steps[..at].iter().any(|earlier| earlier.kind == Some("apply")) {
                    let message = format!("{} waits for a new scheduler, and no earlier step starts one", step.name());
                    let help = "put it after the `apply` step, or remove `after_heartbeat`";
                    flaws.push(Flaw::new(step.span("after_heartbeat"), message).help(help));
                }
            }
            Some(Kind::SetFlag { .. } | Kind::DagsHold { .. }) => given_back(view, at, flaws),
            _ => {}
        }
    }
}

fn of_kind<'v, 'd>(view: &'v View<'d>, kind: &'v str) -> impl Iterator<Item = (usize, &'v StepView<'d>)> {
    view.steps.iter().enumerate().filter(move |(_, step)| step.kind == Some(kind))
}

/// `of` names an earlier step that holds something, and not before the apply that it was taken for.
fn give_back(view: &View<'_>, at: usize, of: &str, flaws: &mut Vec<Flaw>) {
    let step = &view.steps[at];
    let span = step.span("of");
    let Some(target_at) = view.position(of) else {
        let ids = view.steps.iter().filter(|it| holds(it) != Some(false)).filter_map(|it| it.id);
        let ids: Vec<&str> = ids.filter(|id| Some(*id) != step.id).collect();
        let help = match nearest(of, ids.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if ids.is_empty() => "no step of this runbook holds anything: remove this one".to_owned(),
            None => format!("steps that hold something: {}", ids.join(", ")),
        };
        let message = format!("{} gives back {}, and there is no such step", step.name(), quoted(of));
        flaws.push(Flaw::new(span, message).label("unknown step").help(help));
        return;
    };
    let target = &view.steps[target_at];
    if holds(target) == Some(false) {
        let kind = target.kind.unwrap_or_default();
        let message = format!("{} gives back {}, which holds nothing", step.name(), target.name());
        let flaw = Flaw::new(span, message).also(target.span("kind"), format!("`{kind}` holds nothing"));
        flaws.push(flaw.help("steps that hold something: `set-flag`, `dags-hold`, `bump`, and `shell` with `undo`"));
        return;
    }
    if target_at >= at {
        let message = format!("{} gives back {}, which comes later", step.name(), target.name());
        let flaw = Flaw::new(span, message).also(target.header.clone(), "it comes here");
        flaws.push(flaw.help(format!("move {} below {}", step.name(), target.name())));
        return;
    }
    if !matches!(target.kind, Some("set-flag" | "dags-hold")) {
        return;
    }
    if let Some((apply_at, apply)) = of_kind(view, "apply").next()
        && target_at < apply_at
        && at < apply_at
    {
        let message = format!("{} gives back {} before the apply that needs it", step.name(), target.name());
        let flaw = Flaw::new(span, message).also(apply.span("kind"), "the apply comes later");
        flaws.push(flaw.help(format!("move {} below {}", step.name(), apply.name())));
    }
}

/// None where the step is not understood.
fn holds(step: &StepView<'_>) -> Option<bool> {
    step.spec.as_ref().map(|spec| nature(&spec.kind) == Nature::Holds)
}

fn given_back(view: &View<'_>, at: usize, flaws: &mut Vec<Flaw>) {
    let step = &view.steps[at];
    let Some(id) = step.id else { return };
    // One that stands too early, or names a step that cannot be meant, is told by itself.
    let answered = view.steps.iter().filter(|other| other.kind == Some("give-back")).any(|other| {
        let Some(target) = other.text("of").and_then(|(of, _)| view.position(of)) else { return true };
        target == at || holds(&view.steps[target]) == Some(false)
    });
    if !answered {
        let what = if step.kind == Some("set-flag") { "the flag stays true" } else { "the DAGs stay paused" };
        let message = format!("nothing gives back what {} holds", step.name());
        let help = format!("add a step after the apply with `kind = \"give-back\"` and `of = \"{id}\"`");
        flaws.push(Flaw::new(step.span("kind"), message).label(what).help(help));
    }
}
