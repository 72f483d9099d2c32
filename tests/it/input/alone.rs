//! The binary by itself: an empty home and no world.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Done, finish};

pub struct Alone {
    place: tempfile::TempDir,
    pub home: PathBuf,
    pub path: std::ffi::OsString,
}

impl Alone {
    pub fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("home");
        std::fs::create_dir(&home).unwrap();
        Self { place, home, path: std::env::var_os("PATH").unwrap() }
    }

    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.place.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_catalog-deploy"));
        command.args(arguments).env_clear().env("PATH", &self.path).env("HOME", &self.home);
        command.current_dir(&self.home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let done = finish(command.spawn().unwrap());
        let plain = |text: String| text.replace(&self.place.path().display().to_string(), "PLACE");
        Done { code: done.code, stdout: plain(done.stdout), stderr: plain(done.stderr) }
    }

    /// `prod --dry-run` with a configuration of this text: exit code and stderr.
    pub fn configured(&self, text: impl AsRef<[u8]>) -> (i32, String) {
        let path = self.file("config.toml", text);
        let done = self.run(&["prod", "--dry-run", "--config", path.to_str().unwrap()]);
        assert_eq!(done.stdout, "");
        self.nothing_was_written();
        (done.code, done.stderr)
    }

    /// The home is as empty as it was.
    #[track_caller]
    pub fn nothing_was_written(&self) {
        let runs = self.home.join(".local/state/catalog-deploy/runs");
        assert!(!runs.exists() || is_empty(&runs), "a run was left in {}", runs.display());
    }
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}
