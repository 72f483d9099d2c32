//! The printed schema and the loader say the same. The judge here is written after the JSON Schema specification
//! (draft 2020-12), knows nothing of `shape.rs`, and covers the words that `definition.rs` lists.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

use super::*;
use crate::runbook::pattern::Pattern;

/// Whether `value` is valid, and the keys that the schema's properties account for.
fn judge(root: &Value, schema: &Value, value: &Value) -> (bool, BTreeSet<String>) {
    let mut seen = BTreeSet::new();
    let mut ok = true;
    let get = |word: &str| schema.get(word);
    if let Some(path) = get("$ref").and_then(Value::as_str) {
        let (valid, keys) = judge(root, root.pointer(&path[1..]).unwrap(), value);
        ok &= valid;
        seen.extend(keys);
    }
    if let Some(kind) = get("type").and_then(Value::as_str) {
        ok &= match kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            other => panic!("unknown type {other}"),
        };
    }
    ok &= get("const").is_none_or(|it| it == value);
    ok &= get("enum").and_then(Value::as_array).is_none_or(|all| all.contains(value));
    if let (Some(pattern), Some(text)) = (get("pattern").and_then(Value::as_str), value.as_str()) {
        ok &= Pattern::parse(pattern).unwrap().matches(text);
    }
    if let (Some("duration"), Some(text)) = (get("format").and_then(Value::as_str), value.as_str()) {
        ok &= humantime::parse_duration(text).is_ok();
    }
    if let Some(number) = value.as_i64() {
        ok &= get("minimum").and_then(Value::as_i64).is_none_or(|least| number >= least);
        ok &= get("maximum").and_then(Value::as_i64).is_none_or(|most| number <= most);
    }
    if let (Some(items), Some(values)) = (get("items"), value.as_array()) {
        ok &= values.iter().all(|it| judge(root, items, it).0);
    }
    if let Some(choices) = get("oneOf").and_then(Value::as_array) {
        let valid: Vec<_> = choices.iter().map(|it| judge(root, it, value)).filter(|(valid, _)| *valid).collect();
        ok &= valid.len() == 1;
        seen.extend(valid.into_iter().flat_map(|(_, keys)| keys));
    }
    let Some(object) = value.as_object() else { return (ok, seen) };
    for key in get("required").and_then(Value::as_array).into_iter().flatten() {
        ok &= object.contains_key(key.as_str().unwrap());
    }
    let own: BTreeSet<String> =
        get("properties").and_then(Value::as_object).into_iter().flat_map(|it| it.keys().cloned()).collect();
    for key in own.iter().filter(|key| object.contains_key(*key)) {
        ok &= judge(root, &schema["properties"][key], &object[key]).0;
    }
    seen.extend(own.iter().cloned());
    if get("additionalProperties") == Some(&Value::Bool(false)) {
        ok &= object.keys().all(|key| own.contains(key));
    }
    if get("unevaluatedProperties") == Some(&Value::Bool(false)) {
        ok &= object.keys().all(|key| seen.contains(key));
    }
    (ok, seen)
}

static PRINTED: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&crate::runbook::document::render_schema()).unwrap());

/// Both answers about one text: of the printed schema, and of the loader's shape check.
fn both(text: &str) -> (bool, bool) {
    let value: Value = serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap();
    let document = DeTable::parse(text).unwrap();
    (judge(&PRINTED, &PRINTED, &value).0, shape::check(&document, definition::schema()).is_empty())
}

#[test]
fn schema_and_loader_agree_on_samples() {
    let valid = [
        ("", ""),
        ("alone = true", "alone = false"),
        ("[[step]]", "[github]\nrepository = \"a/b\"\n[[step]]"),
        ("kind = \"manual\"", "kind = \"manual\"\ngate = true\nnote = \"n\""),
        ("kind = \"manual\"\ntitle = \"Look\"\ninstructions", "kind = \"shell\"\nrun = [\"a\"]\ntitle"),
        ("kind = \"manual\"\ntitle = \"Look\"\ninstructions", "kind = \"bump\"\ntag = \"pin\"\ntitle"),
        ("kind = \"manual\"\ntitle = \"Look\"\ninstructions", "kind = \"image-ready\"\nwait = \"1h 30m\"\ntitle"),
    ];
    let invalid = [
        ("format = 1\n", ""),
        ("format = 1", "format = 0"),
        ("format = 1", "format = \"1\""),
        ("format = 1", "format = 1.0"),
        ("title = \"Little\"", "title = 1979-05-27"),
        ("alone = true", "alone = \"true\""),
        ("alone = true", "alone = true\nother = 1"),
        ("[[step]]", "[step]"),
        ("[[step]]", "[github]\nrepository = \"a\"\n[[step]]"),
        ("[[step]]", "[github]\nrepository = \"a/b\"\nrepo = \"a/b\"\n[[step]]"),
        ("[[step]]", "[registry]\nimage = [\"a\"]\n[[step]]"),
        ("id = \"look\"", "id = \"Look\""),
        ("id = \"look\"\n", ""),
        ("kind = \"manual\"\n", ""),
        ("kind = \"manual\"", "kind = \"manuel\""),
        ("kind = \"manual\"", "kind = 1"),
        ("kind = \"manual\"", "kind = \"apply\""),
        ("kind = \"manual\"", "kind = \"manual\"\nof = \"x\""),
        ("kind = \"manual\"", "kind = \"manual\"\ngate = 1"),
        ("instructions = \"Look.\"", ""),
        ("kind = \"manual\"\ntitle = \"Look\"\ninstructions", "kind = \"bump\"\ntag = \"pun\"\ntitle"),
        ("kind = \"manual\"\ntitle = \"Look\"\ninstructions", "kind = \"shell\"\nrun = [1]\ntitle"),
        ("kind = \"manual\"\ntitle = \"Look\"\ninstructions", "kind = \"image-ready\"\nwait = \"30\"\ntitle"),
    ];
    assert_eq!(both(PROD), (true, true));
    for (samples, expected) in [(&valid[..], true), (&invalid[..], false)] {
        for (from, to) in samples {
            assert!(LITTLE.contains(from), "{from}");
            let text = LITTLE.replacen(from, to, 1);
            // A replaced `instructions` leaves its text behind as a second title.
            let text = text.replace("title = \"Look.\"", "title = \"x\"");
            assert_eq!(both(&text), (expected, expected), "{to}:\n{text}");
            assert!(expected || load("x", file(), &text).is_err(), "{to}");
        }
    }
}

/// Taking away or spoiling any single line of prod, both must still agree.
#[test]
fn schema_and_loader_agree_on_prod_with_one_line_changed() {
    let lines: Vec<&str> = PROD.lines().collect();
    let mut judged = 0;
    for at in 0..lines.len() {
        let Some((key, _)) = lines[at].split_once(" = ") else { continue };
        for with in
            ["", &format!("{key} = 1"), &format!("{key} = \"x\""), &format!("{key}x = true"), &format!("{key} = []")]
        {
            let mut changed = lines.clone();
            changed[at] = with;
            let text = changed.join("\n");
            if DeTable::parse(&text).is_err() {
                continue;
            }
            let (schema, loader) = both(&text);
            assert_eq!(schema, loader, "line {}: {with}", at + 1);
            judged += 1;
        }
    }
    assert!(judged > 200, "{judged}");
}
