//! A preview that does not get to its end leaves nothing either.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::{differences, snapshot};
use crate::support::{Stage, finish, until};

/// A stage whose plan takes longer than any test, and the file that its recipe writes its process id into.
fn slow() -> (Stage, PathBuf) {
    let stage = Stage::new(&[]);
    let mark = stage.config.with_file_name("planning");
    stage.commit("justfile", |text| {
        let before = "    terraform -chdir=environments/{{ env }} plan";
        text.replace(before, &format!("    @echo $$ > '{}'; exec sleep 100\n{before}", mark.display()))
    });
    (stage, mark)
}

fn planning(mark: &Path) -> Pid {
    until("the plan is under way", || std::fs::read_to_string(mark).is_ok_and(|text| text.ends_with('\n')));
    Pid::from_raw(std::fs::read_to_string(mark).unwrap().trim().parse().unwrap())
}

fn scratch(stage: &Stage) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(stage.state().join("scratch")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn ctrl_c_ends_it_at_once_with_everything_of_it() {
    let (stage, mark) = slow();
    let before = snapshot(stage.infrastructure());
    let child = stage.start(&["prod", "-n"]);
    let plan = planning(&mark);
    assert!(!scratch(&stage).is_empty());
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
    let done = finish(child);
    assert_eq!(done.code, 130, "{}", done.stderr);
    assert!(done.stderr.ends_with("stopped; nothing was changed\n"), "{}", done.stderr);
    assert_eq!(done.stdout, "");
    assert_eq!(scratch(&stage), [] as [PathBuf; 0]);
    until("the plan has ended", || kill(plan, None) == Err(Errno::ESRCH));
    assert_eq!(differences(stage.infrastructure(), &before), [] as [PathBuf; 0]);
    assert!(stage.world.requests().iter().all(|request| !request.mutates()));
}

#[test]
fn what_a_killed_preview_left_is_swept_at_the_next_start() {
    let (stage, mark) = slow();
    let mut child = stage.start(&["prod", "-n"]);
    let plan = planning(&mark);
    child.kill().unwrap();
    child.wait().unwrap();
    killpg(nix::unistd::getpgid(Some(plan)).unwrap(), Signal::SIGKILL).unwrap();
    assert!(!scratch(&stage).is_empty(), "nothing to sweep");
    // A tag that does not fit ends before any plan.
    let done = stage.run(&["prod", "-n", "--tag", "latest"]);
    assert_eq!(done.code, 3, "{}", done.stdout);
    assert_eq!(scratch(&stage), [] as [PathBuf; 0]);
}
