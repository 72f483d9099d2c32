//! Every rule is proved alive by a mutant of the product that it catches: `tests/crash/mutants/run` builds and plays them.
//! Here: each still applies, names its points, and no rule is without one.

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
fn every_mutant_still_applies_and_names_a_rule_and_its_points() {
    let patches = patches();
    assert!(patches.len() >= 12, "{} mutants", patches.len());
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
    }
}
