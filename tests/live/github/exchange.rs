//! One request and its answer.

use std::fmt;

use axum::http::HeaderMap;

#[derive(Debug, Clone)]
pub struct Exchange {
    pub method: String,
    /// As it was sent, without the query.
    pub path: String,
    /// Decoded.
    pub query: Vec<(String, String)>,
    pub asked: HeaderMap,
    pub sent: Vec<u8>,
    pub status: u16,
    pub headers: HeaderMap,
    pub answer: Vec<u8>,
}

impl Exchange {
    pub fn asked(&self, name: &str) -> &str {
        text(&self.asked, name)
    }

    pub fn answered(&self, name: &str) -> &str {
        text(&self.headers, name)
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query: Vec<String> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        write!(f, "{} {}{mark}{} -> {}", self.method, self.path, query.join("&"), self.status)
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
