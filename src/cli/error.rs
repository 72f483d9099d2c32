//! The only place that turns an error into words and an exit code.

use std::path::Path;
use std::process::ExitCode;

use crate::adapters::ServiceError;
use crate::adapters::redact::Redactor;
use crate::engine::Outcome;
use crate::engine::outcome::complete;
use crate::journal::runs::RunsError;
use crate::journal::store::JournalError;
use crate::report::hint::hint;

/// What ends a command: exit code, stable reason, message, next things to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CliError {
    pub exit: u8,
    pub reason: &'static str,
    pub message: String,
    pub next: Vec<String>,
}

impl CliError {
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: 2, reason: "usage", message: message.into(), next: Vec::new() }
    }
    pub fn credentials(message: impl Into<String>) -> Self {
        Self { exit: 4, reason: "credentials", message: message.into(), next: Vec::new() }
    }
    pub fn refused(message: impl Into<String>) -> Self {
        Self { exit: 3, reason: "refused", message: message.into(), next: Vec::new() }
    }
    pub fn failed(message: impl Into<String>) -> Self {
        Self { exit: 1, reason: "failed", message: message.into(), next: Vec::new() }
    }
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next.push(next.into());
        self
    }

    /// The same, with its commands as they have to be typed: `options` are those of this command that every other one
    /// needs as well.
    #[must_use]
    pub fn with_options(mut self, options: &str) -> Self {
        complete(&mut self.next, options);
        self
    }

    /// The same, whatever a service or a command echoed.
    #[must_use]
    pub fn without_secrets(mut self, redactor: &Redactor) -> Self {
        let clean = |text: &mut String| *text = redactor.clean(text).into_owned();
        clean(&mut self.message);
        self.next.iter_mut().for_each(clean);
        self
    }

    /// The error as the person reads it; at a terminal in lines of at most `width` columns.
    pub fn render(&self, width: Option<usize>) -> String {
        let one_line = |text: &str, first: &str| match width {
            Some(width) if !text.contains('\n') => hint(text, first, width).join("\n"),
            _ => format!("{first}{text}"),
        };
        // Problems of a runbook come drawn, each with a heading of its own.
        let heading = if self.reason == "runbook" { "" } else { "error: " };
        let mut text = one_line(self.message.trim_end(), heading) + "\n";
        for next in &self.next {
            text.push_str(&(one_line(next, "  next: ") + "\n"));
        }
        text
    }

    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.exit)
    }
}

impl From<Outcome> for CliError {
    fn from(outcome: Outcome) -> Self {
        Self { exit: outcome.exit, reason: outcome.reason, message: outcome.message, next: outcome.next }
    }
}

impl CliError {
    /// A journal is not guessed at. What stands before the damage is whole, and what it tells can be given back.
    fn damaged(text: String, journal: &Path, line: usize) -> Self {
        let run = journal.parent().and_then(|run| run.file_name()).unwrap_or_default().display();
        let path = journal.display();
        let refused = Self::refused(text);
        if line < 2 {
            return refused
                .next(format!(
                    "nothing of this run can be read: look at the world by hand, then move {} away",
                    journal.parent().unwrap_or(journal).display()
                ))
                .next("what is deployed, and who holds the lock: catalog-deploy status");
        }
        refused
            .next(format!("cut the journal before line {line}, keeping a copy: sed -i.damaged '{line},$d' '{path}'"))
            .next(format!("then give back what stands before it: catalog-deploy restore {run}"))
            .next("then look for what may have come after it: catalog-deploy status")
    }
}

impl From<RunsError> for CliError {
    fn from(error: RunsError) -> Self {
        let text = error.to_string();
        match &error {
            RunsError::Unknown { .. } => Self::usage(text).next("catalog-deploy history"),
            RunsError::Journal(JournalError::Newer { path, .. }) => {
                let run = path.parent().and_then(|run| run.file_name()).unwrap_or_default().display();
                Self::refused(text)
                    .next("go on with it by the version that wrote it, or a newer one")
                    .next(format!("or only give back what it holds: catalog-deploy restore {run}"))
            }
            // Killed before its first event was written.
            RunsError::Journal(JournalError::Damaged { line: 1, why, .. }) if why.contains("empty") => {
                Self::refused(format!("{text}: the run was never begun. Nothing was changed"))
                    .next("start a new one, e.g.: catalog-deploy prod")
            }
            RunsError::Journal(JournalError::Damaged { path, line, .. }) => Self::damaged(text, path, *line),
            RunsError::Illegal { path, illegal } => Self::damaged(text, path, illegal.number),
            RunsError::Journal(_) | RunsError::Disk { .. } => Self::failed(text),
        }
    }
}

impl From<ServiceError> for CliError {
    fn from(error: ServiceError) -> Self {
        if error.credentials() { Self::credentials(error.to_string()) } else { Self::failed(error.to_string()) }
    }
}

impl From<anyhow::Error> for CliError {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_at_a_terminal_but_for_commands_and_what_was_drawn() {
        let error =
            CliError::refused("run prod-1 is open and holds the flag").next("go on: catalog-deploy resume prod-1");
        assert_eq!(
            error.render(None),
            "error: run prod-1 is open and holds the flag\n  next: go on: catalog-deploy resume prod-1\n"
        );
        assert_eq!(
            error.render(Some(30)),
            "error: run prod-1 is open and\n       holds the flag\n  next: go on:\n        catalog-deploy resume prod-1\n"
        );
        let drawn =
            CliError { reason: "runbook", ..CliError::usage("error: a\n  --> prod.toml:1\n   | long long long") };
        assert_eq!(drawn.render(Some(10)), "error: a\n  --> prod.toml:1\n   | long long long\n");
    }
}
