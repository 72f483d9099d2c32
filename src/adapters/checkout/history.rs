//! What an attribute held over time on a remote branch: since deploys are merged there, it tells what was ever deployed.

use jiff::Timestamp;

use super::client::Checkout;
use super::git::Git;
use super::hcl::find_attribute;
use super::objects::PrivateObjects;
use super::{CheckoutRead, Landed, Location, Result};

impl Checkout {
    /// Two git processes, however long the history is.
    pub(super) async fn history(&self, branch: &str, at: &Location, limit: usize) -> Result<Vec<Landed>> {
        // The list of objects to read is one a line.
        if at.file.contains('\n') {
            return Ok(Vec::new());
        }
        let commit = match self.remote_branch(branch).await {
            Ok(Some(commit)) => commit,
            Ok(None) => return Ok(Vec::new()),
            // What was deployed once stays so, whoever does not answer now.
            Err(error) => self.fetched_before(branch).await?.ok_or(error)?,
        };
        if self.git.attempt(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).await?.success() {
            return landed(&self.git, &commit, at, limit).await;
        }
        let private = PrivateObjects::new(&self.git, &self.options.scratch_parent).await?;
        private.git.fetch_objects(&self.options.remote, &format!("refs/heads/{branch}")).await?;
        landed(&private.git, &commit, at, limit).await
    }

    /// The branch as this clone knows it.
    async fn fetched_before(&self, branch: &str) -> Result<Option<String>> {
        let name = format!("refs/remotes/{}/{branch}^{{commit}}", self.options.remote);
        let said = self.git.attempt(&["rev-parse", "--verify", "--quiet", &name]).await?;
        Ok(said.success().then(|| String::from_utf8_lossy(&said.stdout).trim_end().to_owned()))
    }
}

async fn landed(git: &Git, commit: &str, at: &Location, limit: usize) -> Result<Vec<Landed>> {
    let count = format!("--max-count={limit}");
    let format = "--format=%ct%x09%H%x09%an";
    let listed = git.output(&["--literal-pathspecs", "rev-list", format, &count, commit, "--", &at.file]).await?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    // Between them stand lines that name the commit alone.
    let commits: Vec<(Timestamp, &str, &str)> = listed
        .lines()
        .filter_map(|line| {
            let [seconds, commit, author] = line.splitn(3, '\t').collect::<Vec<_>>().try_into().ok()?;
            Some((Timestamp::from_second(seconds.parse().ok()?).ok()?, commit, author))
        })
        .collect();
    if commits.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: String = commits.iter().map(|(_, commit, _)| format!("{commit}:{}\n", at.file)).collect();
    let batch = git.fed(&["cat-file", "--batch"], wanted.as_bytes()).await?;
    let found = commits.iter().zip(contents(&batch)).filter_map(|((time, _, author), content)| {
        // A file that is not there at a commit, or holds the attribute no more, says nothing of it.
        let attribute = find_attribute(content?, &at.file, &at.block, &at.attribute).ok()?;
        Some(Landed { at: *time, by: (*author).to_owned(), literal: attribute.literal })
    });
    let mut held: Vec<Landed> = Vec::new();
    for older in found {
        match held.last_mut() {
            // Another edit of the same file: the literal is older than that.
            Some(newer) if newer.literal == older.literal => *newer = older,
            _ => held.push(older),
        }
    }
    Ok(held)
}

/// Objects of `git cat-file --batch`: a line `ID TYPE SIZE` and the bytes, or a line that ends in `missing`.
fn contents(batch: &[u8]) -> Vec<Option<&[u8]>> {
    let mut all = Vec::new();
    let mut rest = batch;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let head = String::from_utf8_lossy(&rest[..end]);
        rest = &rest[end + 1..];
        let size = head.strip_suffix(" missing").map_or_else(
            || head.rsplit(' ').next().and_then(|size| size.parse::<usize>().ok()).filter(|size| *size <= rest.len()),
            |_| None,
        );
        all.push(size.map(|size| &rest[..size]));
        if let Some(size) = size {
            rest = rest.get(size + 1..).unwrap_or_default();
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_taken_apart_whatever_they_hold() {
        let batch = b"aa blob 4\na\n\nb\nbb missing\ncc:x y missing\ndd blob 0\n\n";
        assert_eq!(contents(batch), [Some(&b"a\n\nb"[..]), None, None, Some(&b""[..])]);
    }
}
