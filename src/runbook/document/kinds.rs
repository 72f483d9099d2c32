//! What each kind of step does and how it is taken back, in sentences filled with the runbook's data.

use super::number;
use super::services::{apply, attribute};
use super::words::{any_of, code, command, line};
use crate::runbook::schema::{AirflowService, BumpTag, Infrastructure, Kind, Runbook, StepSpec};

/// What a step does, in paragraphs. What a kind needs is declared: `check.rs` holds that.
pub fn does(step: &StepSpec, runbook: &Runbook) -> Vec<String> {
    let infrastructure = runbook.infrastructure.as_ref();
    match &step.kind {
        Kind::CheckoutReady {} => checkout(infrastructure),
        Kind::Identity { command: words, expect } => vec![format!(
            "Runs {} and refuses to go on unless {} occurs in its output: this is the account that would be changed.",
            command(words),
            code(expect)
        )],
        Kind::DagsClear {} => dags_clear(runbook.airflow.as_ref()),
        Kind::DagsHold {} => vec![
            "Judges the DAGs again, since some time has passed. A refresh that waits is paused and read once more: one \
             that has moved on meanwhile is unpaused and waited for."
                .to_owned(),
        ],
        Kind::Baseline {} => {
            let sentry = if runbook.sentry.is_some() { ", and the unresolved issues in Sentry" } else { "" };
            vec![format!(
                "Notes Airflow's version and its import errors{sentry}. The checks after the deployment compare with it."
            )]
        }
        Kind::PublishRelease {
            tag_workflow,
            build_workflow,
            build_paths,
            publish_job,
            image_files,
            draft_workflow,
            build_wait,
        } => {
            let built = match build_paths.is_empty() {
                true => "the newest build".to_owned(),
                false => format!("the newest build that touched {}", any_of(build_paths)),
            };
            vec![
                "Finds the drafted release, shows its notes and what it would release. A draft with no change is \
                 refused without `--allow-empty-release`."
                    .to_owned(),
                format!(
                    "Before it asks, no run of {} may be pending that can still move `latest`{} (waits {build_wait} at \
                     most), and `latest` must be the image of {built}: publishing tags whatever `latest` is at that \
                     moment, through {}. `--override latest=REASON` publishes another one.",
                    code(build_workflow),
                    publish_job.as_ref().map(|job| format!(", by its job {},", code(job))).unwrap_or_default(),
                    code(tag_workflow)
                ),
                match draft_workflow {
                    Some(draft) => format!(
                        "Runs of {} and of {} that are not completed are waited for before the question, and again after \
                         the answer: they rewrite releases.",
                        code(draft),
                        code(tag_workflow)
                    ),
                    None => format!("Runs of {} that are not completed are waited for.", code(tag_workflow)),
                },
                match image_files.is_empty() {
                    true => "The question says how far `latest` is from the image that runs.".to_owned(),
                    false => format!(
                        "The question says how far `latest` is from the image that runs, and whether {} changed.",
                        any_of(image_files)
                    ),
                },
                "After the answer the draft is read again, published, and seen to stay published.".to_owned(),
            ]
        }
        Kind::ImageReady { tag_workflow, wait, poll } => {
            let watch = tag_workflow
                .as_ref()
                .map(|workflow| format!(" Watches {} meanwhile, so that its failure is told at once.", code(workflow)));
            vec![format!(
                "Waits until the registry has the image tag, {wait} at most, asking every {poll}.{} Refuses the \
                 previous image under a new name, and keeps the digest.",
                watch.unwrap_or_default()
            )]
        }
        Kind::Bump { tag } => bump(*tag, infrastructure),
        Kind::SetFlag {} => {
            let flag = infrastructure.and_then(|it| it.flag.as_ref()).map(attribute).unwrap_or_default();
            vec![format!("Sets {flag} to `true` in the checkout, and leaves every other byte as it is.")]
        }
        Kind::Apply {} => infrastructure.map(apply).unwrap_or_default(),
        Kind::GiveBack { of, after_heartbeat, wait } => give_back(of, *after_heartbeat, &wait.to_string(), runbook),
        Kind::ApproveChangelog { branch, wait } => vec![format!(
            "Waits for the pull request of the branch {} ({wait} at most), shows it, asks, and approves exactly the \
             commit that was shown.",
            code(branch)
        )],
        Kind::InfrastructurePullRequest { branch, pull_title, .. } => {
            let repository = infrastructure.map(|it| code(&it.repository)).unwrap_or_default();
            vec![format!(
                "Pushes the version bump alone as {} and opens the pull request “{}” in {repository}. The branch of the \
                 checkout stays as it is. A pull request that is open already is reused.",
                code(branch),
                line(pull_title)
            )]
        }
        Kind::PostChecks { boot, soak } => {
            let sentry = if runbook.sentry.is_some() { " or Sentry issue" } else { "" };
            let watched = match soak.0.is_zero() {
                true => " It is checked once, as soon as it has booted.".to_owned(),
                false => format!(" It must stay so for {soak}, counted from the first moment at which all was well."),
            };
            vec![format!(
                "Airflow answers with a scheduler newer than the apply ({boot} at most to boot, counted from the apply), \
                 its version is the image's, and there is no new import error{sentry}.{watched} The answer is healthy, \
                 unhealthy or inconclusive; if production is unhealthy, you are offered the rollback at once."
            )]
        }
        Kind::PersonCheck { instructions, link } => {
            let link = link.as_ref().map(|link| format!(" Look at {link}.")).unwrap_or_default();
            vec![
                format!("{}{link}", instructions.trim()),
                "You are asked whether all is well. This cannot be answered beforehand; where no one is there, it is \
                 listed as left to do, and the exit code does not change."
                    .to_owned(),
            ]
        }
        Kind::Manual { instructions } => {
            let who = if step.gate { "A person does this and confirms it." } else { "A note to whoever deploys." };
            vec![instructions.trim().to_owned(), who.to_owned()]
        }
        Kind::Shell { check, run, .. } => {
            let check =
                check.as_ref().map(|check| format!(" unless {} says that nothing is to be done", command(check)));
            vec![format!("Runs {}{}.", command(run), check.unwrap_or_default())]
        }
    }
}

/// How an effect is recognised whose end nobody wrote down, before it is gone on or given back; `None` for what changes
/// nothing. Every kind has to say it.
pub fn recognised(kind: &Kind) -> Option<String> {
    let how = match kind {
        Kind::CheckoutReady {}
        | Kind::Identity { .. }
        | Kind::DagsClear {}
        | Kind::Baseline {}
        | Kind::ImageReady { .. }
        | Kind::PostChecks { .. }
        | Kind::GiveBack { .. }
        | Kind::PersonCheck { .. }
        | Kind::Manual { .. } => return None,
        Kind::DagsHold {} => {
            "the DAG in doubt is looked at, and Airflow's audit log says who paused it; where it does not tell, you \
             are asked."
                .into()
        }
        Kind::SetFlag {} | Kind::Bump { .. } => {
            "the attribute is read; what is neither the earlier value nor ours is left alone.".into()
        }
        Kind::PublishRelease { .. } => "the release is looked up by the id that was approved.".into(),
        Kind::Apply {} => {
            "a command that still runs is waited for, by its recorded exit code; then a plan in a scratch copy tells \
             whether the apply landed."
                .into()
        }
        Kind::ApproveChangelog { .. } => "our own reviews of that very commit are listed.".into(),
        Kind::InfrastructurePullRequest { .. } => "the branch and its pull request are looked up.".into(),
        Kind::Shell { check: Some(check), .. } => {
            format!("a command that still runs is waited for; then {} tells.", command(check))
        }
        Kind::Shell { check: None, .. } => {
            "a command that still runs is waited for; exit code 0 tells that it took effect. Any other end only a \
             person can judge, who is asked."
                .into()
        }
    };
    Some(how)
}

/// How a step is taken back, or that it cannot be: one sentence.
pub fn undone(kind: &Kind, step: &StepSpec, runbook: &Runbook) -> String {
    let given_back = || {
        let by = runbook.steps.iter().find_map(|other| match &other.kind {
            Kind::GiveBack { of, .. } if *of == step.id => Some(number(other, runbook)),
            _ => None,
        });
        match by {
            Some(number) => format!("by step {number}, and on every other way out of the run"),
            None => "on every way out of the run".to_owned(),
        }
    };
    match kind {
        Kind::CheckoutReady {}
        | Kind::Identity { .. }
        | Kind::DagsClear {}
        | Kind::Baseline {}
        | Kind::ImageReady { .. }
        | Kind::PostChecks { .. }
        | Kind::PersonCheck { .. } => "Changes nothing.".into(),
        Kind::DagsHold {} => {
            format!(
                "The DAGs it paused are unpaused {}. One that was paused before, or that somebody else pauses meanwhile, stays paused.",
                given_back()
            )
        }
        Kind::SetFlag {} => format!("The flag is put back {}.", given_back()),
        Kind::Bump { .. } => {
            "Put back if the run ends before the apply begins. From then on it stays, until its pull request is merged."
                .into()
        }
        Kind::GiveBack { .. } => "It gives back; there is nothing to take back.".into(),
        Kind::PublishRelease { .. } => {
            "**Cannot be taken back.** A published release is followed by a better one, never by the same again.".into()
        }
        Kind::Apply {} => "**Cannot be taken back.** Rolling back means applying an earlier tag.".into(),
        Kind::ApproveChangelog { .. } => {
            "**Cannot be taken back** by this program: dismiss the review on GitHub.".into()
        }
        Kind::InfrastructurePullRequest { .. } => {
            "**Cannot be taken back** by this program: close the pull request on GitHub.".into()
        }
        Kind::Manual { .. } => "What a person did, a person takes back.".into(),
        Kind::Shell { undo: Some(undo), .. } => {
            format!("Taken back with {} {}.", command(undo), given_back())
        }
        Kind::Shell { undo: None, .. } => "**Cannot be taken back.** The runbook names no command for it.".into(),
    }
}

fn checkout(infrastructure: Option<&Infrastructure>) -> Vec<String> {
    let Some(infrastructure) = infrastructure else { return Vec::new() };
    let mut text = format!(
        "The checkout of {} is clean, on {} and not behind {}.",
        code(&infrastructure.repository),
        code(&infrastructure.main),
        code(&infrastructure.remote)
    );
    if let Some(flag) = &infrastructure.flag {
        text.push_str(&format!(" {} is `false`: were it true, the last deployment forgot it.", attribute(flag)));
    }
    if let Some(workspace) = &infrastructure.workspace {
        text.push_str(&format!(" The Terraform workspace {} is selected.", code(workspace)));
    }
    text.push_str(" A version bump whose pull request is not merged yet is told.");
    vec![text]
}

fn dags_clear(airflow: Option<&AirflowService>) -> Vec<String> {
    let Some(airflow) = airflow else { return Vec::new() };
    let mut paragraphs = vec![format!(
        "No DAG run is running or queued in Airflow. {} must be visible, or “nothing runs” would mean nothing.",
        match airflow.known_dag.as_slice() {
            [one] => format!("The DAG {}", code(one)),
            several => format!("At least one of the DAGs {}", any_of(several)),
        }
    )];
    if !airflow.refresh_dags.is_empty() {
        paragraphs.push(format!(
            "The exception: {} may run while **every** active task of theirs is {}.",
            any_of(&airflow.refresh_dags),
            match airflow.waiting_operators.is_empty() {
                true => "one that waits (none is declared)".to_owned(),
                false => format!("waiting in {}", any_of(&airflow.waiting_operators)),
            }
        ));
    }
    if !airflow.short_dags.is_empty() {
        paragraphs.push(format!(
            "Short runs of {} are waited for, {} at most.",
            any_of(&airflow.short_dags),
            airflow.short_wait
        ));
    }
    paragraphs.push(
        "`--wait DURATION` lets the others finish. `--override DAG=REASON` deploys over one DAG, whose tasks are killed; \
         the reason is recorded."
            .to_owned(),
    );
    paragraphs
}

fn bump(tag: BumpTag, infrastructure: Option<&Infrastructure>) -> Vec<String> {
    let Some(infrastructure) = infrastructure else { return Vec::new() };
    let recipe = infrastructure.bump.as_deref().map(command).unwrap_or_default();
    let version = attribute(&infrastructure.version);
    let how = match tag {
        BumpTag::Newest => format!("Runs {recipe}, which picks the newest tag. A rollback writes {version} directly."),
        BumpTag::Argument => format!("Runs {recipe} with the wanted tag as its last argument."),
        BumpTag::Pin => format!("Writes the wanted tag to {version} directly."),
    };
    vec![format!(
        "{how} Afterwards nothing but that version may differ in the file, and it must be exactly the wanted tag."
    )]
}

fn give_back(of: &str, after_heartbeat: bool, wait: &str, runbook: &Runbook) -> Vec<String> {
    let target = runbook.steps.iter().find(|step| step.id == of);
    let (number, what) = target.map_or((0, String::new()), |step| {
        let what = match &step.kind {
            Kind::SetFlag {} => match runbook.infrastructure.as_ref().and_then(|it| it.flag.as_ref()) {
                Some(flag) => format!("Puts {} back to what it was", attribute(flag)),
                None => "Puts the flag back to what it was".to_owned(),
            },
            Kind::DagsHold {} => "Unpauses the DAGs that this run paused, and no other".to_owned(),
            Kind::Shell { undo: Some(undo), .. } => format!("Runs {}", command(undo)),
            _ => "Puts back what was there".to_owned(),
        };
        (number(step, runbook), what)
    });
    let first = match after_heartbeat {
        true => format!(" Waits first, {wait} at most, until a scheduler newer than the apply beats."),
        false => String::new(),
    };
    vec![format!("{what} (see step {number}). What somebody else has changed meanwhile is left alone.{first}")]
}
