//! Which image tag Terraform's state names. Values may be secret, so nothing but tags leaves this file.

use serde_json::Value;

use crate::facts::RunningFact;
use crate::runbook::schema::{Infrastructure, ReleaseShape, StateSource};

/// What the state says runs: at the configured place, else as the one tag that is found under the version's module.
///
/// # Errors
/// Why it is not known, in one sentence.
pub fn from_state(json: &[u8], shape: &ReleaseShape, infrastructure: &Infrastructure) -> Result<RunningFact, String> {
    let state: Value = serde_json::from_slice(json)
        .map_err(|error| format!("could not read Terraform's state: it is not JSON ({error})"))?;
    let (tags, source) = match &infrastructure.running {
        Some(place) => (configured(&state, shape, place)?, format!("{place} in Terraform's state")),
        None => (tags_below(&state, shape, &infrastructure.version.block), "Terraform's state".to_owned()),
    };
    match tags.as_slice() {
        [tag] => Ok(RunningFact { tag: tag.clone(), certain: true, source }),
        [] => Err(format!("{source} names no image tag, so what runs now is only inferred")),
        several => {
            let list = several.join(", ");
            Err(format!("{source} names several image tags ({list}), so what runs now is only inferred"))
        }
    }
}

/// Tags in the value at the configured place.
fn configured(state: &Value, shape: &ReleaseShape, place: &StateSource) -> Result<Vec<String>, String> {
    let value = match (&place.output, &place.address, &place.attribute) {
        (Some(output), ..) => {
            ["/values/outputs", "/outputs"].iter().find_map(|root| state.pointer(root)?.get(output)?.get("value"))
        }
        (None, Some(address), Some(attribute)) => resources(state)
            .into_iter()
            .find(|resource| resource.address == *address)
            .and_then(|resource| attribute.split('.').try_fold(resource.values, |value, key| value.get(key))),
        _ => None,
    };
    let value = value.ok_or_else(|| format!("Terraform's state has no {place}, so what runs now is only inferred"))?;
    Ok(sorted(|take| strings_in(value, take), shape))
}

/// Distinct image tags under the resources of the version's module, sorted.
fn tags_below(state: &Value, shape: &ReleaseShape, block: &[String]) -> Vec<String> {
    let module = match block {
        [kind, name] if kind == "module" => Some(format!("module.{name}")),
        _ => None,
    };
    let within = |address: &str| {
        module.as_deref().is_none_or(|module| {
            address.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    };
    sorted(
        |take| {
            for resource in resources(state).iter().filter(|resource| within(&resource.module)) {
                strings_in(resource.values, take);
            }
        },
        shape,
    )
}

fn sorted(each: impl FnOnce(&mut dyn FnMut(&str)), shape: &ReleaseShape) -> Vec<String> {
    let mut tags = Vec::new();
    each(&mut |text| tags.extend(shape.image_tags_in(text)));
    tags.sort();
    tags.dedup();
    tags
}

/// A managed resource that is there: a deposed object waits for its destruction, and a data source says nothing of what
/// was applied.
struct Resource<'a> {
    module: String,
    address: String,
    values: &'a Value,
}

/// Reads `terraform show -json` and a raw version 4 state alike.
fn resources(state: &Value) -> Vec<Resource<'_>> {
    let mut found = Vec::new();
    if let Some(root) = state.pointer("/values/root_module") {
        shown(root, &mut found);
    }
    for resource in array(state, "resources").filter(|resource| resource["mode"] == "managed") {
        let text = |key: &str| resource[key].as_str().unwrap_or_default();
        let module = text("module").to_owned();
        let prefix = if module.is_empty() { String::new() } else { format!("{module}.") };
        let address = format!("{prefix}{}.{}", text("type"), text("name"));
        for instance in array(resource, "instances").filter(|instance| instance.get("deposed").is_none()) {
            let key = instance.get("index_key").map(|key| format!("[{key}]")).unwrap_or_default();
            let address = format!("{address}{key}");
            found.push(Resource { module: module.clone(), address, values: &instance["attributes"] });
        }
    }
    found
}

fn shown<'a>(module: &'a Value, found: &mut Vec<Resource<'a>>) {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    for resource in array(module, "resources") {
        if resource["mode"] != "data" && resource.get("deposed_key").is_none() {
            let (module, address) = (text(module, "address"), text(resource, "address"));
            found.push(Resource { module, address, values: &resource["values"] });
        }
    }
    array(module, "child_modules").for_each(|child| shown(child, found));
}

fn array<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn strings_in(value: &Value, take: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => take(text),
        Value::Array(items) => items.iter().for_each(|item| strings_in(item, take)),
        Value::Object(map) => map.values().for_each(|item| strings_in(item, take)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OLD: &str = "rel-2024.06.13.17.07.54";
    const NEW: &str = "rel-2024.08.22.20.53.01";

    fn shape() -> ReleaseShape {
        ReleaseShape { git_prefix: "catalog-".into(), image_prefix: "rel-".into() }
    }

    fn read(state: &Value, running: Option<StateSource>) -> Result<RunningFact, String> {
        let prod: crate::runbook::Runbook = toml::from_str(include_str!("../../../runbooks/prod.toml")).unwrap();
        let infrastructure = Infrastructure { running, ..prod.infrastructure.unwrap() };
        from_state(state.to_string().as_bytes(), &shape(), &infrastructure)
    }

    fn tag(state: &Value) -> String {
        let fact = read(state, None).unwrap();
        assert!(fact.certain);
        fact.tag
    }

    fn shown(resources: Value) -> Value {
        json!({"format_version": "1.0", "values": {
        "outputs": {"catalog_tag": {"value": NEW}},
        "root_module": {
        "resources": [{"mode": "managed", "values": {"input": "rel-2020.01.01.00.00.00"}}],
        "child_modules": [
            {"address": "module.catalog-airflow", "resources": [], "child_modules": [
                {"address": "module.catalog-airflow.module.instance", "resources": resources}]},
            {"address": "module.catalog-airflow-staging",
             "resources": [{"mode": "managed", "values": {"input": "rel-2021.01.01.00.00.00"}}]}
        ]}}})
    }

    fn raw() -> Value {
        json!({"version": 4, "outputs": {"catalog_tag": {"value": NEW}}, "resources": [
            {"module": "module.catalog-airflow", "mode": "managed", "type": "aws_instance", "name": "it",
             "instances": [{"index_key": "a", "attributes": {"tags": {"version": format!("ghcr.io/o/c:{OLD}")}}}]},
            {"module": "module.other", "mode": "managed", "instances": [{"attributes": {"input": NEW}}]},
        ]})
    }

    #[test]
    fn the_state_as_terraform_shows_it_is_read_below_the_module_only() {
        let state = shown(json!([
            {"mode": "managed", "values": {"user_data": format!("docker run image:{OLD}\n"), "size": 3, "x": [{"y": OLD}]}},
            {"mode": "managed", "deposed_key": "ab", "values": {"input": "rel-2019.01.01.00.00.00"}},
            {"mode": "data", "values": {"tag": NEW}},
        ]));
        assert_eq!(tag(&state), OLD);
    }

    #[test]
    fn a_raw_state_file_is_read_as_well() {
        assert_eq!(tag(&raw()), OLD);
    }

    #[test]
    fn several_tags_or_none_are_not_certain() {
        let with = |values: Value| shown(json!([{"mode": "managed", "values": values}]));
        assert!(read(&with(json!({})), None).unwrap_err().contains("no image tag"));
        // As on AWS, where the state may hold user data as a hash.
        assert!(read(&with(json!({"user_data": "5d41402abc4b2a76b9719d911017c592"})), None).is_err());
        assert!(read(&with(json!({"a": OLD, "b": NEW})), None).unwrap_err().contains(NEW));
    }

    #[test]
    fn a_configured_place_is_read_and_no_other() {
        let output = || Some(StateSource { output: Some("catalog_tag".into()), address: None, attribute: None });
        let attribute = |address: &str, attribute: &str| {
            Some(StateSource { output: None, address: Some(address.into()), attribute: Some(attribute.into()) })
        };
        for state in [raw(), shown(json!([]))] {
            let fact = read(&state, output()).unwrap();
            assert_eq!((fact.tag.as_str(), fact.source.as_str()), (NEW, "output catalog_tag in Terraform's state"));
        }
        let address = "module.catalog-airflow.aws_instance.it[\"a\"]";
        assert_eq!(read(&raw(), attribute(address, "tags.version")).unwrap().tag, OLD);
        let state = shown(json!([{"mode": "managed", "address": "module.catalog-airflow.module.instance.x.y",
            "values": {"tags": {"version": OLD}}}]));
        assert_eq!(
            read(&state, attribute("module.catalog-airflow.module.instance.x.y", "tags.version")).unwrap().tag,
            OLD
        );
        for (place, says) in [
            (attribute(address, "tags.name"), "no attribute tags.name"),
            (attribute("x.y", "tags.version"), "no attribute tags.version of x.y"),
            (Some(StateSource { output: Some("other".into()), address: None, attribute: None }), "no output other"),
        ] {
            let error = read(&raw(), place).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn what_is_no_json_says_so_without_its_text() {
        let prod: crate::runbook::Runbook = toml::from_str(include_str!("../../../runbooks/prod.toml")).unwrap();
        let error = from_state(b"secret! not json", &shape(), &prod.infrastructure.unwrap()).unwrap_err();
        assert!(error.contains("not JSON") && !error.contains("secret"), "{error}");
    }
}
