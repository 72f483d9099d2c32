//! What happened in the world, as the world saw it. The product's journal appears only as bytes that lay on the disk at
//! the moment of a change.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::facts::Facts;

/// Everything at the moment just before a change.
#[derive(Debug, Clone, Default)]
pub struct Sight {
    /// Of the newest run.
    pub journal: Vec<u8>,
    /// The newest run, whose command is at work.
    pub run: Option<String>,
    /// The run that the remote's lock names.
    pub lock: Option<String>,
    /// The remote does not answer at this moment: nobody can ask who holds the lock.
    pub remote_down: bool,
    /// The flag's literal in the checkout.
    pub flag: Option<String>,
    pub paused: BTreeSet<String>,
    /// Terraform's state file.
    pub state: Vec<u8>,
}

/// What somebody set out to change.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum What {
    Request {
        service: String,
        method: String,
        path: String,
        body: Value,
    },
    /// A ref of the remote; object ids, zeros for none.
    Ref {
        name: String,
        old: String,
        new: String,
    },
    /// `terraform apply` in the checkout.
    #[default]
    Apply,
    /// `just bump` in the checkout.
    Bump,
    /// The product replaced this file of the checkout.
    Edit {
        file: String,
    },
}

/// One change, or the attempt at it.
#[derive(Debug, Clone, Default)]
pub struct Deed {
    pub what: What,
    pub before: Sight,
    /// `None`: it never came back. A child that was killed may have done something all the same.
    pub effect: Option<bool>,
    /// The flag after it.
    pub flag_after: Option<String>,
    /// Terraform's state after it; empty where it never came back.
    pub state_after: Vec<u8>,
}

impl Deed {
    /// The instance in Terraform's state is another one than before. (Other resources may never settle.)
    pub fn changed(&self) -> bool {
        !self.state_after.is_empty() && instance(&self.state_after) != instance(&self.before.state)
    }
}

/// The id of the instance in a state of Terraform's; `None` where there is none, or the state cannot be read.
fn instance(state: &[u8]) -> Option<String> {
    let state: Value = serde_json::from_slice(state).ok()?;
    let resources = state["resources"].as_array()?;
    let instance = resources.iter().find(|it| it["name"] == "instance")?;
    instance["instances"][0]["attributes"]["id"].as_str().map(str::to_owned)
}

/// How one command ended.
#[derive(Debug, Clone)]
pub struct Ended {
    pub command: String,
    /// `None`: killed by us.
    pub code: Option<i32>,
    pub stderr: String,
    pub stdout: String,
}

/// A case from its beginning to its end.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub start: Facts,
    pub deeds: Vec<Deed>,
    pub commands: Vec<Ended>,
    pub end: Facts,
    /// What `status` printed at the end.
    pub status: String,
    /// The case was to end with `restore`.
    pub given_up: bool,
}

impl History {
    /// The last command, whose end is the end.
    pub fn last(&self) -> Option<&Ended> {
        self.commands.last()
    }

    /// The last command's exit code.
    pub fn exit(&self) -> Option<i32> {
        self.last().and_then(|ended| ended.code)
    }

    /// Deeds that took effect, with their place in the history.
    pub fn effects(&self) -> impl Iterator<Item = &Deed> {
        self.deeds.iter().filter(|deed| deed.effect == Some(true))
    }
}
