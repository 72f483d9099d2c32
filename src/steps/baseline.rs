//! How production looks before the apply; post-checks compare against it. Blocks nothing, but an Airflow that cannot be
//! read now could not be judged afterwards either.

use async_trait::async_trait;

use super::dags_clear;
use crate::adapters::airflow::ImportError;
use crate::event::{Evidence, Question};
use crate::facts::{BaselineFact, Check, Fact, FactKind};
use crate::step::{Act, Decision, Finding, Look, Step, Trouble, Undo};

/// `kind = "baseline"`.
#[derive(Debug, Default)]
pub struct Baseline {}

impl Baseline {
    pub fn new() -> Self {
        Self {}
    }
}

/// What it means to continue while Airflow does not answer.
const UNCOMPARED: &str = "How production looked before the deploy is unknown, so nothing can be compared afterwards";

/// One line for each import error, sorted: the file and what a person recognises the error by.
pub(super) fn lines(errors: Vec<ImportError>) -> Vec<String> {
    let mut lines: Vec<String> = errors.into_iter().map(|it| format!("{}: {}", it.filename, it.summary)).collect();
    lines.sort();
    lines.dedup();
    lines
}

#[async_trait]
impl Step for Baseline {
    fn gives(&self) -> &'static [FactKind] {
        &[FactKind::Baseline]
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        if let Some(baseline) = &look.facts.baseline {
            // Taken anew after an apply, it would show what it is there to find.
            if look.facts.applied.is_some() || look.facts.applied_in_part || !look.in_doubt.is_empty() {
                return Ok(Finding::satisfied("noted before the apply; kept"));
            }
            if let Some(run) = &baseline.from_run {
                return Ok(Finding::satisfied(format!("noted by run {run} before its deploy; kept")));
            }
        }
        dags_clear::airflow(&look)?;
        let airflow = &look.readers.airflow;
        let production = async { tokio::try_join!(airflow.version(), airflow.import_errors()) };
        let sentry = async {
            match &look.readers.sentry {
                Some(sentry) => Some(sentry.unresolved().await),
                None => None,
            }
        };
        let (production, sentry) = tokio::join!(production, sentry);
        let mut finding = Finding::new(Decision::Satisfied);
        let (airflow_version, import_errors) = match production {
            Ok((version, errors)) => {
                let errors = lines(errors);
                finding = finding.saw(Evidence::verified(format!(
                    "Airflow {version} runs; DAG files that cannot be imported: {}",
                    errors.len()
                )));
                (Some(version), Some(errors))
            }
            Err(error) => {
                finding = finding.saw(look.without(Check::Airflow, error, UNCOMPARED)?);
                (None, None)
            }
        };
        let sentry_issues = match sentry {
            None => None,
            Some(Ok(issues)) => {
                finding = finding.saw(Evidence::verified(format!("{} unresolved Sentry issues", issues.len())));
                Some(issues.into_iter().map(|issue| issue.id).collect())
            }
            Some(Err(error)) => {
                finding = finding.saw(Evidence::warning(format!(
                    "{error}: new Sentry issues cannot be told after the deploy, unless [sentry] is set up"
                )));
                None
            }
        };
        let taken_at = look.readers.clock.now();
        let baseline = BaselineFact { taken_at, airflow_version, import_errors, sentry_issues, from_run: None };
        Ok(finding.learned(Fact::Baseline(baseline)))
    }

    async fn act(&self, _act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        // `observe` never finds anything to change.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_lines_each_once() {
        let error = |file: &str| ImportError { filename: file.into(), summary: "NameError: x".into() };
        assert_eq!(
            lines(vec![error("b.py"), error("a.py"), error("b.py")]),
            ["a.py: NameError: x", "b.py: NameError: x"]
        );
    }
}
