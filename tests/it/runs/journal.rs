//! Journals that this binary cannot read: a newer version's, and damaged ones.

use std::path::PathBuf;
use std::process::Command;

use super::{Live, nothing_held, resumed, run, slow_stage};
use crate::deploy::approved;
use crate::support::Stage;

/// A run whose process died while the flag was true and the version bumped; its apply has ended since.
fn died() -> (Stage, String) {
    let (stage, slow) = slow_stage();
    let live = Live::start(&stage, &approved(&[]));
    slow.begun();
    live.killed();
    slow.go();
    let run = run(&stage);
    assert_eq!(stage.attribute("running_dags_cleared"), "true");
    (stage, run)
}

fn journal(stage: &Stage, run: &str) -> PathBuf {
    stage.config.parent().unwrap().join("state/runs").join(run).join("journal.ndjson")
}

/// A line as the journal holds it.
fn line(number: u64, record: &str) -> String {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(record.as_bytes());
    format!("{{\"n\":{number},\"crc\":\"{:08x}\",\"record\":{record}}}\n", hasher.finalize())
}

/// As if a newer version had written it: its format, a field and an event that this one does not know.
fn as_of_a_newer_version(path: &PathBuf) {
    let text = std::fs::read_to_string(path).unwrap();
    let records = text.lines().map(|line| line.split_once(",\"record\":").unwrap().1.strip_suffix('}').unwrap());
    let mut records: Vec<String> = records.map(str::to_owned).collect();
    records[0] = records[0].replacen("\"format\":1", "\"format\":2,\"moon\":\"full\"", 1);
    records.insert(1, "{\"at\":\"2031-01-01T00:00:00Z\",\"event\":\"tide-came\",\"height\":3}".into());
    records[2] = records[2].replacen("\"event\":\"step-started\"", "\"event\":\"step-begun\"", 1);
    let lines = records.iter().zip(1..).map(|(record, number)| line(number, record));
    std::fs::write(path, lines.collect::<String>()).unwrap();
}

#[test]
fn of_a_newer_versions_run_only_what_it_holds_is_given_back() {
    let (stage, run) = died();
    as_of_a_newer_version(&journal(&stage, &run));
    let restore = format!("or only give back what it holds: catalog-deploy restore {run}");
    for arguments in [&["resume", &run][..], &["show", &run], &approved(&[])] {
        let done = stage.run(arguments);
        assert_eq!(done.code, 3, "{arguments:?}: {}", done.stderr);
        for words in ["was written by a newer version of catalog-deploy (format 2, this one reads 1)", &restore] {
            assert!(done.stderr.contains(words), "{arguments:?}: no {words:?} in {}", done.stderr);
        }
    }
    assert!(stage.run(&["status"]).stdout.contains(&restore));
    assert!(stage.run(&["history"]).stderr.contains(&restore));
    assert_eq!(stage.attribute("running_dags_cleared"), "true");

    let done = stage.run(&["restore"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    nothing_held(&stage);
    assert_eq!(stage.mutations().iter().filter(|it| it.starts_with("PATCH /repos/")).count(), 1);
}

#[test]
fn what_even_the_runbook_hides_is_not_guessed_at() {
    let (stage, run) = died();
    as_of_a_newer_version(&journal(&stage, &run));
    let runbook = journal(&stage, &run).with_file_name("runbook.toml");
    let text = std::fs::read_to_string(&runbook).unwrap();
    std::fs::write(&runbook, text.replacen("format = 1", "format = 2", 1)).unwrap();
    let done = stage.run(&["restore", &run]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    for words in ["this one cannot read its runbook. It holds: ", "running_dags_cleared", "refs/catalog-deploy/lock/"] {
        assert!(done.stderr.contains(words), "no {words:?} in {}", done.stderr);
    }
    assert_eq!(stage.attribute("running_dags_cleared"), "true");
    assert!(stage.locked());
}

#[test]
fn damage_in_the_middle_is_refused_with_its_place_and_the_way_out() {
    let (stage, run) = died();
    let path = journal(&stage, &run);
    let mut bytes = std::fs::read(&path).unwrap();
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    // In the last line but one: everything that is held was taken before it.
    let damaged = lines - 1;
    let ends: Vec<usize> = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
    bytes[ends[damaged - 2] + 60] ^= 0x01;
    std::fs::write(&path, bytes).unwrap();

    let cut = format!("sed -i.damaged '{damaged},$d' '{}'", path.display());
    let restore = format!("then give back what stands before it: catalog-deploy restore {run}");
    for arguments in [&["resume", &run][..], &["restore", &run], &["restore"], &["show", &run], &approved(&[])] {
        let done = stage.run(arguments);
        assert_eq!(done.code, 3, "{arguments:?}: {}", done.stderr);
        for words in [&format!("journal.ndjson:{damaged}: number or checksum does not fit the line"), &cut, &restore] {
            assert!(done.stderr.contains(words), "{arguments:?}: no {words:?} in {}", done.stderr);
        }
    }
    assert!(stage.run(&["status"]).stdout.contains(&cut));
    assert!(stage.run(&["history"]).stderr.contains(&cut));
    assert_eq!(stage.attribute("running_dags_cleared"), "true");

    // The way out, as it is printed.
    assert!(Command::new("sh").args(["-c", &cut]).status().unwrap().success());
    let done = stage.run(&["resume", &run, "--approve", "nothing"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    let done = stage.run(&["restore", &run]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    nothing_held(&stage);
    assert_eq!(stage.run(&resumed(&run)).code, 3);
}
