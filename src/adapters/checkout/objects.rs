//! Objects made or fetched outside the clone: git runs in the checkout, with its remotes and credentials, and writes
//! into a private directory that vanishes. No byte of the checkout's `.git` changes.

use std::path::Path;

use super::Result;
use super::git::Git;
use super::scratch::Place;
use crate::adapters::{Cause, ServiceError};

/// git in the checkout, new objects elsewhere.
pub(crate) struct PrivateObjects {
    pub git: Git,
    place: Place,
}

impl PrivateObjects {
    pub(crate) async fn new(git: &Git, parent: &Path) -> Result<Self> {
        let existing = git.line(&["rev-parse", "--path-format=absolute", "--git-path", "objects"]).await?;
        let place = Place::new(parent).map_err(|error| {
            let why = format!("could not make a private directory in {}: {error}", parent.display());
            ServiceError::new("git", "temporary objects", Cause::Refused(why))
        })?;
        let own = place.directory().to_string_lossy().into_owned();
        // Quoted, since `:` separates the list's entries.
        let alternates = format!("\"{}\"", existing.replace('\\', "\\\\").replace('"', "\\\""));
        let git = git.with(&[("GIT_OBJECT_DIRECTORY", &own), ("GIT_ALTERNATE_OBJECT_DIRECTORIES", &alternates)]);
        Ok(Self { git, place })
    }

    /// A private path beside the objects, e.g. for a temporary index.
    pub(crate) fn path(&self, name: &str) -> String {
        self.place.directory().join(name).to_string_lossy().into_owned()
    }

    /// Whether the object is here or in the clone.
    pub(crate) async fn has(&self, object: &str) -> Result<bool> {
        Ok(self.git.attempt(&["cat-file", "-e", object]).await?.success())
    }
}

/// How a push of one ref ended, by its `--porcelain` output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Done,
    /// The remote (or the lease) said no, so nothing changed.
    Rejected(String),
    /// Neither was said: look at the remote.
    Unclear,
}

/// Pushes one refspec, which must find `expected` (empty: nothing) at `reference`.
pub(crate) async fn push(
    git: &Git,
    remote: &str,
    source: &str,
    reference: &str,
    expected: &str,
) -> Result<(Pushed, Option<ServiceError>)> {
    let lease = format!("--force-with-lease={reference}:{expected}");
    let refspec = format!("{source}:{reference}");
    let arguments = [
        "push",
        "--porcelain",
        "--no-verify",
        "--recurse-submodules=no",
        "--no-signed",
        "--no-follow-tags",
        &lease,
        remote,
        &refspec,
    ];
    match git.network(&arguments).await {
        Ok(finished) => {
            let pushed = judge(&String::from_utf8_lossy(&finished.stdout), finished.success());
            let error = (!finished.success()).then(|| git.refused(&arguments, &finished));
            Ok((pushed, error))
        }
        Err(error) if matches!(error.cause, Cause::NoAnswer(_)) => Ok((Pushed::Unclear, Some(error))),
        Err(error) => Err(error),
    }
}

/// `FLAG\tFROM:TO\tSUMMARY (REASON)`, flag `!` for a rejected ref (git-push(1), OUTPUT).
fn judge(porcelain: &str, success: bool) -> Pushed {
    let mut refs = porcelain.lines().filter_map(|line| {
        let mut fields = line.splitn(3, '\t');
        Some((fields.next()?, fields.next()?, fields.next()?))
    });
    match refs.next() {
        Some(("!", _, why)) if why.contains("rejected]") => Pushed::Rejected(why.to_owned()),
        Some(("!", ..)) | None => Pushed::Unclear,
        Some(_) if success => Pushed::Done,
        Some(_) => Pushed::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn porcelain_is_judged() {
        let line = |flag: &str, summary: &str| format!("To /x\n{flag}\ta:refs/b\t{summary}\nDone\n");
        assert_eq!(judge(&line("*", "[new reference]"), true), Pushed::Done);
        assert_eq!(judge(&line("-", "[deleted]"), true), Pushed::Done);
        assert!(matches!(judge(&line("!", "[rejected] (stale info)"), false), Pushed::Rejected(_)));
        assert!(matches!(judge(&line("!", "[remote rejected] (failed to update ref)"), false), Pushed::Rejected(_)));
        assert_eq!(judge(&line("!", "[remote failure] (remote failed to report status)"), false), Pushed::Unclear);
        assert_eq!(judge("", false), Pushed::Unclear);
        assert_eq!(judge(&line("*", "[new reference]"), false), Pushed::Unclear);
    }
}
