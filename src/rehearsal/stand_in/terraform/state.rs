//! Terraform's state file, version 4, for `terraform_data` with string values.

use std::path::Path;

use serde_json::{Value, json};

use super::super::Failure;

/// One resource that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Existing {
    pub(super) module: String,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) input: Option<String>,
    pub(super) trigger: Option<String>,
}

impl Existing {
    pub(super) fn address(&self) -> String {
        format!("{}.terraform_data.{}", self.module, self.name)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) serial: u64,
    pub(super) lineage: String,
    pub(super) resources: Vec<Existing>,
}

pub(super) fn read(directory: &Path) -> Result<State, Failure> {
    let bytes = match std::fs::read(directory.join("terraform.tfstate")) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(State { serial: 0, lineage: new_id()?, resources: Vec::new() });
        }
        Err(error) => return Err(error.into()),
    };
    let value: Value = serde_json::from_slice(&bytes)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let resources = value["resources"].as_array().into_iter().flatten().filter_map(|it| {
        let attributes = &it["instances"][0]["attributes"];
        Some(Existing {
            module: text(&it["module"])?,
            name: text(&it["name"])?,
            id: text(&attributes["id"])?,
            input: text(&attributes["input"]["value"]),
            trigger: text(&attributes["triggers_replace"]["value"][0]),
        })
    });
    let lineage = text(&value["lineage"]).unwrap_or_default();
    Ok(State { serial: value["serial"].as_u64().unwrap_or(0), lineage, resources: resources.collect() })
}

/// Written beside and renamed, so that a reader never sees half of it.
pub(super) fn write(directory: &Path, state: &mut State) -> Result<(), Failure> {
    state.serial += 1;
    let typed = |value: &Option<String>| value.as_ref().map(|text| json!({ "value": text, "type": "string" }));
    let resources: Vec<Value> = state
        .resources
        .iter()
        .map(|it| {
            let trigger = it.trigger.as_ref().map(|text| json!({ "value": [text], "type": ["tuple", ["string"]] }));
            let attributes = json!({
                "id": it.id, "input": typed(&it.input), "output": typed(&it.input), "triggers_replace": trigger });
            json!({
                "module": it.module,
                "mode": "managed",
                "type": "terraform_data",
                "name": it.name,
                "provider": "provider[\"terraform.io/builtin/terraform\"]",
                "instances": [{ "schema_version": 0, "attributes": attributes, "sensitive_attributes": [] }],
            })
        })
        .collect();
    let value = json!({
        "version": 4,
        "terraform_version": super::VERSION,
        "serial": state.serial,
        "lineage": state.lineage,
        "outputs": {},
        "resources": resources,
        "check_results": null,
    });
    let beside = directory.join(".terraform.tfstate.new");
    std::fs::write(&beside, serde_json::to_vec_pretty(&value)?)?;
    std::fs::rename(beside, directory.join("terraform.tfstate"))?;
    Ok(())
}

/// A random id in the form of a UUID.
pub(super) fn new_id() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}
