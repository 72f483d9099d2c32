//! What a person reads of a verdict: one line a DAG however many runs it has, and the next command.

use super::{Reason, Running, Verdict};
use crate::event::{Evidence, Refusal};
use crate::facts::Check;

/// DAGs that get a line of their own; the rest are counted and named on one.
const LINES: usize = 12;
/// Names in an enumeration.
const NAMES: usize = 8;

/// One refusal a DAG, the longest list cut so that it stays readable.
pub fn refusals(verdict: &Verdict) -> Vec<Refusal> {
    let in_the_way: Vec<&Running> = verdict.blocking.iter().chain(&verdict.short).collect();
    let mut lines: Vec<Refusal> = in_the_way
        .iter()
        .take(LINES)
        .map(|running| Refusal { what: sentence(running), next: next(&running.dag) })
        .collect();
    if let Some(rest) = in_the_way.get(LINES..).filter(|rest| !rest.is_empty()) {
        let runs: usize = rest.iter().map(|running| running.runs).sum();
        lines.push(Refusal {
            what: format!("{} more DAGs with {} ({})", rest.len(), count(runs), list(rest.iter().map(|it| &it.dag))),
            next: "let them finish first, e.g. with --wait 30m".into(),
        });
    }
    lines
}

/// What was seen and is allowed, and what a person should think about.
pub fn evidence(verdict: &Verdict) -> Vec<Evidence> {
    let waiting = verdict.waiting.iter().map(|it| {
        Evidence::verified(format!(
            "{}: {} waiting on {} ({}), so a deploy is possible once it is paused",
            it.dag,
            count(it.runs),
            it.task,
            it.operator
        ))
    });
    let overridden = verdict.overridden.iter().map(|it| {
        Evidence::warning(format!("{}: overridden ({}); its tasks will be killed", sentence(&it.running), it.reason))
    });
    let warnings = verdict.warnings.iter().map(Evidence::warning);
    waiting.chain(overridden).chain(warnings).collect()
}

/// The DAGs that are in the way, with their numbers of runs, on one line.
pub fn names<'a>(running: impl IntoIterator<Item = &'a Running>) -> String {
    list(
        running
            .into_iter()
            .map(|it| if it.runs == 1 { it.dag.clone() } else { format!("{} ({} runs)", it.dag, it.runs) }),
    )
}

/// At most [`NAMES`] of them, then how many more.
fn list(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    let all: Vec<_> = names.collect();
    let mut text = all.iter().take(NAMES).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if all.len() > NAMES {
        text.push_str(&format!(" and {} more", all.len() - NAMES));
    }
    text
}

fn sentence(running: &Running) -> String {
    let Running { dag, runs, run, reason } = running;
    let which = if *runs == 1 { format!("run {run}") } else { format!("e.g. run {run}") };
    let why = match reason {
        Reason::Runs { state } => format!("{which} is {state}"),
        Reason::NoActiveTask { state } => {
            format!("{which} is {state} with no active task, so what it does next cannot be known")
        }
        Reason::Task { task, operator, state } => {
            let operator = operator.as_deref().unwrap_or("unknown operator");
            format!("{which} has task {task} ({operator}) in state {state}, which is not a waiting sensor")
        }
    };
    format!("{dag}: {}, {why}", count(*runs))
}

fn next(dag: &str) -> String {
    // A DAG may be called like a check.
    let name = if dag.parse::<Check>().is_ok() { format!("dag:{dag}") } else { dag.to_owned() };
    format!(
        "let it finish (a new run waits for it with --wait 30m), or have its tasks killed: --override {name}=\"reason\""
    )
}

fn count(runs: usize) -> String {
    if runs == 1 { "1 run".into() } else { format!("{runs} runs") }
}
