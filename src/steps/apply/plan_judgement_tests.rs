use super::*;
use crate::runbook::schema::{ApplyWith, AttributePath, ExpectedChange};

const INSTANCE: &str = "module.catalog-airflow.aws_instance.instance";
const USER_DATA: &str = "module.catalog-airflow.terraform_data.user_data";

fn infrastructure(targets: bool) -> Infrastructure {
    let expect = |address: &str, actions: &[&str]| ExpectedChange {
        address: address.into(),
        actions: actions.iter().map(|&action| action.to_owned()).collect(),
    };
    Infrastructure {
        repository: "o/r".into(),
        main: "main".into(),
        remote: "origin".into(),
        directory: ".".into(),
        version: AttributePath { file: "a.tf".into(), block: vec![], attribute: "tag".into() },
        flag: None,
        bump: None,
        plan: vec![],
        apply: vec![],
        state: None,
        running: None,
        targets,
        apply_with: ApplyWith::Auto,
        expected: vec![
            expect("module.catalog-airflow.*.instance", &["delete/create", "create/delete"]),
            expect("module.catalog-airflow.*.user_data", &["update", "delete/create", "create/delete"]),
        ],
        workspace: None,
    }
}

fn change(address: &str, actions: &str) -> PlannedChange {
    PlannedChange { address: address.into(), actions: actions.into(), reason: None }
}

fn plan(changes: &[(&str, &str)]) -> Plan {
    Plan {
        changes: changes.iter().map(|(address, actions)| change(address, actions)).collect(),
        drift: vec![],
        outputs: vec![],
        checks: vec![],
        errored: false,
        complete: true,
        digest: "d".into(),
        terraform_version: "1.11.4".into(),
    }
}

#[test]
fn addresses_and_actions_both_count() {
    let good = [(INSTANCE, "delete/create"), (USER_DATA, "update")];
    let cases = [
        ("instance replaced with its user data", good.to_vec(), true),
        ("replaced the other way round", vec![(INSTANCE, "create/delete")], true),
        ("created: the wrong state", vec![(INSTANCE, "create")], false),
        ("destroyed", vec![(INSTANCE, "delete")], false),
        ("updated in place", vec![(INSTANCE, "update")], false),
        ("RDS beside it", vec![good[0], ("module.catalog-airflow.aws_db_instance.catalog", "update")], false),
        ("another module", vec![good[0], ("module.api.aws_instance.instance", "delete/create")], false),
        ("forgotten", vec![(USER_DATA, "forget")], false),
    ];
    for (name, changes, as_expected) in cases {
        let judgement = judge_plan(&plan(&changes), &infrastructure(false));
        assert_eq!(judgement.as_expected(), as_expected, "{name}: {judgement:?}");
        assert!(!judgement.nothing(), "{name}");
    }
}

#[test]
fn no_change_at_all_is_nothing() {
    let judgement = judge_plan(&plan(&[]), &infrastructure(false));
    assert!(judgement.nothing() && judgement.as_expected());
}

#[test]
fn outputs_alone_are_something_to_think_about() {
    let judgement = judge_plan(&Plan { outputs: vec!["tag".into()], ..plan(&[]) }, &infrastructure(false));
    assert!(!judgement.nothing());
    assert!(!judgement.as_expected());
    let beside = Plan { outputs: vec!["tag".into()], ..plan(&[(INSTANCE, "delete/create")]) };
    assert!(judge_plan(&beside, &infrastructure(false)).as_expected());
}

#[test]
fn whatever_terraform_warns_of_needs_thought() {
    let base = plan(&[(INSTANCE, "delete/create")]);
    let cases = [
        ("drift", Plan { drift: vec![change("module.catalog-airflow.aws_db_instance.rds", "update")], ..base.clone() }),
        ("check", Plan { checks: vec![("check.health".into(), "fail".into())], ..base.clone() }),
        ("errored", Plan { errored: true, ..base.clone() }),
        ("incomplete", Plan { complete: false, ..base.clone() }),
    ];
    for (name, plan) in cases {
        let judgement = judge_plan(&plan, &infrastructure(false));
        assert!(!judgement.as_expected(), "{name}");
        assert_eq!(judgement.concerns.len(), 1, "{name}");
    }
}

#[test]
fn a_targeting_recipe_makes_incomplete_normal_and_says_so() {
    let incomplete = Plan { complete: false, ..plan(&[(INSTANCE, "delete/create")]) };
    let judgement = judge_plan(&incomplete, &infrastructure(true));
    assert!(judgement.as_expected() && judgement.targeted);
    assert!(judgement.lines().iter().any(|line| line.contains("targets one module")));
}

#[test]
fn the_summary_counts_and_puts_the_unexpected_first() {
    let mut plan = plan(&[(INSTANCE, "delete/create"), ("aws_db_instance.catalog", "delete")]);
    plan.changes[0].reason = Some("replace_because_cannot_update".into());
    let lines = judge_plan(&plan, &infrastructure(false)).lines();
    assert_eq!(
        lines,
        [
            "0 to create, 0 to update, 1 to replace, 1 to destroy",
            "NOT EXPECTED: destroy aws_db_instance.catalog",
            "replace module.catalog-airflow.aws_instance.instance (replace because cannot update)",
        ]
    );
}

#[test]
fn a_star_stands_for_any_run_of_characters() {
    for (pattern, address, fits) in [
        ("a.b", "a.b", true),
        ("a.b", "a.bc", false),
        ("a.*", "a.b.c", true),
        ("a.*.d", "a.b.c.d", true),
        ("a.*.d", "a.d", false),
        ("*.d", "a.b.d", true),
        ("*", "", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*bc*c", "abc", false),
        ("module.x.*", "module.xy.z", false),
        ("a*c", "abcd", false),
        ("", "a", false),
    ] {
        assert_eq!(matches(pattern, address), fits, "{pattern} {address}");
    }
}
