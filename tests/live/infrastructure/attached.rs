//! A recipe that takes no plan file: attached to the terminal, where Terraform's own prompt decides.

use super::bench::Bench;
use super::shape::{OLD, Recipes, Shape};

const ANSWERED: &[&str] = &["publish", "bump", "pull-request"];

fn bench(recipes: Recipes) -> Bench {
    Bench::new(Shape::module("prod").recipes(recipes))
}

#[test]
fn yes_to_terraform_deploys() {
    for recipes in [Recipes::Target, Recipes::Bare] {
        let bench = bench(recipes);
        let mut person = bench.person(&bench.arguments(ANSWERED, &[]));
        person.sees("not bound: the apply recipe takes no plan file");
        person.sees("anything else declines:");
        person.types("yes\n");
        person.sees("Only 'yes' will be accepted to approve.");
        person.types("yes\n");
        let left = person.leaves();
        assert_eq!(left.code, 0, "{}", left.text);
        left.terminal_is_restored();
        left.says("Apply complete!");
        let done = super::stage::Done { code: left.code, stdout: String::new(), stderr: left.text };
        bench.is_deployed(&done);
    }
}

/// Terraform exits 1, like for any error: a new plan shows that nothing was applied.
#[test]
fn no_to_terraform_leaves_everything_as_it_was() {
    let bench = bench(Recipes::Target);
    let mut person = bench.person(&bench.arguments(ANSWERED, &[]));
    person.sees("anything else declines:");
    person.types("yes\n");
    person.sees("Only 'yes' will be accepted to approve.");
    person.types("no\n");
    person.sees("Leave it for now");
    person.types("\r");
    let left = person.leaves();
    assert_eq!(left.code, 1, "{}", left.text);
    left.terminal_is_restored();
    left.says("Apply cancelled.");
    left.says("it ended with exit 1");
    assert_eq!(bench.deployed().as_deref(), Some(OLD));
    bench.is_untouched();
}

/// `just` asks, then Terraform does: both questions reach the person, and both answers arrive.
#[test]
fn a_recipe_that_prompts_first() {
    let shape = Shape::module("prod").recipes(Recipes::Target).edit(
        "justfile",
        "\napply env",
        "\n[confirm(\"Really apply to production?\")]\napply env",
    );
    let bench = Bench::new(shape);
    let mut person = bench.person(&bench.arguments(&["publish", "bump", "apply", "pull-request"], &[]));
    person.sees("Really apply to production?");
    person.types("y\n");
    person.sees("Only 'yes' will be accepted to approve.");
    person.types("yes\n");
    let left = person.leaves();
    let done = super::stage::Done { code: left.code, stdout: String::new(), stderr: left.text };
    bench.is_deployed(&done);
}

/// Ctrl-C at Terraform's prompt goes to Terraform alone; what happened is found out.
#[test]
fn ctrl_c_at_terraforms_prompt() {
    let bench = bench(Recipes::Target);
    let mut person = bench.person(&bench.arguments(&["publish", "bump", "apply", "pull-request"], &[]));
    person.sees("Only 'yes' will be accepted to approve.");
    person.types(super::person::CTRL_C);
    let left = person.leaves();
    // Whoever pressed it wants to be let go, not to be asked what now.
    assert_eq!(left.code, 130, "{}", left.text);
    left.says("nothing was applied: a new plan finds everything that was approved");
    left.terminal_is_restored();
    assert_eq!(bench.deployed().as_deref(), Some(OLD));
    bench.is_untouched();
}

/// Nobody can answer Terraform: nothing is applied, and the run says so.
#[test]
fn without_a_terminal_nothing_is_applied() {
    let bench = bench(Recipes::Target);
    let done = bench.deploy();
    assert_ne!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("not bound"), "{}", done.stderr);
    assert!(done.stderr.contains("nothing was applied"), "{}", done.stderr);
    bench.is_untouched();
}
