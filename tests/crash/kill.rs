//! `kill -9`, and certainty that it worked.

use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Kills one process and returns when it can do nothing any more.
pub fn alone(pid: i32) {
    let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
    while runs(pid) {
        std::thread::yield_now();
    }
}

/// Not dead and not a zombie.
fn runs(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, None | Some('Z' | 'X'))
}

/// Every process that was started, directly or not, with this socket in its environment.
pub fn family(socket: &Path) -> Vec<i32> {
    let mark = format!("CRASH_SOCKET={}", socket.display()).into_bytes();
    let own = i32::try_from(std::process::id()).unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if pid != own && environment.split(|byte| *byte == 0).any(|variable| variable == mark) && runs(pid) {
            found.push(pid);
        }
    }
    found
}

/// A power cut: they and all that they start meanwhile.
pub fn all(socket: &Path) {
    loop {
        let family = family(socket);
        if family.is_empty() {
            return;
        }
        // All are told first, so that none outlives another for longer than it takes to say so.
        for pid in &family {
            let _gone = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
        family.into_iter().for_each(alone);
    }
}
