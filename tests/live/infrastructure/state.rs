//! State that moves, is locked, or could not be written.

use super::bench::{ALL_GATES, Bench};
use super::shape::{NEW, OLD, Shape};
use super::stage::until;
use super::state_server::StateServer;

/// Something else in the same state, outside the module.
const OTHER: &str = "variable \"size\" {\n  type    = number\n  default = 1\n}\n\nresource \"terraform_data\" \"other\" {\n  \
    input = var.size\n}\n";

const TOUCH: &[&str] =
    &["apply", "-auto-approve", "-input=false", "-no-color", "-target=terraform_data.other", "-var=size=2"];

/// A colleague applies something else between our plan and our yes: Terraform refuses the stale plan.
#[test]
fn a_state_that_moves_between_plan_and_apply() {
    let bench = Bench::new(Shape::module("prod").file("environments/prod/other.tf", OTHER));
    let mut person = bench.person(&bench.arguments(&["publish", "bump", "pull-request"], &[]));
    person.sees(" apply: ");
    person.sees("anything else declines:");
    bench.terraform(TOUCH);
    person.types("yes\n");
    person.sees("Leave it for now");
    person.types("\r");
    let left = person.leaves();
    assert_eq!(left.code, 1, "{}", left.text);
    left.says("nothing was applied: the state has moved since the plan was made, so Terraform refused it");
    left.says("catalog-deploy resume");
    assert_eq!(bench.deployed().as_deref(), Some(OLD));
    assert_eq!(bench.value(&bench.shape.flag), "false");
    let done = bench.resume(&["bump", "apply", "pull-request"]);
    bench.is_deployed(&done);
}

/// A slow apply of somebody else's holds the lock of the state.
#[test]
fn a_state_locked_by_another_terraform() {
    let slow = OTHER.replace(
        "input = var.size\n",
        "input = var.size\n  provisioner \"local-exec\" {\n    command = \"if [ -e waits ]; then touch begun; while [ -e waits ]; do sleep 0.05; done; fi\"\n  }\n",
    );
    let slow = slow.replace("  input = var.size", "  triggers_replace = [var.size]\n  input = var.size");
    let bench = Bench::new(Shape::module("prod").file("environments/prod/other.tf", &slow).edit(
        ".gitignore",
        "*.tfplan",
        "*.tfplan\nwaits\nbegun",
    ));
    let directory = bench.checkout.join("environments/prod");
    let waits = directory.join("waits");
    std::fs::write(&waits, "").unwrap();
    let place = directory.clone();
    let colleague = std::thread::spawn(move || super::bench::terraform(&place, TOUCH));
    until("the colleague's apply holds the lock", || directory.join("begun").exists());

    // A preview takes no lock and sees the same plan.
    let preview = bench.run(&bench.arguments(&[], &["-n"]));
    assert_eq!(preview.code, 0, "{}", preview.stdout);
    let done = bench.deploy();
    assert_eq!(done.code, 1, "{}", done.stderr);
    for words in
        ["another Terraform holds the state lock (ID: ", "Operation: OperationTypeApply", "wait until it has ended"]
    {
        assert!(done.stderr.contains(words), "no {words:?} in {}", done.stderr);
    }
    std::fs::remove_file(waits).unwrap();
    colleague.join().unwrap();
    bench.is_untouched();
    let done = bench.resume(&["bump", "apply", "pull-request"]);
    bench.is_deployed(&done);
}

/// The session at the state's server ends in the middle of the apply: Terraform leaves `errored.tfstate` and the lock.
#[test]
fn a_state_that_could_not_be_written() {
    let place = tempfile::tempdir().unwrap();
    let server = StateServer::start(&place.path().join("state"));
    let url = &server.url;
    let backend = format!(
        "terraform {{\n  backend \"http\" {{\n    address        = \"{url}\"\n    lock_address   = \"{url}\"\n    \
         unlock_address = \"{url}\"\n  }}\n}}\n"
    );
    let shape = Shape::module("prod").file("environments/prod/backend.tf", &backend);
    let bench = Bench::with_state(shape, Some(server.file.clone()));
    server.end_session_at_apply();
    let done = bench.deploy();
    assert_eq!(done.code, 9, "the run lock stays while nobody knows what was applied: {}", done.stderr);
    let errored = bench.checkout.join("environments/prod/errored.tfstate");
    assert!(errored.exists(), "{}", done.stderr);
    for words in ["the state lock was left behind", "force-unlock", "state push errored.tfstate"] {
        assert!(done.stderr.contains(words), "no {words:?} in {}", done.stderr);
    }
    // The release is published and its change made, as far as anybody knows: neither planned over nor given up.
    assert_eq!(bench.deployed().as_deref(), Some(OLD), "the server's state does not know");
    let again = bench.resume(&["bump", "apply", "pull-request"]);
    assert_ne!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("errored.tfstate"), "{}", again.stderr);

    // The lock is still there: pushing the state is refused until it is broken by a person.
    server.begin_session();
    let id = server.lock_id().expect("the lock was left behind");
    bench.terraform(&["force-unlock", "-force", &id]);
    bench.terraform(&["state", "push", "errored.tfstate"]);
    std::fs::remove_file(errored).unwrap();
    assert_eq!(bench.deployed().as_deref(), Some(NEW));
    let done = bench.resume(&["bump", "apply", "pull-request"]);
    bench.is_deployed(&done);
    assert_eq!(server.applies(), 1, "applied twice");
}

/// A lock that nobody holds any more, found before anything is planned.
#[test]
fn a_state_lock_left_behind() {
    let place = tempfile::tempdir().unwrap();
    let server = StateServer::start(&place.path().join("state"));
    let url = &server.url;
    let backend = format!(
        "terraform {{\n  backend \"http\" {{\n    address        = \"{url}\"\n    lock_address   = \"{url}\"\n    \
         unlock_address = \"{url}\"\n  }}\n}}\n"
    );
    let bench = Bench::with_state(
        Shape::module("prod").file("environments/prod/backend.tf", &backend),
        Some(server.file.clone()),
    );
    server.leave_lock();
    // A preview takes no lock, so it sees the plan.
    let preview = bench.run(&bench.arguments(&[], &["-n"]));
    assert_eq!(preview.code, 0, "{}", preview.stdout);
    let done = bench.run(&bench.arguments(ALL_GATES, &[]));
    assert_eq!(done.code, 1, "{}", done.stderr);
    for words in
        ["another Terraform holds the state lock (ID: 8a4f0c1e-0000-4000-8000-000000000000)", "terraform force-unlock"]
    {
        assert!(done.stderr.contains(words), "no {words:?} in {}", done.stderr);
    }
    bench.is_untouched();
    assert!(server.lock_id().is_some(), "never forced");
}
