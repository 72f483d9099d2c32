//! Runs what was published: the compiler over a few lines of TypeScript, node over a few lines that use a client.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::installed;

/// A directory in which the published packages are found.
fn workshop() -> tempfile::TempDir {
    let packages = installed("notify/node_modules/@sentry/api", "notify").ancestors().nth(2).unwrap().to_owned();
    let directory = tempfile::tempdir().unwrap();
    symlink(packages, directory.path().join("node_modules")).unwrap();
    directory
}

/// Holds values against the published types: `Err` is what the compiler says. Object literals may hold no field that the
/// type does not have.
pub fn typed(source: &str) -> Result<(), String> {
    let directory = workshop();
    fs::write(directory.path().join("check.ts"), source).unwrap();
    let compiler = installed("notify/node_modules/typescript/bin/tsc", "notify");
    let mut command = Command::new("node");
    command.arg(compiler).args(["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "esnext"]);
    // Sentry's declarations leave file extensions out; where those are wanted, every type of theirs becomes `any`.
    command.args(["--moduleResolution", "bundler", "--lib", "es2022,dom", "--types", "node", "check.ts"]);
    command.current_dir(directory.path());
    let done = command.output().expect("node is missing: run tests/live/install notify");
    if done.status.success() { Ok(()) } else { Err(String::from_utf8(done.stdout).unwrap()) }
}

/// Runs a module, gives the one line of JSON that it prints. Proxies of the environment are left out.
pub async fn run(source: &str) -> serde_json::Value {
    let directory = workshop();
    fs::write(directory.path().join("run.mjs"), source).unwrap();
    let mut command = tokio::process::Command::new("node");
    command.arg("run.mjs").current_dir(directory.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    let done = command.output().await.expect("node is missing: run tests/live/install notify");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}
