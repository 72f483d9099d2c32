//! The JSON Schema of a runbook, generated from `schema.rs`: `shape.rs` checks files against it, `runbook schema` prints
//! it.
//!
//! Generating it takes longer than all else that `runbook check` does, so the program holds the generated text
//! (`schema.json`, which editors can use as well); a test keeps it up to date.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::schema::Runbook;

/// [`generated`], as this program's source holds it.
const STORED: &str = include_str!("schema.json");

/// The words of JSON Schema that `schema.rs` uses; `shape.rs` judges by each of them. A struct and not a
/// [`serde_json::Value`]: its maps would be most of the time that a check takes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Schema<'s> {
    #[serde(rename = "$ref")]
    pub reference: Option<&'s str>,
    #[serde(rename = "type")]
    pub kind: Option<&'s str>,
    #[serde(borrow)]
    pub description: Option<Cow<'s, str>>,
    #[serde(rename = "const")]
    pub constant: Option<&'s str>,
    #[serde(rename = "enum")]
    pub words: Vec<&'s str>,
    pub format: Option<&'s str>,
    #[serde(borrow)]
    pub pattern: Option<Cow<'s, str>>,
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    #[serde(borrow)]
    pub items: Option<Box<Schema<'s>>>,
    #[serde(borrow)]
    pub one_of: Vec<Schema<'s>>,
    pub required: Vec<&'s str>,
    #[serde(borrow)]
    pub properties: Properties<'s>,
    #[serde(borrow, rename = "$defs")]
    definitions: Properties<'s>,
}

impl<'s> Schema<'s> {
    /// What `schema`, a part of this one, refers to; itself where it refers to nothing.
    pub fn resolve<'a>(&'a self, schema: &'a Schema<'s>) -> &'a Schema<'s> {
        let target = schema.reference.and_then(|path| path.strip_prefix("#/$defs/"));
        target.and_then(|name| self.definitions.get(name)).unwrap_or(schema)
    }
}

/// Schemas by name, in their order; so few that a search is quicker than a map.
#[derive(Debug, Default)]
pub struct Properties<'s>(pub Vec<(&'s str, Schema<'s>)>);

impl<'s> Properties<'s> {
    pub fn get(&self, name: &str) -> Option<&Schema<'s>> {
        self.0.iter().find(|(key, _)| *key == name).map(|(_, schema)| schema)
    }
}

impl<'de: 's, 's> Deserialize<'de> for Properties<'s> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<'s>(PhantomData<&'s ()>);
        impl<'de: 's, 's> Visitor<'de> for Pairs<'s> {
            type Value = Properties<'s>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("schemas by name")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Properties(pairs))
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

/// The schema that files are held against. Read once.
pub fn schema() -> &'static Schema<'static> {
    static SCHEMA: OnceLock<Schema<'static>> = OnceLock::new();
    SCHEMA.get_or_init(|| match serde_json::from_str(STORED) {
        Ok(schema) => schema,
        // A part of this program, and its tests read it: checking against nothing would be worse than stopping.
        Err(error) => unreachable!("the stored schema cannot be read: {error}"),
    })
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
        visit(&generated(), &mut |object| {
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
        visit(&generated(), &mut |object| {
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
