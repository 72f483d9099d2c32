//! Keeps the laptop awake while a change may be in progress, where the system has a tool for it.

use std::process::{Child, Command, Stdio};

/// While it lives, the machine does not fall asleep by itself. The tool watches this process, so it ends even after
/// `kill -9`.
pub struct Awake {
    child: Option<Child>,
}

impl Awake {
    /// Starts `caffeinate` (macOS) or `systemd-inhibit` (Linux); without either, nothing happens.
    #[expect(clippy::disallowed_methods, reason = "a tool of the system that outlives no run and says nothing")]
    pub fn keep() -> Self {
        let own = std::process::id().to_string();
        let mut command = if cfg!(target_os = "macos") {
            let mut command = Command::new("caffeinate");
            command.args(["-i", "-w", &own]);
            command
        } else {
            let mut command = Command::new("systemd-inhibit");
            command.args(["--what=idle:sleep", "--who=catalog-deploy", "--why=a deploy is in progress"]);
            command.args(["tail", "--pid", &own, "-f", "/dev/null"]);
            command
        };
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: quiet.spawn().ok() }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself, for want of a session bus for example.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}
