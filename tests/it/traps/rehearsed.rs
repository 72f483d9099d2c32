//! The same through `rehearse --fault`, as a person practises it.

use catalog_deploy::rehearsal::Fault;

use crate::support::Stage;

#[test]
fn every_fault_is_listed_and_can_be_practised() {
    let stage = Stage::new(&[]);
    let list = stage.run(&["rehearse", "--list-faults"]);
    let names: Vec<&str> = list.stdout.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, Fault::ALL.iter().map(|fault| fault.name()).collect::<Vec<_>>());
    let done = stage.run(&["rehearse", "prod", "--fault", "two-drafts", "--yes"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    for says in ["2 drafted releases", "Nothing was changed", "this was a rehearsal, and its world is gone"] {
        assert!(done.stderr.contains(says), "{says}: {}", done.stderr);
    }
    let done = stage.run(&["rehearse", "prod", "--fault", "two-draft", "--yes"]);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("did you mean two-drafts?"), "{}", done.stderr);
    assert!(stage.runs().is_empty(), "a rehearsal is no part of anybody's history");
    assert_eq!(super::changes(&stage), [""; 0], "nor of the world of this stage");
}
