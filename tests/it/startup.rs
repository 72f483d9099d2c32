//! What needs neither settings nor a service touches neither. How quick that is, `cargo bench --bench startup` shows.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// Nothing to find a home or a network with: HOME is a directory that nobody may enter or write, every proxy variable
/// points to a port where nobody listens, and there is no PATH to run a tool (`gh`, `git`) from.
fn sealed(arguments: &[&str], home: &std::path::Path) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_catalog-deploy"));
    command.args(arguments).env_clear().env("HOME", home).current_dir(env!("CARGO_MANIFEST_DIR"));
    for name in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
        command.env(name, home.join(name));
    }
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:1");
    }
    command.stdin(Stdio::null()).output().unwrap()
}

const QUICK: [&[&str]; 4] = [
    &["--version"],
    &["--help"],
    &["runbook", "check", "runbooks/prod.toml"],
    &["runbook", "check", "./runbooks/prod.toml"],
];

#[test]
fn version_help_and_check_need_no_home() {
    let place = tempfile::tempdir().unwrap();
    let closed = place.path().join("home");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    for arguments in QUICK {
        for home in [closed.as_path(), std::path::Path::new("/nonexistent")] {
            let output = sealed(arguments, home);
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(std::fs::read_dir(&closed).unwrap().count(), 0, "something was left in the home directory");
}

/// Where `strace` is installed: the system calls themselves. No socket is opened, no name below HOME is ever looked at.
#[test]
fn version_help_and_check_make_no_such_system_call() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("home-of-nobody");
    for arguments in QUICK {
        let trace = place.path().join("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-e", "trace=%file,%network", "-o"]).arg(&trace);
        command.arg(env!("CARGO_BIN_EXE_catalog-deploy")).args(arguments).env("HOME", &home);
        command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_STATE_HOME");
        command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // Not installed, or not allowed to trace: the other test stands alone.
        let Ok(status) = command.status() else { return };
        let text = std::fs::read_to_string(&trace).unwrap_or_default();
        if !text.contains("execve(") {
            return;
        }
        assert!(status.success(), "{arguments:?}");
        for line in text.lines() {
            let network = ["socket(", "connect(", "sendto("].iter().any(|call| line.contains(call));
            assert!(!network && !line.contains("home-of-nobody"), "{arguments:?}: {line}");
        }
    }
}
