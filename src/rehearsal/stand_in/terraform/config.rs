//! Reads module calls and the `terraform_data` resources of their modules.

use std::collections::BTreeMap;
use std::path::Path;

use hcl_edit::expr::Expression;
use hcl_edit::parser::parse_body;
use hcl_edit::structure::{Block, Body};

use super::super::Failure;

/// An input that is known only after the apply, and is another one each time.
pub(super) const NOW: &str = "timestamp()";

/// A resource as configured, its references resolved as far as they are known without other resources.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    /// `module.NAME`
    pub(super) module: String,
    /// `module.NAME.terraform_data.RESOURCE`
    pub(super) address: String,
    pub(super) name: String,
    pub(super) input: Option<String>,
    /// Name of the resource whose output replaces this one.
    pub(super) trigger: Option<String>,
    /// The variable a precondition wants to be true, its value, and the error.
    pub(super) precondition: Option<(String, bool, String)>,
    /// Command of a destroy-time `local-exec`.
    pub(super) destroy: Option<String>,
}

/// Every resource of every module called in `directory`, those that trigger others first.
pub(super) fn read(directory: &Path) -> Result<Vec<Resource>, Failure> {
    let mut files: Vec<_> = std::fs::read_dir(directory)?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "tf"))
        .collect();
    files.sort();
    let mut resources = Vec::new();
    for file in files {
        for call in parse(&file)?.get_blocks("module") {
            let arguments: BTreeMap<String, String> =
                call.body.attributes().filter_map(|it| Some((it.key.to_string(), literal(&it.value)?))).collect();
            let (Some(source), Some(name)) = (arguments.get("source"), label(call, 0)) else { continue };
            let module = parse(&directory.join(source).join("main.tf"))?;
            for block in
                module.get_blocks("resource").filter(|block| label(block, 0).as_deref() == Some("terraform_data"))
            {
                resources.extend(resource(&name, block, &arguments));
            }
        }
    }
    resources.sort_by_key(|resource| resource.trigger.is_some());
    Ok(resources)
}

fn parse(file: &Path) -> Result<Body, Failure> {
    let text = std::fs::read_to_string(file)?;
    parse_body(&text).map_err(|error| Failure { code: 1, said: format!("Error: {}: {error}", file.display()) })
}

fn label(block: &Block, index: usize) -> Option<String> {
    block.labels.get(index).map(|label| label.as_str().to_owned())
}

fn literal(value: &Expression) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_bool().map(|flag| flag.to_string()))
}

fn resource(module: &str, block: &Block, arguments: &BTreeMap<String, String>) -> Option<Resource> {
    let name = label(block, 1)?;
    let text = |body: &Body, key: &str| {
        body.get_attribute(key).map(|it| literal(&it.value).unwrap_or_else(|| it.value.to_string().trim().to_owned()))
    };
    let variable = |text: &str| text.strip_prefix("var.").and_then(|name| arguments.get(name).cloned());
    let input = text(&block.body, "input").map(|input| variable(&input).unwrap_or(input));
    let trigger = text(&block.body, "triggers_replace")
        .and_then(|list| Some(list.split_once("terraform_data.")?.1.split('.').next()?.to_owned()));
    let precondition = block.body.get_blocks("lifecycle").flat_map(|it| it.body.get_blocks("precondition")).next();
    let precondition = precondition.and_then(|it| {
        let condition = text(&it.body, "condition")?;
        let holds = variable(&condition).as_deref() == Some("true");
        Some((condition, holds, text(&it.body, "error_message").unwrap_or_default()))
    });
    let destroy = block
        .body
        .get_blocks("provisioner")
        .find_map(|it| (text(&it.body, "when").as_deref() == Some("destroy")).then(|| text(&it.body, "command"))?);
    let address = format!("module.{module}.terraform_data.{name}");
    Some(Resource { module: format!("module.{module}"), address, name, input, trigger, precondition, destroy })
}
