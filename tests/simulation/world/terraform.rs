//! Terraform's state, its plans, and applies that go on whatever becomes of whoever started them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use catalog_deploy::adapters::checkout::{Plan, PlannedChange};
use catalog_deploy::adapters::process::Exit;

use super::history::{Actor, Change};
use super::{Event, World, infra};

/// One apply: a child of the recorder, in a session of its own.
pub struct Child {
    pub exit_file: PathBuf,
    pub lines: Vec<String>,
    plan: Saved,
    /// How it ended, as far as somebody wrote it down.
    pub exit: Option<Exit>,
    pub alive: bool,
    /// Who writes down how it ends.
    pub recorder: bool,
    pub interrupted: bool,
    touched: bool,
    by: u32,
}

#[derive(Debug, Clone)]
pub struct Saved {
    serial: u64,
    pub tag: String,
}

pub struct Terraform {
    pub serial: u64,
    /// An instance of the new version never answers.
    pub never_boots: bool,
    /// The next apply ends with exit 0 and does nothing.
    pub idle: bool,
    /// Airflow answers no one until a new instance was made.
    pub dead_before: bool,
    /// The tag that the instance runs; `None`: destroyed.
    pub instance: Option<String>,
    pub user_data: String,
    /// Something else than the deploy changes as well.
    pub drifted: bool,
    /// Who holds the state lock.
    pub holder: Option<usize>,
    pub plans: BTreeMap<PathBuf, Saved>,
    pub children: Vec<Child>,
    /// The stage at which an apply fails, once each.
    pub failures: Vec<u8>,
    pub boot: i64,
}

impl Terraform {
    pub fn new() -> Self {
        Self {
            serial: 1,
            never_boots: false,
            idle: false,
            dead_before: false,
            instance: Some(super::OLD.into()),
            user_data: super::OLD.into(),
            drifted: false,
            holder: None,
            plans: BTreeMap::new(),
            children: Vec::new(),
            failures: Vec::new(),
            boot: 90_000,
        }
    }

    pub fn running(&self) -> bool {
        self.children.iter().any(|child| child.alive)
    }

    /// Somebody applies by hand, at once.
    pub fn set(&mut self, tag: &str) {
        self.serial += 1;
        self.instance = Some(tag.into());
        self.user_data = tag.into();
    }

    pub fn recorder_killed(&mut self) {
        for child in self.children.iter_mut().filter(|child| child.alive) {
            child.recorder = false;
        }
    }

    /// What a plan of `tag` finds, and the plan that it saves.
    pub fn plan(&self, tag: &str) -> (Plan, Saved) {
        let mut changes = Vec::new();
        let mut change = |name: &str, actions: &str| {
            let address = format!("module.catalog-airflow.terraform_data.{name}");
            changes.push(PlannedChange { address, actions: actions.into(), reason: None });
        };
        match &self.instance {
            Some(there) if there == tag => {}
            Some(_) => change("instance", "delete/create"),
            None => change("instance", "create"),
        }
        if self.user_data != tag {
            change("user_data", "update");
        }
        if self.drifted && !changes.is_empty() {
            let address = "module.catalog-airflow.terraform_data.alarm".to_owned();
            changes.push(PlannedChange { address, actions: "update".into(), reason: None });
        }
        let digest = format!("{tag} {changes:?}");
        let plan = Plan {
            changes,
            drift: Vec::new(),
            outputs: Vec::new(),
            checks: Vec::new(),
            errored: false,
            complete: false,
            digest,
            terraform_version: "1.11.4".into(),
        };
        (plan, Saved { serial: self.serial, tag: tag.into() })
    }
}

impl World {
    pub fn start_apply(&mut self, plan: &Path, exit_file: &Path) -> Option<usize> {
        let saved = self.terraform.plans.get(plan)?.clone();
        let child = self.terraform.children.len();
        let by = self.process;
        self.record(Actor::Run(by), Change::ApplyStarted { child, tag: saved.tag.clone() });
        self.terraform.children.push(Child {
            exit_file: exit_file.into(),
            lines: Vec::new(),
            plan: saved,
            exit: None,
            alive: true,
            recorder: true,
            interrupted: false,
            touched: false,
            by,
        });
        self.later(500, Event::Child { child, stage: 0 });
        Some(child)
    }

    /// The laptop is off, and with it whatever ran on it.
    pub fn power_off(&mut self) {
        self.terraform.holder = None;
        for index in 0..self.terraform.children.len() {
            if std::mem::take(&mut self.terraform.children[index].alive) {
                self.ended(index);
            }
        }
    }

    /// What an apply came to, whatever its exit code says.
    fn ended(&mut self, index: usize) {
        let child = &self.terraform.children[index];
        let (by, touched, wanted) = (child.by, child.touched, child.plan.tag.clone());
        let complete = self.terraform.instance.as_ref() == Some(&wanted) && self.terraform.user_data == wanted;
        self.record(Actor::Run(by), Change::ApplyEnded { child: index, complete, touched });
    }

    /// One stage of an apply: lock and check, destroy, the new configuration, create, the end.
    pub(super) fn child(&mut self, index: usize, stage: u8) {
        if !self.terraform.children[index].alive {
            return;
        }
        let failed = self.terraform.failures.iter().position(|at| *at == stage);
        if let Some(at) = failed {
            self.terraform.failures.remove(at);
            return self.child_ends(index, 1, "Error: something broke");
        }
        if self.terraform.children[index].interrupted {
            return self.child_ends(index, 130, "Interrupt received");
        }
        let plan = self.terraform.children[index].plan.clone();
        if stage == 0 && std::mem::take(&mut self.terraform.idle) {
            return self.child_ends(index, 0, "Apply complete!");
        }
        match stage {
            0 if self.terraform.holder.is_some() => {
                return self.child_ends(index, 1, "Error: Error acquiring the state lock");
            }
            0 if plan.serial != self.terraform.serial => {
                return self.child_ends(index, 1, "Error: Saved plan is stale");
            }
            0 => self.terraform.holder = Some(index),
            1 => {
                self.say(index, "terraform_data.instance: Destroying...");
                self.terraform.instance = None;
                self.airflow.destroyed();
                self.touch(index);
            }
            2 => {
                self.say(index, "terraform_data.user_data: Modifying...");
                self.terraform.user_data = plan.tag;
                self.touch(index);
            }
            3 => {
                self.say(index, "terraform_data.instance: Creating...");
                self.airflow.version = if plan.tag == super::NEW { "2.10.1".into() } else { "2.9.3".into() };
                let never = self.terraform.never_boots && plan.tag == super::NEW;
                self.airflow.up_from = (!never).then_some(self.now + self.terraform.boot);
                self.terraform.instance = Some(plan.tag);
                if std::mem::take(&mut self.terraform.dead_before) {
                    self.down.remove("Airflow");
                }
                self.touch(index);
            }
            _ => return self.child_ends(index, 0, "Apply complete!"),
        }
        self.later(12_000, Event::Child { child: index, stage: stage + 1 });
    }

    fn touch(&mut self, index: usize) {
        self.terraform.serial += 1;
        self.terraform.children[index].touched = true;
    }

    fn say(&mut self, index: usize, line: &str) {
        self.terraform.children[index].lines.push(line.into());
    }

    fn child_ends(&mut self, index: usize, code: i32, words: &str) {
        self.say(index, words);
        if self.terraform.holder == Some(index) {
            self.terraform.holder = None;
        }
        let child = &mut self.terraform.children[index];
        child.alive = false;
        if child.recorder {
            child.exit = Some(Exit::Code(code));
        }
        self.ended(index);
    }

    /// What the checkout's file says to plan: its tag, or why a plan fails.
    pub fn plan_of(&self, bytes: &[u8], takes_lock: bool) -> Result<String, &'static str> {
        if takes_lock && self.terraform.holder.is_some() {
            return Err("Error: Error acquiring the state lock");
        }
        let (version, flag) = infra::literals(bytes);
        if flag != "true" {
            return Err("Error: Resource precondition failed: running_dags_cleared must be true");
        }
        Ok(version.trim_matches('"').to_owned())
    }
}
