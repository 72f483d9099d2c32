//! What a person is asked before an apply: the summary, how strong a yes it takes, and what the yes is bound to.

use super::plan_judgement::Judgement;
use crate::adapters::checkout::Arguments;
use crate::event::{Question, Strength};
use crate::facts::{Facts, Override};
use crate::runbook::schema::ApplyWith;

/// How apply gets what was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// The saved plan is the recipe's last argument: what was approved is what is applied.
    PlanFile,
    /// Attached to the terminal: Terraform plans again and asks by itself.
    Terminal,
}

/// `arguments` is what the recipe itself says; `program` the first word of its command.
pub fn binding(with: ApplyWith, arguments: Arguments, program: &str) -> Binding {
    let terraform = program.rsplit('/').next().is_some_and(|name| name == "terraform" || name == "tofu");
    match (with, arguments) {
        (ApplyWith::PlanFile, _) | (ApplyWith::Auto, Arguments::Takes) => Binding::PlanFile,
        (ApplyWith::Auto, Arguments::Unknown) if terraform => Binding::PlanFile,
        (ApplyWith::Terminal | ApplyWith::Auto, _) => Binding::Terminal,
    }
}

/// What a given tag does to Airflow's version. The database's schema is upgraded when Airflow starts, so going back is
/// unsafe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crossing {
    /// Stays, or the run releases a new version, whose upgrade is its purpose.
    No,
    /// A version is not known.
    Unknown,
    Yes(String),
}

pub fn crosses_airflow_version(facts: &Facts, given_tag: bool) -> Crossing {
    if !given_tag {
        return Crossing::No;
    }
    let wanted = facts.image.as_ref().and_then(|image| image.airflow_version.as_deref());
    let of_image = facts.running_image.as_ref().and_then(|image| image.airflow_version.as_deref());
    let of_server = facts.baseline.as_ref().and_then(|baseline| baseline.airflow_version.as_deref());
    let (Some(wanted), Some(running)) = (wanted, of_image.or(of_server)) else { return Crossing::Unknown };
    if numbers(wanted) == numbers(running) {
        return Crossing::No;
    }
    Crossing::Yes(format!(
        "this tag holds Airflow {wanted}, production runs {running}: the database's schema is upgraded at start-up and \
         does not go back by itself"
    ))
}

/// `v2.10.0` as numbers, so 2.10 comes after 2.9; other parts keep their text.
fn numbers(version: &str) -> Vec<(u64, String)> {
    version
        .trim_start_matches('v')
        .split(['.', '-', '+'])
        .map(|part| part.parse().map_or_else(|_| (0, part.to_owned()), |number| (number, String::new())))
        .collect()
}

/// Everything that a question is made of.
pub struct Asked<'a> {
    pub step: &'a str,
    pub environment: &'a str,
    pub tag: &'a str,
    pub running: Option<&'a str>,
    pub judgement: &'a Judgement,
    pub binding: Binding,
    pub crossing: Crossing,
    pub rollback: bool,
    pub overrides: &'a [Override],
    pub digest: String,
    pub details: Option<String>,
}

pub fn question(asked: Asked<'_>) -> Question {
    let expected = asked.judgement.as_expected() && !matches!(asked.crossing, Crossing::Yes(_));
    let mut summary = vec![match asked.running {
        Some(running) if running == asked.tag => format!("deploys {running}, which runs now",),
        Some(running) => format!("deploys {} over {running}", asked.tag),
        None => format!("deploys {}", asked.tag),
    }];
    match asked.crossing {
        Crossing::No => {}
        Crossing::Yes(crossing) => summary.push(format!("ATTENTION: {crossing}")),
        Crossing::Unknown => summary.push(
            "ATTENTION: it is not known whether this tag changes Airflow's version; going back over one is unsafe"
                .into(),
        ),
    }
    summary.extend(asked.overrides.iter().map(|given| format!("OVERRIDDEN: {given}")));
    summary.extend(asked.judgement.lines());
    if asked.rollback {
        summary.push("DAG code is not changed by this: it follows main".into());
    }
    if asked.binding == Binding::Terminal {
        summary.push(
            "not bound: the apply recipe takes no plan file, so Terraform plans again and asks in this terminal; \
             compare before you say yes, and Ctrl-C then goes to Terraform itself"
                .into(),
        );
    }
    let strength = if expected { Strength::Yes } else { Strength::Typed { text: asked.environment.to_owned() } };
    Question {
        gate: asked.step.to_owned(),
        title: format!("Apply this plan to {}", asked.environment),
        summary,
        digest: asked.digest,
        expected,
        strength,
        details: asked.details,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::checkout::PlannedChange;
    use crate::facts::{Fact, ImageFact};

    #[test]
    fn a_plan_file_is_passed_only_where_it_is_taken() {
        use ApplyWith::{Auto, PlanFile, Terminal};
        use Arguments::{Takes, TakesNone, Unknown};
        for (with, arguments, program, expected) in [
            (Auto, Takes, "just", Binding::PlanFile),
            (Auto, TakesNone, "just", Binding::Terminal),
            (Auto, Unknown, "just", Binding::Terminal),
            (Auto, Unknown, "/usr/bin/terraform", Binding::PlanFile),
            (PlanFile, TakesNone, "just", Binding::PlanFile),
            (Terminal, Takes, "just", Binding::Terminal),
        ] {
            assert_eq!(binding(with, arguments, program), expected, "{with:?} {arguments:?} {program}");
        }
    }

    fn facts(wanted: Option<&str>, running: Option<&str>) -> Facts {
        let image = |version: Option<&str>| ImageFact {
            tag: "rel".into(),
            digest: "sha256:0".into(),
            airflow_version: version.map(str::to_owned),
        };
        let mut facts = Facts::default();
        facts.learn(Fact::Image(image(wanted)));
        facts.learn(Fact::RunningImage(image(running)));
        facts
    }

    #[test]
    fn a_rollback_over_an_airflow_version_is_seen() {
        for (wanted, running, given, crosses) in [
            (Some("2.9.3"), Some("2.10.1"), true, "yes"),
            (Some("2.10.1"), Some("2.10.1"), true, "no"),
            (Some("v2.10.1"), Some("2.10.1"), true, "no"),
            (Some("2.9.3"), Some("2.10.1"), false, "no"),
            (None, Some("2.10.1"), true, "unknown"),
            (Some("2.9.3"), None, true, "unknown"),
        ] {
            let found = match crosses_airflow_version(&facts(wanted, running), given) {
                Crossing::Yes(_) => "yes",
                Crossing::No => "no",
                Crossing::Unknown => "unknown",
            };
            assert_eq!(found, crosses, "{wanted:?} {given}");
        }
    }

    fn asked(judgement: &Judgement, crossing: Crossing) -> Question {
        question(Asked {
            step: "apply",
            environment: "prod",
            tag: "rel-2",
            running: Some("rel-1"),
            judgement,
            binding: Binding::Terminal,
            crossing,
            rollback: true,
            overrides: &[],
            digest: "d".into(),
            details: None,
        })
    }

    #[test]
    fn only_a_plan_as_expected_takes_a_plain_yes() {
        let fine = Judgement::default();
        let drifted = Judgement { concerns: vec!["drift".into()], ..Judgement::default() };
        let destroyed = Judgement {
            unexpected: vec![PlannedChange { address: "rds".into(), actions: "delete".into(), reason: None }],
            ..Judgement::default()
        };
        let typed = Strength::Typed { text: "prod".into() };
        for (judgement, crossing, expected) in [
            (&fine, Crossing::No, Strength::Yes),
            (&fine, Crossing::Unknown, Strength::Yes),
            (&drifted, Crossing::No, typed.clone()),
            (&destroyed, Crossing::No, typed.clone()),
            (&fine, Crossing::Yes("2.10 to 2.9".to_owned()), typed),
        ] {
            let question = asked(judgement, crossing);
            assert_eq!(question.expected, expected == Strength::Yes);
            assert_eq!(question.strength, expected);
        }
    }

    #[test]
    fn an_unbound_apply_says_so() {
        assert!(asked(&Judgement::default(), Crossing::No).summary.iter().any(|line| line.starts_with("not bound")));
    }
}
