//! Somebody else, who works on the infrastructure repository at the same time.

use std::process::Command;

use crate::support::Stage;

/// Their commit on `branch` of the remote, made on top of main: `file` as `change` leaves it.
pub fn pushes(stage: &Stage, branch: &str, file: &str, change: impl FnOnce(String) -> String) {
    let clone = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let done = Command::new("git").current_dir(clone.path()).args(arguments).output().unwrap();
        assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["clone", "--quiet", "--branch", "main", stage.world.remote().to_str().unwrap(), "."]);
    let path = clone.path().join(file);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(&path, change(before)).unwrap();
    git(&["add", "."]);
    git(&["-c", "user.name=Bea", "-c", "user.email=bea@localhost", "commit", "--quiet", "-m", "A change"]);
    git(&["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")]);
}
