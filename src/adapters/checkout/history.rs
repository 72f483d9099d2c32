//! What an attribute held over time on a remote branch: since deploys are merged there, it tells what was ever deployed.

use jiff::Timestamp;

use super::client::Checkout;
use super::git::Git;
use super::hcl::find_attribute;
use super::objects::PrivateObjects;
use super::{CheckoutRead, Location, Result};

impl Checkout {
    /// Two git processes, however long the history is.
    pub(super) async fn history(&self, branch: &str, at: &Location, limit: usize) -> Result<Vec<(Timestamp, String)>> {
        // The list of objects to read is one a line.
        if at.file.contains('\n') {
            return Ok(Vec::new());
        }
        let Some(commit) = self.remote_branch(branch).await? else { return Ok(Vec::new()) };
        if self.git.attempt(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).await?.success() {
            return literals(&self.git, &commit, at, limit).await;
        }
        let private = PrivateObjects::new(&self.git, &self.options.scratch_parent).await?;
        private.git.fetch_objects(&self.options.remote, &format!("refs/heads/{branch}")).await?;
        literals(&private.git, &commit, at, limit).await
    }
}

async fn literals(git: &Git, commit: &str, at: &Location, limit: usize) -> Result<Vec<(Timestamp, String)>> {
    let count = format!("--max-count={limit}");
    let listed =
        git.output(&["--literal-pathspecs", "rev-list", "--timestamp", &count, commit, "--", &at.file]).await?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let commits: Vec<(Timestamp, &str)> = listed
        .lines()
        .filter_map(|line| {
            let (seconds, commit) = line.split_once(' ')?;
            Some((Timestamp::from_second(seconds.parse().ok()?).ok()?, commit))
        })
        .collect();
    if commits.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: String = commits.iter().map(|(_, commit)| format!("{commit}:{}\n", at.file)).collect();
    let batch = git.fed(&["cat-file", "--batch"], wanted.as_bytes()).await?;
    let found = commits.iter().zip(contents(&batch)).filter_map(|((time, _), content)| {
        // A file that is not there at a commit, or holds the attribute no more, says nothing of it.
        let attribute = find_attribute(content?, &at.file, &at.block, &at.attribute).ok()?;
        Some((*time, attribute.literal))
    });
    let mut held: Vec<(Timestamp, String)> = Vec::new();
    for (time, literal) in found {
        match held.last_mut() {
            // Another edit of the same file: the literal is older than that.
            Some((since, newer)) if *newer == literal => *since = time,
            _ => held.push((time, literal)),
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
