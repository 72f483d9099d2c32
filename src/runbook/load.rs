//! Text → [`Loaded`], or every problem of the file at once.

use std::path::PathBuf;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use super::problem::{Flaw, Problems};
use super::schema::Runbook;
use super::{check, definition, shape};

/// The largest runbook that is read, in bytes. The longest real one has a few thousand.
pub const LARGEST: usize = 1024 * 1024;
/// The one format that this program reads.
const FORMAT: i64 = 1;

/// Where a runbook's text came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    BuiltIn,
    /// The copy that a run keeps from its start.
    Frozen,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::File(path) => path.display().fmt(f),
            Source::BuiltIn => f.write_str("built in"),
            Source::Frozen => f.write_str("as it was when the run began"),
        }
    }
}

/// A runbook that holds everything it needs to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What it was asked for by, e.g. `prod`.
    pub name: String,
    pub runbook: Runbook,
    /// The text as it was read, byte for byte.
    pub text: String,
    /// SHA-256 of the text, in hex.
    pub hash: String,
    pub source: Source,
}

/// SHA-256 of a runbook's text in lower-case hex: what "the same runbook" means.
pub fn content_hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a runbook's text. `name` is what the person calls it.
///
/// # Errors
/// Every problem of the text: of its syntax alone where it is no TOML, else of its shape and its meaning together.
pub fn load(name: &str, source: Source, text: &str) -> Result<Loaded, Problems> {
    let origin = match &source {
        Source::File(path) => path.display().to_string(),
        Source::BuiltIn => format!("{name} (built in)"),
        Source::Frozen => format!("{name} ({source})"),
    };
    if text.len() > LARGEST {
        let size = text.len().div_ceil(1024);
        let flaw = Flaw::whole(format!("the file has {size} KiB; a runbook has at most {} KiB", LARGEST / 1024))
            .help("is this the right file?");
        return Err(Problems::new(origin, "", vec![flaw]));
    }
    // A byte order mark is no part of the text; spans count behind it.
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    match parse(body) {
        Ok(runbook) => Ok(Loaded { name: name.into(), runbook, text: text.into(), hash: content_hash(text), source }),
        Err(flaws) => Err(Problems::new(origin, body, flaws)),
    }
}

fn parse(body: &str) -> Result<Runbook, Vec<Flaw>> {
    let (document, errors) = DeTable::parse_recoverable(body);
    let mut flaws: Vec<Flaw> = errors.iter().map(syntax).collect();
    // A doubled key leaves the rest readable; after any other error the parser's guess would only breed false alarms.
    if errors.iter().any(|error| error.message() != "duplicate key") {
        return Err(flaws);
    }
    if let Some(newer) = newer_format(&document) {
        return Err(vec![newer]);
    }
    flaws.extend(shape::check(&document, definition::schema()));
    flaws.extend(check::check(&document));
    if !flaws.is_empty() {
        return Err(flaws);
    }
    Runbook::deserialize(Deserializer::from(document)).map_err(|error| vec![syntax(&error)])
}

fn syntax(error: &toml::de::Error) -> Flaw {
    let message = error.message().lines().next().unwrap_or_default().to_owned();
    let flaw = match error.span() {
        Some(span) => Flaw::new(span, message),
        None => Flaw::whole(message),
    };
    let help = match error.message() {
        "duplicate key" => Some("a key may be written once in a table: remove one of the two"),
        it if it.starts_with("string values must be quoted") => {
            Some("put text into quotes, numbers and true or false not")
        }
        it if it.starts_with("invalid unquoted key") => Some("a key of other letters needs quotes"),
        it if it.starts_with("invalid basic string") => {
            Some("close the text with a quote on the same line, or begin it with three")
        }
        _ => None,
    };
    flaw.maybe_help(help.map(str::to_owned))
}

/// A file for a later program is told as that, not as a heap of unknown keys.
fn newer_format(document: &Spanned<DeTable<'_>>) -> Option<Flaw> {
    let format = document.get_ref().get("format")?;
    let number = format.get_ref().as_integer()?;
    let number = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
    (number > FORMAT).then(|| {
        Flaw::new(format.span(), format!("this runbook has format {number}; this catalog-deploy reads format {FORMAT}"))
            .label("newer than this program")
            .help("update catalog-deploy, or use the runbook's version from before the change of format")
    })
}

#[cfg(test)]
mod tests;
