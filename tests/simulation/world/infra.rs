//! The infrastructure repository: its remote, the checkout on this laptop, and the lock.

use std::collections::BTreeMap;

use catalog_deploy::adapters::checkout::{Location, find_attribute, replace_attribute};
use catalog_deploy::adapters::lock::{LockRecord, LockState};
use jiff::Timestamp;

use super::OLD;

pub const FILE: &str = "environments/prod/catalog-airflow.tf";
pub const REFERENCE: &str = "refs/catalog-deploy/lock/openverse-catalog-prod";

/// The true time, as people write it.
pub fn moment(now: i64) -> Timestamp {
    Timestamp::from_millisecond(1_727_773_200_000 + now).unwrap()
}

pub fn file(tag: &str, merges: usize) -> Vec<u8> {
    let note = format!("# merged {merges} times");
    format!(
        "{note}\nmodule \"catalog-airflow\" {{\n  source = \"../../modules/catalog-airflow\"\n\n  docker_image_tag     = \
         \"{tag}\" # by just bump\n  running_dags_cleared = false\n}}\n"
    )
    .into_bytes()
}

fn at(attribute: &str) -> Location {
    Location { file: FILE.into(), block: vec!["module".into(), "catalog-airflow".into()], attribute: attribute.into() }
}

/// Literals of version and flag in a file's bytes.
pub fn literals(bytes: &[u8]) -> (String, String) {
    let find = |name: &str| {
        let at = at(name);
        find_attribute(bytes, &at.file, &at.block, &at.attribute)
            .map_or_else(|error| error.to_string(), |it| it.literal)
    };
    (find("docker_image_tag"), find("running_dags_cleared"))
}

/// The bytes with both literals blanked.
pub fn rest(bytes: &[u8]) -> Vec<u8> {
    let blank = |bytes: &[u8], name: &str| {
        let at = at(name);
        replace_attribute(bytes, &at.file, &at.block, &at.attribute, "\"\"").unwrap_or_else(|_| bytes.to_vec())
    };
    blank(&blank(bytes, "docker_image_tag"), "running_dags_cleared")
}

pub struct Repo {
    /// The file at every commit of main, oldest first; a commit's name is `main-INDEX`.
    pub main: Vec<Vec<u8>>,
    pub branches: BTreeMap<String, Vec<u8>>,
    /// The commit that the checkout is at.
    pub head: usize,
    pub working: Vec<u8>,
}

impl Repo {
    pub fn new() -> Self {
        let first = file(OLD, 0);
        Self { main: vec![first.clone()], branches: BTreeMap::new(), head: 0, working: first }
    }

    pub fn flag(&self) -> String {
        literals(&self.working).1
    }

    pub fn version(&self) -> String {
        literals(&self.working).0
    }

    pub fn commit(index: usize) -> String {
        format!("main-{index:036}")
    }

    /// Somebody merges something else.
    pub fn main_moves(&mut self) {
        let newest = String::from_utf8(self.main.last().unwrap().clone()).unwrap();
        let merges = self.main.len();
        let (_, body) = newest.split_once('\n').unwrap();
        self.main.push(format!("# merged {merges} times\n{body}").into_bytes());
    }

    /// The person does what a refusal says: pulls, with the file's own edits kept.
    pub fn pull(&mut self) {
        let (version, flag) = literals(&self.working);
        self.head = self.main.len() - 1;
        self.working = self.main[self.head].clone();
        for (name, literal) in [("docker_image_tag", version), ("running_dags_cleared", flag)] {
            let at = at(name);
            self.working = replace_attribute(&self.working, &at.file, &at.block, name, &literal).unwrap();
        }
    }

    /// The file with the flag as somebody sets it.
    pub fn with_flag(&self, literal: &str) -> Vec<u8> {
        let at = at("running_dags_cleared");
        replace_attribute(&self.working, &at.file, &at.block, &at.attribute, literal).unwrap()
    }
}

/// Somebody's lock.
pub fn lock_of(run: &str, now: i64, number: u64) -> LockState {
    LockState {
        reference: REFERENCE.into(),
        commit: format!("lock-{number}"),
        record: LockRecord {
            run: run.into(),
            runbook: "prod".into(),
            who: "grace".into(),
            host: "elsewhere".into(),
            step: None,
            taken_at: moment(now),
            heartbeat_at: moment(now),
            nonce: String::new(),
        },
    }
}
