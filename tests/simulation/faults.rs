//! Faults of the disk, one by one: an operation fails, or is the process' last; the journal is cut off at a byte; one byte
//! of each record is flipped.
//!
//! Operations are a sample, the first fourteen and each seventh after them; `SIM_EVERY=1` takes every one. Cuts are at
//! every byte of the journal's beginning and end and around each record's end, and a sample in between.

use std::path::Path;

use catalog_deploy::journal::disk::Disk;
use catalog_deploy::journal::runs::Runs;
use catalog_deploy::journal::store::JOURNAL;

use crate::disk::{Mishap, Moment, Op};
use crate::driver::{End, play};
use crate::scenario::{Command, Process, Scenario};

fn with(mishap: Option<(usize, Mishap)>, power: bool) -> Scenario {
    let mut scenario = Scenario::plain().with_refreshes();
    scenario.processes = vec![Process { disk: mishap, power, ..Process::quiet(Command::Deploy) }];
    scenario
}

/// Every operation of a deploy's disk, and which of them to try: all, or every few where time is short.
fn operations() -> (Vec<Op>, usize) {
    let every = std::env::var("SIM_EVERY").ok().map_or(7, |text| text.parse().unwrap());
    let ops = play(&with(None, false), 1, false).disk_ops;
    (ops, every)
}

#[test]
fn the_deploy_uses_every_operation_that_fails_below() {
    let (ops, _) = operations();
    for wanted in [Op::Create, Op::Write, Op::Sync] {
        assert!(ops.contains(&wanted), "{wanted:?}");
    }
}

#[test]
fn each_kth_operation_fails_and_nothing_is_lost() {
    let (ops, every) = operations();
    // The first ones make the directory and the journal: each of them counts.
    for at in (0..ops.len()).filter(|at| *at < 14 || at % every == 0) {
        for (full, from_then_on) in [(true, true), (false, false)] {
            let scenario = with(Some((at, Mishap::Fails { full, from_then_on })), false);
            let played = play(&scenario, 1, false);
            assert!(played.violations.is_empty(), "{:?} {at} fails: {:#?}", ops[at], played.violations);
            let End::Ended(outcome) = &played.ends[0].2 else { continue };
            // A run whose disk stays broken cannot be a success, unless all that was left to write is that it is over:
            // two records, a write and a sync each.
            assert!(!from_then_on || outcome.exit != 0 || at + 4 >= ops.len(), "{:?} {at}: {outcome:?}", ops[at]);
        }
    }
}

#[test]
fn a_process_that_dies_at_any_operation_loses_nothing() {
    let (ops, every) = operations();
    for at in (0..ops.len()).filter(|at| *at < 14 || at % every == 3 % every) {
        for moment in [Moment::Before, Moment::Torn, Moment::After] {
            for power in [false, true] {
                let played = play(&with(Some((at, Mishap::Dies(moment))), power), at as u64, false);
                let how = format!("{:?} {at} {moment:?}, power cut: {power}", ops[at]);
                assert!(played.violations.is_empty(), "{how}: {:#?}", played.violations);
                assert_eq!(played.ends[0].2, End::Died, "{how}");
            }
        }
    }
}

/// The journal of a whole deploy, on a disk of its own.
fn journal() -> (crate::disk::SimDisk, Vec<u8>) {
    let disk = crate::disk::SimDisk::new(crate::rng::Rng::new(1), Default::default());
    (disk, play(&with(None, false), 1, false).journal)
}

fn loaded(disk: &crate::disk::SimDisk, bytes: &[u8]) -> Result<usize, String> {
    disk.create_directory(Path::new("state/runs/run")).unwrap();
    disk.put(&Path::new("state/runs/run").join(JOURNAL), bytes);
    let runs = Runs::on(std::sync::Arc::new(disk.clone()), Path::new("state"));
    runs.load("run").map(|run| run.events.len()).map_err(|error| error.to_string())
}

#[test]
fn a_journal_cut_at_any_byte_is_what_stands_before() {
    let (disk, bytes) = journal();
    let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
    // Reading takes the whole journal each time, so not all.
    let near_an_end = |cut: usize| ends.iter().any(|end| cut.abs_diff(*end) <= 2);
    for cut in
        (0..=bytes.len()).filter(|cut| *cut < 400 || *cut + 400 > bytes.len() || near_an_end(*cut) || cut % 97 == 0)
    {
        let whole = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
        match loaded(&disk, &bytes[..cut]) {
            Ok(events) => assert_eq!(events, whole, "cut at {cut}"),
            Err(why) => assert!(whole == 0 && why.contains("the journal is empty"), "cut at {cut}: {why}"),
        }
    }
}

#[test]
fn one_flipped_byte_in_any_record_is_refused_with_its_place() {
    let (disk, bytes) = journal();
    let mut start = 0;
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let mut damaged = bytes.clone();
        damaged[start + (index * 31) % (line.len() - 1)] ^= 0x01;
        let why = loaded(&disk, &damaged).expect_err("a flipped byte");
        assert!(why.contains(&format!("{JOURNAL}:{}", index + 1)), "record {}: {why}", index + 1);
        start += line.len();
    }
}
