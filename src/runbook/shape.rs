//! Holds a parsed file against the JSON Schema: unknown and missing keys, wrong types, values, patterns, ranges,
//! durations. Reports everything it finds and never stops early.

use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::pattern::Pattern;
use super::problem::{Flaw, quoted};
use super::suggest::nearest;

type Object = Map<String, Value>;

/// Everything about `document` that `schema` forbids.
pub fn check(document: &Spanned<DeTable<'_>>, schema: &Value) -> Vec<Flaw> {
    let mut walker = Walker { root: schema, flaws: Vec::new() };
    let place = Place { name: "the runbook".into(), path: String::new() };
    walker.table(&place, resolve(schema, schema), document.get_ref(), document.span());
    walker.flaws
}

/// Where the walker stands, in words.
struct Place {
    /// As it is said in a message: `[airflow]`, ``step `apply` ``, `` `wait` ``.
    name: String,
    /// Dotted keys from the root, to name tables as they are written.
    path: String,
}

struct Walker<'s> {
    root: &'s Value,
    flaws: Vec<Flaw>,
}

impl<'s> Walker<'s> {
    fn value(&mut self, place: &Place, schema: &'s Value, found: &Spanned<DeValue<'_>>) {
        let schema = resolve(self.root, schema);
        let choices = choices(schema);
        if !choices.is_empty() {
            return self.choice(place, &choices, found);
        }
        match (schema.get("type").and_then(Value::as_str), found.get_ref()) {
            (Some("object"), DeValue::Table(table)) => self.table(place, schema, table, found.span()),
            (Some("array"), DeValue::Array(items)) => {
                let Some(of) = schema.get("items") else { return };
                for (index, item) in items.iter().enumerate() {
                    self.value(&item_place(place, index, item), of, item);
                }
            }
            (Some("string"), DeValue::String(text)) => self.text(place, schema, text, found.span()),
            (Some("integer"), DeValue::Integer(number)) => {
                let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
                self.number(place, schema, number, found.span());
            }
            (Some("boolean"), DeValue::Boolean(_)) => {}
            (Some(wanted), other) => self.wrong_type(place, wanted, other, found.span()),
            (None, _) => {}
        }
    }

    fn table(&mut self, place: &Place, schema: &'s Value, table: &DeTable<'_>, span: Range<usize>) {
        let place = &as_table(place);
        let expected = Expected::of(schema, table);
        if let Some((tag, known)) = &expected.tag {
            match table.get(*tag) {
                None => self.missing(place, tag, &format!("one of {}", listed(known)), &span),
                Some(found) => self.choice(&keyed(place, tag), known, found),
            }
        }
        for key in &expected.required {
            if !table.contains_key(*key) && expected.tag.as_ref().is_none_or(|(tag, _)| tag != key) {
                let about = expected.property(key).map(|it| describe(self.root, it)).unwrap_or_default();
                self.missing(place, key, &about, &span);
            }
        }
        for (key, value) in table {
            let name: &str = key.get_ref();
            if expected.tag.as_ref().is_some_and(|(tag, _)| *tag == name) {
                continue;
            }
            match expected.property(name) {
                Some(schema) => self.value(&keyed(place, name), schema, value),
                None => self.unknown(place, &expected, name, key.span()),
            }
        }
    }

    fn missing(&mut self, place: &Place, key: &str, about: &str, span: &Range<usize>) {
        let help = if about.is_empty() { format!("add `{key}`") } else { format!("add `{key}`: {about}") };
        let message = format!("{} has no `{key}`", place.name);
        // The top level has no header to point at.
        let flaw = match place.path.is_empty() {
            true => Flaw::whole(message),
            false => Flaw::new(span.clone(), message).label(format!("`{key}` is missing")),
        };
        self.flaws.push(flaw.help(help));
    }

    fn unknown(&mut self, place: &Place, expected: &Expected<'s>, key: &str, span: Range<usize>) {
        let known: Vec<&str> = expected.keys();
        let top = self.root.get("properties").and_then(Value::as_object);
        let help = if let Some(near) = nearest(key, known.iter().copied()) {
            format!("did you mean `{near}`?")
        } else if let Some(property) = top.and_then(|top| top.get(key)).filter(|_| !place.path.is_empty()) {
            match resolve(self.root, property).get("type").and_then(Value::as_str) {
                Some("object") => format!("`{key}` is a table of the top level: write it as `[{key}]`"),
                _ => format!("`{key}` belongs to the top level: move it above the first `[table]`"),
            }
        } else {
            format!("known here: {}", listed(&known))
        };
        let message = format!("{} has no key {}", place.name, quoted(key));
        self.flaws.push(Flaw::new(span, message).label("unknown key").help(help));
    }

    fn choice(&mut self, place: &Place, known: &[&str], found: &Spanned<DeValue<'_>>) {
        let DeValue::String(text) = found.get_ref() else {
            return self.wrong_type(place, "string", found.get_ref(), found.span());
        };
        if known.contains(&text.as_ref()) {
            return;
        }
        let help = match nearest(text, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("one of {}", listed(known)),
        };
        let message = format!("{} cannot be {}", place.name, quoted(text));
        self.flaws.push(Flaw::new(found.span(), message).label("unknown value").help(help));
    }

    fn text(&mut self, place: &Place, schema: &Value, text: &str, span: Range<usize>) {
        if schema.get("format").and_then(Value::as_str) == Some("duration")
            && let Err(why) = humantime::parse_duration(text)
        {
            let message = format!("{} is not a length of time: {why}", place.name);
            self.flaws.push(Flaw::new(span.clone(), message).help("write it like `90s`, `15m` or `1h 30m`"));
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && !Pattern::parse(pattern).is_some_and(|it| it.matches(text))
        {
            let about = describe(self.root, schema);
            let message = format!("{} cannot be {}", place.name, quoted(text));
            let help = if about.is_empty() { format!("it must match {pattern}") } else { about };
            self.flaws.push(Flaw::new(span, message).label(format!("does not match {pattern}")).help(help));
        }
    }

    /// `number` is none where it does not even fit 64 bits.
    fn number(&mut self, place: &Place, schema: &Value, number: Option<i64>, span: Range<usize>) {
        let least = schema.get("minimum").and_then(Value::as_i64);
        let most = schema.get("maximum").and_then(Value::as_i64);
        let fits = number.is_some_and(|it| least.is_none_or(|least| it >= least) && most.is_none_or(|most| it <= most));
        if !fits {
            let range = match (least, most) {
                (Some(least), Some(most)) if least == most => format!("it must be {least}"),
                (Some(least), Some(most)) => format!("it must be between {least} and {most}"),
                (Some(least), None) => format!("it must be at least {least}"),
                (None, Some(most)) => format!("it must be at most {most}"),
                (None, None) => "it must fit 64 bits".to_owned(),
            };
            self.flaws.push(Flaw::new(span, format!("{} is out of range", place.name)).label(range));
        }
    }

    fn wrong_type(&mut self, place: &Place, wanted: &str, found: &DeValue<'_>, span: Range<usize>) {
        let wanted_words = match wanted {
            "object" => "a table",
            "array" => "a list",
            "string" => "text in quotes",
            "integer" => "a whole number",
            "boolean" => "`true` or `false`",
            other => other,
        };
        let message = format!("{} wants {wanted_words}", place.name);
        let flaw = Flaw::new(span, message).label(format!("this is {}", found_words(found)));
        let help = match (wanted, found) {
            ("array", DeValue::String(_)) => Some("put it into brackets, each item in its own quotes".to_owned()),
            ("array", DeValue::Table(_)) => Some(format!("write it as `[[{}]]`, once for each", place.path)),
            ("object", DeValue::Array(_)) => Some(format!("write it as `[{}]`, once", place.path)),
            ("boolean", DeValue::String(text)) if matches!(text.as_ref(), "true" | "false") => {
                Some("leave the quotes out".to_owned())
            }
            _ => None,
        };
        self.flaws.push(flaw.maybe_help(help));
    }
}

/// What a table may and must hold: its own properties, and those of the variant that its tag chooses.
struct Expected<'s> {
    own: Option<&'s Object>,
    /// All variants where the tag is missing or unknown: then no key can be called wrong that any of them knows.
    variants: Vec<&'s Object>,
    required: Vec<&'s str>,
    tag: Option<(&'s str, Vec<&'s str>)>,
}

impl<'s> Expected<'s> {
    fn of(schema: &'s Value, table: &DeTable<'_>) -> Self {
        let own = schema.get("properties").and_then(Value::as_object);
        let mut required = words(schema.get("required"));
        let mut variants: Vec<&'s Object> = Vec::new();
        let mut tag: Option<(&'s str, Vec<&'s str>)> = None;
        let all = schema.get("oneOf").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut chosen = None;
        for variant in all {
            let Some(properties) = variant.get("properties").and_then(Value::as_object) else { continue };
            variants.push(properties);
            let Some((key, name)) = properties.iter().find_map(|(key, it)| Some((key, it.get("const")?.as_str()?)))
            else {
                continue;
            };
            tag.get_or_insert((key, Vec::new())).1.push(name);
            if table.get(key.as_str()).and_then(|found| found.get_ref().as_str()) == Some(name) {
                chosen = Some((properties, words(variant.get("required"))));
            }
        }
        if let Some((properties, needs)) = chosen {
            variants = vec![properties];
            required.extend(needs);
        }
        Self { own, variants, required, tag }
    }

    fn property(&self, key: &str) -> Option<&'s Value> {
        self.own.into_iter().chain(self.variants.iter().copied()).find_map(|properties| properties.get(key))
    }

    fn keys(&self) -> Vec<&'s str> {
        let mut keys = Vec::new();
        for key in self.own.into_iter().chain(self.variants.iter().copied()).flat_map(Object::keys) {
            if !keys.contains(&key.as_str()) {
                keys.push(key.as_str());
            }
        }
        keys
    }
}

fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
    target.and_then(|path| root.pointer(path)).unwrap_or(schema)
}

/// The words a value may be, where the schema lists them.
fn choices(schema: &Value) -> Vec<&str> {
    let constants = schema
        .get("oneOf")
        .and_then(Value::as_array)
        .map(|all| all.iter().filter_map(|choice| choice.get("const").and_then(Value::as_str)).collect::<Vec<_>>());
    let listed = words(schema.get("enum"));
    constants.into_iter().flatten().chain(listed).collect()
}

fn words(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn describe(root: &Value, schema: &Value) -> String {
    let own = schema.get("description").or_else(|| resolve(root, schema).get("description"));
    own.and_then(Value::as_str).unwrap_or_default().replace('\n', " ")
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn keyed(place: &Place, key: &str) -> Place {
    let path = if place.path.is_empty() { key.to_owned() } else { format!("{}.{key}", place.path) };
    Place { name: quoted(key), path }
}

/// A key that holds a table is called by the table's header.
fn as_table(place: &Place) -> Place {
    let name = if place.name.starts_with('`') && !place.name.starts_with("`[") {
        format!("`[{}]`", place.path)
    } else {
        place.name.clone()
    };
    Place { name, path: place.path.clone() }
}

fn item_place(list: &Place, index: usize, item: &Spanned<DeValue<'_>>) -> Place {
    let number = index + 1;
    let name = match item.get_ref() {
        DeValue::Table(table) if list.path == "step" => match table.get("id").and_then(|id| id.get_ref().as_str()) {
            Some(id) => format!("step {}", quoted(id)),
            None => format!("step {number}"),
        },
        DeValue::Table(_) => format!("`[[{}]]` number {number}", list.path),
        _ => format!("item {number} of {}", list.name),
    };
    Place { name, path: list.path.clone() }
}

fn found_words(found: &DeValue<'_>) -> &'static str {
    match found {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
