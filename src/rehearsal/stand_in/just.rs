//! As much of `just` as the rehearsal's justfile needs: assignments, parameters, shebang recipes, the JSON dump.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;

use serde_json::{Map, Value, json};

use super::{Failure, fail, say, tell};

struct Parameter {
    name: String,
    default: Option<String>,
    star: bool,
}

struct Recipe {
    name: String,
    doc: Option<String>,
    parameters: Vec<Parameter>,
    body: Vec<String>,
}

pub(super) fn run(args: &[String]) -> Result<(), Failure> {
    if args.first().is_some_and(|arg| arg == "--version") {
        say("just 1.0.0 (rehearsal stand-in)\n");
        return Ok(());
    }
    let (variables, recipes) = parse(&std::fs::read_to_string("justfile")?);
    if args.iter().any(|arg| arg == "--dump") {
        say(&format!("{}\n", dump(&recipes)));
        return Ok(());
    }
    let Some((name, given)) = args.split_first() else { return fail("error: no recipe given") };
    let Some(recipe) = recipes.iter().find(|recipe| recipe.name == *name) else {
        return fail(format!("error: Justfile does not contain recipe `{name}`"));
    };
    let mut values = variables;
    bind(recipe, given, &mut values)?;
    let lines: Vec<String> = recipe.body.iter().map(|line| substitute(line, &values)).collect();
    if lines.first().is_some_and(|line| line.starts_with("#!")) {
        let mut script = tempfile::NamedTempFile::new()?;
        script.write_all((lines.join("\n") + "\n").as_bytes())?;
        return finish(recipe, shell().arg(script.path()));
    }
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let quiet = line.strip_prefix('@');
        if quiet.is_none() {
            tell(&format!("{line}\n"));
        }
        finish(recipe, shell().arg("-cu").arg(quiet.unwrap_or(line)))?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a stand-in for a program that starts programs")]
fn shell() -> Command {
    Command::new("sh")
}

fn finish(recipe: &Recipe, command: &mut Command) -> Result<(), Failure> {
    match command.status()?.code() {
        Some(0) => Ok(()),
        Some(code) => {
            Err(Failure { code, said: format!("error: Recipe `{}` failed with exit code {code}", recipe.name) })
        }
        None => Err(Failure { code: 130, said: format!("error: Recipe `{}` was terminated by a signal", recipe.name) }),
    }
}

fn parse(text: &str) -> (BTreeMap<String, String>, Vec<Recipe>) {
    let (mut variables, mut recipes, mut doc) = (BTreeMap::new(), Vec::<Recipe>::new(), None);
    for line in text.lines() {
        if let Some(body) = line.strip_prefix("    ") {
            recipes.iter_mut().last().into_iter().for_each(|recipe| recipe.body.push(body.to_owned()));
        } else if let Some(comment) = line.strip_prefix('#') {
            doc = Some(comment.trim().to_owned());
        } else if let Some((name, value)) = line.split_once(":=") {
            variables.insert(name.trim().to_owned(), value.trim().trim_matches('\'').to_owned());
            doc = None;
        } else if let Some(header) = line.trim_end().strip_suffix(':') {
            let mut words = header.split_whitespace();
            let name = words.next().unwrap_or_default().to_owned();
            let parameters = words.map(parameter).collect();
            recipes.push(Recipe { name, doc: doc.take(), parameters, body: Vec::new() });
        }
    }
    (variables, recipes)
}

fn parameter(word: &str) -> Parameter {
    let (name, default) = match word.split_once('=') {
        Some((name, default)) => (name, Some(default.trim_matches('"').to_owned())),
        None => (word, None),
    };
    Parameter { name: name.trim_start_matches('*').to_owned(), default, star: name.starts_with('*') }
}

fn bind(recipe: &Recipe, given: &[String], values: &mut BTreeMap<String, String>) -> Result<(), Failure> {
    let mut rest = given.iter();
    for parameter in &recipe.parameters {
        let value = if parameter.star {
            Some(rest.by_ref().cloned().collect::<Vec<_>>().join(" "))
        } else {
            rest.next().cloned().or_else(|| parameter.default.clone())
        };
        let Some(value) = value else {
            return fail(format!("error: Recipe `{}` got too few arguments", recipe.name));
        };
        values.insert(parameter.name.clone(), value);
    }
    match rest.next() {
        Some(_) => fail(format!("error: Recipe `{}` got too many arguments", recipe.name)),
        None => Ok(()),
    }
}

fn substitute(line: &str, values: &BTreeMap<String, String>) -> String {
    let mut result = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        result.push_str(before);
        result.push_str(values.get(name.trim()).map_or("", String::as_str));
        rest = after;
    }
    result + rest
}

/// The dump of a justfile's text.
#[cfg(test)]
pub(in crate::rehearsal) fn dump_of(text: &str) -> Value {
    dump(&parse(text).1)
}

fn dump(recipes: &[Recipe]) -> Value {
    let mut all = Map::new();
    for recipe in recipes {
        let parameters: Vec<Value> = recipe
            .parameters
            .iter()
            .map(|it| {
                json!({ "default": it.default, "export": false, "kind": if it.star { "star" } else { "singular" },
                    "name": it.name })
            })
            .collect();
        let shebang = recipe.body.first().is_some_and(|line| line.starts_with("#!"));
        let body: Vec<Value> = recipe.body.iter().map(|line| json!([line])).collect();
        let value = json!({ "attributes": [], "body": body, "dependencies": [], "doc": recipe.doc, "name": recipe.name,
            "parameters": parameters, "priors": 0, "private": false, "quiet": false, "namepath": recipe.name,
            "shebang": shebang });
        all.insert(recipe.name.clone(), value);
    }
    let first = recipes.first().map(|recipe| &recipe.name);
    json!({ "aliases": {}, "assignments": {}, "first": first, "doc": null, "groups": [], "modules": {}, "recipes": all })
}
