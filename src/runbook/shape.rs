//! Holds a parsed file against the JSON Schema: unknown and missing keys, wrong types, values, patterns, ranges,
//! durations. Reports everything it finds and never stops early.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::definition::{Properties, Schema};
use super::pattern::Pattern;
use super::problem::{Flaw, quoted};
use super::suggest::nearest;

/// Everything about `document` that `schema` forbids.
pub fn check(document: &Spanned<DeTable<'_>>, schema: &Schema<'_>) -> Vec<Flaw> {
    let mut walker = Walker { root: schema, flaws: Vec::new() };
    let place = Place { name: "the runbook".into(), path: String::new() };
    walker.table(&place, schema.resolve(schema), document.get_ref(), document.span());
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
    root: &'s Schema<'s>,
    flaws: Vec<Flaw>,
}

impl<'s> Walker<'s> {
    fn value(&mut self, place: &Place, schema: &'s Schema<'s>, found: &Spanned<DeValue<'_>>) {
        let schema = self.root.resolve(schema);
        let choices = choices(schema);
        if !choices.is_empty() {
            return self.choice(place, &choices, found);
        }
        match (schema.kind, found.get_ref()) {
            (Some("object"), DeValue::Table(table)) => self.table(place, schema, table, found.span()),
            (Some("array"), DeValue::Array(items)) => {
                let Some(of) = schema.items.as_deref() else { return };
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

    fn table(&mut self, place: &Place, schema: &'s Schema<'s>, table: &DeTable<'_>, span: Range<usize>) {
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
        let help = if let Some(near) = nearest(key, known.iter().copied()) {
            format!("did you mean `{near}`?")
        } else if let Some(property) = self.root.properties.get(key).filter(|_| !place.path.is_empty()) {
            match self.root.resolve(property).kind {
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

    fn text(&mut self, place: &Place, schema: &Schema<'_>, text: &str, span: Range<usize>) {
        if schema.format == Some("duration")
            && let Err(why) = humantime::parse_duration(text)
        {
            let message = format!("{} is not a length of time: {why}", place.name);
            self.flaws.push(Flaw::new(span.clone(), message).help("write it like `90s`, `15m` or `1h 30m`"));
        }
        if let Some(pattern) = schema.pattern.as_deref()
            && !Pattern::parse(pattern).is_some_and(|it| it.matches(text))
        {
            let about = describe(self.root, schema);
            let message = format!("{} cannot be {}", place.name, quoted(text));
            let help = if about.is_empty() { format!("it must match {pattern}") } else { about };
            self.flaws.push(Flaw::new(span, message).label(format!("does not match {pattern}")).help(help));
        }
    }

    /// `number` is none where it does not even fit 64 bits.
    fn number(&mut self, place: &Place, schema: &Schema<'_>, number: Option<i64>, span: Range<usize>) {
        let least = schema.minimum;
        let most = schema.maximum;
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
    own: &'s Properties<'s>,
    /// All variants where the tag is missing or unknown: then no key can be called wrong that any of them knows.
    variants: Vec<&'s Properties<'s>>,
    required: Vec<&'s str>,
    tag: Option<(&'s str, Vec<&'s str>)>,
}

impl<'s> Expected<'s> {
    fn of(schema: &'s Schema<'s>, table: &DeTable<'_>) -> Self {
        let mut required = schema.required.clone();
        let mut variants = Vec::new();
        let mut tag: Option<(&'s str, Vec<&'s str>)> = None;
        let mut chosen = None;
        for variant in &schema.one_of {
            let properties = &variant.properties;
            variants.push(properties);
            let Some((key, name)) = properties.0.iter().find_map(|(key, it)| Some((*key, it.constant?))) else {
                continue;
            };
            tag.get_or_insert((key, Vec::new())).1.push(name);
            if table.get(key).and_then(|found| found.get_ref().as_str()) == Some(name) {
                chosen = Some((properties, variant.required.as_slice()));
            }
        }
        if let Some((properties, needs)) = chosen {
            variants = vec![properties];
            required.extend(needs);
        }
        Self { own: &schema.properties, variants, required, tag }
    }

    fn property(&self, key: &str) -> Option<&'s Schema<'s>> {
        std::iter::once(self.own).chain(self.variants.iter().copied()).find_map(|properties| properties.get(key))
    }

    fn keys(&self) -> Vec<&'s str> {
        let mut keys = Vec::new();
        for (key, _) in std::iter::once(self.own).chain(self.variants.iter().copied()).flat_map(|it| &it.0) {
            if !keys.contains(key) {
                keys.push(*key);
            }
        }
        keys
    }
}

/// The words a value may be, where the schema lists them.
fn choices<'s>(schema: &'s Schema<'s>) -> Vec<&'s str> {
    schema.one_of.iter().filter_map(|choice| choice.constant).chain(schema.words.iter().copied()).collect()
}

fn describe(root: &Schema<'_>, schema: &Schema<'_>) -> String {
    let own = schema.description.as_ref().or_else(|| root.resolve(schema).description.as_ref());
    own.map(|text| text.replace('\n', " ")).unwrap_or_default()
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
