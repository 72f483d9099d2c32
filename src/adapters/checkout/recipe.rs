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

/// Whether `argv` is `just RECIPE …` at all.
pub(super) fn is_just(argv: &[String]) -> bool {
    let program = argv.first().map(|program| program.rsplit('/').next().unwrap_or_default());
    program == Some("just") && argv.get(1).is_some_and(|recipe| !recipe.starts_with('-'))
}

/// What the dump says of the recipe behind `argv`.
pub(super) fn arguments(dump: &[u8], argv: &[String]) -> Arguments {
    let Ok(root) = serde_json::from_slice::<Module>(dump) else { return Arguments::Unknown };
    let words: Vec<&str> = argv.iter().skip(1).flat_map(|word| word.split("::")).collect();
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
        arguments(dump.as_bytes(), &argv)
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
    fn modules_and_strangers() {
        assert_eq!(said(ONE, "just prod apply x"), Arguments::TakesNone);
        assert_eq!(said(ONE, "just prod::apply x"), Arguments::TakesNone);
        assert_eq!(said(ONE, "just nothing x"), Arguments::Unknown);
        assert!(!is_just(&["terraform".into(), "apply".into()]));
        assert!(!is_just(&["just".into(), "--set".into(), "x".into()]));
    }
}
