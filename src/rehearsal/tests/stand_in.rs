//! The stand-ins play the rehearsal's repository as the real tools do.

use super::*;
use crate::rehearsal::stand_in::run;

fn terraform(directory: &std::path::Path, arguments: &[&str]) -> i32 {
    let mut all = vec![format!("-chdir={}", directory.display())];
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    run("terraform", &all)
}

fn shown(file: &std::path::Path) -> Value {
    let plan: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    plan["show"].clone()
}

fn actions(plan: &Value) -> Vec<String> {
    let changes = plan["resource_changes"].as_array().unwrap().iter();
    changes.map(|it| format!("{} {}", it["address"].as_str().unwrap(), it["change"]["actions"])).collect()
}

#[tokio::test]
async fn terraform_plans_refuses_and_applies_once() {
    let lab = Lab::start(&[]).await;
    let environment = lab.world.infrastructure().join("environments/prod");
    let file = lab.world.directory().join("plan");
    let out = format!("-out={}", file.display());
    let plan = ["plan", "-target=module.catalog-airflow", &out];
    // The state was written by whichever terraform this machine has.
    lab.edit("environments/prod/catalog-airflow.tf", "rel-2024.08.22.20.53.01", "rel-2024.09.09.23.00.57");
    assert_eq!(terraform(&environment, &plan), 1, "the flag is false");
    let refused = shown(&file);
    assert_eq!((&refused["errored"], &refused["checks"][0]["status"]), (&json!(true), &json!("fail")));
    assert_eq!(terraform(&environment, &["apply", file.to_str().unwrap()]), 1, "a refused plan is not applied");
    lab.set_flag(true);
    assert_eq!(terraform(&environment, &plan), 0);
    let planned = shown(&file);
    assert_eq!(
        actions(&planned),
        [
            "module.catalog-airflow.terraform_data.user_data [\"update\"]",
            "module.catalog-airflow.terraform_data.instance [\"delete\",\"create\"]"
        ]
    );
    assert_eq!((&planned["complete"], &planned["errored"]), (&json!(false), &json!(false)));
    let before = lab.world.state().airflow.instance.id;
    assert_eq!(terraform(&environment, &["apply", file.to_str().unwrap()]), 0);
    assert_eq!(lab.world.deployed_tag().as_deref(), Some("rel-2024.09.09.23.00.57"));
    lab.world.airflow_version();
    assert_ne!(lab.world.state().airflow.instance.id, before);
    assert_eq!(terraform(&environment, &["apply", file.to_str().unwrap()]), 1, "the plan is stale");
    assert_eq!(terraform(&environment, &["plan", "-detailed-exitcode", "-target=module.catalog-airflow"]), 0);
}

#[test]
fn what_is_missing_gets_a_script_and_stands_first_on_the_path() {
    let directory = tempfile::tempdir().unwrap();
    let tools = crate::rehearsal::infrastructure::Tools::find(directory.path(), Some("/nowhere".into())).unwrap();
    assert_eq!(tools.stand_ins, ["just", "terraform"]);
    let bin = directory.path().join("bin");
    assert_eq!(tools.path.unwrap(), format!("{}:/nowhere", bin.display()).as_str());
    let script = std::fs::read_to_string(bin.join("just")).unwrap();
    assert!(script.contains("__stand-in just"), "{script}");

    // Found as soon as they stand there.
    let tools = crate::rehearsal::infrastructure::Tools::find(directory.path(), Some(bin.into())).unwrap();
    assert!(tools.stand_ins.is_empty() && tools.path.is_none());
}

#[tokio::test]
async fn just_dumps_and_bumps() {
    if !crate::adapters::checkout::fixture::installed(&["just"]) {
        return;
    }
    let lab = Lab::start(&[]).await;
    let (code, real) = lab.run(&["just", "--dump", "--dump-format", "json"]);
    assert_eq!(code, 0);
    let text = std::fs::read_to_string(lab.world.infrastructure().join("justfile")).unwrap();
    let ours = crate::rehearsal::stand_in::just_dump(&text);
    let real: Value = serde_json::from_str(&real).unwrap();
    for recipe in ["bump", "plan", "apply"] {
        let shape = |dump: &Value| {
            let parameters = dump["recipes"][recipe]["parameters"].as_array().unwrap().iter();
            parameters.map(|it| json!([it["name"], it["kind"], it["default"]])).collect::<Vec<_>>()
        };
        assert_eq!(shape(&ours), shape(&real), "{recipe}");
        assert!(!shape(&ours).is_empty());
    }
    assert_eq!(ours["recipes"]["bump"]["shebang"], true);
}
