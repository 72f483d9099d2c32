//! The Markdown document that people read, made from the file that runs, so that the two cannot drift apart.

mod kinds;
mod services;
mod words;

use std::fmt::Write;

use super::load::Loaded;
use super::schema::{Inferred, Kind, Runbook, StepSpec};
use words::{code, line};

pub use super::definition::render_schema;

/// The document, with a newline at its end.
pub fn render(loaded: &Loaded) -> String {
    let runbook = &loaded.runbook;
    let mut text = format!("# {}\n\n", line(&runbook.title));
    if let Some(summary) = &runbook.summary {
        let _ = write!(text, "{}\n\n", summary.trim());
    }
    text.push_str(&how_to_run(loaded));
    text.push_str("## What it works with\n\n");
    text.push_str(&services::render(runbook));
    text.push_str("## Steps\n\n");
    text.push_str(&lock_section(runbook));
    for step in &runbook.steps {
        text.push_str(&step_section(number(step, runbook), step, runbook));
    }
    text.push_str(&rollback(loaded));
    text.push_str(&inferred(runbook));
    text.push_str(&trouble(loaded));
    let _ = writeln!(text, "---\n\nRendered from `{}` ({}), SHA-256 {}.", loaded.name, loaded.source, loaded.hash);
    text
}

fn how_to_run(loaded: &Loaded) -> String {
    let name = &loaded.name;
    let runbook = &loaded.runbook;
    let mut text = format!(
        "Run it with `catalog-deploy {name}`. `catalog-deploy {name} --dry-run` reads everything, shows what would be \
         done, and changes nothing. Every step looks first and is skipped where all is as wanted already.\n\n"
    );
    if runbook.steps.iter().any(|step| step.locked) {
        text.push_str("🔒 marks a step that needs infrastructure access: it is for core maintainers who have it.\n\n");
    }
    let gates: Vec<&str> = runbook.steps.iter().filter(|step| step.gate).map(|step| step.id.as_str()).collect();
    if !gates.is_empty() {
        let _ = write!(
            text,
            "A gate shows what a step is about to do and asks before it does it. Gates of this runbook: {}. Without a \
             terminal each needs its answer beforehand, as `--approve GATE`.\n\n",
            gates.iter().map(|gate| code(gate)).collect::<Vec<_>>().join(", ")
        );
    }
    text
}

/// A step's place in a run, where the lock comes first.
fn number(step: &StepSpec, runbook: &Runbook) -> usize {
    2 + runbook.steps.iter().take_while(|other| other.id != step.id).count()
}

fn lock_section(runbook: &Runbook) -> String {
    if runbook.lock.is_none() {
        return "### 1. Nobody else deploys\n\nSkipped: this runbook is used by one person alone.\n\n".into();
    }
    "### 1. 🔒 Nobody else deploys\n\n\
     Takes the lock, or tells who holds it. `--lock-wait DURATION` waits for it.\n\n\
     - Freed last, on every way out of the run.\n\
     - Where a run died in it: the ref on the remote names its run.\n\n"
        .into()
}

fn step_section(number: usize, step: &StepSpec, runbook: &Runbook) -> String {
    let lock = if step.locked { "🔒 " } else { "" };
    let mut text = format!("### {number}. {lock}{}\n\n", line(&step.title));
    for paragraph in kinds::does(step, runbook) {
        let _ = write!(text, "{paragraph}\n\n");
    }
    if let Some(note) = &step.note {
        let _ = write!(text, "> {}\n\n", note.trim().replace('\n', "\n> "));
    }
    if step.release_only {
        text.push_str("- Belongs to releasing a new version: a run with `--tag` skips it.\n");
    }
    if step.gate {
        let _ = writeln!(text, "- {}", gate(step));
    }
    let _ = writeln!(text, "- {}", kinds::undone(&step.kind, step, runbook));
    if let Some(recognised) = kinds::recognised(&step.kind) {
        let _ = writeln!(text, "- Where a run died in it: {recognised}");
    }
    text.push('\n');
    text
}

fn gate(step: &StepSpec) -> String {
    let id = &step.id;
    let asks = format!("Gate `{id}`: asks before it acts. To answer beforehand: `--approve {id}`");
    match step.kind {
        Kind::Apply { .. } => format!(
            "{asks}, which answers only a plan that holds nothing but the expected changes. Anything more needs \
             `--approve {id}@DIGEST` with the digest of that plan."
        ),
        _ => format!("{asks}."),
    }
}

fn rollback(loaded: &Loaded) -> String {
    let runbook = &loaded.runbook;
    let deploys = runbook.steps.iter().any(|step| matches!(step.kind, Kind::Apply { .. }));
    if !deploys {
        return String::new();
    }
    let prefix = runbook.release.as_ref().map_or("", |release| release.image_prefix.as_str());
    let skipped: Vec<String> =
        runbook.steps.iter().filter(|step| step.release_only).map(|step| code(&step.id)).collect();
    let mut text = format!(
        "## Rolling back\n\n`catalog-deploy {} --tag {prefix}YYYY.MM.DD.HH.MM.SS` deploys an earlier image tag on the \
         same path with the same gates: take the newest one that was really deployed before the bad one.",
        loaded.name
    );
    if !skipped.is_empty() {
        let _ = write!(text, " It skips what belongs to a release: {}.", skipped.join(", "));
    }
    text.push_str(
        " The tag is checked on the registry first. DAG code is not rolled back: it follows the main branch. Across \
         Airflow versions the database has been upgraded meanwhile, so that asks for an extra confirmation.\n\n",
    );
    text
}

fn inferred(runbook: &Runbook) -> String {
    if runbook.inferred.is_empty() {
        return String::new();
    }
    let mut text =
        "## Inferred, not documented\n\nCheck these against what you know, and correct the runbook.\n\n".to_owned();
    for Inferred { about, era, why } in &runbook.inferred {
        let _ = writeln!(text, "- {} ({}): {}", code(about), line(era), line(why));
    }
    text.push('\n');
    text
}

fn trouble(loaded: &Loaded) -> String {
    let mut text =
        "## If something goes wrong\n\n`catalog-deploy status` tells what is deployed, who holds the lock and \
                    what is still open. `catalog-deploy resume` goes on with an interrupted run; `catalog-deploy \
                    restore` gives back what it still holds and closes it.\n\n"
            .to_owned();
    if let Some(incident) = &loaded.runbook.incident {
        let _ = write!(text, "**{}**\n\n", line(incident));
    }
    text
}

#[cfg(test)]
mod tests;
