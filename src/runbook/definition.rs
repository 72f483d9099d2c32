//! The JSON Schema of a runbook, generated from `schema.rs`: `shape.rs` checks files against it, `runbook schema` prints
//! it.
//!
//! Generating it takes longer than all else that `runbook check` does, so the program holds the generated text
//! (`schema.json`, which editors can use as well); a test keeps it up to date.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::schema::Runbook;

/// [`generated`], as this program's source holds it.
const STORED: &str = include_str!("schema.json");

/// The schema as a value. Made once.
pub fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| serde_json::from_str(STORED).unwrap_or_else(|_| generated()))
}

/// The schema of the types as they are now.
fn generated() -> Value {
    let mut schema = schemars::schema_for!(Runbook).to_value();
    tidy(&mut schema);
    schema
}

/// The schema as pretty JSON, with a newline at its end.
pub fn render_schema() -> String {
    format!("{:#}\n", generated())
}

/// What schemars cannot know: TOML has no null, and a step has no keys beyond its own and its kind's.
fn tidy(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(object) => {
            object.values_mut().for_each(tidy);
            drop_null(object);
            if object.contains_key("oneOf") && object.contains_key("properties") {
                object.insert("unevaluatedProperties".into(), false.into());
            }
        }
        _ => {}
    }
}

fn drop_null(object: &mut Map<String, Value>) {
    let is_null = |schema: &Value| schema.get("type").and_then(Value::as_str) == Some("null");
    if object.get("default").is_some_and(Value::is_null) {
        object.shift_remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| !is_null(choice));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            object.shift_remove("anyOf");
            object.extend(only);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::pattern::Pattern;

    fn visit<'a>(value: &'a Value, see: &mut dyn FnMut(&'a Map<String, Value>)) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
            Value::Object(object) => {
                see(object);
                object.values().for_each(|item| visit(item, see));
            }
            _ => {}
        }
    }

    #[test]
    fn the_stored_schema_is_the_generated_one() {
        let path = "src/runbook/schema.json";
        assert!(STORED == render_schema(), "run: cargo run -- runbook schema > {path}.new && mv {path}.new {path}");
    }

    #[test]
    fn every_word_of_the_schema_is_one_that_the_loader_judges() {
        // Names of properties are met here as well, hence only words that no property has.
        let unknown = [
            "allOf",
            "not",
            "if",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "uniqueItems",
            "multipleOf",
            "patternProperties",
            "prefixItems",
            "contains",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "anyOf",
            "dependentRequired",
            "propertyNames",
        ];
        let mut patterns = 0;
        visit(schema(), &mut |object| {
            for word in unknown {
                assert!(!object.contains_key(word), "teach shape.rs the word {word}: {object:?}");
            }
            if let Some(Value::String(pattern)) = object.get("pattern") {
                assert!(Pattern::parse(pattern).is_some(), "teach pattern.rs {pattern}");
                patterns += 1;
            }
            if let Some(Value::String(format)) = object.get("format") {
                assert!(matches!(format.as_str(), "duration" | "uint32"), "teach shape.rs the format {format}");
            }
            if let Some(Value::Array(types)) = object.get("type") {
                panic!("teach shape.rs several types at once: {types:?}");
            }
        });
        assert!(patterns >= 2);
    }

    #[test]
    fn nothing_is_null_and_every_table_is_closed() {
        let text = render_schema();
        assert!(!text.contains("null"), "{text}");
        visit(schema(), &mut |object| {
            let table = object.get("type").and_then(Value::as_str) == Some("object");
            let variant = object.get("properties").and_then(|all| all.pointer("/kind/const")).is_some();
            if table && !variant {
                let closed = object.get("additionalProperties").or_else(|| object.get("unevaluatedProperties"));
                assert_eq!(closed, Some(&Value::Bool(false)), "{object:?}");
            }
        });
        assert!(text.ends_with("}\n"));
    }
}
