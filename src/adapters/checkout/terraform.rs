//! What Terraform's plan says: parsed from `terraform show -json`, and the words of a failed one.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// One resource change of a plan, no-ops and reads left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChange {
    pub address: String,
    /// Terraform's actions joined by `/`: `update`, `delete/create`, …; `import` and `move` where that is all.
    pub actions: String,
    /// `replace_because_cannot_update` and the like, where given.
    pub reason: Option<String>,
}

/// What `terraform show -json PLANFILE` says, as far as a decision needs it. Holds no attribute values: they may be
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub changes: Vec<PlannedChange>,
    /// Resources that Terraform found changed outside of it.
    pub drift: Vec<PlannedChange>,
    /// Names of changed outputs.
    pub outputs: Vec<String>,
    /// Checks whose status is not `pass`: address, status.
    pub checks: Vec<(String, String)>,
    pub errored: bool,
    pub complete: bool,
    /// SHA-256 over the semantic parts (values included, timestamp left out).
    pub digest: String,
    pub terraform_version: String,
}

/// Reads a plan's JSON (format 1.x, <https://developer.hashicorp.com/terraform/internals/json-format>). The digest
/// covers resource changes other than no-op and read, output changes, checks, `errored` and `complete`, whatever their
/// order.
///
/// # Errors
/// A sentence where this is not such a plan. No value of the plan occurs in it.
pub fn parse_plan(show_json: &[u8]) -> Result<Plan, String> {
    let plan: Value = serde_json::from_slice(show_json)
        .map_err(|error| format!("not JSON (line {}, column {})", error.line(), error.column()))?;
    let version = text(&plan, "format_version").ok_or("no `format_version`: not Terraform's plan format")?;
    if version.split('.').next() != Some("1") {
        return Err(format!("plan format {version} is newer than this program understands; update it"));
    }
    if !plan.get("terraform_version").is_some_and(Value::is_string) || plan.get("configuration").is_none() {
        return Err("no `configuration`: this is a state, not a plan".into());
    }
    let changed: Vec<&Value> = list(&plan, "resource_changes").filter(|change| acts(change)).collect();
    let outputs: Vec<(&String, &Value)> = plan
        .get("output_changes")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, change)| actions(change) != ["no-op"])
        .collect();
    // Older versions say neither: they write no plan that errored, and do not tell an incomplete one.
    let errored = plan.get("errored").and_then(Value::as_bool).unwrap_or(false);
    let complete = plan.get("complete").and_then(Value::as_bool).unwrap_or(true);
    let mut digest = Sha256::new();
    for part in sorted(changed.iter().map(|change| canonical(change))) {
        absorb(&mut digest, "change", &part);
    }
    for part in sorted(outputs.iter().map(|(name, change)| format!("{name:?}:{}", canonical(change)))) {
        absorb(&mut digest, "output", &part);
    }
    for part in sorted(list(&plan, "checks").map(canonical_check)) {
        absorb(&mut digest, "check", &part);
    }
    absorb(&mut digest, "errored", &errored.to_string());
    absorb(&mut digest, "complete", &complete.to_string());
    let checks = list(&plan, "checks")
        .filter_map(|check| {
            let status = text(check, "status").unwrap_or("unknown");
            let address = check.pointer("/address/to_display").and_then(Value::as_str).unwrap_or("?");
            (status != "pass").then(|| (address.to_owned(), status.to_owned()))
        })
        .collect();
    Ok(Plan {
        changes: changed.into_iter().map(planned).collect(),
        drift: list(&plan, "resource_drift").filter(|change| acts(change)).map(planned).collect(),
        outputs: outputs.into_iter().map(|(name, _)| name.clone()).collect(),
        checks,
        errored,
        complete,
        digest: hex(&digest.finalize()),
        terraform_version: text(&plan, "terraform_version").unwrap_or_default().to_owned(),
    })
}

fn planned(change: &Value) -> PlannedChange {
    let mut address = text(change, "address").unwrap_or("?").to_owned();
    if let Some(deposed) = text(change, "deposed") {
        address = format!("{address} (deposed {deposed})");
    }
    let actions = match change.get("change").map(actions).unwrap_or_default()[..] {
        ["no-op"] if imports(change) => "import".into(),
        ["no-op"] => "move".into(),
        ref actions => actions.join("/"),
    };
    PlannedChange { address, actions, reason: text(change, "action_reason").map(Into::into) }
}

/// Changes the world or the state. An import or a move is a "no-op" with a consequence for the state.
fn acts(change: &Value) -> bool {
    match change.get("change").map(actions).unwrap_or_default()[..] {
        ["read"] => false,
        ["no-op"] => {
            let earlier = text(change, "previous_address");
            imports(change) || earlier.is_some_and(|earlier| text(change, "address") != Some(earlier))
        }
        _ => true,
    }
}

fn imports(change: &Value) -> bool {
    change.pointer("/change/importing").is_some_and(|importing| !importing.is_null())
}

fn actions(change: &Value) -> Vec<&str> {
    change.get("actions").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn sorted(parts: impl Iterator<Item = String>) -> Vec<String> {
    let mut parts: Vec<String> = parts.collect();
    parts.sort_unstable();
    parts
}

/// With lengths, so no two different lists of parts look the same.
fn absorb(digest: &mut Sha256, kind: &str, part: &str) {
    digest.update(format!("{kind} {}\n", part.len()));
    digest.update(part);
}

/// A check's instances come in no promised order.
fn canonical_check(check: &Value) -> String {
    let instances = sorted(list(check, "instances").map(canonical));
    let address = check.get("address").map(canonical).unwrap_or_default();
    format!("{address} {:?} {instances:?}", text(check, "status"))
}

/// JSON with its keys in order.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let parts =
                sorted(map.iter().map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value))));
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lines of a failed plan that explain it: from the first error on, without box drawing, at most `count`.
pub(super) fn explain(output: &str, count: usize) -> Vec<String> {
    let plain = console::strip_ansi_codes(output);
    let lines: Vec<String> = plain
        .lines()
        .map(|line| line.trim_start_matches(['╷', '│', '╵', '├', '─', '\u{2574}', ' ']).trim_end().to_owned())
        .filter(|line| !line.is_empty())
        .collect();
    match lines.iter().position(|line| line.starts_with("Error:")) {
        Some(first) => lines[first..].iter().take(count).cloned().collect(),
        None => lines[lines.len().saturating_sub(count)..].to_vec(),
    }
}

/// `arguments` put in front of what the variable holds already, in the shell-like words Terraform splits it into.
pub(super) fn cli_arguments(existing: Option<&str>, arguments: &[String]) -> String {
    let quoted = arguments.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''")));
    existing
        .filter(|text| !text.trim().is_empty())
        .map(Into::into)
        .into_iter()
        .chain(quoted)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan() -> Value {
        json!({
            "format_version": "1.2", "terraform_version": "1.11.4", "timestamp": "2026-01-01T00:00:00Z",
            "configuration": {}, "errored": false, "complete": false,
            "resource_changes": [
                {"address": "a.a", "change": {"actions": ["delete", "create"], "before": {"x": 1}, "after": {"x": 2, "password": "hunter2"}},
                 "action_reason": "replace_because_cannot_update"},
                {"address": "a.b", "change": {"actions": ["no-op"]}},
                {"address": "data.c", "change": {"actions": ["read"]}},
                {"address": "a.d", "deposed": "ab12", "change": {"actions": ["delete"]}},
                {"address": "a.i", "change": {"actions": ["no-op"], "importing": {"id": "i"}}},
                {"address": "a.new", "previous_address": "a.old", "change": {"actions": ["no-op"]}},
            ],
            "resource_drift": [{"address": "a.z", "change": {"actions": ["update"]}}],
            "output_changes": {"o": {"actions": ["update"], "before": 1, "after": 2}, "same": {"actions": ["no-op"]}},
            "checks": [
                {"address": {"to_display": "check.c"}, "status": "fail", "instances": [{"status": "fail"}, {"status": "pass"}]},
                {"address": {"to_display": "a.a"}, "status": "pass"},
            ],
        })
    }

    fn parse(plan: &Value) -> Plan {
        parse_plan(plan.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn says_what_changes_and_no_value() {
        let plan = parse(&plan());
        let said: Vec<_> = plan.changes.iter().map(|it| (it.address.as_str(), it.actions.as_str())).collect();
        let wanted = [("a.a", "delete/create"), ("a.d (deposed ab12)", "delete"), ("a.i", "import"), ("a.new", "move")];
        assert_eq!(said, wanted);
        assert_eq!(plan.changes[0].reason.as_deref(), Some("replace_because_cannot_update"));
        assert_eq!((plan.drift.len(), &plan.outputs[..]), (1, &["o".to_owned()][..]));
        assert_eq!(plan.checks, [("check.c".to_owned(), "fail".to_owned())]);
        assert!(!plan.errored && !plan.complete);
        assert!(!serde_json::to_string(&plan).unwrap().contains("hunter2"));
    }

    #[test]
    fn the_digest_is_over_meaning_not_order_or_time() {
        let base = parse(&plan()).digest;
        let mut same = plan();
        same["timestamp"] = json!("2027-01-01T00:00:00Z");
        same["resource_changes"].as_array_mut().unwrap().reverse();
        same["checks"].as_array_mut().unwrap().reverse();
        same["checks"][1]["instances"].as_array_mut().unwrap().reverse();
        same["resource_changes"]
            .as_array_mut()
            .unwrap()
            .push(json!({"address": "x", "change": {"actions": ["no-op"]}}));
        same["resource_changes"][5]["change"]["after"] = json!({"password": "hunter2", "x": 2});
        assert_eq!(parse(&same).digest, base);
        let edits: [(&str, Value); 7] = [
            ("/resource_changes/0/change/after/password", json!("hunter3")),
            ("/resource_changes/0/change/actions", json!(["create", "delete"])),
            ("/resource_changes/0/address", json!("a.q")),
            ("/output_changes/o/after", json!(3)),
            ("/checks/0/status", json!("pass")),
            ("/errored", json!(true)),
            ("/complete", json!(true)),
        ];
        for (pointer, value) in edits {
            let mut other = plan();
            *other.pointer_mut(pointer).unwrap() = value;
            assert_ne!(parse(&other).digest, base, "{pointer}");
        }
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for (text, why) in [
            ("<html>", "not JSON"),
            ("{}", "format_version"),
            (r#"{"format_version":"2.0"}"#, "newer"),
            (r#"{"format_version":"1.0","terraform_version":"1.11.4","values":{}}"#, "a state"),
        ] {
            let error = parse_plan(text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_failed_plan_is_explained_from_its_error_on() {
        let output = "x: Refreshing...\n\x1b[31m╷\x1b[0m\n│ \x1b[31mError: \x1b[0mResource precondition failed\n│ \n\
                      │   on main.tf line 6\n│     ├────────────────\n│ set running_dags_cleared\n╵\nerror: Recipe failed\n";
        let wanted = [
            "Error: Resource precondition failed",
            "on main.tf line 6",
            "set running_dags_cleared",
            "error: Recipe failed",
        ];
        assert_eq!(explain(output, 20), wanted);
        assert_eq!(explain("a\nb\nc\n", 2), ["b", "c"]);
    }

    #[test]
    fn arguments_are_added_to_those_of_the_environment() {
        let ours = ["-out=/a b/p".to_owned()];
        assert_eq!(cli_arguments(Some("-parallelism=2"), &ours), "-parallelism=2 '-out=/a b/p'");
        assert_eq!(cli_arguments(None, &ours), "'-out=/a b/p'");
    }
}
