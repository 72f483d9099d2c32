//! What `terraform show -json` may say: parsed, judged, told. The same plan has the same digest, however it is laid out.

#![no_main]

use std::sync::LazyLock;

use catalog_deploy::adapters::checkout::parse_plan;
use catalog_deploy::runbook::load::{Source, load};
use catalog_deploy::runbook::schema::Infrastructure;
use catalog_deploy::steps::apply::plan_judgement::judge_plan;
use libfuzzer_sys::fuzz_target;

static INFRASTRUCTURE: LazyLock<Infrastructure> = LazyLock::new(|| {
    let loaded = load("prod", Source::BuiltIn, include_str!("../../../runbooks/prod.toml"));
    loaded.ok().and_then(|loaded| loaded.runbook.infrastructure).unwrap_or_else(|| panic!("prod does not load"))
});

fuzz_target!(|input: &[u8]| {
    let Ok(plan) = parse_plan(input) else { return };
    let judgement = judge_plan(&plan, &INFRASTRUCTURE);
    let lines = judgement.lines();
    assert!(judgement.as_expected() || !lines.is_empty() || judgement.nothing());
    // Laid out anew, with the keys of its objects in another order, it is the same plan.
    if let Ok(value) = serde_json::from_slice::<serde_json::Value>(input)
        && let Ok(text) = serde_json::to_string_pretty(&value)
    {
        let again = parse_plan(text.as_bytes()).unwrap_or_else(|error| panic!("laid out anew: {error}"));
        assert_eq!(again.digest, plan.digest);
    }
});
