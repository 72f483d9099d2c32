//! What of an exchange breaks GitHub's description of it.

use serde_json::{Value, json};

use super::description::{Description, Operation, description};
use super::exchange::Exchange;

/// What every operation may answer, described there or not: who asks is not known, not allowed, not allowed to see, or
/// asks too much; what is asked for makes no sense.
/// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api>
const EVERYWHERE: [u16; 6] = [400, 401, 403, 404, 422, 429];

/// What breaks the description, a line each. Empty: nothing does.
pub fn violations(exchange: &Exchange) -> Vec<String> {
    let description = description();
    let mut found = headers(exchange);
    match description.operation(&exchange.method, &exchange.path) {
        Some(operation) => {
            found.extend(question(description, &operation, exchange));
            found.extend(answer(description, &operation, exchange));
        }
        // What GitHub does not describe it does not know.
        None if exchange.status == 404 => {}
        None => found.push("no such operation is described".to_owned()),
    }
    found.into_iter().map(|line| format!("{exchange}: {line}")).collect()
}

/// <https://docs.github.com/en/rest/using-the-rest-api/getting-started-with-the-rest-api#headers>
fn headers(exchange: &Exchange) -> Vec<String> {
    let mut found = Vec::new();
    if exchange.asked("user-agent").is_empty() {
        found.push("no User-Agent was sent".to_owned());
    }
    if exchange.asked("x-github-api-version") != "2022-11-28" {
        found.push("no API version, or one that GitHub does not have, was asked for".to_owned());
    }
    let before = exchange.asked("if-none-match").trim_start_matches("W/");
    if exchange.status == 304 && (before.is_empty() || !exchange.answer.is_empty()) {
        found.push("not modified, though nothing was asked about, or with a body".to_owned());
    }
    let limits = ["limit", "remaining", "used", "reset", "resource"];
    for name in limits.map(|name| format!("x-ratelimit-{name}")) {
        if exchange.answered(&name).is_empty() && exchange.status != 401 {
            found.push(format!("the answer has no {name}"));
        }
    }
    for name in ["x-github-request-id", "x-github-media-type"] {
        if exchange.answered(name).is_empty() {
            found.push(format!("the answer has no {name}"));
        }
    }
    found
}

fn question(description: &Description, operation: &Operation<'_>, exchange: &Exchange) -> Vec<String> {
    let mut found = Vec::new();
    let parameters = description.parameters(operation.value);
    let places = operation.places.iter().map(|(name, value)| ("path", *name, value.as_str()));
    let query = exchange.query.iter().map(|(name, value)| ("query", name.as_str(), value.as_str()));
    for (place, name, value) in places.chain(query) {
        let Some(parameter) = parameters.iter().find(|it| it["in"] == place && it["name"] == name) else {
            found.push(format!("the {place} has {name}, which is not described"));
            continue;
        };
        let schema = &parameter["schema"];
        let value = if schema["type"] == "integer" {
            value.parse().map_or(json!(value), |it: i64| json!(it))
        } else {
            json!(value)
        };
        if name == "per_page" && !(1..=100).contains(&value.as_i64().unwrap_or_default()) {
            found.push(format!("a page of {value}; GitHub gives 1 to 100"));
        }
        // Declared a time, described as a range of times: the search's syntax.
        let values = if name == "created" { times(value.as_str().unwrap()) } else { vec![value] };
        let of = format!("{} {} {place} {name}", exchange.method, operation.template);
        for value in values {
            found.extend(
                description.broken(&of, schema, &value).into_iter().map(|line| format!("{place} {name}{line}")),
            );
        }
    }
    for parameter in parameters.iter().filter(|it| it["required"] == true && it["in"] == "query") {
        if !exchange.query.iter().any(|(name, _)| parameter["name"] == *name) {
            found.push(format!("the query lacks {}", parameter["name"]));
        }
    }
    found.extend(body(description, operation, exchange));
    found
}

/// <https://docs.github.com/en/search-github/getting-started-with-searching-on-github/understanding-the-search-syntax#query-for-dates>
fn times(range: &str) -> Vec<Value> {
    let bare = range.trim_start_matches(['>', '<', '=']);
    bare.split("..").filter(|at| *at != "*").map(Value::from).collect()
}

fn body(description: &Description, operation: &Operation<'_>, exchange: &Exchange) -> Vec<String> {
    let Some(content) = operation.value.pointer("/requestBody/content") else {
        return if exchange.sent.is_empty() {
            Vec::new()
        } else {
            vec!["a body was sent, none is described".to_owned()]
        };
    };
    let kind = bare(exchange.asked("content-type"));
    let Some(schema) = content.get(kind).map(|content| &content["schema"]) else {
        return vec![format!("a body of type {kind:?} was sent, which is not described")];
    };
    let Ok(value) = serde_json::from_slice(&exchange.sent) else { return vec!["what was sent is no JSON".to_owned()] };
    let of = format!("{} {} body", exchange.method, operation.template);
    description.broken(&of, schema, &value).into_iter().map(|line| format!("sent {line}")).collect()
}

fn answer(description: &Description, operation: &Operation<'_>, exchange: &Exchange) -> Vec<String> {
    let status = exchange.status;
    let described = description.response(operation.value, status);
    let content = described.and_then(|response| response["content"].as_object());
    if status == 304 {
        return Vec::new();
    }
    let mut found = Vec::new();
    if described.is_none() && !EVERYWHERE.contains(&status) && !(300..400).contains(&status) {
        return vec![format!("the answer {status} is not described")];
    }
    let linked = described.is_some_and(|response| response["headers"].get("Link").is_some());
    if !exchange.answered("link").is_empty() && !linked {
        found.push("the answer has a Link, which is not described".to_owned());
    }
    let (wanted, kind) = (exchange.asked("accept"), bare(exchange.answered("content-type")));
    let text = operation.value["description"].as_str().unwrap_or_default();
    if status == 200 && kind != "application/json" {
        // Media types other than JSON stand in the description's prose alone.
        if kind != wanted || !text.contains(&format!("**`{kind}`**")) {
            found.push(format!("the answer is {kind:?}; {wanted:?} was asked for"));
        }
        return found;
    }
    if kind != "application/json" {
        found.push(format!("the answer is {kind:?} instead of JSON"));
        return found;
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(&exchange.answer) else {
        found.push("the answer is no JSON".to_owned());
        return found;
    };
    // Every error of GitHub's tells its status; only `basic-error` knows of it.
    if let (422, Some(fields)) = (status, value.as_object_mut()) {
        found.extend(
            fields.remove("status").filter(|it| it != "422").map(|it| format!("it says that its status is {it}")),
        );
    }
    let schemas: Vec<(String, &Value)> = match content {
        Some(content) => {
            vec![(
                format!("{} {} {status}", exchange.method, operation.template),
                &content["application/json"]["schema"],
            )]
        }
        None => ["basic-error", "validation-error", "validation-error-simple"]
            .map(|name| (name.to_owned(), description.schema(name)))
            .into(),
    };
    let tried = schemas.iter().map(|(name, schema)| description.broken(name, schema, &value));
    let nearest = tried.min_by_key(Vec::len).unwrap_or_default();
    found.extend(nearest.into_iter().map(|line| format!("answered {line}")));
    found
}

/// A content type without its parameters.
fn bare(kind: &str) -> &str {
    kind.split(';').next().unwrap_or_default().trim()
}
