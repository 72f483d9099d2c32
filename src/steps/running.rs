//! What runs in production now: from Terraform's state if it tells, else from main and open bump pull requests, and then
//! only probable, because the pull request is opened after the apply and main lags what runs until it is merged.

use hcl_edit::structure::Body;
use serde_json::Value;

use crate::adapters::github::PullRequest;
use crate::adapters::registry::{Manifest, airflow_version};
use crate::adapters::{Readers, ServiceError};
use crate::event::Evidence;
use crate::facts::{ImageFact, RunningFact};
use crate::runbook::Runbook;
use crate::runbook::schema::{AttributePath, ReleaseShape};
use crate::step::{Look, Trouble};
use crate::steps::declared;

/// What was found, with what a person should know about how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Running {
    pub fact: Option<RunningFact>,
    pub evidence: Vec<Evidence>,
}

/// Looks what runs now. A source that cannot be read is told as a warning, and the next one is asked: not knowing what
/// runs must not keep anybody from rolling back.
pub async fn running_tag(readers: &Readers, runbook: &Runbook) -> Result<Running, Trouble> {
    let shape = declared::release(runbook)?;
    let Some(infrastructure) = &runbook.infrastructure else { return Ok(Running::default()) };
    let checkout = &readers.checkout;
    let mut evidence = Vec::new();
    if let Some(argv) = &infrastructure.state {
        match checkout.output(argv).await {
            Ok(output) => match tags_in_state(&output, shape, &infrastructure.version.block) {
                Ok(tags) => match from_state(&tags) {
                    Ok(fact) => return Ok(Running { fact: Some(fact), evidence }),
                    Err(why) => evidence.push(Evidence::warning(why)),
                },
                Err(why) => evidence.push(Evidence::warning(format!("could not read Terraform's state: {why}"))),
            },
            Err(error) => evidence.push(Evidence::warning(format!("could not read Terraform's state: {error}"))),
        }
    }
    let (main, pulls) = futures::join!(
        checkout.remote_file(&infrastructure.main, &infrastructure.version.file),
        readers.github.open_pull_requests(&infrastructure.repository),
    );
    let main = match main {
        Ok(Some(bytes)) => tag_in_file(&bytes, shape, &infrastructure.version),
        Ok(None) => None,
        Err(error) => {
            evidence
                .push(Evidence::warning(format!("could not read {} of main: {error}", infrastructure.version.file)));
            None
        }
    };
    let pulls = pulls.unwrap_or_else(|error| {
        evidence.push(Evidence::warning(format!("could not list the open infrastructure pull requests: {error}")));
        Vec::new()
    });
    Ok(Running { fact: from_main(shape, main.as_deref(), &pulls), evidence })
}

/// `None` where it is not known which tag runs, or that is not on the registry any more.
pub type RunningImage = Option<(ImageFact, Manifest)>;

/// The image that runs now, by its tag.
pub async fn running_image(look: &Look<'_>, running: Option<&RunningFact>) -> Result<RunningImage, ServiceError> {
    let (Some(running), Some(registry)) = (running, &look.runbook.registry) else { return Ok(None) };
    let reader = &look.readers.registry;
    let Some(manifest) = reader.manifest(&registry.image, &running.tag).await? else { return Ok(None) };
    let airflow_version = match &look.facts.running_image {
        Some(known) if known.tag == running.tag => known.airflow_version.clone(),
        _ => airflow_version(&reader.environment(&registry.image, &manifest.digest).await?),
    };
    let digest = manifest.digest.clone();
    Ok(Some((ImageFact { tag: running.tag.clone(), digest, airflow_version }, manifest)))
}

/// Whether two manifests are of the same image: tagging may wrap one anew.
pub fn same_image(one: &Manifest, other: &Manifest) -> bool {
    one.digest == other.digest || (!one.contents.is_empty() && one.contents == other.contents)
}

/// Distinct image tags under the resources of the version's module, sorted. Reads `terraform show -json` and a raw
/// version 4 state alike. Values may be secret, so nothing else of the state leaves this function.
pub fn tags_in_state(json: &[u8], shape: &ReleaseShape, block: &[String]) -> Result<Vec<String>, String> {
    let state: Value = serde_json::from_slice(json).map_err(|error| format!("it is not JSON ({error})"))?;
    let module = match block {
        [kind, name] if kind == "module" => Some(format!("module.{name}")),
        _ => None,
    };
    let within = |address: &str| {
        module.as_deref().is_none_or(|module| {
            address.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    };
    let mut tags = Vec::new();
    if let Some(root) = state.pointer("/values/root_module") {
        walk_shown(root, &within, &mut |value| strings_in(value, &mut |text| tags.extend(shape.image_tags_in(text))));
    }
    for resource in array(&state, "resources") {
        if resource["mode"] == "managed" && within(resource["module"].as_str().unwrap_or_default()) {
            for instance in array(resource, "instances").filter(|instance| instance.get("deposed").is_none()) {
                strings_in(&instance["attributes"], &mut |text| tags.extend(shape.image_tags_in(text)));
            }
        }
    }
    tags.sort();
    tags.dedup();
    Ok(tags)
}

fn walk_shown(module: &Value, within: &dyn Fn(&str) -> bool, take: &mut dyn FnMut(&Value)) {
    if within(module["address"].as_str().unwrap_or_default()) {
        for resource in array(module, "resources") {
            // A deposed object waits for its destruction; a data source says nothing of what was applied.
            if resource["mode"] != "data" && resource.get("deposed_key").is_none() {
                take(&resource["values"]);
            }
        }
    }
    for child in array(module, "child_modules") {
        walk_shown(child, within, take);
    }
}

fn array<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn strings_in(value: &Value, take: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => take(text),
        Value::Array(items) => items.iter().for_each(|item| strings_in(item, take)),
        Value::Object(map) => map.values().for_each(|item| strings_in(item, take)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Certain only where the state names exactly one tag; otherwise why it is not.
pub fn from_state(tags: &[String]) -> Result<RunningFact, String> {
    match tags {
        [tag] => Ok(RunningFact { tag: tag.clone(), certain: true, source: "Terraform's state".into() }),
        [] => Err("Terraform's state names no image tag, so what runs now is only inferred".into()),
        several => Err(format!(
            "Terraform's state names several image tags ({}), so what runs now is only inferred",
            several.join(", ")
        )),
    }
}

/// The image tag that the version attribute holds in a file's bytes; `None` where it cannot be found or is no tag.
pub fn tag_in_file(bytes: &[u8], shape: &ReleaseShape, at: &AttributePath) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let body: Body = text.strip_prefix('\u{feff}').unwrap_or(text).parse().ok()?;
    let holder = match at.block.as_slice() {
        [] => &body,
        [kind, labels @ ..] => {
            let mut found = body.get_blocks(kind).filter(|block| {
                block.labels.len() == labels.len()
                    && block.labels.iter().zip(labels).all(|(label, wanted)| label.as_str() == wanted)
            });
            let block = found.next().filter(|_| found.next().is_none())?;
            &block.body
        }
    };
    let tag = holder.get_attribute(&at.attribute)?.value.as_str()?;
    shape.version_of_image(tag).map(|_| tag.to_owned())
}

/// What main and open bump pull requests make probable. A bump pull request is opened after its apply, so its tag comes
/// before main's; of several, the one touched last.
pub fn from_main(shape: &ReleaseShape, main: Option<&str>, pulls: &[PullRequest]) -> Option<RunningFact> {
    let bump = pulls
        .iter()
        .filter_map(|pull| {
            let mut tags = shape.image_tags_in(&pull.title);
            tags.extend(shape.image_tags_in(pull.head_ref.rsplit('/').next().unwrap_or_default()));
            tags.sort();
            tags.dedup();
            (tags.len() == 1).then(|| tags.remove(0)).filter(|tag| Some(tag.as_str()) != main).map(|tag| (pull, tag))
        })
        .max_by_key(|(pull, _)| (pull.updated_at, pull.number));
    if let Some((pull, tag)) = bump {
        let lags = main.map_or_else(String::new, |main| format!("; main still says {main}"));
        let source = format!("the open pull request #{}{lags}", pull.number);
        return Some(RunningFact { tag, certain: false, source });
    }
    main.map(|tag| RunningFact {
        tag: tag.to_owned(),
        certain: false,
        source: "main of the infrastructure repository".into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OLD: &str = "rel-2024.06.13.17.07.54";
    const NEW: &str = "rel-2024.08.22.20.53.01";

    fn shape() -> ReleaseShape {
        ReleaseShape { git_prefix: "catalog-".into(), image_prefix: "rel-".into() }
    }

    fn block() -> Vec<String> {
        vec!["module".into(), "catalog-airflow".into()]
    }

    fn tags(state: &Value) -> Vec<String> {
        tags_in_state(state.to_string().as_bytes(), &shape(), &block()).unwrap()
    }

    fn shown(resources: Value) -> Value {
        json!({"format_version": "1.0", "values": {"root_module": {
        "resources": [{"mode": "managed", "values": {"input": "rel-2020.01.01.00.00.00"}}],
        "child_modules": [
            {"address": "module.catalog-airflow", "resources": [], "child_modules": [
                {"address": "module.catalog-airflow.module.instance", "resources": resources}]},
            {"address": "module.catalog-airflow-staging",
             "resources": [{"mode": "managed", "values": {"input": "rel-2021.01.01.00.00.00"}}]}
        ]}}})
    }

    #[test]
    fn the_state_as_terraform_shows_it_is_read_below_the_module_only() {
        let state = shown(json!([
            {"mode": "managed", "values": {"user_data": format!("docker run image:{OLD}\n"), "size": 3, "x": [{"y": OLD}]}},
            {"mode": "managed", "deposed_key": "ab", "values": {"input": "rel-2019.01.01.00.00.00"}},
            {"mode": "data", "values": {"tag": NEW}},
        ]));
        assert_eq!(tags(&state), [OLD]);
    }

    #[test]
    fn a_raw_state_file_is_read_as_well() {
        let state = json!({"version": 4, "resources": [
            {"module": "module.catalog-airflow", "mode": "managed", "instances": [{"attributes": {"input": {"value": OLD}}}]},
            {"module": "module.other", "mode": "managed", "instances": [{"attributes": {"input": NEW}}]},
        ]});
        assert_eq!(tags(&state), [OLD]);
    }

    #[test]
    fn several_tags_or_none_are_not_certain() {
        assert!(from_state(&[OLD.into()]).unwrap().certain);
        assert!(from_state(&[]).unwrap_err().contains("no image tag"));
        assert!(from_state(&[OLD.into(), NEW.into()]).unwrap_err().contains(NEW));
    }

    #[test]
    fn what_is_no_json_says_so_without_its_text() {
        let error = tags_in_state(b"secret! not json", &shape(), &block()).unwrap_err();
        assert!(error.contains("not JSON") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn the_attribute_at_main() {
        let at = AttributePath { file: "x.tf".into(), block: block(), attribute: "docker_image_tag".into() };
        let file = |tag: &str| {
            format!(
                "\u{feff}module \"api\" {{\n  docker_image_tag = \"{NEW}\"\n}}\nmodule \"catalog-airflow\" {{\r\n  docker_image_tag = \"{tag}\" # bumped\r\n}}\n"
            )
        };
        assert_eq!(tag_in_file(file(OLD).as_bytes(), &shape(), &at).as_deref(), Some(OLD));
        assert_eq!(tag_in_file(file("latest").as_bytes(), &shape(), &at), None);
        assert_eq!(tag_in_file(b"module {", &shape(), &at), None);
        let vars = AttributePath { block: vec![], ..at };
        assert_eq!(
            tag_in_file(format!("docker_image_tag = \"{OLD}\"\n").as_bytes(), &shape(), &vars).as_deref(),
            Some(OLD)
        );
    }

    fn pull(number: u64, title: &str, head: &str) -> PullRequest {
        PullRequest {
            number,
            title: title.into(),
            state: "open".into(),
            merged: false,
            head_ref: head.into(),
            head_sha: String::new(),
            base_ref: "main".into(),
            author: "dev".into(),
            html_url: String::new(),
            updated_at: None,
        }
    }

    #[test]
    fn main_lags_an_open_bump_pull_request() {
        let pulls = [pull(7, "Fix DNS", "dns"), pull(8, &format!("Deploy catalog {NEW} to production"), "x")];
        let fact = from_main(&shape(), Some(OLD), &pulls).unwrap();
        assert_eq!((fact.tag.as_str(), fact.certain), (NEW, false));
        assert_eq!(fact.source, format!("the open pull request #8; main still says {OLD}"));
        let by_branch = [pull(9, "Deploy", &format!("catalog-deploy/{NEW}"))];
        assert_eq!(from_main(&shape(), None, &by_branch).unwrap().tag, NEW);
        assert_eq!(from_main(&shape(), Some(OLD), &[]).unwrap().tag, OLD);
        assert_eq!(from_main(&shape(), None, &[]), None);
    }
}
