//! One whole deploy per shape of repository: where the tag stands, line ends, environments, worktrees.

use super::bench::Bench;
use super::shape::{NEW, OLD, Shape};

/// Deploys; then the version's file is byte for byte what it was, but for the tag.
fn deploys(shape: Shape) {
    let bench = Bench::new(shape);
    let file = bench.shape.version.file.clone();
    let before = bench.bytes(&file);
    let done = bench.deploy();
    bench.is_deployed(&done);
    let expected = String::from_utf8(before).unwrap().replace(OLD, NEW);
    assert_eq!(String::from_utf8(bench.bytes(&file)).unwrap(), expected);
}

#[test]
fn the_tag_in_the_modules_block() {
    deploys(Shape::module("prod"));
}

/// The built-in runbook, with its DAGs, monitoring and changelog, on a repository that it did not make.
#[test]
fn the_runbook_as_it_is_shipped() {
    let bench = Bench::new(Shape::module("prod"));
    let gates = ["publish", "bump", "apply", "changelog", "pull-request"];
    let mut arguments = bench.arguments(&gates, &[]);
    arguments[0] = "prod".into();
    bench.is_deployed(&bench.run(&arguments));
}

#[test]
fn the_tag_among_the_locals() {
    deploys(Shape::locals());
}

#[test]
fn the_tag_in_a_file_of_variables() {
    deploys(Shape::variables());
}

#[test]
fn carriage_returns() {
    deploys(Shape::module("prod").crlf());
}

#[test]
fn a_byte_order_mark_in_a_file_of_variables() {
    deploys(Shape::variables().crlf().bom());
}

#[test]
fn another_environment() {
    deploys(Shape::module("production"));
}

/// Carriage returns in the working files only: what git holds has none, and the pull request brings in none.
#[test]
fn carriage_returns_that_git_adds() {
    let shape = Shape::module("prod").crlf().file(".gitattributes", "*.tf text eol=crlf\n");
    let bench = Bench::new(shape);
    let file = bench.shape.version.file.clone();
    assert!(!bench.git(&["show", &format!("HEAD:{file}")]).contains('\r'));
    let done = bench.deploy();
    bench.is_deployed(&done);
    let text = String::from_utf8(bench.bytes(&file)).unwrap();
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{text:?}");
    let pushed = super::bench::git(&bench.remote, &["show", &format!("catalog-deploy/{NEW}:{file}")]);
    assert!(!pushed.contains('\r') && pushed.contains(NEW), "{pushed:?}");
    // The bump is in the checkout and not merged: the next run knows it as the one that runs.
    let again = bench.run(&bench.arguments(&[], &["--tag", NEW]));
    assert_eq!(again.code, 0, "{}", again.stderr);
}

/// A recipe that touches another file too: it gets back the very bytes that git had checked out.
#[test]
fn what_a_recipe_should_not_have_touched_gets_its_carriage_returns_back() {
    let other = "environments/prod/main.tf";
    let shape = Shape::module("prod").crlf().file(".gitattributes", "*.tf text eol=crlf\n").edit(
        "justfile",
        "    rm '",
        &format!("    printf '# bumped\\n' >> {other}\n    rm '"),
    );
    let bench = Bench::new(shape);
    let before = bench.bytes(other);
    assert!(before.windows(2).any(|pair| pair == b"\r\n"));
    let done = bench.deploy();
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains(&format!("changed more than the version: {other}")), "{}", done.stderr);
    assert_eq!(bench.bytes(other), before);
    assert_eq!(bench.git(&["status", "--porcelain"]), "");
    bench.is_untouched();
}

/// The clone itself is on another branch, with work of its own.
#[test]
fn a_linked_worktree() {
    let mut bench = Bench::new(Shape::module("prod"));
    let clone = bench.checkout.clone();
    bench.git(&["switch", "--quiet", "-c", "work"]);
    std::fs::write(clone.join("notes.md"), "not finished\n").unwrap();
    let linked = clone.with_file_name("linked");
    bench.git(&["worktree", "add", "--quiet", linked.to_str().unwrap(), "main"]);
    // Terraform's state and modules are not git's: they are where people deploy from.
    let directory = bench.shape.directory();
    for name in ["terraform.tfstate", ".terraform"] {
        std::fs::rename(clone.join(&directory).join(name), linked.join(&directory).join(name)).unwrap();
    }
    // The world looks where the state was.
    std::os::unix::fs::symlink(
        linked.join(&directory).join("terraform.tfstate"),
        clone.join(&directory).join("terraform.tfstate"),
    )
    .unwrap();
    bench.checkout = linked.clone();
    let head = super::bench::git(&clone, &["rev-parse", "work", "main"]);
    let mut arguments = bench.arguments(super::bench::ALL_GATES, &["-C"]);
    arguments.push(linked.display().to_string());
    let done = bench.run(&arguments);
    bench.is_deployed(&done);
    assert_eq!(super::bench::git(&clone, &["rev-parse", "work", "main"]), head);
    assert_eq!(super::bench::git(&clone, &["status", "--porcelain"]), "?? notes.md\n");
}
