//! A journal, whatever stands in it: read, replayed, told. An input that begins with `{` is taken as records, one a line,
//! which get the numbers and checksums of whole lines, so that the fuzzer comes past them.

#![no_main]

use std::path::Path;

use catalog_deploy::journal::status::RunState;
use catalog_deploy::journal::store::{decode, decode_known};
use catalog_deploy::report::Sink;
use catalog_deploy::report::Verbosity;
use catalog_deploy::report::document::{Format, render};
use catalog_deploy::report::json::Json;
use catalog_deploy::report::lines::Lines;
use libfuzzer_sys::fuzz_target;

fn framed(records: &[u8]) -> Vec<u8> {
    let mut journal = Vec::new();
    for (record, number) in records.split(|byte| *byte == b'\n').zip(1_u64..) {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&number.to_le_bytes());
        hasher.update(record);
        let head = format!("{{\"n\":{number},\"crc\":\"{:08x}\",\"record\":", hasher.finalize());
        journal.extend_from_slice(head.as_bytes());
        journal.extend_from_slice(record);
        journal.extend_from_slice(b"}\n");
    }
    journal
}

fuzz_target!(|input: &[u8]| {
    let journal = if input.starts_with(b"{\"at\"") { framed(input) } else { input.to_vec() };
    let path = Path::new("journal.ndjson");
    // What is owed is told even where only a part can be read.
    if let Ok(events) = decode_known(path, &journal) {
        let _owed = RunState::owed(&events);
    }
    let Ok(events) = decode(path, &journal) else { return };
    // A journal that was cut is the beginning of the whole one.
    let cut = decode(path, &journal[..journal.len() / 2]).unwrap_or_else(|error| panic!("cut: {error}"));
    assert_eq!(cut[..], events[..cut.len()]);
    for format in [Format::Text, Format::Markdown] {
        let _report = render(&events, Some("tell the team"), format, 80);
    }
    let mut lines = Lines::new(std::io::sink(), Verbosity::Verbose);
    let mut json = Json::new(std::io::sink());
    for event in &events {
        lines.event(event);
        json.event(event);
    }
    if let Ok(Some(state)) = RunState::replay(&events) {
        // What was legal up to here is legal when it is read again in two parts.
        let half = RunState::replay(&events[..events.len() / 2]);
        assert!(half.is_ok(), "{half:?}");
        let _told = (state.open(), state.half_way(), state.undone(), state.in_doubt(), state.resumable());
    }
});
