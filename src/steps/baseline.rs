//! How production looks before the apply; post-checks compare against it. Blocks nothing, but an Airflow that cannot be
//! read now could not be judged afterwards either.

use async_trait::async_trait;

use super::dags_clear;
use crate::adapters::airflow::ImportError;
use crate::event::{Evidence, Question};
use crate::facts::{BaselineFact, Fact, FactKind};
use crate::step::{Act, Decision, Finding, Look, Step, Trouble, Undo};

/// `kind = "baseline"`.
#[derive(Debug, Default)]
pub struct Baseline {}

impl Baseline {
    pub fn new() -> Self {
        Self {}
    }
}

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
        if look.facts.baseline.is_some()
            && (look.facts.applied.is_some() || look.facts.applied_in_part || !look.in_doubt.is_empty())
        {
            // Taken anew after an apply, it would show what it is there to find.
            return Ok(Finding::satisfied("noted before the apply; kept"));
        }
        dags_clear::airflow(&look)?;
        let airflow = &look.readers.airflow;
        let sentry = async {
            match &look.runbook.sentry {
                Some(_) => Some(look.readers.sentry.unresolved().await),
                None => None,
            }
        };
        let (version, errors, sentry) = tokio::join!(airflow.version(), airflow.import_errors(), sentry);
        let (version, import_errors) = (version?, lines(errors?));
        let mut finding = Finding::new(Decision::Satisfied).saw(Evidence::verified(format!(
            "Airflow {version} runs; DAG files that cannot be imported: {}",
            import_errors.len()
        )));
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
        Ok(finding.learned(Fact::Baseline(BaselineFact {
            taken_at: look.readers.clock.now(),
            airflow_version: Some(version),
            import_errors,
            sentry_issues,
        })))
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
