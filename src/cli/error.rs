//! The only place that turns an error into words and an exit code.

use std::process::ExitCode;

use crate::adapters::ServiceError;
use crate::adapters::redact::Redactor;
use crate::engine::Outcome;
use crate::journal::runs::RunsError;
use crate::journal::store::JournalError;

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

    /// The same, whatever a service or a command echoed.
    #[must_use]
    pub fn without_secrets(mut self, redactor: &Redactor) -> Self {
        let clean = |text: &mut String| *text = redactor.clean(text).into_owned();
        clean(&mut self.message);
        self.next.iter_mut().for_each(clean);
        self
    }

    /// The error as the person reads it.
    pub fn render(&self) -> String {
        // Problems of a runbook come drawn, each with a heading of its own.
        let heading = if self.reason == "runbook" { "" } else { "error: " };
        let mut text = format!("{heading}{}\n", self.message.trim_end());
        for next in &self.next {
            text.push_str(&format!("  next: {next}\n"));
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

impl From<RunsError> for CliError {
    fn from(error: RunsError) -> Self {
        match &error {
            RunsError::Unknown { .. } => Self::usage(error.to_string()).next("catalog-deploy history"),
            // Killed before its first event was written.
            RunsError::Journal(JournalError::Damaged { line: 1, why, .. }) if why.contains("empty") => {
                Self::refused(format!("{error}: the run was never begun. Nothing was changed"))
                    .next("start a new one, e.g.: catalog-deploy prod")
            }
            // Guessing at what it said would be acting on it.
            RunsError::Journal(JournalError::Damaged { path, .. }) | RunsError::Illegal { path, .. } => {
                let directory = path.parent().unwrap_or(path).display();
                Self::refused(format!("{error}. The journal is damaged, so nothing is done on its word"))
                    .next("put the file back from a backup, then try again")
                    .next(format!(
                        "or give back by hand what that run held (flag, bump, paused DAGs, lock), and move {directory} away"
                    ))
                    .next("who holds the lock, and what is deployed: catalog-deploy status")
            }
            _ => Self::failed(error.to_string()),
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
