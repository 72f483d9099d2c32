//! A secret that a command prints, such as `gh auth token`.

use std::process::Stdio;
use std::time::Duration;

use secrecy::SecretString;

/// How long such a command may take; it may ask a keychain, never a person at this terminal.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `command` and returns the first line of its output; why not, where it gave none.
///
/// # Errors
/// A sentence that names the program and quotes nothing of what it printed on stdout.
pub async fn print_secret(command: &[String]) -> Result<SecretString, String> {
    let [program, arguments @ ..] = command else { return Err("the command is empty".into()) };
    #[expect(
        clippy::disallowed_methods,
        reason = "its output is kept from every log and file, unlike other children's"
    )]
    let mut child = tokio::process::Command::new(program);
    let child = child.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, child)
        .await
        .map_err(|_| format!("`{program}` did not end within {} s", PATIENCE.as_secs()))?
        .map_err(|error| format!("could not run `{program}`: {error}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).lines().next_back().unwrap_or_default().to_owned();
        return Err(format!("`{program}` failed ({}): {words}", output.status));
    }
    let text =
        String::from_utf8(output.stdout).map_err(|_| format!("`{program}` printed something that is no text"))?;
    Ok(text.lines().next().unwrap_or_default().into())
}
