//! What the runbook works with: one line for each service, the infrastructure repository, the lock.

use super::words::{any_of, code, command, line};
use crate::runbook::schema::{ApplyWith, AttributePath, Infrastructure, Runbook};

pub fn render(runbook: &Runbook) -> String {
    let mut lines = vec![format!("Environment: {}.", code(&runbook.environment))];
    lines.push(match &runbook.lock {
        Some(lock) => format!(
            "Lock: {}, a ref on the infrastructure repository's remote. One run at a time; whoever comes second is told \
             who holds it.",
            code(&format!("refs/catalog-deploy/lock/{lock}"))
        ),
        None => "Lock: none, since nobody else deploys this environment.".to_owned(),
    });
    if let Some(release) = &runbook.release {
        lines.push(format!(
            "Versions: the release {} becomes the image tag {}.",
            code(&format!("{}YYYY.MM.DD.HH.MM.SS", release.git_prefix)),
            code(&format!("{}YYYY.MM.DD.HH.MM.SS", release.image_prefix))
        ));
    }
    if let Some(github) = &runbook.github {
        lines.push(format!("GitHub: {}, branch {}.", code(&github.repository), code(&github.main)));
    }
    if let Some(registry) = &runbook.registry {
        lines.push(format!("Images: {} on {}.", code(&registry.image), registry.url));
    }
    if let Some(airflow) = &runbook.airflow {
        lines.push(format!("Airflow: {}.", airflow.url));
    }
    if let Some(sentry) = &runbook.sentry {
        let environment = sentry.environment.as_ref().map(|it| format!(", environment {}", code(it)));
        let project = code(&format!("{}/{}", sentry.organization, sentry.project));
        lines.push(format!("Sentry: {project} on {}{}.", sentry.url, environment.unwrap_or_default()));
    }
    if let Some(slack) = &runbook.slack {
        lines.push(format!("Slack: progress is told in {}.", line(&slack.channel)));
    }
    if let Some(infrastructure) = &runbook.infrastructure {
        lines.push(format!(
            "Infrastructure: {}, branch {}, Terraform in {}.",
            code(&infrastructure.repository),
            code(&infrastructure.main),
            code(&infrastructure.directory)
        ));
        if let Some(workspace) = &infrastructure.workspace {
            lines.push(format!("Terraform workspace: {}.", code(workspace)));
        }
        lines.push(format!("Version: {}.", attribute(&infrastructure.version)));
    }
    lines.iter().map(|it| format!("- {it}\n")).collect::<String>() + "\n"
}

/// Where an attribute stands, in words.
pub fn attribute(path: &AttributePath) -> String {
    let block = if path.block.is_empty() { String::new() } else { format!(" of {}", code(&path.block.join("."))) };
    format!("{}{block} in {}", code(&path.attribute), code(&path.file))
}

/// What the plan may hold, and how it is applied.
pub fn apply(infrastructure: &Infrastructure) -> Vec<String> {
    let mut paragraphs = vec![format!(
        "Plans with {}, judges the plan, shows a summary of it, asks, checks every guard again, and applies with {}.",
        command(&infrastructure.plan),
        command(&infrastructure.apply)
    )];
    paragraphs.push(match infrastructure.apply_with {
        ApplyWith::Auto => {
            "What is applied is the saved plan that was approved, where the recipe takes it as an argument. Where it \
             does not, apply runs attached to the terminal and Terraform's own prompt decides, which is not bound to \
             what was approved."
        }
        ApplyWith::PlanFile => "What is applied is the saved plan that was approved: its file is the recipe's last argument.",
        ApplyWith::Terminal => {
            "Apply runs attached to the terminal and Terraform's own prompt decides, which is not bound to what was \
             approved."
        }
    }
    .to_owned());
    if infrastructure.targets {
        paragraphs.push(
            "The recipe targets one module, so Terraform calls every plan incomplete. That is normal here.".to_owned(),
        );
    }
    if infrastructure.expected.is_empty() {
        paragraphs.push(
            "No change is expected by itself: every plan with changes needs the environment's name typed.".into(),
        );
    } else {
        let mut list =
            "Expected changes, which need a plain yes. Anything more needs the environment's name typed:\n".to_owned();
        for change in &infrastructure.expected {
            list.push_str(&format!("\n- {}: {}", code(&change.address), any_of(&change.actions)));
        }
        paragraphs.push(list);
    }
    paragraphs
}
