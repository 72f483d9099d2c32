//! Every rule is proved alive by a mutant of the product that it catches: `tests/crash/mutants/run` builds and plays them.
//! Here: each still applies, names its points, and no rule is without one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checker::RULES;

fn patches() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/mutants");
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut patches: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|it| it == "patch")).collect();
    patches.sort();
    patches
}

fn header(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
}

#[test]
fn every_mutant_still_applies_and_names_its_points_and_no_rule_is_without_one() {
    let patches = patches();
    let mut caught = BTreeSet::new();
    for patch in &patches {
        let text = std::fs::read_to_string(patch).unwrap();
        let name = patch.display();
        let rule = header(&text, "Rule").unwrap_or_else(|| panic!("{name} names no rule"));
        assert!(RULES.iter().any(|(known, _)| *known == rule), "{name}: no rule is called {rule}");
        assert!(header(&text, "Point").is_some(), "{name} names no point");
        let mut git = Command::new("git");
        let checked =
            git.args(["apply", "--check"]).arg(patch).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(checked.status.success(), "{name}: {}", String::from_utf8_lossy(&checked.stderr));
        caught.insert(rule);
    }
    let without: Vec<_> = RULES.iter().map(|(rule, _)| *rule).filter(|rule| !caught.contains(*rule)).collect();
    assert!(without.is_empty(), "rules without a mutant: {without:?}");
}
