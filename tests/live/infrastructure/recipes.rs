//! Recipes as teams write them: with and without arguments and targets, prompting, deaf, broken; and the tools.

use std::os::unix::fs::symlink;
use std::process::Command;

use super::bench::{ALL_GATES, Bench, path};
use super::shape::{Recipes, Shape};

fn bench(recipes: Recipes) -> Bench {
    Bench::new(Shape::module("prod").recipes(recipes))
}

/// `targets` in the runbook must say what the recipe does, so a plan without `-target` is complete.
#[test]
fn arguments_and_no_target() {
    let bench = bench(Recipes::WithArguments);
    let done = bench.deploy();
    bench.is_deployed(&done);
    assert!(!done.stderr.contains("the recipe targets one module"), "{}", done.stderr);
}

#[test]
fn one_argument_for_the_plan_alone() {
    let bench = bench(Recipes::WithPlan);
    bench.is_deployed(&bench.deploy());
}

#[test]
fn a_target_that_the_runbook_does_not_mention_is_told() {
    let mut shape = Shape::module("prod");
    shape.targets = false;
    let bench = Bench::new(shape);
    let done = bench.deploy();
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(done.stderr.contains("the runbook does not say that its recipe targets a module"), "{}", done.stderr);
    bench.is_untouched();
}

/// just's own question before a recipe: nobody can answer it for a plan, so it says what to do.
#[test]
fn a_recipe_that_just_asks_about() {
    let shape = Shape::module("prod").edit("justfile", "\napply env", "\n[confirm]\napply env");
    let bench = Bench::new(shape);
    let done = bench.deploy();
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr.contains("nothing was applied: a new plan finds everything that was approved"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("was not confirmed"), "{}", done.stderr);
    bench.is_untouched();
}

/// `just --yes` answers it, and the recipe still gets the plan that was approved.
#[test]
fn a_recipe_that_just_asks_about_with_yes_in_the_runbook() {
    let mut shape = Shape::module("prod").edit("justfile", "\napply env", "\n[confirm]\napply env");
    shape.apply.insert(1, "--yes".into());
    let bench = Bench::new(shape);
    let done = bench.deploy();
    bench.is_deployed(&done);
    assert!(!done.stderr.contains("not bound"), "{}", done.stderr);
}

/// A script that reads an answer finds no terminal, fails, and nothing is bumped.
#[test]
fn a_bump_that_prompts() {
    let question = "    printf 'Bump? '; read -r answer; test \"$answer\" = y\n    tag=$(";
    let bench = Bench::new(Shape::module("prod").edit("justfile", "    tag=$(", question));
    let done = bench.deploy();
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stderr.contains("`just bump prod catalog-airflow` failed (exit 1)"), "{}", done.stderr);
    assert_eq!(bench.git(&["status", "--porcelain"]), "");
    bench.is_untouched();
}

#[test]
fn a_plan_recipe_that_hides_its_environment_from_terraform() {
    let shape = Shape::module("prod").edit("justfile", "    terraform", "    env -u TF_CLI_ARGS_plan terraform");
    let bench = Bench::new(shape);
    for arguments in [bench.arguments(&[], &["-n"]), bench.arguments(ALL_GATES, &[])] {
        let done = bench.run(&arguments);
        let said = format!("{}{}", done.stdout, done.stderr);
        assert_ne!(done.code, 0, "{said}");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("does not let Terraform see TF_CLI_ARGS_plan"), "{said}");
    }
    bench.is_untouched();
}

/// What a team has set for its own plans still counts.
#[test]
fn arguments_of_the_teams_own_in_the_environment() {
    let shape = Shape::variables()
        .edit("environments/prod/catalog-airflow.tf", "variable \"catalog_tag\"", "variable \"region\" {\n  type = string\n  default = \"none\"\n}\n\noutput \"region\" {\n  value = var.region\n}\n\nvariable \"catalog_tag\"")
        .recipes(Recipes::WithArguments);
    let bench = Bench::new(shape);
    let mut command = bench.command(&bench.arguments(&["publish", "bump"], &[]));
    command.env("TF_CLI_ARGS_plan", "-var 'region=the moon'");
    let done = command.output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(5), "{said}");
    assert!(said.contains("the moon") && said.contains("outputs: region"), "{said}");
    bench.is_untouched();
}

#[test]
fn terraform_is_missing() {
    let bench = bench(Recipes::TargetWithArguments);
    let tools = bench.stage.config.parent().unwrap().join("tools");
    std::fs::create_dir_all(&tools).unwrap();
    for folder in std::env::split_paths(&path()) {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap();
            if entry.file_name() != "terraform" {
                let _first_wins = symlink(entry.path(), tools.join(entry.file_name()));
            }
        }
    }
    let run = |arguments: &[String]| {
        let done = bench.command(arguments).env("PATH", &tools).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        (done.status.code(), said.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let (code, said) = run(&bench.arguments(&[], &["-n"]));
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("terraform: not found") || said.contains("`terraform`: it is not installed"), "{said}");
    let (code, said) = run(&bench.arguments(ALL_GATES, &[]));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("terraform: not found"), "{said}");
    bench.is_untouched();
    let (_, said) = run(&["doctor".into(), bench.arguments(&[], &[])[0].clone()]);
    assert!(said.contains("terraform"), "{said}");
}

/// PyPI's `just` and the machine's Terraform 1.11 are what ran here.
#[test]
fn the_tools_are_the_real_ones() {
    let version = |program: &str, argument: &str| {
        let done = Command::new(program).arg(argument).env("PATH", path()).output().unwrap();
        String::from_utf8(done.stdout).unwrap().lines().next().unwrap().to_owned()
    };
    let just = crate::support::installed("just/bin/just", "infrastructure");
    assert_eq!(version(just.to_str().unwrap(), "--version"), "just 1.59.0");
    let terraform = version("terraform", "version");
    assert!(terraform.starts_with("Terraform v1.11."), "{terraform}: tests/live/install infrastructure says where");
    let bench = bench(Recipes::TargetWithArguments);
    let done = bench.run(&["doctor".into(), bench.arguments(&[], &[])[0].clone()]);
    for words in ["just 1.59.0", "1.11."] {
        assert!(done.stdout.contains(words), "no {words} in {}", done.stdout);
    }
}
