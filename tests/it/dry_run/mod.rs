//! `--dry-run`: the real thing minus the effects.

mod backend;
mod report;
mod stopped;
mod traffic;
mod truth;
mod untouched;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::support::Stage;

/// The tag that runs when a world starts, and the one before it.
pub const RUNNING: &str = "rel-2024.08.22.20.53.01";
pub const OLDER: &str = "rel-2024.06.13.17.07.54";

impl Stage {
    pub fn state(&self) -> PathBuf {
        self.config.parent().unwrap().join("state")
    }

    /// Everything below the state directory, sorted.
    pub fn state_entries(&self) -> Vec<String> {
        let root = self.state();
        snapshot(&root)
            .into_keys()
            .filter(|path| path != Path::new(""))
            .map(|path| path.display().to_string())
            .collect()
    }

    /// Changes a file of the checkout, commits and pushes.
    pub fn commit(&self, file: &str, change: impl FnOnce(String) -> String) {
        let path = self.infrastructure().join(file);
        let before = std::fs::read_to_string(&path).unwrap();
        let after = change(before.clone());
        assert_ne!(before, after, "nothing to commit in {file}");
        std::fs::write(path, after).unwrap();
        self.git(&["commit", "--quiet", "--all", "-m", "Change something"]);
        self.git(&["push", "--quiet", "origin", "HEAD"]);
    }
}

/// Kind, mode, time of change and content of everything below `root`, `.git` and directories included.
pub fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let Ok(data) = std::fs::symlink_metadata(&path) else { continue };
        let content = if data.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            b"directory".to_vec()
        } else if data.is_symlink() {
            std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else {
            std::fs::read(&path).unwrap()
        };
        let changed = data.mtime() * 1_000_000_000 + data.mtime_nsec();
        all.insert(path.strip_prefix(root).unwrap().to_owned(), (data.permissions().mode(), changed, content));
    }
    all
}

/// Names of everything that differs.
pub fn differences(root: &Path, before: &BTreeMap<PathBuf, (u32, i64, Vec<u8>)>) -> Vec<PathBuf> {
    let after = snapshot(root);
    let names: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}
