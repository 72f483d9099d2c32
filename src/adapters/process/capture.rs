//! A child whose output is read into memory, with a bound and, where wanted, a deadline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::{Command, Finished, Result};
use crate::adapters::{Cause, ServiceError};

/// What a git hook or alias may have left in our environment: it would point every git below us at another repository.
const FOREIGN: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
];

/// How a child's output is taken.
#[derive(Debug, Clone)]
pub(crate) struct Capture {
    /// Longest output of each stream, in bytes.
    pub bound: usize,
    pub deadline: Option<Duration>,
    /// What the child reads; nothing where empty.
    pub input: Vec<u8>,
    /// Out of reach of the terminal's Ctrl-C, so a push under way is not torn.
    pub own_group: bool,
}

impl Default for Capture {
    fn default() -> Self {
        Self { bound: 16 << 20, deadline: None, input: Vec::new(), own_group: false }
    }
}

/// Runs `command` to its end. A child that has to be given up is ended with its whole group.
pub(crate) async fn capture(command: &Command, how: &Capture) -> Result<Finished> {
    let mut child = prepared(command)?;
    child.stdin(if how.input.is_empty() { Stdio::null() } else { Stdio::piped() });
    child.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    if how.own_group {
        child.process_group(0);
    }
    let mut child = child.spawn().map_err(|error| not_started(command, &error))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let work = async {
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A child that ends without reading everything says why itself.
                let _ = stdin.write_all(&how.input).await;
            }
        };
        let mut out = Vec::new();
        let mut err = Vec::new();
        let ended = {
            let reading = async {
                tokio::try_join!(bounded(stdout, how.bound, &mut out), bounded(stderr, how.bound, &mut err)).map(|_| ())
            };
            tokio::pin!(reading);
            tokio::pin!(feed);
            let waiting = async { tokio::join!(&mut feed, child.wait()).1 };
            tokio::pin!(waiting);
            tokio::select! {
                read = &mut reading => {
                    read?;
                    waiting.await
                }
                ended = &mut waiting => {
                    // Somebody in the background (an ssh master, say) may keep the streams open for ever.
                    match tokio::time::timeout(Duration::from_secs(2), &mut reading).await {
                        Ok(read) => read?,
                        Err(_) => tracing::debug!(command = %shown(command), "streams stay open after the end"),
                    }
                    ended
                }
            }
        };
        ended.map(|status| Finished { code: status.code(), stdout: out, stderr: err })
    };
    let finished = match how.deadline {
        None => work.await,
        Some(deadline) => match tokio::time::timeout(deadline, work).await {
            Ok(finished) => finished,
            Err(_) => {
                end(&mut child, group.filter(|_| how.own_group)).await;
                return Err(failed(
                    command,
                    Cause::NoAnswer(format!("no end after {}", humantime::format_duration(deadline))),
                ));
            }
        },
    };
    match finished {
        Ok(finished) => Ok(finished),
        Err(error) => {
            end(&mut child, group.filter(|_| how.own_group)).await;
            Err(failed(command, Cause::Failed(format!("could not read what `{}` says: {error}", shown(command)))))
        }
    }
}

/// The command as tokio starts it: directory and environment set, program checked for being given at all.
pub(super) fn prepared(command: &Command) -> Result<tokio::process::Command> {
    let Some((program, arguments)) = command.argv.split_first() else {
        return Err(ServiceError::new("process", "(empty)", Cause::Refused("could not run an empty command".into())));
    };
    #[expect(clippy::disallowed_methods, reason = "the one place where commands of a runbook are prepared")]
    let mut child = tokio::process::Command::new(program);
    child.args(arguments);
    settle(&mut child, command);
    Ok(child)
}

/// Environment and directory.
pub(super) fn settle(child: &mut tokio::process::Command, command: &Command) {
    for name in FOREIGN {
        child.env_remove(name);
    }
    child.envs(&command.environment);
    if let Some(directory) = &command.directory {
        child.current_dir(directory);
    }
}

/// Asks politely first, so git can remove its lock files; then ends it.
async fn end(child: &mut tokio::process::Child, group: Option<Pid>) {
    if let Some(group) = group {
        let _ = killpg(group, Signal::SIGTERM);
        if tokio::time::timeout(Duration::from_secs(2), child.wait()).await.is_ok() {
            return;
        }
        let _ = killpg(group, Signal::SIGKILL);
    }
    let _ = child.kill().await;
}

async fn bounded(stream: Option<impl AsyncRead + Unpin>, bound: usize, into: &mut Vec<u8>) -> std::io::Result<()> {
    let Some(stream) = stream else { return Ok(()) };
    let limit = u64::try_from(bound).unwrap_or(u64::MAX).saturating_add(1);
    stream.take(limit).read_to_end(into).await?;
    if into.len() > bound {
        return Err(std::io::Error::other(format!("more than {} MiB", bound >> 20)));
    }
    Ok(())
}

pub(super) fn failed(command: &Command, cause: Cause) -> ServiceError {
    let program = command.argv.first().map_or("process", String::as_str);
    let name = Path::new(program).file_name().map_or(program.into(), |name| name.to_string_lossy());
    ServiceError::new(name, shown(command), cause)
}

/// Nothing ran, so nothing took effect.
pub(super) fn not_started(command: &Command, error: &std::io::Error) -> ServiceError {
    let program = command.argv.first().map_or("", String::as_str);
    let why = match (&command.directory, error.kind()) {
        (Some(directory), std::io::ErrorKind::NotFound) if !directory.is_dir() => {
            format!("could not run `{program}`: the directory {} does not exist", directory.display())
        }
        (_, std::io::ErrorKind::NotFound) => format!(
            "could not run `{program}`: it is not installed or not on PATH; install it, or correct PATH, and try again"
        ),
        (_, std::io::ErrorKind::PermissionDenied) => {
            format!("could not run `{program}`: it may not be executed; check its mode with `ls -l`")
        }
        _ => format!("could not run `{program}`: {error}"),
    };
    failed(command, Cause::Failed(why))
}

/// Where the program is found, by the PATH the child will have.
pub(super) fn program_path(command: &Command) -> Option<PathBuf> {
    let program = command.argv.first()?;
    if program.contains('/') {
        let path = command.directory.as_deref().unwrap_or(Path::new("")).join(program);
        return path.is_file().then_some(path);
    }
    let path = path_variable(&command.environment)?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn path_variable(environment: &BTreeMap<String, String>) -> Option<std::ffi::OsString> {
    environment.get("PATH").map(Into::into).or_else(|| super::inherited("PATH"))
}

/// The command line for people, as they would type it.
pub(super) fn shown(command: &Command) -> String {
    command
        .argv
        .iter()
        .map(|word| {
            if word.is_empty() || word.contains([' ', '"', '\'', '$', '*']) {
                format!("'{word}'")
            } else {
                word.clone()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// The last lines that say something, without colours.
pub(crate) fn last_lines(bytes: &[u8], count: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let plain = console::strip_ansi_codes(&text);
    let lines: Vec<&str> = plain.lines().map(str::trim_end).filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        Command { argv: vec!["sh".into(), "-c".into(), script.into()], ..Command::default() }
    }

    #[tokio::test]
    async fn both_streams_and_the_code_come_back() {
        let finished = capture(&sh("echo out; echo err >&2; exit 3"), &Capture::default()).await.unwrap();
        assert_eq!(
            (finished.code, &finished.stdout[..], &finished.stderr[..]),
            (Some(3), &b"out\n"[..], &b"err\n"[..])
        );
    }

    #[tokio::test]
    async fn input_is_fed_and_output_is_bounded() {
        let how = Capture { input: vec![b'x'; 300_000], ..Capture::default() };
        assert_eq!(capture(&sh("wc -c"), &how).await.unwrap().stdout.trim_ascii(), b"300000");
        let error = capture(&sh("yes"), &Capture { bound: 1 << 20, ..Capture::default() }).await.unwrap_err();
        assert!(error.to_string().contains("more than 1 MiB"), "{error}");
    }

    #[tokio::test]
    async fn a_deadline_is_no_answer() {
        let how = Capture { deadline: Some(Duration::from_millis(50)), own_group: true, ..Capture::default() };
        let error = capture(&sh("exec sleep 60"), &how).await.unwrap_err();
        assert!(matches!(error.cause, Cause::NoAnswer(_)), "{error}");
    }

    #[tokio::test]
    async fn a_missing_program_or_directory_is_named() {
        let missing = Command { argv: vec!["no-such-tool".into()], ..Command::default() };
        let error = capture(&missing, &Capture::default()).await.unwrap_err();
        assert!(error.to_string().contains("could not run `no-such-tool`: it is not installed or not on PATH"));
        let nowhere = Command { directory: Some("/no/such/place".into()), ..sh("true") };
        let error = capture(&nowhere, &Capture::default()).await.unwrap_err();
        assert!(error.to_string().contains("the directory /no/such/place does not exist"), "{error}");
    }

    #[tokio::test]
    async fn a_background_process_that_keeps_the_streams_open_does_not_hold_us() {
        let (command, how) = (sh("sleep 30 & echo done"), Capture::default());
        let finished = tokio::time::timeout(Duration::from_secs(10), capture(&command, &how)).await.unwrap().unwrap();
        assert_eq!(finished.stdout, b"done\n");
    }
}
