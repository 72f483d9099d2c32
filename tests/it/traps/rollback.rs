//! Trap 12: slips of `--tag`, the tag that runs now, and one newer than what runs.

use serde_json::Value;

use super::{NEW, OLD, changes};
use crate::deploy::approved;
use crate::support::{Done, Stage};

fn finish(done: &Done) -> Value {
    let last = done.stdout.lines().rfind(|line| line.contains("\"event\":\"run-finished\""));
    serde_json::from_str(last.unwrap_or_else(|| panic!("{}", done.stderr))).unwrap()
}

#[test]
fn a_slip_is_told_what_was_meant() {
    let stage = Stage::new(&[]);
    let slips = [
        ("catalog-2024.08.22.20.53.01", "is the release's git tag; the image tag is rel-2024.08.22.20.53.01"),
        ("2024.08.22.20.53.01", "is only the version; the image tag is rel-2024.08.22.20.53.01"),
        ("rel-2024.08.22.20.53.02", "has no tag rel-2024.08.22.20.53.02"),
        // The release that is still a draft.
        (NEW, "has no tag rel-2024.09.30.10.20.30"),
    ];
    for (tag, says) in slips {
        let done = stage.run(&approved(&["--tag", tag, "--json"]));
        let finish = finish(&done);
        assert_eq!((done.code, finish["reason"].as_str()), (3, Some("refused")), "{tag}: {}", done.stderr);
        let message = finish["message"].as_str().unwrap();
        assert!(message.contains(says) && message.contains("Nothing was changed"), "{message}");
        let next = finish["next"].to_string();
        // Recent tags to choose from, the one that runs now among them.
        assert!(next.contains("rel-2024.09.09.23.00.57") && next.contains("runs now"), "{next}");
        assert!(!stage.locked());
    }
    assert_eq!(changes(&stage), [""; 0]);
    assert_eq!(stage.git(&["status", "--porcelain"]), "");
}

#[test]
fn the_tag_that_runs_now_needs_no_deployment() {
    let stage = Stage::new(&[]);
    let done = stage.run(&approved(&["--tag", OLD, "--json"]));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(finish(&done)["message"], "nothing had to be changed: no service deployment was needed");
    assert!(
        done.stderr.contains("only a change of configuration or infrastructure can be deployed"),
        "{}",
        done.stderr
    );
    assert_eq!(changes(&stage), [""; 0]);
    assert_eq!((stage.git(&["status", "--porcelain"]).as_str(), stage.locked()), ("", false));
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
}

/// Published and never deployed, so no rollback; it changes Airflow's version, so a plain yes is not enough.
#[test]
fn a_newer_tag_is_a_roll_forward() {
    let stage = Stage::new(&[]);
    let done = stage.run(&approved(&["--tag", "rel-2024.09.09.23.00.57", "--json"]));
    assert_eq!(done.code, 5, "{}", done.stderr);
    for says in ["roll-forward, not a rollback", "Airflow changes from 2.9.3 to 2.10.1", "--approve apply@"] {
        assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
    }
    assert_eq!(changes(&stage), [""; 0]);
    assert_eq!((stage.git(&["status", "--porcelain"]).as_str(), stage.locked()), ("", false));
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
}
