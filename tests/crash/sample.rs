//! Which cases are played: a sample that differs from run to run, or all of them.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use crate::case::{Crash, FAULTS, play};
use crate::director::Service;
use crate::disk;
use crate::point::{Moment, Point, points};
use crate::scenario::{Scenario, Set};
use crate::table::{Table, kind};

/// Where a bug was once found: played before anything else.
const FOUND: [&str; 4] = [
    // The bump was set back and nobody had written it down: the next process planned the old version.
    "fails rename checkout catalog-airflow.tf#3:after",
    // The new file lay beside the old one, and stayed there.
    "prod rename checkout catalog-airflow.tf#1:before",
    // A journal without a first line is a run that was never begun.
    "prod write journal.ndjson#1:torn",
    // Of two DAGs one was paused: looked up as a whole, the step seemed undone, and nobody unpaused it.
    "fails git push#2:worked",
];

/// So many crashes of each kind are judged at least, if need be after the time is up: a slow machine takes longer and
/// proves no less. With those of [`FOUND`] they are half of what two cores play in four minutes.
const OF_EACH_KIND: usize = 5;

fn some_of_each_kind(table: &Table) -> bool {
    table.of_each_kind().iter().all(|(_, judged)| *judged >= OF_EACH_KIND)
}

/// One crash to be played with all faults.
struct Job {
    scenario: Scenario,
    crash: Crash,
    /// Which of its cases end with `restore`.
    turn: usize,
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn number(name: &str, otherwise: u64) -> u64 {
    setting(name).map_or(otherwise, |value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

#[test]
fn nothing_is_lost() {
    let begin = Instant::now();
    let everything = setting("CRASH_ALL").is_some();
    let (point, only) = (setting("CRASH_POINT"), setting("CRASH_ONLY"));
    let (sets, jobs) = match &point {
        Some(wanted) => (Vec::new(), named(wanted)),
        None => {
            let (sets, mut jobs) = recorded();
            if let Some(only) = &only {
                jobs.retain(|job| format!("{} {}", job.scenario, kind(&job.crash)).contains(only));
            }
            (sets, chosen(jobs, everything))
        }
    };
    let limit = if everything { Duration::MAX } else { Duration::from_secs(number("CRASH_SECONDS", 300)) };
    let table = perform(sets, jobs, begin, limit);
    table.print();
    println!("{} cases judged in {:.0?}", table.judged(), begin.elapsed());
    assert!(table.violations.is_empty(), "{} cases violate a rule; they stand above", table.violations.len());
    assert!(table.judged() > 0, "nothing was judged");
    if point.is_none() && only.is_none() && !everything {
        let missing: Vec<&str> = FOUND.into_iter().filter(|name| !table.reached(name)).collect();
        assert!(missing.is_empty(), "a bug was found there once, and it was not judged: {missing:?}");
        assert!(some_of_each_kind(&table), "too few of a kind were judged: {:?}", table.of_each_kind());
    }
}

/// Every point of every scenario, from one unharmed run of each.
fn recorded() -> (Vec<Set>, Vec<Job>) {
    let sets: Vec<Set> = std::thread::scope(|scope| {
        let building: Vec<_> = Scenario::ALL.into_iter().map(|it| scope.spawn(move || Set::new(it))).collect();
        building.into_iter().map(|set| set.join().unwrap()).collect()
    });
    let mut jobs = Vec::new();
    for set in &sets {
        let scenario = set.scenario;
        let begin = Instant::now();
        let (ended, trace) = set.record();
        assert_eq!(ended.code, Some(scenario.exit()), "{scenario}, unharmed: {}", ended.stderr);
        let (points, folded) = points(&trace);
        let calls = set.stage.director.lock().calls;
        let took = begin.elapsed();
        println!(
            "{scenario}: {} points stand for {}, {calls} calls on the disk; one run takes {took:.1?}",
            points.len(),
            points.len() + folded
        );
        let outages = if scenario == Scenario::Rollback { outages(&points) } else { Vec::new() };
        let kills = points.into_iter().map(Crash::Killed);
        let all = kills.chain(disk::all(calls)).chain(outages);
        jobs.extend(all.enumerate().map(|(turn, crash)| Job { scenario, crash, turn }));
    }
    (sets, jobs)
}

/// Each service down at each step, and between all that a step does: whatever changes is in the journal.
fn outages(points: &[Point]) -> Vec<Crash> {
    let records = points.iter().filter(|it| it.key == "write journal.ndjson" && it.moment == Moment::After);
    let outage =
        |(of, from): (Service, &Point)| [false, true].map(|killed| Crash::Outage { of, from: from.clone(), killed });
    records.flat_map(|from| Service::ALL.map(|of| outage((of, from)))).flatten().collect()
}

/// `SCENARIO CRASH` as the table names it, with both ways to go on. A point that folding left out will do as well.
fn named(wanted: &str) -> Vec<Job> {
    let (scenario, crash) = wanted.split_once(' ').unwrap();
    let scenario = Scenario::named(scenario).unwrap();
    let crash: Crash = crash.parse().unwrap();
    (0..2).map(|turn| Job { scenario, crash: crash.clone(), turn }).collect()
}

/// All in their order or a part of them; or all in an order that the seed makes.
fn chosen(mut jobs: Vec<Job>, everything: bool) -> Vec<Job> {
    if everything {
        if let Some((part, of)) = setting("CRASH_PART").as_deref().and_then(|part| part.split_once('/')) {
            let (part, of): (usize, usize) = (part.parse().unwrap(), of.parse().unwrap());
            let mine = |index: usize| index % of == part % of;
            jobs = jobs.into_iter().enumerate().filter(|(index, _)| mine(*index)).map(|(_, job)| job).collect();
        }
        return jobs;
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let seed = number("CRASH_SEED", u64::try_from(now % 1_000_000_007).unwrap());
    println!("CRASH_SEED={seed}");
    shuffle(&mut jobs, seed);
    let found: Vec<Job> = FOUND.into_iter().flat_map(named).collect();
    // Of each kind in turn: there are many more records than requests and children.
    let mut kinds: BTreeMap<_, usize> = BTreeMap::new();
    let mut dealt: Vec<(usize, Job)> = Vec::new();
    for job in jobs {
        let round = kinds.entry((job.scenario, kind(&job.crash))).or_default();
        dealt.push((*round, job));
        *round += 1;
    }
    dealt.sort_by_key(|(round, _)| *round);
    found.into_iter().chain(dealt.into_iter().map(|(_, job)| job)).collect()
}

/// Fisher and Yates, over splitmix64.
fn shuffle<T>(all: &mut [T], seed: u64) {
    let mut state = seed;
    for last in (1..all.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let chosen = usize::try_from(mixed % (last as u64 + 1)).unwrap();
        all.swap(last, chosen);
    }
}

/// Several workers, each with stages of its own, until all is played, or time is up and some of each kind were judged.
fn perform(sets: Vec<Set>, jobs: Vec<Job>, begin: Instant, limit: Duration) -> Table {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = usize::try_from(number("CRASH_WORKERS", 2 * cores as u64)).unwrap().min(jobs.len().max(1));
    let table = Mutex::new(Table::default());
    let queue = Mutex::new(jobs.into_iter());
    let first = Mutex::new(Some(sets));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut sets = first.lock().unwrap().take().unwrap_or_default();
                while begin.elapsed() < limit || !some_of_each_kind(&table.lock().unwrap()) {
                    let Some(job) = queue.lock().unwrap().next() else { return };
                    if !sets.iter().any(|set| set.scenario == job.scenario) {
                        sets.push(Set::new(job.scenario));
                    }
                    let set = sets.iter().find(|set| set.scenario == job.scenario).unwrap();
                    let faults = if matches!(job.crash, Crash::Killed(_)) { &FAULTS[..] } else { &FAULTS[..1] };
                    let played = play(set, &job.crash, faults, job.turn);
                    table.lock().unwrap().add(&played);
                }
            });
        }
    });
    table.into_inner().unwrap()
}
