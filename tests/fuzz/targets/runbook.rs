//! A runbook, whatever stands in it: loaded and rendered, or refused with every problem drawn.

#![no_main]

use catalog_deploy::runbook::document;
use catalog_deploy::runbook::load::{Source, load};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    match load("fuzzed", Source::Frozen, input) {
        Ok(loaded) => assert!(!document::render(&loaded).is_empty()),
        Err(problems) => {
            assert!(problems.total() > 0);
            assert!(!problems.render(false).is_empty());
            let _coloured = problems.render(true);
        }
    }
});
