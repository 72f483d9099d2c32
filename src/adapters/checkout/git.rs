//! git as a program: credentials, signing and ssh just work. Reading changes no byte of the repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Result;
use crate::adapters::process::{Capture, Command, Commands, Finished, last_lines};
use crate::adapters::{Cause, ServiceError};

/// Longest time for a command that talks to the remote.
const NETWORK: Duration = Duration::from_secs(60);

/// git in one directory.
#[derive(Clone)]
pub(crate) struct Git {
    commands: Arc<Commands>,
    directory: PathBuf,
    environment: BTreeMap<String, String>,
}

impl Git {
    pub(crate) fn new(commands: Arc<Commands>, directory: &Path, environment: &BTreeMap<String, String>) -> Self {
        let mut environment = environment.clone();
        for (name, value) in [
            ("GIT_TERMINAL_PROMPT", "0"),
            ("LC_ALL", "C"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            // A partial clone must not fetch what somebody merely looks for.
            ("GIT_NO_LAZY_FETCH", "1"),
        ] {
            environment.insert(name.into(), value.into());
        }
        Self { commands, directory: directory.to_owned(), environment }
    }

    /// The same with further variables.
    pub(crate) fn with(&self, variables: &[(&str, &str)]) -> Self {
        let mut git = self.clone();
        git.environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        git
    }

    /// Whatever its exit code.
    pub(crate) async fn attempt(&self, arguments: &[&str]) -> Result<Finished> {
        self.start(arguments, &[], None).await
    }

    /// Standard output; a non-zero exit is an error with git's last lines.
    pub(crate) async fn output(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        self.fed(arguments, &[]).await
    }

    /// As [`Git::output`], with `input` on its standard input.
    pub(crate) async fn fed(&self, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
        let finished = self.start(arguments, input, None).await?;
        if finished.success() { Ok(finished.stdout) } else { Err(self.refused(arguments, &finished)) }
    }

    /// Standard output as text, without its last newline.
    pub(crate) async fn line(&self, arguments: &[&str]) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.output(arguments).await?).trim_end_matches('\n').to_owned())
    }

    /// A command that talks to the remote, whatever its exit code; ended after 60 s. A Ctrl-C at the terminal does not
    /// reach it.
    pub(crate) async fn network(&self, arguments: &[&str]) -> Result<Finished> {
        self.start(arguments, &[], Some(NETWORK)).await
    }

    /// The commit (or other object) a ref of the remote points to.
    pub(crate) async fn remote_ref(&self, remote: &str, reference: &str) -> Result<Option<String>> {
        let arguments = ["ls-remote", "--quiet", remote, reference];
        let finished = self.network(&arguments).await?;
        if !finished.success() {
            return Err(self.refused(&arguments, &finished));
        }
        let text = String::from_utf8_lossy(&finished.stdout);
        // A pattern also matches `refs/other/refs/heads/main`.
        Ok(text
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .find(|(_, name)| *name == reference)
            .map(|(id, _)| id.to_owned()))
    }

    /// Brings a remote ref's objects into the object directory in force; no ref, no FETCH_HEAD, no config is written.
    pub(crate) async fn fetch_objects(&self, remote: &str, reference: &str) -> Result<()> {
        let follow = format!("remote.{remote}.followRemoteHEAD=never");
        let arguments = [
            "-c",
            &follow,
            "-c",
            "fetch.writeCommitGraph=false",
            "fetch",
            "--quiet",
            "--no-write-fetch-head",
            "--no-tags",
            "--no-prune",
            "--no-auto-maintenance",
            "--no-recurse-submodules",
            "--refmap=",
            remote,
            reference,
        ];
        let finished = self.with(&[("GIT_NO_LAZY_FETCH", "0")]).network(&arguments).await?;
        if finished.success() { Ok(()) } else { Err(self.refused(&arguments, &finished)) }
    }

    /// What a failed command means.
    pub(crate) fn refused(&self, arguments: &[&str], finished: &Finished) -> ServiceError {
        let said = redacted(&last_lines(&finished.stderr, 4));
        ServiceError::new("git", request(arguments), sorted(&said, finished.code))
    }

    async fn start(&self, arguments: &[&str], input: &[u8], deadline: Option<Duration>) -> Result<Finished> {
        // Hooks and the file system monitor are other people's programs: neither belongs into a deploy's look.
        // An askpass of the desktop is a prompt in a window, where nobody may be; a GIT_ASKPASS was chosen for this shell.
        let fixed = [
            "git",
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.askPass=",
            "-c",
            "gc.auto=0",
        ];
        let argv = fixed.iter().chain(arguments).map(|word| (*word).to_owned()).collect();
        let command = Command { argv, directory: Some(self.directory.clone()), environment: self.environment.clone() };
        let how = Capture { bound: 256 << 20, deadline, input: input.to_vec(), own_group: deadline.is_some() };
        self.commands
            .capture(&command, &how)
            .await
            .map_err(|error| ServiceError::new("git", request(arguments), error.cause))
    }
}

/// The command as people know it: options of ours left out, secrets too.
fn request(arguments: &[&str]) -> String {
    let mut words = arguments.iter().peekable();
    let mut shown = vec!["git"];
    while let Some(word) = words.next() {
        if *word == "-c" {
            words.next();
        } else {
            shown.push(word);
        }
    }
    redacted(&shown.join(" "))
}

/// Sorts what git says on stderr into the kinds that decide what to do next.
fn sorted(said: &str, code: Option<i32>) -> Cause {
    let any = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let lines = said.replace('\n', "; ");
    if let Some(status) = http_status(said) {
        return match status {
            401 => Cause::Unauthorized(lines),
            403 => Cause::Forbidden(lines),
            404 => Cause::NotFound(lines),
            // git does not pass on for how long.
            429 => Cause::RateLimited { retry_after: Duration::from_secs(60) },
            500.. => Cause::Broken { status, message: lines },
            _ => Cause::Rejected { status, message: lines },
        };
    }
    if any(&["Could not resolve host", "Connection refused", "Network is unreachable", "Failed to connect to"]) {
        Cause::Unreachable(lines)
    } else if any(&["Authentication failed", "could not read Username", "could not read Password", "(publickey"]) {
        Cause::Unauthorized(lines)
    } else if any(&["Permission to ", "access denied"]) {
        Cause::Forbidden(lines)
    } else if any(&["Repository not found", "does not appear to be a git repository", "' not found"]) {
        Cause::NotFound(lines)
    } else if any(&[
        "timed out",
        "early EOF",
        "unexpected disconnect",
        "hung up unexpectedly",
        "Connection reset",
        "Empty reply from server",
        "RPC failed",
    ]) {
        Cause::NoAnswer(lines)
    } else if lines.is_empty() {
        Cause::Failed(code.map_or("ended by a signal".into(), |code| format!("exit code {code}, and no word why")))
    } else {
        Cause::Failed(lines)
    }
}

/// Over HTTP git says "The requested URL returned error: 403", or "RPC failed; HTTP 502 curl 22 …".
fn http_status(said: &str) -> Option<u16> {
    ["returned error: ", "RPC failed; HTTP "].iter().find_map(|words| {
        let (_, rest) = said.split_once(words)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    })
}

/// Takes user and password out of URLs.
pub(crate) fn redacted(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|c: char| c == '/' || c.is_whitespace() || c == '\'').unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(user) => {
                shown.push_str("***");
                &after[user..]
            }
            None => after,
        };
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credentials_in_what_is_shown() {
        let text = "fatal: unable to access 'https://me:hunter2@host/x.git/': and https://host/y and ssh://git@h/z";
        let wanted = "fatal: unable to access 'https://***@host/x.git/': and https://host/y and ssh://***@h/z";
        assert_eq!(redacted(text), wanted);
        assert_eq!(request(&["-c", "a=b", "push", "https://t@h/x"]), "git push https://***@h/x");
    }

    #[test]
    fn what_git_says_is_sorted() {
        assert!(matches!(
            sorted("ssh: Could not resolve hostname x; Could not resolve host", None),
            Cause::Unreachable(_)
        ));
        assert!(matches!(sorted("fatal: Authentication failed for x", Some(128)), Cause::Unauthorized(_)));
        assert!(matches!(sorted("remote: Permission to a/b denied to c.", Some(128)), Cause::Forbidden(_)));
        assert!(matches!(sorted("fatal: early EOF", Some(128)), Cause::NoAnswer(_)));
        assert!(matches!(sorted("", Some(1)), Cause::Failed(_)));
        // git 2.47 over smart HTTP.
        let http = |rest: &str| sorted(&format!("fatal: unable to access 'http://h/x.git/': {rest}"), Some(128));
        assert!(matches!(http("The requested URL returned error: 403"), Cause::Forbidden(_)));
        assert!(matches!(http("The requested URL returned error: 503"), Cause::Broken { status: 503, .. }));
        assert!(matches!(http("The requested URL returned error: 429"), Cause::RateLimited { .. }));
        assert!(matches!(http("Empty reply from server"), Cause::NoAnswer(_)));
        assert!(matches!(sorted("fatal: repository 'http://h/x.git/' not found", Some(128)), Cause::NotFound(_)));
        let cut = "error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502\nfatal: the remote end hung up unexpectedly";
        assert!(matches!(sorted(cut, Some(1)), Cause::Broken { status: 502, .. }));
    }
}
