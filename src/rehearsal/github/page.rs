//! Pages of a list, linked by `Link`: 30 at a time unless asked otherwise, 100 at most.

use axum::http::Uri;
use axum::response::Response;
use serde_json::Value;

use crate::rehearsal::answer::{self, Parameters, encode, one, with};
use crate::rehearsal::shared::Shared;

/// The page that the query asks for, as a bare list.
pub(super) fn list(shared: &Shared, uri: &Uri, query: &Parameters, all: Vec<Value>) -> Response {
    wrapped(shared, uri, query, all, |page, _| Value::from(page))
}

/// The page that the query asks for, inside an object that also knows the total.
pub(super) fn wrapped(
    shared: &Shared,
    uri: &Uri,
    query: &Parameters,
    all: Vec<Value>,
    wrap: impl Fn(Vec<Value>, usize) -> Value,
) -> Response {
    let number = |name: &str, default: usize| {
        one(query, name).and_then(|text| text.parse().ok()).filter(|number| *number > 0).unwrap_or(default)
    };
    let (size, page) = (number("per_page", 30).min(100), number("page", 1));
    let total = all.len();
    let last = total.div_ceil(size).max(1);
    let items = all.into_iter().skip((page - 1) * size).take(size).collect();
    let response = answer::json(200, &wrap(items, total));
    let link = |page: usize, relation: &str| {
        let mut pairs: Vec<String> = query
            .iter()
            .filter(|(key, _)| key != "page")
            .map(|(key, value)| format!("{key}={}", encode(value)))
            .collect();
        pairs.push(format!("page={page}"));
        format!("<{}{}?{}>; rel=\"{relation}\"", shared.urls().github, uri.path(), pairs.join("&"))
    };
    let mut links = Vec::new();
    if page > 1 {
        links.push(link(page - 1, "prev"));
    }
    if page < last {
        links.push(link(page + 1, "next"));
        links.push(link(last, "last"));
    }
    if page > 1 {
        links.push(link(1, "first"));
    }
    if links.is_empty() { response } else { with(response, "link", &links.join(", ")) }
}
