//! How far `latest` is from the image that runs: whether releasing it changes the image at all. Pure.

use crate::adapters::github::Commit;

/// What was read about both images.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// The tag that runs; `None` where it is not known, or is not on the registry.
    pub running: Option<&'a str>,
    /// Both are the same image.
    pub same: bool,
    /// Commits that touch the image's build paths, newest first.
    pub touching: &'a [Commit],
    /// Of how many of them the image was looked up.
    pub looked_up: usize,
    /// Whose image runs; `None` where none of those looked up is.
    pub running_commit: Option<&'a str>,
    /// Whose image `latest` is.
    pub latest_commit: &'a str,
    /// Commits that touch a file which the image itself is made of.
    pub of_image_files: &'a [Commit],
    /// Whether the runbook names such files.
    pub knows_files: bool,
}

/// What the question says, one line each.
pub fn lines(reading: Reading<'_>) -> Vec<String> {
    let Some(running) = reading.running else {
        return vec!["What runs now is not known, so `latest` was not compared with it.".into()];
    };
    if reading.same {
        return vec![format!("`latest` is the image that runs now ({running}). {UNCOMPARED}")];
    }
    let differs = format!("`latest` is not the image that runs now ({running})");
    let at = |sha: &str| reading.touching.iter().position(|commit| commit.sha == sha);
    let (Some(from), Some(to)) = (reading.running_commit.and_then(at), at(reading.latest_commit)) else {
        let many = reading.looked_up;
        return vec![format!(
            "{differs}; the running one is none of the last {many} commits that touch its build paths."
        )];
    };
    let between = reading.touching.get(to..from).unwrap_or_default();
    let count = match between.len() {
        1 => "1 commit that touches its build paths lies between".to_owned(),
        several => format!("{several} commits that touch its build paths lie between"),
    };
    let mut lines = vec![format!("{differs}; {count}.")];
    let changed = |commit: &Commit| reading.of_image_files.iter().any(|other| other.sha == commit.sha);
    if reading.knows_files && !between.iter().any(changed) {
        lines.push(UNCOMPARED.into());
    }
    lines
}

const UNCOMPARED: &str = "No file of the image changed; environment and infrastructure were not compared.";

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(sha: &str) -> Commit {
        Commit { sha: sha.into(), at: jiff::Timestamp::UNIX_EPOCH }
    }

    fn reading<'a>(touching: &'a [Commit], files: &'a [Commit]) -> Reading<'a> {
        Reading {
            running: Some("rel-old"),
            same: false,
            touching,
            looked_up: touching.len(),
            running_commit: Some("c1"),
            latest_commit: "c3",
            of_image_files: files,
            knows_files: true,
        }
    }

    #[test]
    fn the_distance_is_counted_in_commits_that_touch_the_image() {
        let touching = ["c4", "c3", "c2", "c1", "c0"].map(commit);
        let files = [commit("c2")];
        let lines = lines(reading(&touching, &files));
        assert_eq!(
            lines,
            ["`latest` is not the image that runs now (rel-old); 2 commits that touch its build paths lie between."]
        );
    }

    #[test]
    fn dag_code_alone_changes_no_file_of_the_image() {
        let touching = ["c3", "c2", "c1"].map(commit);
        let files = [commit("c1")];
        let lines = lines(reading(&touching, &files));
        assert_eq!(lines[1], "No file of the image changed; environment and infrastructure were not compared.");
    }

    #[test]
    fn what_is_not_known_is_not_counted() {
        let touching = ["c3", "c2"].map(commit);
        let unknown = Reading { running: None, ..reading(&touching, &[]) };
        assert!(lines(unknown)[0].contains("not known"));
        let far = Reading { running_commit: None, ..reading(&touching, &[]) };
        assert!(lines(far)[0].contains("none of the last 2 commits"));
        let same = Reading { same: true, ..reading(&touching, &[]) };
        assert!(lines(same)[0].starts_with("`latest` is the image that runs now (rel-old). No file"));
    }
}
