//! A disk that fails, is full, or has forgotten.

use nix::libc::{EIO, ENOSPC};

use crate::case::Crash;
use crate::director::BadDisk;
use crate::scenario::{Scenario, Set};

/// Every call of a run fails once, and is the first of all to fail.
pub fn all(calls: u32) -> impl Iterator<Item = Crash> {
    (1..=calls).flat_map(|nth| {
        [
            Crash::Disk(BadDisk { nth, errno: EIO, from_then_on: false }),
            Crash::Disk(BadDisk { nth, errno: ENOSPC, from_then_on: true }),
        ]
    })
}

/// Damage in the middle is not guessed at: every command that needs the journal says where it is and what to do.
#[test]
fn a_journal_damaged_in_the_middle_is_refused_with_place_and_way_out() {
    let set = Set::new(Scenario::Prod);
    let (ended, _) = set.record();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let journal = set.stage.director.journal().unwrap();
    let run = set.stage.newest_run().unwrap();
    let whole = std::fs::read(&journal).unwrap();
    let middle = whole.len() / 2;
    let mut damaged = whole.clone();
    damaged[middle] ^= 0x01;
    let line = whole[..middle].iter().filter(|byte| **byte == b'\n').count() + 1;
    std::fs::write(&journal, &damaged).unwrap();
    let before = set.stage.facts();
    let place = format!("journal.ndjson:{line}:");
    for command in [&["resume", &*run][..], &["restore", &run], &["show", &run], &["history"], &["status"], &["prod"]] {
        let done = set.stage.run(&command.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        let said = done.stdout + &done.stderr;
        assert!(said.contains(&place), "{command:?} ({:?}) does not say {place}:\n{said}", done.code);
        assert!(!said.contains("catalog-deploy broke"), "{said}");
        let refuses = !matches!(command[0], "history" | "status");
        assert_eq!(done.code == Some(0), !refuses, "{command:?} ({:?}):\n{said}", done.code);
        assert!(!refuses || said.contains("next: "), "{command:?} shows no way out:\n{said}");
    }
    assert_eq!(std::fs::read(&journal).unwrap(), damaged, "it was written to");
    assert_eq!(set.stage.facts(), before);
}
