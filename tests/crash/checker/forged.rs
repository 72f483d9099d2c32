//! Histories made by hand: a flawless one, for a rule's test to spoil.

use serde_json::json;

use super::check;
use crate::facts::{LOCK, MODULE};
use crate::history::{Deed, Ended, History, Sight, What};
use crate::scenario::Scenario;

const RUN: &str = "prod-1";
const TAG: &str = "rel-2024.09.30.10.20.30";
const OLD: &str = "rel-2024.08.22.20.53.01";
const ZERO: &str = "0000000000";

pub struct Forged {
    pub history: History,
}

/// Names of the rules that find something, each once.
pub fn rules(history: &History) -> Vec<&'static str> {
    let mut found: Vec<&str> = check(history, Scenario::Prod).into_iter().map(|violation| violation.rule).collect();
    found.dedup();
    found
}

pub fn ended(command: &str, code: i32) -> Ended {
    Ended { command: command.into(), code: Some(code), stderr: String::new(), stdout: String::new() }
}

fn module(tag: &str, flag: bool) -> Vec<u8> {
    format!("module \"catalog-airflow\" {{\n  docker_image_tag = \"{tag}\"\n  running_dags_cleared = {flag}\n}}\n")
        .into_bytes()
}

fn state(instance: &str) -> Vec<u8> {
    let instances = json!([{ "attributes": { "id": instance } }]);
    json!({ "resources": [{ "name": "instance", "instances": instances }] }).to_string().into_bytes()
}

fn intent(step: &str) -> Vec<u8> {
    format!("{}\n", json!({ "record": { "event": "intent", "step": step, "effect": format!("{step}/1") } }))
        .into_bytes()
}

fn request(method: &str, path: &str, body: serde_json::Value) -> What {
    What::Request { service: "world".into(), method: method.into(), path: path.into(), body }
}

impl Forged {
    /// Killed once, resumed, deployed.
    pub fn deploy() -> Self {
        let mut forged = Self::restored();
        let history = &mut forged.history;
        history.given_up = false;
        history.commands[1] = ended("resume", 0);
        history.end.deployed = Some(TAG.into());
        history.end.drafts.clear();
        history.end.published.insert(TAG.replace("rel-", "catalog-"));
        history.end.pulls.push(format!("catalog-deploy/{TAG}"));
        history.end.approvals.push(4901);
        forged.module(TAG, false);
        forged.add(What::Ref { name: LOCK.into(), old: ZERO.into(), new: "1".into() });
        forged.history.deeds[0].before.lock = None;
        forged.add(What::Apply);
        let apply = forged.history.deeds.last_mut().unwrap();
        (apply.before.flag, apply.before.state, apply.state_after) = (Some("true".into()), state("1"), state("2"));
        forged.add(request("PATCH", "/api/v1/dags/image_data_refresh", json!({ "is_paused": false })));
        forged.add(What::Ref { name: LOCK.into(), old: "1".into(), new: ZERO.into() });
        forged
    }

    /// Killed once, given back, nothing changed.
    pub fn restored() -> Self {
        let mut history = History { given_up: true, ..History::default() };
        history.start.files.insert(MODULE.into(), module(OLD, false));
        history.start.refs.insert("refs/heads/main".into(), "1".into());
        history.start.deployed = Some(OLD.into());
        history.start.drafts.insert(TAG.replace("rel-", "catalog-"));
        history.end = history.start.clone();
        let mut killed = ended("prod", 0);
        killed.code = None;
        history.commands = vec![killed, ended("restore", 0)];
        history.status = "open       nothing\n".into();
        Self { history }
    }

    /// A change made as it should be.
    pub fn add(&mut self, what: What) {
        let journal = super::step(&what, false).map(intent).unwrap_or_default();
        let before = Sight {
            journal,
            run: Some(RUN.into()),
            lock: Some(RUN.into()),
            flag: Some("false".into()),
            ..Sight::default()
        };
        self.again(Deed { what, before, effect: Some(true), ..Deed::default() });
    }

    pub fn again(&mut self, deed: Deed) {
        self.history.deeds.push(deed);
    }

    pub fn deed(&mut self, what: &What) -> &mut Deed {
        self.history.deeds.iter_mut().find(|deed| deed.what == *what).unwrap()
    }

    pub fn unpaused(&mut self) -> &mut Deed {
        let unpauses =
            |deed: &&mut Deed| matches!(&deed.what, What::Request { body, .. } if body["is_paused"] == false);
        self.history.deeds.iter_mut().find(unpauses).unwrap()
    }

    pub fn freed(&mut self) -> &mut Deed {
        self.history.deeds.last_mut().unwrap()
    }

    /// What the checkout's module holds at the end.
    pub fn module(&mut self, tag: &str, flag: bool) {
        self.history.end.files.insert(MODULE.into(), module(tag, flag));
    }

    pub fn history(&self) -> History {
        self.history.clone()
    }
}
