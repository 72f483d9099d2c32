//! One small model of everything outside: what it holds, and what it does by itself as time passes.
//!
//! Time is milliseconds since the world's beginning. A request that was given up never takes effect later: what a
//! network keeps back for minutes is not modelled.

pub mod airflow;
pub mod github;
pub mod history;
pub mod infra;
pub mod terraform;

use std::collections::{BTreeMap, BTreeSet};

use catalog_deploy::adapters::lock::LockState;
use catalog_deploy::adapters::registry::Manifest;

use airflow::Airflow;
use github::Github;
use history::{Actor, Change, Happened};
use infra::Repo;
use terraform::Terraform;

/// Deployed when the world begins.
pub const OLD: &str = "rel-2024.08.22.20.53.01";
/// What a rollback goes back to.
pub const OLDER: &str = "rel-2024.06.13.17.07.54";
pub const DRAFT: &str = "catalog-2024.09.30.10.20.30";
pub const NEW: &str = "rel-2024.09.30.10.20.30";
/// The run of the other person.
pub const FOREIGN: &str = "prod-of-grace";

/// What happens by itself, or by other people's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Tagging {
        git_tag: String,
        fails: bool,
    },
    Tagged {
        git_tag: String,
    },
    ChangelogOpened {
        git_tag: String,
    },
    Child {
        child: usize,
        stage: u8,
    },
    DagStarts(String),
    DagEnds(String),
    RefreshMovesOn(String),
    OtherPauses(String),
    OtherUnpauses(String),
    MainMoves,
    LockBroken,
    OtherTakesLock,
    OtherFreesLock,
    OtherApplies(String),
    DraftRenamed,
    RecorderKilled,
    FlagByHand(String),
    /// A service of this name answers no one from now on.
    Down(&'static str),
    Up(&'static str),
}

/// What a process of ours is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    pub run: String,
    /// The tag that its run deploys.
    pub target: String,
    /// It may continue without an answer of these services.
    pub without: Vec<&'static str>,
    /// DAGs whose tasks it may kill.
    pub may_kill: Vec<String>,
}

pub struct World {
    pub now: i64,
    queue: BTreeMap<(i64, u64), Event>,
    queued: u64,
    pub github: Github,
    pub registry: BTreeMap<String, Manifest>,
    pub airflow: Airflow,
    pub repo: Repo,
    pub terraform: Terraform,
    pub lock: Option<LockState>,
    /// Since when the lock names another run than the one that asks, or nobody.
    pub lock_changed: i64,
    pub locks_made: u64,
    pub history: Vec<Happened>,
    /// The id of our run at work, once it has one.
    pub run: String,
    /// What each process of ours was about.
    pub errands: BTreeMap<u32, Errand>,
    /// Services that do not answer.
    pub down: BTreeSet<&'static str>,
    /// The process at work.
    pub process: u32,
    /// Steps whose intent is durable and has no durable outcome, as of the moment.
    pub intents: Vec<String>,
    /// When the request that takes effect now was begun.
    pub sent: i64,
    /// When the laptop woke up last, and after how long.
    pub woke: (i64, i64),
    pub tagging_fails: bool,
}

impl World {
    pub fn new() -> Self {
        let manifest =
            |name: &str| Manifest { digest: format!("sha256:{name}"), contents: vec![format!("config-{name}")] };
        let registry = [(OLDER, "older"), (OLD, "old"), ("latest", "new"), ("commit-new", "new")];
        Self {
            now: 0,
            queue: BTreeMap::new(),
            queued: 0,
            github: Github::new(),
            registry: registry.into_iter().map(|(tag, name)| (tag.to_owned(), manifest(name))).collect(),
            airflow: Airflow::new(),
            repo: Repo::new(),
            terraform: Terraform::new(),
            lock: None,
            lock_changed: 0,
            locks_made: 0,
            history: Vec::new(),
            run: String::new(),
            errands: BTreeMap::new(),
            down: BTreeSet::new(),
            process: 0,
            intents: Vec::new(),
            sent: 0,
            woke: (i64::MIN / 2, 0),
            tagging_fails: false,
        }
    }

    pub fn later(&mut self, delay: i64, event: Event) {
        self.queued += 1;
        self.queue.insert((self.now + delay.max(0), self.queued), event);
    }

    /// Lets everything happen that is due by `now`. Tells each in a line.
    pub fn advance(&mut self, now: i64) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((at, _), event) = entry.remove_entry();
            self.now = self.now.max(at);
            told.push(format!("{:>9} world: {event:?}", self.now));
            self.happens(event);
        }
        self.now = self.now.max(now);
        told
    }

    /// Nobody but us does anything any more; children of ours go on. What was broken is repaired.
    pub fn calm(&mut self) {
        self.down.clear();
        self.terraform.never_boots = false;
        if self.terraform.instance.is_some() && self.airflow.up_from.is_none_or(|from| from > self.now) {
            self.airflow.up_from = Some(self.now);
        }
        self.queue.retain(|_, event| {
            matches!(
                event,
                Event::Tagging { .. }
                    | Event::Tagged { .. }
                    | Event::ChangelogOpened { .. }
                    | Event::Child { .. }
                    | Event::DagEnds(_)
                    | Event::OtherFreesLock
            )
        });
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Tagging { git_tag, fails } => self.github.tagging_runs(&git_tag, self.now, fails),
            Event::Tagged { git_tag } => {
                let latest = self.registry["latest"].clone();
                self.registry.insert(git_tag.replace("catalog-", "rel-"), latest);
                self.github.tagging_ends(&git_tag, "success");
            }
            Event::ChangelogOpened { git_tag } => self.github.open_changelog(&git_tag),
            Event::Child { child, stage } => self.child(child, stage),
            Event::DagStarts(dag) => self.airflow.start(&dag, self.now),
            Event::DagEnds(dag) => self.airflow.end(&dag),
            Event::RefreshMovesOn(dag) => self.airflow.moves_on(&dag, self.now),
            Event::OtherPauses(dag) => self.other_sets(&dag, true),
            Event::OtherUnpauses(dag) => self.other_sets(&dag, false),
            Event::MainMoves => self.repo.main_moves(),
            Event::LockBroken => self.set_lock(Actor::Other, None),
            Event::OtherTakesLock if self.lock.is_none() => {
                let lock = infra::lock_of(FOREIGN, self.now, self.locks_made);
                self.set_lock(Actor::Other, Some(lock));
            }
            Event::OtherFreesLock if self.lock.as_ref().is_some_and(|lock| lock.record.run == FOREIGN) => {
                self.set_lock(Actor::Other, None);
            }
            Event::OtherTakesLock | Event::OtherFreesLock => {}
            Event::OtherApplies(tag) => {
                if self.terraform.holder.is_none() {
                    self.terraform.set(&tag);
                    // Over an instance that is gone, that makes a new one.
                    if self.airflow.up_from.is_none() {
                        self.airflow.up_from = Some(self.now + self.terraform.boot);
                        self.airflow.version = "2.9.3".into();
                    }
                    let applied = Change::ApplyEnded { child: usize::MAX, complete: true, touched: true };
                    self.record(Actor::Other, applied);
                }
            }
            Event::DraftRenamed => self.github.rename_draft(),
            Event::RecorderKilled => self.terraform.recorder_killed(),
            Event::Down(service) => drop(self.down.insert(service)),
            Event::Up(service) => drop(self.down.remove(service)),
            Event::FlagByHand(literal) => self.write(Actor::Other, self.repo.with_flag(&literal)),
        }
    }

    fn other_sets(&mut self, dag: &str, paused: bool) {
        if let Some(was) = self.airflow.set_paused(dag, paused, false, self.now) {
            self.record(Actor::Other, Change::Paused { dag: dag.into(), paused, was });
        }
    }

    /// Writes the checkout's file, and into the history what changed.
    pub fn write(&mut self, actor: Actor, bytes: Vec<u8>) {
        let (before, after) = (infra::literals(&self.repo.working), infra::literals(&bytes));
        let elsewhere = infra::rest(&self.repo.working) != infra::rest(&bytes);
        self.record(actor, Change::File { version: (before.0, after.0), flag: (before.1, after.1), elsewhere });
        self.repo.working = bytes;
    }

    pub fn set_lock(&mut self, actor: Actor, lock: Option<LockState>) {
        let holder = |lock: &Option<LockState>| lock.as_ref().map(|lock| lock.record.run.clone());
        let (from, to) = (holder(&self.lock), holder(&lock));
        self.record(actor, Change::Lock { from: from.clone(), to: to.clone() });
        if from != to {
            self.lock_changed = self.now;
        }
        self.locks_made += 1;
        self.lock = lock;
    }

    /// Writes a change into the history, with what the checker needs to judge it.
    pub fn record(&mut self, actor: Actor, change: Change) {
        self.history.push(Happened {
            at: self.now,
            actor,
            change,
            intents: self.intents.clone(),
            holder: self.lock.as_ref().map(|lock| lock.record.run.clone()),
            held_for: self.now - self.lock_changed,
            on_its_way: self.now - self.sent,
            slept: if self.now - self.woke.0 < 60_000 { self.woke.1 } else { 0 },
            flag: self.repo.flag(),
            applying: self.terraform.running(),
            busy: self.airflow.busy(),
        });
    }
}
