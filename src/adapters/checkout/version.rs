//! The version bump as a commit and a branch on the remote, without a switch of branches.

use super::client::Checkout;
use super::hcl::{find_attribute, replace_attribute};
use super::objects::{PrivateObjects, Pushed, push};
use super::tree::{malformed, refused};
use super::{Location, Result};
use crate::adapters::{Cause, ServiceError};

impl Checkout {
    /// See [`super::CheckoutWrite::push_version`]. The commit is made in the clone itself: git notes the pushed branch
    /// under `refs/remotes`, and a note of an object that is not there would break the clone.
    pub(super) async fn push_bump(&self, branch: &str, at: &Location, literal: &str, message: &str) -> Result<String> {
        let refuse = |why: String| ServiceError::new("git", format!("push to {branch}"), Cause::Refused(why));
        let remote = self.options.remote.as_str();
        let main = format!("refs/heads/{}", self.options.main);
        let reference = format!("refs/heads/{branch}");
        let (parent, existing) =
            tokio::try_join!(self.git.remote_ref(remote, &main), self.git.remote_ref(remote, &reference))?;
        let parent = parent.ok_or_else(|| refuse(format!("{remote} has no branch {}", self.options.main)))?;
        let git = &self.git;
        if !git.attempt(&["cat-file", "-e", &format!("{parent}^{{commit}}")]).await?.success() {
            git.fetch_objects(remote, &main).await?;
        }
        let base = git.output(&["cat-file", "blob", &format!("{parent}:{}", at.file)]).await?;
        let ours = self.stored("HEAD", &at.file).await?;
        // The version apart, main must hold the file that was deployed from; else the commit would undo somebody.
        let same =
            |bytes: &[u8]| replace_attribute(bytes, &at.file, &at.block, &at.attribute, literal).map_err(refused);
        let wanted = same(&base)?;
        if same(&ours)? != wanted {
            return Err(refuse(format!(
                "{} differs between your HEAD and {remote}/{}: somebody changed it there; pull, and look at the plan again",
                at.file, self.options.main
            )));
        }
        if let Some(existing) = existing {
            return self.reuse(&existing, &parent, &reference, at, literal).await;
        }
        let before = find_attribute(&base, &at.file, &at.block, &at.attribute).map_err(malformed)?;
        if before.literal == literal {
            return Err(refuse(format!("{remote}/{} has {literal} already; nothing to push", self.options.main)));
        }
        let commit = self.commit(&parent, at, &wanted, message).await?;
        let (pushed, error) = push(git, remote, &commit, &reference, "").await?;
        match pushed {
            Pushed::Done => Ok(commit),
            Pushed::Rejected(why) => match self.git.remote_ref(remote, &reference).await? {
                Some(now) => self.reuse(&now, &parent, &reference, at, literal).await,
                None => Err(refuse(format!("{remote} does not take it: {why}"))),
            },
            Pushed::Unclear => match self.git.remote_ref(remote, &reference).await {
                Ok(Some(now)) if now == commit => Ok(commit),
                looked => Err(error.or(looked.err()).unwrap_or_else(|| {
                    let why = format!("{branch} is not on {remote}, and the push did not say why");
                    ServiceError::new("git", format!("push to {branch}"), Cause::NoAnswer(why))
                })),
            },
        }
    }

    /// `parent` with only this file's content replaced.
    async fn commit(&self, parent: &str, at: &Location, content: &[u8], message: &str) -> Result<String> {
        let private = PrivateObjects::new(&self.git, &self.options.scratch_parent).await?;
        let git = self.git.with(&[("GIT_INDEX_FILE", &private.path("index"))]);
        git.output(&["read-tree", parent]).await?;
        let entry = git.line(&["ls-tree", parent, "--", &at.file]).await?;
        let mode = entry.split(' ').next().unwrap_or("100644").to_owned();
        // As they are: line ends and filters of this laptop have no say.
        let blob = git.fed(&["hash-object", "-w", "--stdin", "--no-filters"], content).await?;
        let blob = String::from_utf8_lossy(&blob).trim().to_owned();
        git.output(&["update-index", "--cacheinfo", &format!("{mode},{blob},{}", at.file)]).await?;
        let tree = git.line(&["write-tree"]).await?;
        let known = git.attempt(&["var", "GIT_COMMITTER_IDENT"]).await?.success()
            && git.attempt(&["var", "GIT_AUTHOR_IDENT"]).await?.success();
        let email = format!("catalog-deploy@{}", self.options.host);
        let stand_in = [
            ("GIT_AUTHOR_NAME", "catalog-deploy"),
            ("GIT_AUTHOR_EMAIL", &email),
            ("GIT_COMMITTER_NAME", "catalog-deploy"),
            ("GIT_COMMITTER_EMAIL", &email),
        ];
        let git = if known { git } else { git.with(&stand_in) };
        let sign = git.attempt(&["config", "--type=bool", "--get", "commit.gpgSign"]).await?;
        let mut arguments = vec!["commit-tree", &tree, "-p", parent];
        if sign.stdout.trim_ascii() == b"true" {
            arguments.push("-S");
        }
        let commit = git.fed(&arguments, message.as_bytes()).await?;
        Ok(String::from_utf8_lossy(&commit).trim().to_owned())
    }

    /// A branch that is there already is ours if its one commit changes this literal and nothing else.
    async fn reuse(&self, commit: &str, main: &str, reference: &str, at: &Location, literal: &str) -> Result<String> {
        let private = PrivateObjects::new(&self.git, &self.options.scratch_parent).await?;
        let git = &private.git;
        if !private.has(&format!("{commit}^{{commit}}")).await? {
            git.fetch_objects(&self.options.remote, reference).await?;
        }
        let other = |why: &str| {
            let why = format!(
                "{reference} is on {} already and {why}; look at it, and delete or merge it",
                self.options.remote
            );
            ServiceError::new("git", format!("push to {reference}"), Cause::Refused(why))
        };
        let parents = git.line(&["rev-list", "--parents", "-n1", commit]).await?;
        let [_, parent] = parents.split(' ').collect::<Vec<_>>()[..] else {
            return Err(other("is not a single change on top of the main branch"));
        };
        if !git.attempt(&["merge-base", "--is-ancestor", parent, main]).await?.success() {
            return Err(other("holds more than one change"));
        }
        let files = git.output(&["diff-tree", "-r", "--name-only", "--no-renames", "-z", parent, commit]).await?;
        let blob = |commit: &str| format!("{commit}:{}", at.file);
        let before = git.output(&["cat-file", "blob", &blob(parent)]).await?;
        let after = git.output(&["cat-file", "blob", &blob(commit)]).await?;
        let wanted = replace_attribute(&before, &at.file, &at.block, &at.attribute, literal).map_err(refused)?;
        let only = super::tree::names(&files).eq([at.file.clone()]);
        if only && after == wanted {
            Ok(commit.to_owned())
        } else {
            Err(other("holds something else than this version"))
        }
    }
}
