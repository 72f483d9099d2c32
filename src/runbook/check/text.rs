//! Texts that mean something: placeholders, branches, paths, addresses; and none with hidden characters.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::view::View;
use crate::runbook::problem::{Flaw, quoted};
use crate::runbook::suggest::nearest;

/// Control characters could hide a command in a terminal, and no program takes a NUL in its arguments.
pub fn check(view: &View<'_>, flaws: &mut Vec<Flaw>) {
    view.root.values().for_each(|value| visible(value, flaws));
}

fn visible(value: &Spanned<DeValue<'_>>, flaws: &mut Vec<Flaw>) {
    match value.get_ref() {
        DeValue::String(text) => {
            if let Some(hidden) = text.chars().find(|it| it.is_control() && !matches!(it, '\n' | '\r' | '\t')) {
                let message = format!("this text holds the control character U+{:04X}", u32::from(hidden));
                flaws.push(Flaw::new(value.span(), message).help("remove it: it would not be seen on a terminal"));
            }
        }
        DeValue::Array(items) => items.iter().for_each(|item| visible(item, flaws)),
        DeValue::Table(table) => table.values().for_each(|item| visible(item, flaws)),
        _ => {}
    }
}

/// Everything in braces must be `{known}`.
pub fn placeholders(key: &str, text: &str, span: Range<usize>, known: &str, flaws: &mut Vec<Flaw>) {
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let tail = &rest[at..];
        let end = tail.strip_prefix('{').and_then(|inner| inner.find(['{', '}'])).map(|end| end + 1);
        let Some(end) = end.filter(|end| tail[*end..].starts_with('}')) else {
            let message = format!("`{key}` has a brace without its other half");
            flaws.push(Flaw::new(span, message).help(format!("the one placeholder here is `{{{known}}}`")));
            return;
        };
        let name = &tail[1..end];
        if name != known {
            let help = match nearest(name, [known]) {
                Some(near) => format!("did you mean `{{{near}}}`?"),
                None => format!("the one placeholder here is `{{{known}}}`"),
            };
            let message = format!("`{key}` has an unknown placeholder {}", quoted(&tail[..=end]));
            flaws.push(Flaw::new(span.clone(), message).help(help));
        }
        rest = &tail[end + 1..];
    }
}

/// What git accepts as a branch's name, after `git help check-ref-format`. Placeholders are left aside.
pub fn branch(text: &str, span: Range<usize>, flaws: &mut Vec<Flaw>) {
    let odd = text.chars().find(|it| it.is_whitespace() || it.is_control() || "~^:?*[\\".contains(*it));
    let why = if let Some(odd) = odd {
        format!("it holds {}", quoted(&odd.to_string()))
    } else if text.contains("..") || text.contains("//") || text.contains("@{") {
        "it holds `..`, `//` or `@{`".to_owned()
    } else if text.starts_with(['-', '/']) || text.ends_with(['/', '.']) {
        "of how it begins or ends".to_owned()
    } else if text.split('/').any(|part| part.starts_with('.') || part.ends_with(".lock")) {
        "a part begins with `.` or ends with `.lock`".to_owned()
    } else {
        return;
    };
    let message = format!("git takes no branch called {}", quoted(text));
    flaws.push(Flaw::new(span, message).label(why).help("use letters, digits, `-`, `_`, `.` and `/`"));
}

/// Inside the repository: relative, and never upwards.
pub fn relative(what: &str, path: &str, span: Range<usize>, flaws: &mut Vec<Flaw>) {
    let windows = path.get(1..2) == Some(":") || path.contains('\\');
    let why = if path.trim().is_empty() {
        "it is empty"
    } else if path.starts_with('/') || path.starts_with('~') || windows {
        "it is not relative"
    } else if path.split('/').any(|part| part == "..") {
        "it leads upwards"
    } else {
        return;
    };
    let message = format!("{what} must lie inside the repository");
    flaws.push(Flaw::new(span, message).label(why).help("write it relative to the repository's root, without `..`"));
}

/// What is wrong with a service's address, if anything: label and help.
pub fn address(url: &str) -> Option<(&'static str, &'static str)> {
    let whole = "write it like `https://airflow.example.org`";
    let Some((scheme, rest)) = url.split_once("://") else { return Some(("no `https://`", whole)) };
    let plain = match scheme.to_ascii_lowercase().as_str() {
        "https" => false,
        "http" => true,
        _ => return Some(("neither http nor https", whole)),
    };
    if rest.contains(['?', '#']) {
        return Some(("it has a query or a fragment", "write the address of the service alone"));
    }
    if url.contains(|it: char| it.is_whitespace() || it.is_control() || it == '\\') {
        return Some(("it holds a space or a backslash", whole));
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        let help = "put user and password into the laptop's configuration, where they stay secret";
        return Some(("it holds a user name or a password", help));
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Some(("no host", whole));
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Some(("the port is no number up to 65535", whole));
    }
    let loopback = host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    (plain && !loopback).then_some(("plain http beyond this machine", "use https: http is accepted for loopback only"))
}
