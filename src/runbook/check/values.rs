//! The tables outside the steps: lock, services, the infrastructure repository.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::steps::duration;
use super::text::{address, relative};
use super::view::{View, text, texts};
use crate::runbook::problem::{Flaw, quoted};
use crate::runbook::suggest::nearest;

/// Actions of a resource change as Terraform plans them.
const ACTIONS: [&str; 5] = ["update", "delete/create", "create/delete", "create", "delete"];

pub fn check(view: &View<'_>, flaws: &mut Vec<Flaw>) {
    lock(view, flaws);
    for path in ["title", "environment", "sentry.organization", "sentry.project", "slack.channel"] {
        not_empty(view, path, flaws);
    }
    known_dags(view, flaws);
    inferred(view, flaws);
    for path in ["github.api_url", "registry.url", "airflow.url", "sentry.url"] {
        let Some((url, span)) = view.text(path) else { continue };
        if let Some((why, help)) = address(url) {
            flaws.push(Flaw::new(span, format!("`{path}` is no address that can be used")).label(why).help(help));
        }
    }
    if let Some((wait, span)) = view.text("airflow.short_wait") {
        duration("short_wait", wait, span, flaws);
    }
    image(view, flaws);
    infrastructure(view, flaws);
}

fn known_dags(view: &View<'_>, flaws: &mut Vec<Flaw>) {
    let Some(known) = view.value("airflow.known_dag") else { return };
    let Some(names) = texts(known) else { return };
    if names.is_empty() {
        let message = "`airflow.known_dag` names no DAG, so an account that sees nothing would pass";
        flaws.push(Flaw::new(known.span(), message).help("name at least one DAG that exists"));
    }
    for (_, span) in names.into_iter().filter(|(name, _)| name.trim().is_empty()) {
        flaws.push(Flaw::new(span, "a DAG in `airflow.known_dag` has no name").help("write its id, or remove it"));
    }
}

/// What is called inferred must be there: a key of this file, or a step.
fn inferred(view: &View<'_>, flaws: &mut Vec<Flaw>) {
    let Some(list) = view.value("inferred").and_then(|list| list.get_ref().as_array()) else { return };
    for item in list {
        let about = item.get_ref().as_table().and_then(|table| table.get("about")).and_then(text);
        let Some((about, span)) = about else { continue };
        if view.value(about).is_none() && view.position(about).is_none() {
            let message = format!("{} is neither a key of this runbook nor one of its steps", quoted(about));
            flaws.push(Flaw::new(span, message).help("write it as `table.key`, or as the id of a step"));
        }
    }
}

fn lock(view: &View<'_>, flaws: &mut Vec<Flaw>) {
    let alone = view.value("alone").filter(|alone| alone.get_ref().as_bool() == Some(true));
    match (view.value("lock"), alone) {
        (None, None) => {
            let help = "add `lock = \"NAME\"`, the same in all runbooks of this environment, or `alone = true` if nobody else deploys it";
            flaws.push(Flaw::whole("the runbook has neither `lock` nor `alone = true`").help(help));
        }
        (Some(lock), Some(alone)) => {
            let flaw = Flaw::new(alone.span(), "the runbook has a `lock` and says `alone = true`")
                .label("nobody else deploys")
                .also(lock.span(), "others do")
                .help("keep one of the two");
            flaws.push(flaw);
        }
        (Some(lock), None) => {
            if let Some((name, span)) = text(lock) {
                lock_name(name, span.clone(), flaws);
                if view.value("infrastructure").is_none() {
                    let message = "`lock` needs `[infrastructure]`: the lock lives on that repository's remote";
                    flaws.push(Flaw::new(span, message).help("add `[infrastructure]`, or say `alone = true`"));
                }
            }
        }
        (None, Some(_)) => {}
    }
}

/// It becomes the last part of a git ref.
fn lock_name(name: &str, span: Range<usize>, flaws: &mut Vec<Flaw>) {
    let plain = name.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.'));
    let bad = name.is_empty() || !plain || name.starts_with(['.', '-']) || name.ends_with('.');
    if bad || name.contains("..") || name.ends_with(".lock") {
        let message = format!("the lock cannot be called {}: it becomes part of a git ref", quoted(name));
        flaws.push(Flaw::new(span, message).help("use letters, digits, `-` and `_`"));
    }
}

/// Registries refuse upper case, see the OCI distribution specification, "pulling manifests".
fn image(view: &View<'_>, flaws: &mut Vec<Flaw>) {
    let Some((image, span)) = view.text("registry.image") else { return };
    let part = |part: &str| {
        !part.is_empty() && part.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || "._-".contains(it))
    };
    if image.split('/').all(part) {
        return;
    }
    let lower = image.to_ascii_lowercase();
    let help = match lower.split('/').all(part) {
        true => format!("write {}", quoted(&lower)),
        false => "write the repository alone, e.g. `wordpress/openverse-catalog`: no host, no tag".to_owned(),
    };
    flaws.push(Flaw::new(span, format!("no registry has an image called {}", quoted(image))).help(help));
}

/// Either an output, or an address with an attribute, and a command that prints the state.
fn running(view: &View<'_>, flaws: &mut Vec<Flaw>) {
    let Some(running) = view.value("infrastructure.running") else { return };
    let has = |key: &str| view.value(&format!("infrastructure.running.{key}")).is_some();
    if !matches!((has("output"), has("address"), has("attribute")), (true, false, false) | (false, true, true)) {
        let message = "`infrastructure.running` must name one place in the state";
        let help =
            "write `running = { output = \"NAME\" }` or `running = { address = \"ADDRESS\", attribute = \"NAME\" }`";
        flaws.push(Flaw::new(running.span(), message).help(help));
    }
    if view.value("infrastructure.state").is_none() {
        let message = "`infrastructure.running` needs `infrastructure.state`, the command that prints the state";
        let help = "add e.g. `state = [\"terraform\", \"-chdir=environments/prod\", \"show\", \"-json\"]`";
        flaws.push(Flaw::new(running.span(), message).help(help));
    }
}

fn infrastructure(view: &View<'_>, flaws: &mut Vec<Flaw>) {
    running(view, flaws);
    for key in ["bump", "plan", "apply", "state"] {
        if let Some(value) = view.value(&format!("infrastructure.{key}")) {
            command(&format!("`infrastructure.{key}`"), value, flaws);
        }
    }
    for path in ["infrastructure.directory", "infrastructure.version.file", "infrastructure.flag.file"] {
        if let Some((file, span)) = view.text(path) {
            relative(&format!("`{path}`"), file, span, flaws);
        }
    }
    for path in ["infrastructure.main", "infrastructure.remote", "infrastructure.workspace"] {
        not_empty(view, path, flaws);
    }
    for path in ["infrastructure.version.attribute", "infrastructure.flag.attribute"] {
        not_empty(view, path, flaws);
    }
    one_place(view, flaws);
    expected(view, flaws);
}

/// The flag and the version at the same attribute would overwrite each other.
fn one_place(view: &View<'_>, flaws: &mut Vec<Flaw>) {
    let place = |path: &str| {
        let word = |key: &str| view.text(&format!("{path}.{key}")).map(|(text, _)| text);
        let block = view.value(&format!("{path}.block")).and_then(texts).unwrap_or_default();
        let block: Vec<&str> = block.into_iter().map(|(label, _)| label).collect();
        Some((word("file")?, block, word("attribute")?))
    };
    if let (Some(version), Some(flag)) = (place("infrastructure.version"), place("infrastructure.flag"))
        && version == flag
        && let Some((_, span)) = view.text("infrastructure.flag.attribute")
    {
        let message = "`infrastructure.flag` and `infrastructure.version` are the same attribute";
        flaws.push(Flaw::new(span, message).help("the flag is the one that is true for a deploy only"));
    }
}

fn expected(view: &View<'_>, flaws: &mut Vec<Flaw>) {
    let Some(DeValue::Array(list)) = view.value("infrastructure.expect").map(Spanned::get_ref) else { return };
    for change in list {
        let DeValue::Table(change) = change.get_ref() else { continue };
        if let Some((address, span)) = change.get("address").and_then(text)
            && (address.trim().is_empty() || address.chars().all(|it| it == '*' || it == '.'))
        {
            let message = format!("the address {} would expect every change", quoted(address));
            flaws.push(
                Flaw::new(span, message)
                    .help("name the module and the resource, e.g. `module.catalog-airflow.aws_instance.*`"),
            );
        }
        actions(change, flaws);
    }
}

fn actions(change: &DeTable<'_>, flaws: &mut Vec<Flaw>) {
    let Some(value) = change.get("actions") else { return };
    let Some(words) = texts(value) else { return };
    if words.is_empty() {
        let help = format!("list what may happen to it: {}", ACTIONS.join(", "));
        flaws.push(Flaw::new(value.span(), "an expected change with no actions").help(help));
    }
    for (word, span) in words {
        if ACTIONS.contains(&word) {
            continue;
        }
        let help = match nearest(word, ACTIONS) {
            _ if word == "replace" => "Terraform plans a replacement as `delete/create` or `create/delete`".to_owned(),
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("one of {}", ACTIONS.join(", ")),
        };
        flaws.push(Flaw::new(span, format!("Terraform has no action {}", quoted(word))).help(help));
    }
}

fn not_empty(view: &View<'_>, path: &str, flaws: &mut Vec<Flaw>) {
    if let Some((found, span)) = view.text(path)
        && found.trim().is_empty()
    {
        flaws.push(Flaw::new(span, format!("`{path}` is empty")).help("write it, or remove the line"));
    }
}

/// A command is a list, program first. Nothing goes through a shell.
pub fn command(what: &str, value: &Spanned<DeValue<'_>>, flaws: &mut Vec<Flaw>) {
    let Some(words) = texts(value) else { return };
    match words.as_slice() {
        [] => flaws
            .push(Flaw::new(value.span(), format!("{what} is an empty command")).help("write program and arguments")),
        [(program, span), ..] if program.trim().is_empty() => {
            flaws.push(
                Flaw::new(span.clone(), format!("{what} has an empty program")).help("write program and arguments"),
            );
        }
        [(line, span)] if line.contains(char::is_whitespace) && !line.contains(['/', '\\']) => {
            let words: Vec<String> = line.split_whitespace().map(|word| format!("{word:?}")).collect();
            let message = format!("{what} is one word with spaces, and nothing goes through a shell");
            flaws.push(Flaw::new(span.clone(), message).help(format!("write [{}]", words.join(", "))));
        }
        _ => {}
    }
}
