//! What would change, as a person reads it and as a file that can be applied.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::{Failure, fail};
use super::config::{self, Resource};
use super::state::{self, State};

/// One resource's part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) module: String,
    pub(super) name: String,
    /// Terraform's actions: `no-op`, `create`, `update`, `delete`, `delete/create`.
    pub(super) actions: String,
    pub(super) input: Option<String>,
    pub(super) trigger: Option<String>,
    /// The trigger is known only after the apply.
    pub(super) unknown_trigger: bool,
    pub(super) destroy: Option<String>,
}

impl Change {
    pub(super) fn address(&self) -> String {
        format!("{}.terraform_data.{}", self.module, self.name)
    }
}

pub(super) struct Plan {
    pub(super) changes: Vec<Change>,
    pub(super) prior: Option<State>,
    pub(super) serial: u64,
    pub(super) lineage: String,
    pub(super) targeted: bool,
    /// Address, variable and message of a precondition that failed.
    pub(super) failed: Option<(String, String, String)>,
    pub(super) checked: Vec<String>,
}

pub(super) fn make(directory: &Path, target: Option<&str>) -> Result<Plan, Failure> {
    let prior = state::read(directory)?;
    let within = |module: &str| target.is_none_or(|target| target == module);
    let configured: Vec<Resource> = config::read(directory)?.into_iter().filter(|it| within(&it.module)).collect();
    let mut plan = Plan {
        changes: Vec::new(),
        serial: prior.serial,
        lineage: prior.lineage.clone(),
        targeted: target.is_some(),
        failed: None,
        checked: Vec::new(),
        prior: None,
    };
    for resource in &configured {
        if let Some((variable, holds, error)) = &resource.precondition {
            plan.checked.push(resource.address.clone());
            if !holds {
                plan.failed = Some((resource.address.clone(), variable.clone(), error.clone()));
                continue;
            }
        }
        let change = change(resource, &prior, &plan.changes);
        plan.changes.push(change);
    }
    let gone = prior
        .resources
        .iter()
        .filter(|it| within(&it.module) && !configured.iter().any(|known| known.address == it.address()));
    for existing in gone {
        plan.changes.push(Change {
            module: existing.module.clone(),
            name: existing.name.clone(),
            actions: "delete".into(),
            input: None,
            trigger: None,
            unknown_trigger: false,
            destroy: None,
        });
    }
    plan.prior = Some(prior);
    Ok(plan)
}

fn change(resource: &Resource, prior: &State, earlier: &[Change]) -> Change {
    let existing = prior.resources.iter().find(|it| it.address() == resource.address);
    let source = resource
        .trigger
        .as_ref()
        .and_then(|name| earlier.iter().find(|change| change.module == resource.module && &change.name == name));
    let unknown_trigger = source.is_some_and(|change| change.actions != "no-op");
    let trigger = source.and_then(|change| change.input.clone());
    let actions = match existing {
        None => "create",
        Some(existing) if unknown_trigger || existing.trigger != trigger => "delete/create",
        Some(existing) if existing.input != resource.input => "update",
        Some(_) => "no-op",
    };
    Change {
        module: resource.module.clone(),
        name: resource.name.clone(),
        actions: actions.into(),
        input: resource.input.clone(),
        trigger,
        unknown_trigger,
        destroy: resource.destroy.clone(),
    }
}

impl Plan {
    pub(super) fn changes_anything(&self) -> bool {
        self.changes.iter().any(|change| change.actions != "no-op")
    }

    /// Fails as Terraform does where a precondition did not hold.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match &self.failed {
            None => Ok(()),
            Some((address, variable, message)) => fail(format!(
                "\nError: Resource precondition failed\n\n  in resource {address}\n    {variable} is false\n\n{message}"
            )),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::from("(rehearsal stand-in, not the real terraform)\n");
        let mut counts = [0; 3];
        for change in self.changes.iter().filter(|change| change.actions != "no-op") {
            let (sign, what) = match change.actions.as_str() {
                "create" => ("  +", "will be created"),
                "update" => ("  ~", "will be updated in-place"),
                "delete" => ("  -", "will be destroyed"),
                _ => ("-/+", "must be replaced"),
            };
            counts[0] += usize::from(change.actions.contains("create"));
            counts[1] += usize::from(change.actions == "update");
            counts[2] += usize::from(change.actions.contains("delete"));
            let input = match change.input.as_deref() {
                Some(config::NOW) => "(known after apply)".to_owned(),
                input => format!("{:?}", input.unwrap_or("null")),
            };
            text.push_str(&format!("\n  # {} {what}\n{sign} input = {input}\n", change.address()));
        }
        if self.changes_anything() {
            text.push_str(&format!(
                "\nPlan: {} to add, {} to change, {} to destroy.\n",
                counts[0], counts[1], counts[2]
            ));
        } else {
            text.push_str("\nNo changes. Your infrastructure matches the configuration.\n");
        }
        text
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "stand_in": true,
            "serial": self.serial,
            "lineage": self.lineage,
            "errored": self.failed.is_some(),
            "changes": self.changes,
            "text": self.text(),
            "show": super::show::plan(self),
        })
    }

    pub(super) fn from_json(value: &Value) -> Result<Self, Failure> {
        if value["stand_in"] != true {
            return fail("Error: Failed to load the plan: it is not a plan of this stand-in");
        }
        if value["errored"] == true {
            return fail("Error: Cannot apply incomplete plan");
        }
        Ok(Self {
            changes: serde_json::from_value(value["changes"].clone())?,
            prior: None,
            serial: value["serial"].as_u64().unwrap_or(0),
            lineage: value["lineage"].as_str().unwrap_or_default().to_owned(),
            targeted: true,
            failed: None,
            checked: Vec::new(),
        })
    }
}
