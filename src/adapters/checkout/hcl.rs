//! One literal of an HCL file: found by parsing, replaced by splicing bytes.
//!
//! hcl-edit's spans are exact, its printing is not lossless (CRLF, indented heredocs), so it only finds. After the
//! splice the result is parsed again and everything else must be what it was.

use std::ops::Range;

use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Body};

/// An attribute as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The literal's own bytes, quotes included: `"rel-…"`, `false`.
    pub literal: String,
    /// 1-based.
    pub line: usize,
}

/// Why an attribute cannot be read or replaced. Each names the file, and the line where there is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HclError {
    #[error("{file}:{line}: not valid HCL: {message}")]
    Syntax { file: String, line: usize, message: String },
    #[error("{file}:{line}: not UTF-8 text")]
    NotText { file: String, line: usize },
    #[error("{file}: there is no {what}{hint}; correct the file or the runbook's location of it")]
    Absent { file: String, what: String, hint: String },
    #[error("{file}: {what} stands more than once, at lines {}; leave one of them", numbers(.lines))]
    Repeated { file: String, what: String, lines: Vec<usize> },
    #[error(
        "{file}:{line}: {what} is not a plain `true`, `false` or string but `{found}`, which is not replaced; write a \
         plain literal there"
    )]
    NotLiteral { file: String, line: usize, what: String, found: String },
    #[error("{literal} is not a plain `true`, `false` or string, so it is not written to {file}")]
    NotWritable { file: String, literal: String },
    #[error("{file}:{line}: replacing {what} would change more than this literal, so nothing is written")]
    NotIsolated { file: String, line: usize, what: String },
}

fn numbers(lines: &[usize]) -> String {
    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// Finds the one attribute at `block` (type, then labels; empty for the top level).
///
/// # Errors
/// Where the file does not parse, the attribute is absent or repeated, or its value is no plain literal.
pub fn find_attribute(text: &[u8], file: &str, block: &[String], attribute: &str) -> Result<Attribute, HclError> {
    let found = locate(text, file, block, attribute)?;
    Ok(Attribute { literal: found.literal, line: found.line })
}

/// Replaces that attribute's literal; every other byte stays, BOM, line ends and layout included.
///
/// # Errors
/// As [`find_attribute`]; also where `literal` is not plain, or anything else would change.
pub fn replace_attribute(
    bytes: &[u8],
    file: &str,
    block: &[String],
    attribute: &str,
    literal: &str,
) -> Result<Vec<u8>, HclError> {
    if !is_plain_literal(literal) {
        return Err(HclError::NotWritable { file: file.into(), literal: literal.into() });
    }
    let found = locate(bytes, file, block, attribute)?;
    let span = found.span;
    let replaced = [&bytes[..span.start], literal.as_bytes(), &bytes[span.end..]].concat();
    let moved = HclError::NotIsolated { file: file.into(), line: found.line, what: called(block, attribute) };
    let again = locate(&replaced, file, block, attribute).map_err(|_| moved.clone())?;
    let new_span = span.start..span.start + literal.len();
    let same_bytes = replaced[..new_span.start] == bytes[..span.start] && replaced[new_span.end..] == bytes[span.end..];
    let others = |bytes: &[u8], except: &Range<usize>| all_values(bytes, file, except);
    if again.span != new_span || !same_bytes || others(bytes, &span)? != others(&replaced, &new_span)? {
        return Err(moved);
    }
    Ok(replaced)
}

/// The bytes with an empty string in that place: what stays the same while only this attribute changes.
pub(super) fn blanked(bytes: &[u8], file: &str, block: &[String], attribute: &str) -> Result<Vec<u8>, HclError> {
    let span = locate(bytes, file, block, attribute)?.span;
    Ok([&bytes[..span.start], b"\"\"", &bytes[span.end..]].concat())
}

struct Located {
    literal: String,
    line: usize,
    /// In the file's bytes, BOM included.
    span: Range<usize>,
}

fn locate(bytes: &[u8], file: &str, block: &[String], name: &str) -> Result<Located, HclError> {
    let (text, start, body) = parse(bytes, file)?;
    let bodies = bodies(&body, block);
    let absent = |what: String, hint: String| HclError::Absent { file: file.into(), what, hint };
    if bodies.is_empty() {
        let known: Vec<String> = body.blocks().map(block_path).map(|path| path.join(" ")).collect();
        return Err(absent(format!("block `{}`", block.join(" ")), did_you_mean(&block.join(" "), &known)));
    }
    let what = called(block, name);
    let matches: Vec<_> =
        bodies.iter().flat_map(|body| body.attributes()).filter(|found| found.key.as_str() == name).collect();
    let spanned = |expression: &Expression| expression.span().unwrap_or_default();
    let found = match matches[..] {
        [found] => found,
        [] => {
            let known: Vec<String> =
                bodies.iter().flat_map(|body| body.attributes()).map(|found| found.key.as_str().to_owned()).collect();
            return Err(absent(what, did_you_mean(name, &known)));
        }
        _ => {
            let lines = matches.iter().map(|found| line_of(text.as_bytes(), spanned(&found.value).start)).collect();
            return Err(HclError::Repeated { file: file.into(), what, lines });
        }
    };
    let span = spanned(&found.value);
    let line = line_of(text.as_bytes(), span.start);
    let written = text.get(span.clone()).unwrap_or_default();
    let plain = matches!(found.value, Expression::Bool(_) | Expression::String(_)) && is_plain_literal(written);
    if !plain {
        let shown: String = written.lines().next().unwrap_or_default().chars().take(60).collect();
        return Err(HclError::NotLiteral { file: file.into(), line, what, found: shown });
    }
    Ok(Located { literal: written.to_owned(), line, span: span.start + start..span.end + start })
}

/// Text without BOM, the BOM's length, and what it parses to.
fn parse<'a>(bytes: &'a [u8], file: &str) -> Result<(&'a str, usize, Body), HclError> {
    let start = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let text = std::str::from_utf8(&bytes[start..]).map_err(|error| HclError::NotText {
        file: file.into(),
        line: line_of(&bytes[start..], error.valid_up_to()),
    })?;
    let body = hcl_edit::parser::parse_body(text).map_err(|error| HclError::Syntax {
        file: file.into(),
        line: error.location().line(),
        message: error.message().to_owned(),
    })?;
    Ok((text, start, body))
}

/// Exactly a bool or a one-line string without interpolation, and nothing around it.
fn is_plain_literal(text: &str) -> bool {
    if text == "true" || text == "false" {
        return true;
    }
    let quoted = text.len() >= 2 && text.starts_with('"') && text.ends_with('"') && !text.contains(['\n', '\r']);
    quoted
        && matches!(hcl_edit::parser::parse_expr(text), Ok(Expression::String(string))
            if string.span() == Some(0..text.len()))
}

/// The bodies a location may mean: the file itself, or every top-level block of that type with exactly those labels.
fn bodies<'a>(body: &'a Body, block: &[String]) -> Vec<&'a Body> {
    if block.is_empty() {
        return vec![body];
    }
    body.blocks().filter(|found| block_path(found) == block).map(|found| &found.body).collect()
}

fn block_path(block: &Block) -> Vec<String> {
    std::iter::once(block.ident.as_str())
        .chain(block.labels.iter().map(|label| label.as_str()))
        .map(Into::into)
        .collect()
}

fn called(block: &[String], attribute: &str) -> String {
    if block.is_empty() {
        format!("attribute `{attribute}`")
    } else {
        format!("attribute `{attribute}` in block `{}`", block.join(" "))
    }
}

fn line_of(text: &[u8], offset: usize) -> usize {
    text[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// Path and text of every attribute at any depth, except the one at `except`.
fn all_values(bytes: &[u8], file: &str, except: &Range<usize>) -> Result<Vec<(String, String)>, HclError> {
    fn collect(
        body: &Body,
        path: &str,
        text: &str,
        start: usize,
        except: &Range<usize>,
        into: &mut Vec<(String, String)>,
    ) {
        for attribute in body.attributes() {
            let span = attribute.value.span().unwrap_or_default();
            let value = if span.start + start == except.start { "" } else { text.get(span).unwrap_or_default() };
            into.push((format!("{path}/{}", attribute.key.as_str()), value.to_owned()));
        }
        for block in body.blocks() {
            collect(&block.body, &format!("{path}/{}", block_path(block).join(" ")), text, start, except, into);
        }
    }
    let (text, start, body) = parse(bytes, file)?;
    let mut values = Vec::new();
    collect(&body, "", text, start, except, &mut values);
    Ok(values)
}

fn did_you_mean(wanted: &str, known: &[String]) -> String {
    let best = known.iter().map(|name| (distance(wanted, name), name)).min();
    match best {
        Some((distance, name)) if distance <= wanted.chars().count().div_ceil(3) => {
            format!("; did you mean `{name}`?")
        }
        _ if known.is_empty() => String::new(),
        _ => format!(" (there are: {})", known.iter().take(12).cloned().collect::<Vec<_>>().join(", ")),
    }
}

/// Edits between two words.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests;
