//! GitHub's own description of its API (`@octokit/openapi`): its operations and their schemas.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, ValidationError, Validator};
use serde_json::Value;

use super::schema;
use crate::support::installed;

pub struct Description {
    root: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// One method of one path, and what stood in the path's places.
pub struct Operation<'d> {
    pub template: &'d str,
    pub value: &'d Value,
    pub places: Vec<(&'d str, String)>,
}

/// Read once: it has thirteen megabytes.
pub fn description() -> &'static Description {
    static DESCRIPTION: OnceLock<Description> = OnceLock::new();
    DESCRIPTION.get_or_init(|| {
        let file = File::open(installed("github/api.github.com.json", "github")).unwrap();
        Description { root: serde_json::from_reader(BufReader::new(file)).unwrap(), validators: Mutex::default() }
    })
}

impl Description {
    /// The operation of a request; of several that fit, the one with the fewest places and the longest path: a place that
    /// takes slashes takes no more than it must.
    pub fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let paths = self.root["paths"].as_object().unwrap().iter();
        let fitting = paths.filter_map(|(template, item)| {
            let value = item.get(method.to_ascii_lowercase())?;
            Some(Operation { template, value, places: self.places(value, template, path)? })
        });
        fitting.min_by_key(|operation| (operation.places.len(), Reverse(operation.template.len())))
    }

    /// Only where GitHub says so does a place take slashes.
    fn places<'d>(&'d self, operation: &'d Value, template: &'d str, path: &str) -> Option<Vec<(&'d str, String)>> {
        let wanted: Vec<&str> = template.split('/').collect();
        let given: Vec<&str> = path.split('/').collect();
        let more = given.len().checked_sub(wanted.len())?;
        let wide = match more {
            0 => None,
            _ => Some(wanted.iter().position(|segment| self.multiple(operation, segment))?),
        };
        let mut given = given.into_iter();
        let mut places = Vec::new();
        for (at, segment) in wanted.into_iter().enumerate() {
            let taken = if Some(at) == wide { more + 1 } else { 1 };
            let value = given.by_ref().take(taken).collect::<Vec<_>>().join("/");
            match place(segment) {
                Some(name) => places.push((name, decoded(&value))),
                None if segment == value => {}
                None => return None,
            }
        }
        Some(places)
    }

    fn multiple(&self, operation: &Value, segment: &str) -> bool {
        let Some(name) = place(segment) else { return false };
        self.parameters(operation).into_iter().any(|it| it["name"] == name && it["x-multi-segment"] == true)
    }

    pub fn parameters<'d>(&'d self, operation: &'d Value) -> Vec<&'d Value> {
        let listed = operation["parameters"].as_array().into_iter().flatten();
        listed.map(|parameter| self.resolved("parameters", parameter)).collect()
    }

    /// What is described of an answer with this status.
    pub fn response<'d>(&'d self, operation: &'d Value, status: u16) -> Option<&'d Value> {
        Some(self.resolved("responses", operation["responses"].get(status.to_string())?))
    }

    /// The answers that GitHub shows as examples of a status.
    pub fn examples<'d>(&'d self, operation: &'d Value, status: u16) -> Vec<&'d Value> {
        let response = self.response(operation, status).map(|it| &it["content"]["application/json"]["examples"]);
        let examples = response.and_then(Value::as_object).into_iter().flat_map(|examples| examples.values());
        examples.map(|example| &self.resolved("examples", example)["value"]).collect()
    }

    /// What of `value` breaks `schema`, with its place. `name` is the schema's own: it is compiled once.
    pub fn broken(&self, name: &str, schema: &Value, value: &Value) -> Vec<String> {
        let compiled = || {
            let document = schema::document(&self.root, schema);
            let options = jsonschema::options().with_draft(Draft::Draft4).should_validate_formats(true);
            Arc::new(options.build(&document).unwrap_or_else(|error| panic!("{name}: {error}")))
        };
        let validator = self.validators.lock().unwrap().entry(name.to_owned()).or_insert_with(compiled).clone();
        validator.iter_errors(value).flat_map(|error| leaves(&error)).collect()
    }

    pub fn schema(&self, name: &str) -> &Value {
        &self.root["components"]["schemas"][name]
    }

    /// Itself, or what it refers to.
    fn resolved<'d>(&'d self, kind: &str, value: &'d Value) -> &'d Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => &self.root["components"][kind][reference.rsplit('/').next().unwrap()],
            None => value,
        }
    }
}

fn place(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// A segment without its percent signs.
fn decoded(text: &str) -> String {
    let query = format!("http://localhost/?{}", text.replace('+', "%2B"));
    let url = reqwest::Url::parse(&query).unwrap();
    url.query_pairs().map(|(name, _)| name.into_owned()).next().unwrap_or_default()
}

/// The places that are wrong, instead of the whole value that fits no alternative.
fn leaves(error: &ValidationError<'_>) -> Vec<String> {
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) = error.kind() else {
        return vec![told(error)];
    };
    let elsewhere = |inner: &ValidationError<'_>| {
        matches!(inner.kind(), ValidationErrorKind::Type { .. }) && inner.instance_path() == error.instance_path()
    };
    let near = context.iter().filter(|branch| !branch.iter().any(elsewhere)).min_by_key(|branch| branch.len());
    near.map_or_else(|| vec![told(error)], |branch| branch.iter().flat_map(leaves).collect())
}

fn told(error: &ValidationError<'_>) -> String {
    let what: String = error.to_string().chars().take(300).collect();
    format!("{}: {what}", error.instance_path())
}
