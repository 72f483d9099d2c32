//! Whether a `just` recipe takes one more argument, from `just --dump --dump-format json`.

use serde::Deserialize;
use std::collections::BTreeMap;

use super::Arguments;

#[derive(Debug, Deserialize)]
struct Module {
    #[serde(default)]
    recipes: BTreeMap<String, Recipe>,
    #[serde(default)]
    aliases: BTreeMap<String, Alias>,
    #[serde(default)]
    modules: BTreeMap<String, Module>,
}

#[derive(Debug, Deserialize)]
struct Alias {
    target: String,
}

#[derive(Debug, Deserialize)]
struct Recipe {
    parameters: Vec<Parameter>,
}

#[derive(Debug, Deserialize)]
struct Parameter {
    kind: String,
    default: Option<serde_json::Value>,
    /// Given as `--name`, so it takes no place in the order.
    long: Option<String>,
    short: Option<String>,
}

/// Options of `just` that take no word of their own, and those that take one (`just --help`).
const ALONE: [&str; 9] =
    ["--yes", "--quiet", "-q", "--verbose", "-v", "--unstable", "--no-dotenv", "--timestamp", "--explain"];
const WITH_WORD: [&str; 6] = ["--justfile", "-f", "--working-directory", "-d", "--color", "--dotenv-path"];

/// A call of `just`: what stands before the recipe's name, and the name with its arguments.
pub(super) struct Call<'a> {
    pub options: &'a [String],
    pub recipe: &'a [String],
}

/// `None` where `argv` is no `just RECIPE …`, or has options that are not known here.
pub(super) fn call(argv: &[String]) -> Option<Call<'_>> {
    let (program, words) = argv.split_first()?;
    if program.rsplit('/').next() != Some("just") {
        return None;
    }
    let mut at = 0;
    loop {
        let word = words.get(at)?.as_str();
        let named = word.split_once('=').map(|(name, _)| name);
        at += match named {
            _ if ALONE.contains(&word) => 1,
            _ if WITH_WORD.contains(&word) => 2,
            Some(name) if name.starts_with('-') && !WITH_WORD.contains(&name) => return None,
            // `NAME=VALUE` sets a variable.
            Some(_) => 1,
            None if word.starts_with('-') => return None,
            None => return Some(Call { options: &words[..at], recipe: &words[at..] }),
        };
    }
}

/// What the dump says of the recipe that is called.
pub(super) fn arguments(dump: &[u8], recipe: &[String]) -> Arguments {
    let Ok(root) = serde_json::from_slice::<Module>(dump) else { return Arguments::Unknown };
    let words: Vec<&str> = recipe.iter().flat_map(|word| word.split("::")).collect();
    let mut module = &root;
    for (at, word) in words.iter().enumerate() {
        let name = module.aliases.get(*word).map_or(*word, |alias| alias.target.as_str());
        if let Some(recipe) = module.recipes.get(name) {
            return judge(&recipe.parameters, words.len() - at - 1);
        }
        match module.modules.get(*word) {
            Some(inner) => module = inner,
            None => return Arguments::Unknown,
        }
    }
    Arguments::Unknown
}

fn judge(parameters: &[Parameter], given: usize) -> Arguments {
    let ordered: Vec<&Parameter> =
        parameters.iter().filter(|parameter| parameter.long.is_none() && parameter.short.is_none()).collect();
    let needed = ordered.iter().filter(|it| it.default.is_none() && it.kind != "star").count();
    let endless = ordered.iter().any(|it| it.kind == "star" || it.kind == "plus");
    if needed > given + 1 || (given > ordered.len() && !endless) {
        // Not a call that works: what it would do with one more word cannot be told.
        Arguments::Unknown
    } else if endless || ordered.len() > given {
        Arguments::Takes
    } else {
        Arguments::TakesNone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(parameters: &str, line: &str) -> Arguments {
        let recipe = format!(r#"{{"parameters":[{parameters}]}}"#);
        let dump = format!(
            r#"{{"recipes":{{"apply":{recipe}}},"aliases":{{"a":{{"target":"apply"}}}},"modules":{{"prod":{{"recipes":{{"apply":{recipe}}}}}}}}}"#
        );
        let argv: Vec<String> = line.split(' ').map(Into::into).collect();
        arguments(dump.as_bytes(), call(&argv).unwrap().recipe)
    }

    const ONE: &str = r#"{"kind":"singular","default":null}"#;

    #[test]
    fn parameters_are_counted() {
        let two = format!("{ONE},{ONE}");
        assert_eq!(said(&two, "just apply prod airflow"), Arguments::TakesNone);
        assert_eq!(said(&two, "just apply prod"), Arguments::Takes);
        assert_eq!(said(&two, "just apply"), Arguments::Unknown);
        assert_eq!(said(&two, "just apply a b c"), Arguments::Unknown);
        assert_eq!(said(&two, "just a x y"), Arguments::TakesNone);
        for kind in ["star", "plus"] {
            let more = format!(r#"{two},{{"kind":"{kind}","default":null}}"#);
            assert_eq!(said(&more, "just apply prod airflow"), Arguments::Takes);
            assert_eq!(said(&more, "just apply prod airflow x y"), Arguments::Takes);
        }
        let tag = format!(r#"{two},{{"kind":"singular","default":""}}"#);
        assert_eq!(said(&tag, "just apply prod airflow"), Arguments::Takes);
        let option = format!(r#"{two},{{"kind":"singular","default":"","long":"tag"}}"#);
        assert_eq!(said(&option, "just apply prod airflow"), Arguments::TakesNone);
    }

    #[test]
    fn options_stand_before_the_recipe() {
        let two = format!("{ONE},{ONE}");
        for options in ["--yes", "--yes -q", "-f infra/justfile", "--justfile=x --yes", "color=red"] {
            let line = format!("just {options} apply prod airflow");
            assert_eq!(said(&two, &line), Arguments::TakesNone, "{line}");
            let argv: Vec<String> = line.split(' ').map(Into::into).collect();
            assert_eq!(call(&argv).unwrap().options.join(" "), options);
        }
    }

    #[test]
    fn modules_and_strangers() {
        assert_eq!(said(ONE, "just prod apply x"), Arguments::TakesNone);
        assert_eq!(said(ONE, "just prod::apply x"), Arguments::TakesNone);
        assert_eq!(said(ONE, "just nothing x"), Arguments::Unknown);
        for no in ["terraform apply", "just --set x y apply", "just --dry-run apply", "just", "just --yes"] {
            assert!(call(&no.split(' ').map(Into::into).collect::<Vec<_>>()).is_none(), "{no}");
        }
    }
}
