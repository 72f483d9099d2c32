//! The schemas of OpenAPI 3.0 as JSON Schema, and stricter: what an object does not name, it may not hold.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// Everything that `schema` refers to, in one document with it.
pub fn document(root: &Value, schema: &Value) -> Value {
    let mut wanted = BTreeSet::new();
    let translated = translate(schema);
    let mut open = vec![translated.clone()];
    let mut components = Map::new();
    while let Some(next) = open.pop() {
        let mut found = BTreeSet::new();
        references(&next, &mut found);
        for name in found.into_iter().filter(|name| wanted.insert(name.clone())) {
            let schema = &root["components"]["schemas"][&name];
            assert!(!schema.is_null(), "the description refers to {name} and does not describe it");
            let schema = translate(schema);
            open.push(schema.clone());
            components.insert(name, schema);
        }
    }
    json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "anyOf": [translated],
        "components": { "schemas": components },
    })
}

fn references(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
                found.insert(name.strip_prefix("#/components/schemas/").unwrap().to_owned());
            }
            fields.values().for_each(|inner| references(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}

fn translate(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    // Of OpenAPI 3.0: what stands beside a reference is ignored.
    if let Some(reference) = fields.get("$ref") {
        return json!({ "$ref": reference });
    }
    let mut translated = Map::new();
    for (keyword, value) in fields {
        let value = match keyword.as_str() {
            "properties" => each(value),
            "items" | "not" | "additionalProperties" => translate(value),
            "allOf" | "anyOf" | "oneOf" => {
                Value::from(value.as_array().unwrap().iter().map(translate).collect::<Vec<_>>())
            }
            "type" | "enum" | "required" | "format" | "pattern" | "minimum" | "maximum" | "minLength" | "maxLength"
            | "minItems" | "maxItems" | "uniqueItems" | "minProperties" | "maxProperties" => value.clone(),
            // Words for people, and what JSON Schema does not know.
            _ => continue,
        };
        translated.insert(keyword.clone(), value);
    }
    // GitHub says of itself that fields may be added at any time; the world has no such excuse.
    if translated.contains_key("properties") && !translated.contains_key("allOf") {
        translated.entry("additionalProperties").or_insert(json!(false));
    }
    if fields.get("nullable") == Some(&json!(true)) {
        return json!({ "anyOf": [translated, { "type": "null" }] });
    }
    Value::Object(translated)
}

fn each(properties: &Value) -> Value {
    properties.as_object().unwrap().iter().map(|(name, schema)| (name.clone(), translate(schema))).collect()
}
