//! The lock as a ref of the infrastructure remote. The record is the message of a commit on the empty tree. It is read
//! outside the clone; it is made in the clone, as an object that no ref names, since a remote that mirrors all refs is
//! noted there after a push.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{LockRead, LockRecord, LockState, LockWrite, Result, Taken};
use crate::adapters::checkout::CheckoutOptions;
use crate::adapters::checkout::git::Git;
use crate::adapters::checkout::objects::{PrivateObjects, Pushed, push};
use crate::adapters::{Cause, ServiceError};

/// A race for a ref that is freed and taken again is looked at this often before giving up.
const ROUNDS: usize = 5;

/// The lock `refs/catalog-deploy/lock/NAME` on the checkout's remote.
pub struct GitRefLock {
    options: CheckoutOptions,
    git: Git,
    reference: Option<String>,
}

impl GitRefLock {
    /// `name` is the runbook's `lock`; `None` where it works alone.
    pub fn new(options: CheckoutOptions, name: Option<String>) -> Self {
        let git = Git::new(options.commands.clone(), &options.root, &options.environment);
        Self { git, options, reference: name.map(|name| format!("refs/catalog-deploy/lock/{name}")) }
    }

    async fn look(&self, reference: &str) -> Result<Option<String>> {
        self.git.remote_ref(&self.options.remote, reference).await
    }

    /// A commit whose message is the record. The same record gives the same commit.
    async fn commit(&self, record: &LockRecord) -> Result<String> {
        let message = serde_json::to_string_pretty(record).map_err(|error| {
            ServiceError::new("git", "lock record", Cause::Refused(format!("could not write the record: {error}")))
        })?;
        let date = format!("@{} +0000", record.heartbeat_at.as_second());
        let git = self.git.with(&[
            ("GIT_AUTHOR_NAME", "catalog-deploy"),
            ("GIT_AUTHOR_EMAIL", "catalog-deploy@localhost"),
            ("GIT_AUTHOR_DATE", &date),
            ("GIT_COMMITTER_NAME", "catalog-deploy"),
            ("GIT_COMMITTER_EMAIL", "catalog-deploy@localhost"),
            ("GIT_COMMITTER_DATE", &date),
        ]);
        let tree = git.line(&["mktree"]).await?;
        let commit = git.fed(&["commit-tree", &tree], message.as_bytes()).await?;
        Ok(String::from_utf8_lossy(&commit).trim().to_owned())
    }

    /// The lock as it stands; `None` where it is free, or was freed and taken again all the time we looked.
    async fn read(&self, reference: &str) -> Result<Option<LockState>> {
        for _ in 0..ROUNDS {
            let Some(commit) = self.look(reference).await? else { return Ok(None) };
            let private = PrivateObjects::new(&self.git, &self.options.scratch_parent).await?;
            let fetched = private.git.fetch_objects(&self.options.remote, reference).await;
            let object = private.git.attempt(&["cat-file", "-p", &commit]).await?;
            if object.success() {
                let record = parse(&String::from_utf8_lossy(&object.stdout));
                return Ok(Some(LockState { reference: reference.to_owned(), commit, record }));
            }
            // Changed between look and fetch: look again, unless the fetch itself is what failed.
            if self.look(reference).await?.as_deref() == Some(&*commit) {
                fetched?;
            }
        }
        let why = "it changes hands faster than it can be read; try again in a minute".into();
        Err(ServiceError::new("git", format!("read {reference}"), Cause::NoAnswer(why)))
    }
}

impl GitRefLock {
    /// Compare-and-swap from `expected`, a commit or nothing, to a commit with `record`.
    async fn swap(&self, expected: &str, record: &LockRecord) -> Result<Taken> {
        let Some(reference) = &self.reference else {
            let why = "this runbook works alone and has no lock to take".into();
            return Err(ServiceError::new("git", "take the lock", Cause::Refused(why)));
        };
        let mut record = record.clone();
        if record.nonce.is_empty() {
            record.nonce = nonce()?;
        }
        let commit = self.commit(&record).await?;
        let ours = |record| Taken::Ours(LockState { reference: reference.clone(), commit: commit.clone(), record });
        let mut last = String::new();
        for _ in 0..ROUNDS {
            let (pushed, error) = push(&self.git, &self.options.remote, &commit, reference, expected).await?;
            match pushed {
                Pushed::Done => return Ok(ours(record)),
                // Rejected is "no effect", so it may be asked again where the ref is as expected.
                Pushed::Rejected(why) => match self.read(reference).await? {
                    Some(held) if held.commit == commit => return Ok(ours(record)),
                    Some(held) if held.commit == expected => last = why,
                    Some(held) => return Ok(Taken::Theirs(held)),
                    None if expected.is_empty() => last = why,
                    None => return Err(freed(reference)),
                },
                Pushed::Unclear => match self.read(reference).await {
                    Ok(Some(held)) if held.commit == commit => return Ok(ours(record)),
                    Ok(Some(held)) if held.commit != expected => return Ok(Taken::Theirs(held)),
                    looked => {
                        let error = error.or(looked.err());
                        return Err(error.unwrap_or_else(|| unclear(reference)));
                    }
                },
            }
        }
        let why = format!("the remote {} does not let the lock be written: {last}", self.options.remote);
        Err(ServiceError::new("git", format!("push {reference}"), Cause::Forbidden(why)))
    }
}

/// A random word that makes a lock's commit one of a kind.
///
/// # Errors
/// Where the system gives no randomness.
pub fn nonce() -> Result<String> {
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|error| {
        let why = format!("could not get random numbers from the system: {error}");
        ServiceError::new("git", "lock record", Cause::Refused(why))
    })?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The record in a commit as `git cat-file -p` shows it. What somebody else put there is held by "unknown".
fn parse(object: &str) -> LockRecord {
    let (head, message) = object.split_once("\n\n").unwrap_or((object, ""));
    serde_json::from_str(message).unwrap_or_else(|_| {
        let committed = head
            .lines()
            .find_map(|line| line.strip_prefix("committer "))
            .and_then(|line| line.rsplit(' ').nth(1)?.parse().ok())
            .and_then(|second| Timestamp::from_second(second).ok())
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let unknown = || "unknown".to_owned();
        LockRecord {
            run: unknown(),
            runbook: unknown(),
            who: unknown(),
            host: unknown(),
            step: None,
            taken_at: committed,
            heartbeat_at: committed,
            nonce: String::new(),
        }
    })
}

#[async_trait]
impl LockRead for GitRefLock {
    fn reference(&self) -> Option<String> {
        self.reference.clone()
    }

    async fn holder(&self) -> Result<Option<LockState>> {
        match &self.reference {
            Some(reference) => self.read(reference).await,
            None => Ok(None),
        }
    }
}

#[async_trait]
impl LockWrite for GitRefLock {
    async fn take(&self, record: &LockRecord) -> Result<Taken> {
        self.swap("", record).await
    }

    async fn replace(&self, commit: &str, record: &LockRecord) -> Result<Taken> {
        self.swap(commit, record).await
    }

    async fn free(&self, commit: &str) -> Result<bool> {
        let Some(reference) = &self.reference else { return Ok(false) };
        match self.look(reference).await? {
            Some(now) if now == commit => {}
            _ => return Ok(false),
        }
        let (pushed, error) = push(&self.git, &self.options.remote, "", reference, commit).await?;
        match pushed {
            Pushed::Done => Ok(true),
            Pushed::Rejected(why) => match self.look(reference).await? {
                Some(now) if now == commit => {
                    let why = format!("the remote {} does not let the lock be freed: {why}", self.options.remote);
                    Err(ServiceError::new("git", format!("push :{reference}"), Cause::Forbidden(why)))
                }
                _ => Ok(false),
            },
            // Gone, and it was ours a moment ago.
            Pushed::Unclear => match self.look(reference).await {
                Ok(None) => Ok(true),
                Ok(Some(now)) if now != commit => Ok(false),
                looked => Err(error.or(looked.err()).unwrap_or_else(|| unclear(reference))),
            },
        }
    }
}

fn freed(reference: &str) -> ServiceError {
    let why = "the lock was freed meanwhile".into();
    ServiceError::new("git", format!("push {reference}"), Cause::Refused(why))
}

fn unclear(reference: &str) -> ServiceError {
    let why = "the push did not say how it ended; look with `git ls-remote`".into();
    ServiceError::new("git", format!("push {reference}"), Cause::NoAnswer(why))
}

#[cfg(test)]
mod tests;
