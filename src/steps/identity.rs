//! A command whose output names the account that would be changed: the right one, and a session that still holds.

use async_trait::async_trait;

use super::transcript::tail;
use crate::adapters::process::{Command, Finished};
use crate::adapters::{Cause, ServiceError};
use crate::event::{Question, Refusal};
use crate::step::{Act, Decision, Finding, Look, Step, Trouble, Undo};

pub struct Identity {
    command: Vec<String>,
    expect: String,
}

impl Identity {
    /// `expect` must occur in the standard output of `command`.
    pub fn new(command: Vec<String>, expect: String) -> Self {
        Self { command, expect }
    }

    async fn check(&self, look: Look<'_>) -> Result<Result<(), Refusal>, Trouble> {
        let directory = look.runbook.infrastructure.as_ref().map(|_| look.readers.checkout.root());
        let command = Command { argv: self.command.clone(), directory, ..Command::default() };
        let finished = look.readers.commands.read(&command).await?;
        Ok(judge(&self.command, &self.expect, &finished)?)
    }
}

/// A failing command means no usable credentials; another account's output is refused.
fn judge(argv: &[String], expect: &str, finished: &Finished) -> Result<Result<(), Refusal>, ServiceError> {
    let line = argv.join(" ");
    if !finished.success() {
        let code = finished.code.map_or("a signal".into(), |code| format!("exit {code}"));
        let why = tail(&String::from_utf8_lossy(&finished.stderr), 3);
        let cause = Cause::Unauthorized(format!("it ended with {code}: {why}; log in again, then run this again"));
        return Err(ServiceError::new("cloud identity", format!("`{line}`"), cause));
    }
    let output = String::from_utf8_lossy(&finished.stdout);
    if output.contains(expect) {
        return Ok(Ok(()));
    }
    let said: String = output.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect();
    Ok(Err(Refusal {
        what: format!("`{line}` does not name {expect:?}, but says: {said}"),
        next: "switch to the account (or profile) that this runbook deploys with".into(),
    }))
}

#[async_trait]
impl Step for Identity {
    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        Ok(match self.check(look).await? {
            Ok(()) => Finding::satisfied(format!("`{}` names {}", self.command.join(" "), self.expect)),
            Err(refusal) => Finding::new(Decision::Blocked(vec![refusal])),
        })
    }

    /// A session may expire, or the profile change, while a question waits for its answer.
    async fn guard(&self, look: Look<'_>) -> Result<Vec<Refusal>, Trouble> {
        Ok(self.check(look).await?.err().into_iter().collect())
    }

    async fn act(&self, _act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(code: i32, stdout: &str, stderr: &str) -> Finished {
        Finished { code: Some(code), stdout: stdout.into(), stderr: stderr.into() }
    }

    #[test]
    fn the_account_must_be_named() {
        let argv = vec!["aws".to_owned(), "sts".to_owned()];
        assert!(judge(&argv, "1234", &finished(0, "{\"Account\": \"1234\"}", "")).unwrap().is_ok());
        let other = judge(&argv, "1234", &finished(0, "{\"Account\": \"99\"}", "")).unwrap().unwrap_err();
        assert!(other.what.contains("99"), "{}", other.what);
    }

    #[test]
    fn a_failing_command_is_a_matter_of_credentials() {
        let argv = vec!["aws".to_owned()];
        let error = judge(&argv, "1234", &finished(255, "1234", "ExpiredToken")).unwrap_err();
        assert!(error.credentials());
        assert!(error.to_string().contains("ExpiredToken"));
    }
}
