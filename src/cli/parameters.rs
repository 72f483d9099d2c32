//! Flags of a run → [`Parameters`], with errors that name the flag.

use crate::facts::{Check, Override, Parameters, Subject};
use crate::runbook::suggest::nearest;

use super::args::RunArgs;
use super::error::CliError;

pub fn parameters(args: &RunArgs) -> Result<Parameters, CliError> {
    if args.tag.as_ref().is_some_and(|tag| tag.as_ref().is_none_or(|tag| tag.trim().is_empty())) {
        return Err(CliError::usage("--tag names no image tag")
            .next("--tag rel-YYYY.MM.DD.HH.MM.SS, as on the registry")
            .next("see the tags to choose from: catalog-deploy tags"));
    }
    let overrides = parse_overrides(&args.overrides)?;
    Ok(Parameters {
        tag: args.tag.clone().flatten(),
        overrides,
        wait: args.wait,
        lock_wait: args.lock_wait,
        allow_empty_release: args.allow_empty_release,
    })
}

/// The values of all `--override` flags.
pub fn parse_overrides(values: &[String]) -> Result<Vec<Override>, CliError> {
    values.iter().map(|text| parse_override(text)).collect()
}

/// `CHECK=REASON`, `DAG=REASON` or, for a DAG that is called like a check, `dag:NAME=REASON`.
fn parse_override(text: &str) -> Result<Override, CliError> {
    let (name, reason) = text.split_once('=').unwrap_or((text, ""));
    let (name, reason) = (name.trim(), reason.trim());
    let missing = |what: &str| {
        CliError::usage(format!("--override {text:?} has no {what}"))
            .next("--override batched_update=\"agreed with Ada: it restarts from its last batch\"")
    };
    if name.is_empty() {
        return Err(missing("name: give a check or a DAG"));
    }
    if reason.is_empty() {
        return Err(missing("reason"));
    }
    let subject = match name.strip_prefix("dag:").map(str::trim) {
        Some("") => return Err(missing("name after `dag:`")),
        Some(dag) => Subject::Dag { dag: dag.to_owned() },
        None => match name.parse() {
            Ok(check) => Subject::Check { check },
            Err(()) => dag(name)?,
        },
    };
    Ok(Override { subject, reason: reason.to_owned() })
}

/// A DAG, unless it looks like a mistyped check: an override that applies to nothing must not go unnoticed.
fn dag(name: &str) -> Result<Subject, CliError> {
    let checks = Check::ALL.map(Check::name);
    match nearest(name, checks) {
        Some(check) => Err(CliError::usage(format!("--override {name}: did you mean the check `{check}`?"))
            .next(format!("for a DAG of that name, use --override dag:{name}=\"reason\""))),
        None => Ok(Subject::Dag { dag: name.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_tag_is_a_slip_of_the_shell() {
        for text in [None, Some(""), Some(" ")] {
            let args = RunArgs { tag: Some(text.map(Into::into)), ..RunArgs::default() };
            assert_eq!(parameters(&args).unwrap_err().exit, 2, "{text:?}");
        }
    }

    #[test]
    fn an_override_needs_a_name_and_a_reason() {
        for text in ["batched_update", "batched_update=", "=why", " = ", "airflow", "airflow= ", "dag:=why"] {
            assert_eq!(parse_override(text).unwrap_err().exit, 2, "{text}");
        }
    }

    #[test]
    fn checks_are_reserved_names_and_any_dag_can_be_named() {
        let parsed = |text: &str| {
            let Override { subject, reason } = parse_override(text).unwrap();
            (subject, reason)
        };
        let dag = |dag: &str| Subject::Dag { dag: dag.into() };
        assert_eq!(parsed("batched_update=a=b, ü"), (dag("batched_update"), "a=b, ü".into()));
        assert_eq!(parsed("dag:airflow=why"), (dag("airflow"), "why".into()));
        assert_eq!(parsed(" lock = down "), (Subject::Check { check: Check::Lock }, "down".into()));
        for check in Check::ALL {
            assert_eq!(parsed(&format!("{check}=why")).0, Subject::Check { check });
        }
    }

    #[test]
    fn a_mistyped_check_is_not_a_dag() {
        for text in ["Airflow=why", "regsitry=why", "git-hub=why"] {
            let error = parse_override(text).unwrap_err();
            assert!(error.message.contains("did you mean the check"), "{}", error.message);
        }
    }
}
