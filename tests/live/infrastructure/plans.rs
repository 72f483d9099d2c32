//! Plans that hold more than the runbook expects, or cannot be made.

use super::bench::{ALL_GATES, Bench};
use super::shape::{NEW, OLD, Recipes, Shape};

#[test]
fn an_unexpected_destroy_is_typed_for() {
    let mut shape = Shape::module("production");
    shape.removed = "\nresource \"terraform_data\" \"database\" {\n  input = \"catalog-postgres\"\n}\n".into();
    let bench = Bench::new(shape);
    let done = bench.deploy();
    assert_eq!(done.code, 5, "a plain approval is not enough: {}", done.stderr);
    let words = "NOT EXPECTED: destroy module.catalog-airflow.terraform_data.database";
    assert!(done.stderr.contains(words), "{}", done.stderr);
    bench.is_untouched();

    // At a terminal, `yes` is asked about once more, another environment's name declines; the environment's own applies.
    for (typed, code) in [("yes", 5), ("prod", 5), ("production", 0)] {
        let mut arguments = bench.arguments(&["bump", "pull-request"], &[]);
        arguments[0] = "resume".into();
        let mut person = bench.person(&arguments);
        person.sees(words);
        person.sees("Type `production` to go on");
        person.sees("anything else declines:");
        person.types(&format!("{typed}\n"));
        if typed == "yes" {
            person.sees("`yes` is not enough for this");
            person.sees("anything else declines:");
            person.types("yes\n");
        }
        let left = person.leaves();
        assert_eq!(left.code, code, "{typed}: {}", left.text);
        left.terminal_is_restored();
    }
    assert_eq!(bench.deployed().as_deref(), Some(NEW));
    bench.holds_nothing();
}

/// Terraform's exit code is 0 and it would apply: only the plan's JSON says that the check fails.
#[test]
fn a_failing_check_block() {
    let shape = Shape::module("prod").recipes(Recipes::WithArguments).module_also(
        "check \"reachable\" {\n  assert {\n    condition     = terraform_data.user_data.input == \"never\"\n    \
         error_message = \"The catalog does not answer.\"\n  }\n}\n",
    );
    let bench = Bench::new(shape);
    let preview = bench.run(&bench.arguments(&[], &["-n"]));
    assert!(preview.stdout.contains("module.catalog-airflow.check.reachable"), "{}", preview.stdout);
    let done = bench.deploy();
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(
        done.stderr.contains("ATTENTION: the check module.catalog-airflow.check.reachable says fail"),
        "{}",
        done.stderr
    );
    bench.is_untouched();
}

#[test]
fn a_failing_precondition_is_told_in_its_own_words() {
    let shape = Shape::module("prod").edit(
        "modules/catalog-airflow/main.tf",
        "    precondition {",
        "    precondition {\n      condition     = length(regexall(\"2024.09.30\", var.docker_image_tag)) == 0\n      \
         error_message = \"This tag is blocked by the security team.\"\n    }\n\n    precondition {",
    );
    let bench = Bench::new(shape);
    for arguments in [bench.arguments(&[], &["-n"]), bench.arguments(ALL_GATES, &[])] {
        let done = bench.run(&arguments);
        let said = format!("{}{}", done.stdout, done.stderr);
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(matches!(done.code, 1 | 3), "{said}");
        assert!(said.contains("This tag is blocked by the security team."), "{said}");
        assert!(!said.contains("Make sure that no DAG is running"), "the flag was true: {said}");
    }
    bench.is_untouched();
    assert_eq!(bench.deployed().as_deref(), Some(OLD));
}

/// A resource that fails on the way: part of the plan is done, and the rest is named.
#[test]
fn an_apply_that_takes_effect_in_part() {
    let failing = "\nresource \"terraform_data\" \"alarm\" {\n  triggers_replace = [terraform_data.instance.id]\n\n  \
        provisioner \"local-exec\" {\n    command = \"test ! -e fails\"\n  }\n}\n";
    let shape = Shape::module("prod")
        .edit(".gitignore", "*.tfplan", "*.tfplan\nfails")
        .module_also(failing)
        .expects("module.catalog-airflow.*.alarm", &["delete/create"]);
    let bench = Bench::new(shape);
    let fails = bench.checkout.join("environments/prod/fails");
    std::fs::write(&fails, "").unwrap();
    let done = bench.deploy();
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("it took effect partly, left to do: "), "{}", done.stderr);
    assert!(done.stderr.contains("module.catalog-airflow.terraform_data.alarm"), "{}", done.stderr);
    assert_eq!(bench.value(&bench.shape.flag), "false");
    assert_eq!(bench.value(&bench.shape.version), format!("\"{NEW}\""), "the bump stays: some of it runs");
    std::fs::remove_file(fails).unwrap();
    let resumed = bench.resume(&["apply", "pull-request"]);
    // What is left is another plan than the expected one: a tainted alarm is replaced, nothing else.
    bench.is_deployed(&resumed);
}
