//! What the pull request says about the deploy that it follows.

use crate::facts::{Approval, Facts};
use crate::plan::digest::short;
use crate::runbook::Kind;
use crate::step::Look;

/// The runbook's own words, then what was deployed, who approved it and how production is; Markdown.
pub fn body(look: &Look<'_>, words: &str) -> String {
    let apply = look.runbook.steps.iter().find(|step| matches!(step.kind, Kind::Apply {}));
    let approval = apply.and_then(|apply| look.approvals.iter().find(|approval| approval.gate == apply.id));
    told(words, look.facts, approval, look.run)
}

fn told(words: &str, facts: &Facts, approval: Option<&Approval>, run: &str) -> String {
    let mut lines = Vec::new();
    if !words.trim().is_empty() {
        lines.extend([words.trim().to_owned(), String::new()]);
    }
    let mut row = |name: &str, value: String| lines.push(format!("- {name}: {value}"));
    match &facts.running {
        Some(running) => row("from", format!("`{}` ({})", running.tag, running.source)),
        None => row("from", "not known".into()),
    }
    if let Some(target) = &facts.target {
        row("to", format!("`{}`", target.tag));
    }
    if let Some(release) = &facts.release {
        row("release", release.url.clone());
    }
    if let Some(applied) = &facts.applied {
        row("applied", applied.ended_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    }
    let health = match facts.healthy_since {
        Some(_) if !facts.health_untold.is_empty() => format!("not known: {}", facts.health_untold.join("; ")),
        Some(since) => format!("healthy since {}", since.strftime("%Y-%m-%d %H:%M:%S UTC")),
        None => "not known to be healthy when this was opened".into(),
    };
    row("health", health);
    if let Some(approval) = approval {
        row("approved by", format!("{} (plan `{}`)", approval.by, short(&approval.digest)));
    }
    row("run", format!("`{run}`"));
    if let Some(approval) = approval {
        lines.extend([String::new(), "The plan, as it was approved:".into(), String::new(), "```text".into()]);
        // Nothing in it may end the block.
        lines.extend(approval.summary.iter().map(|line| line.replace("```", "'''")));
        lines.push("```".into());
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{AppliedFact, Fact, ReleaseFact, RunningFact, TargetFact};

    #[test]
    fn what_is_known_is_told() {
        let mut facts = Facts::default();
        let bare = told("", &facts, None, "prod-1");
        assert_eq!(
            bare,
            "- from: not known\n- health: not known to be healthy when this was opened\n- run: `prod-1`\n"
        );
        for fact in [
            Fact::Running(RunningFact { tag: "rel-1".into(), certain: true, source: "Terraform's state".into() }),
            Fact::Target(TargetFact { tag: "rel-2".into(), predicted: false }),
            Fact::Release(ReleaseFact { id: 1, git_tag: "catalog-2".into(), url: "https://github.test/2".into() }),
            Fact::Applied(AppliedFact {
                ended_at: "2024-09-09T23:04:00Z".parse().unwrap(),
                airflow_clock_skew_ms: 0,
                changed: true,
                unverified: None,
            }),
            Fact::HealthySince("2024-09-09T23:06:00Z".parse().unwrap()),
        ] {
            facts.learn(fact);
        }
        let approval = Approval {
            gate: "apply".into(),
            by: "ada on laptop, at the terminal".into(),
            digest: "0123456789abcdef".into(),
            summary: vec!["0 to create, 1 to replace".into(), "- replace ```x".into()],
        };
        let mut unsure = facts.clone();
        unsure.learn(Fact::HealthUntold(vec!["Sentry did not answer".into()]));
        assert!(told("", &unsure, None, "prod-1").contains("- health: not known: Sentry did not answer\n"));
        insta::assert_snapshot!(told("Deployed by catalog-deploy.", &facts, Some(&approval), "prod-1"), @"
        Deployed by catalog-deploy.

        - from: `rel-1` (Terraform's state)
        - to: `rel-2`
        - release: https://github.test/2
        - applied: 2024-09-09 23:04:00 UTC
        - health: healthy since 2024-09-09 23:06:00 UTC
        - approved by: ada on laptop, at the terminal (plan `0123456789ab`)
        - run: `prod-1`

        The plan, as it was approved:

        ```text
        0 to create, 1 to replace
        - replace '''x
        ```
        ");
    }
}
