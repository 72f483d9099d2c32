//! What was played, in figures.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::{Crash, Played, Went};
use crate::director::Service;
use crate::point::Point;
use crate::scenario::Scenario;

/// Columns of one row.
#[derive(Debug, Default, Clone)]
struct Row {
    crashes: usize,
    /// Crashes of which at least one case was judged.
    reached: usize,
    judged: usize,
    idle: usize,
    missed: usize,
    violations: usize,
}

/// Rows by scenario and by what was hit.
#[derive(Debug, Default)]
pub struct Table {
    rows: BTreeMap<(Scenario, &'static str), Row>,
    /// Crashes that were judged, as `CRASH_POINT` takes them.
    reached: BTreeSet<String>,
    pub violations: Vec<String>,
}

impl Table {
    /// All cases of one crash.
    pub fn add(&mut self, all: &[Played]) {
        let Some(first) = all.first() else { return };
        let row = self.rows.entry((first.scenario, kind(&first.crash))).or_default();
        row.crashes += 1;
        if all.iter().any(|played| matches!(played.went, Went::Judged(..))) {
            row.reached += 1;
            self.reached.insert(format!("{} {}", first.scenario, first.crash));
        }
        for played in all {
            match &played.went {
                Went::Missed => row.missed += 1,
                Went::NothingToBreak => row.idle += 1,
                Went::Judged(violations, history) => {
                    row.judged += 1;
                    row.violations += usize::from(!violations.is_empty());
                    if violations.is_empty() {
                        continue;
                    }
                    let mut text = format!("VIOLATION {}\n", name(played));
                    for violation in violations {
                        text.push_str(&format!("  {}: {}\n", violation.rule, violation.what));
                    }
                    // Whoever looks at one point wants to see everything.
                    let all = std::env::var_os("CRASH_POINT").is_some();
                    for ended in &history.commands {
                        text.push_str(&format!("  ran `{}`: {:?}\n", ended.command, ended.code));
                        let said = ended.stderr.lines().filter(|_| all);
                        said.for_each(|line| text.push_str(&format!("    | {line}\n")));
                    }
                    println!("{text}");
                    self.violations.push(text);
                }
            }
        }
    }

    pub fn judged(&self) -> usize {
        self.rows.values().map(|row| row.judged).sum()
    }

    /// Whether a crash, named as `CRASH_POINT` takes it, was judged.
    pub fn reached(&self, name: &str) -> bool {
        self.reached.contains(name)
    }

    /// How many crashes of each kind were judged.
    pub fn of_each_kind(&self) -> [(&'static str, usize); 8] {
        KINDS.map(|kind| {
            let rows = self.rows.iter().filter(|((_, of), _)| *of == kind);
            (kind, rows.map(|(_, row)| row.reached).sum())
        })
    }

    pub fn print(&self) {
        println!(
            "{:<10} {:<13} {:>7} {:>7} {:>7} {:>7} {:>10}",
            "scenario", "hit", "points", "judged", "idle", "missed", "violations"
        );
        let mut sum = Row::default();
        for ((scenario, kind), row) in &self.rows {
            line(&scenario.to_string(), kind, row);
            sum.crashes += row.crashes;
            sum.judged += row.judged;
            sum.idle += row.idle;
            sum.missed += row.missed;
            sum.violations += row.violations;
        }
        line("all", "", &sum);
        println!("idle: the next process made no request that a fault could break; missed: this run took another way");
    }
}

fn line(scenario: &str, kind: &str, row: &Row) {
    println!(
        "{scenario:<10} {kind:<13} {:>7} {:>7} {:>7} {:>7} {:>10}",
        row.crashes, row.judged, row.idle, row.missed, row.violations
    );
}

/// A case as people name it; its scenario and point are what `CRASH_POINT` takes.
pub fn name(played: &Played) -> String {
    format!("{} {}, then {:?} with {:?}", played.scenario, played.crash, played.then, played.broken)
}

/// What a crash can hit.
const KINDS: [&str; 8] =
    ["file", "request", "child", "bad disk", "airflow down", "registry down", "github down", "remote down"];

/// What a crash hits, one of [`KINDS`].
pub fn kind(crash: &Crash) -> &'static str {
    let key = match crash {
        Crash::Killed(Point { key, .. }) => key,
        Crash::Disk(_) => return "bad disk",
        Crash::Outage { of: Service::Airflow, .. } => return "airflow down",
        Crash::Outage { of: Service::Registry, .. } => return "registry down",
        Crash::Outage { of: Service::Github, .. } => return "github down",
        Crash::Outage { of: Service::Remote, .. } => return "remote down",
    };
    match key.split(' ').next().unwrap_or_default() {
        "write" | "fsync" | "rename" | "truncate" => "file",
        "git" | "just" | "terraform" => "child",
        _ => "request",
    }
}
