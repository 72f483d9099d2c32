//! Every rule, by breaking prod in one place and looking at all that is said about it.

use std::path::PathBuf;

use crate::runbook::load::{Source, load};

mod order;
mod steps;
mod values;

const PROD: &str = include_str!("../../../runbooks/prod.toml");

/// What is said about prod after these replacements; each must change something.
fn broken(changes: &[(&str, &str)]) -> String {
    let mut text = PROD.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "prod has no {from}");
        text = text.replacen(from, to, 1);
    }
    said(&text)
}

fn said(text: &str) -> String {
    match load("x", Source::File(PathBuf::from("x.toml")), text) {
        Ok(_) => "no problem".into(),
        // The closing line is the same for all.
        Err(problems) => problems.render(false).rsplit_once("error: could not use").unwrap().0.trim_end().to_owned(),
    }
}

/// A step of prod, as text.
fn step(id: &str) -> &'static str {
    let start = PROD.find(&format!("[[step]]\nid = \"{id}\"")).unwrap();
    let end = PROD[start + 1..].find("[[step]]").map_or(PROD.len(), |end| start + 1 + end);
    &PROD[start..end]
}
