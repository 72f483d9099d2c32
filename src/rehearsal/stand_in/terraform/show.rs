//! `show -json` of a state and of a plan, with the fields of the real one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::VERSION;
use super::config::NOW;
use super::plan::{Change, Plan};
use super::state::{Existing, State};

fn values(it: &Existing) -> Value {
    json!({ "id": it.id, "input": it.input, "output": it.input,
        "triggers_replace": it.trigger.as_ref().map(|text| json!([text])) })
}

pub(super) fn state(state: &State) -> Value {
    if state.resources.is_empty() {
        return json!({ "format_version": "1.0", "terraform_version": VERSION });
    }
    let mut modules: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for it in &state.resources {
        modules.entry(&it.module).or_default().push(json!({
            "address": it.address(),
            "mode": "managed",
            "type": "terraform_data",
            "name": it.name,
            "provider_name": "terraform.io/builtin/terraform",
            "schema_version": 0,
            "values": values(it),
            "sensitive_values": {},
        }));
    }
    let modules: Vec<Value> =
        modules.into_iter().map(|(address, resources)| json!({ "resources": resources, "address": address })).collect();
    json!({ "format_version": "1.0", "terraform_version": VERSION,
        "values": { "root_module": { "child_modules": modules } } })
}

pub(super) fn plan(plan: &Plan) -> Value {
    let changes: Vec<Value> = plan.changes.iter().map(|it| change(it, plan.prior.as_ref())).collect();
    let checks: Vec<Value> = plan.checked.iter().map(|address| check(address, plan)).collect();
    let errored = plan.failed.is_some();
    json!({
        "format_version": "1.2",
        "terraform_version": VERSION,
        "planned_values": { "root_module": {} },
        "resource_changes": changes,
        "output_changes": {},
        "prior_state": plan.prior.as_ref().map(state),
        "configuration": { "root_module": {} },
        "checks": checks,
        "timestamp": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "applyable": plan.changes_anything() && !errored,
        "complete": !plan.targeted && !errored,
        "errored": errored,
    })
}

fn check(address: &str, plan: &Plan) -> Value {
    let failed = plan.failed.as_ref().is_some_and(|(failed, _, _)| failed == address);
    let status = if failed { "fail" } else { "pass" };
    let problems: Vec<Value> =
        plan.failed.iter().filter(|_| failed).map(|(_, _, message)| json!({ "message": message })).collect();
    json!({
        "address": { "kind": "resource", "mode": "managed", "to_display": address, "type": "terraform_data" },
        "status": status,
        "instances": [{ "address": { "to_display": address }, "status": status, "problems": problems }],
    })
}

fn change(change: &Change, prior: Option<&State>) -> Value {
    let before = prior.and_then(|state| state.resources.iter().find(|it| it.address() == change.address()));
    let mut after = Map::new();
    let mut unknown = Map::new();
    let creates = change.actions.contains("create");
    match before {
        Some(before) if !creates => after.insert("id".into(), json!(before.id)),
        _ => unknown.insert("id".into(), json!(true)),
    };
    if change.input.as_deref() == Some(NOW) {
        unknown.insert("input".into(), json!(true));
    } else {
        after.insert("input".into(), json!(change.input));
    }
    if before.is_some_and(|before| before.input == change.input) && !creates || change.input.is_none() {
        after.insert("output".into(), json!(change.input));
    } else {
        unknown.insert("output".into(), json!(true));
    }
    if change.unknown_trigger {
        after.insert("triggers_replace".into(), json!([null]));
        unknown.insert("triggers_replace".into(), json!([true]));
    } else {
        after.insert("triggers_replace".into(), json!(change.trigger.as_ref().map(|text| [text])));
    }
    let deletes = change.actions == "delete";
    let actions: Vec<&str> = change.actions.split('/').collect();
    let mut value = json!({
        "address": change.address(),
        "module_address": change.module,
        "mode": "managed",
        "type": "terraform_data",
        "name": change.name,
        "provider_name": "terraform.io/builtin/terraform",
        "change": {
            "actions": actions,
            "before": before.map(values),
            "after": if deletes { Value::Null } else { Value::Object(after) },
            "after_unknown": if deletes { json!({}) } else { Value::Object(unknown) },
            "before_sensitive": {},
            "after_sensitive": {},
        },
    });
    match change.actions.as_str() {
        "delete/create" => value["action_reason"] = json!("replace_because_cannot_update"),
        "delete" => value["action_reason"] = json!("delete_because_no_resource_config"),
        _ => {}
    }
    value
}
