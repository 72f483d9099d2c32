//! Flags of a run → [`Parameters`], with errors that name the flag.

use crate::facts::{Override, Parameters};

use super::args::RunArgs;
use super::error::CliError;

pub fn parameters(args: &RunArgs) -> Result<Parameters, CliError> {
    if args.tag.as_ref().is_some_and(|tag| tag.trim().is_empty()) {
        return Err(
            CliError::usage("--tag names no image tag").next("--tag rel-YYYY.MM.DD.HH.MM.SS, as on the registry")
        );
    }
    let overrides = args.overrides.iter().map(|text| parse_override(text)).collect::<Result<_, _>>()?;
    Ok(Parameters {
        tag: args.tag.clone(),
        overrides,
        wait: args.wait,
        lock_wait: args.lock_wait,
        allow_empty_release: args.allow_empty_release,
    })
}

fn parse_override(text: &str) -> Result<Override, CliError> {
    let (dag, reason) = text.split_once('=').unwrap_or((text, ""));
    let (dag, reason) = (dag.trim(), reason.trim());
    if dag.is_empty() || reason.is_empty() {
        return Err(CliError::usage(format!(
            "--override {text:?} names no {}",
            if dag.is_empty() { "DAG" } else { "reason" }
        ))
        .next("--override batched_update=\"agreed with Ada: it restarts from its last batch\""));
    }
    Ok(Override { dag: dag.to_owned(), reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_tag_is_a_slip_of_the_shell() {
        for text in ["", " "] {
            let args = RunArgs { tag: Some(text.into()), ..RunArgs::default() };
            assert_eq!(parameters(&args).unwrap_err().exit, 2, "{text:?}");
        }
    }

    #[test]
    fn an_override_needs_a_dag_and_a_reason() {
        for text in ["batched_update", "batched_update=", "=why", " = "] {
            assert_eq!(parse_override(text).unwrap_err().exit, 2, "{text}");
        }
        let parsed = parse_override("batched_update=a=b, ü").unwrap();
        assert_eq!((parsed.dag.as_str(), parsed.reason.as_str()), ("batched_update", "a=b, ü"));
    }
}
