//! What a run reads: a dry run asks each question once, a live run asks afresh before it decides.

use std::collections::BTreeMap;

use catalog_deploy::rehearsal::RequestLogEntry;

use crate::deploy::approved;
use crate::support::Stage;

/// How often each request was made.
fn counted(requests: &[RequestLogEntry]) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for it in requests {
        let body = it.body.as_ref().map(ToString::to_string).unwrap_or_default();
        *counted.entry(format!("{} {} {} {body}", it.service, it.method, it.path)).or_default() += 1;
    }
    counted
}

#[test]
fn a_dry_run_asks_once_and_a_deploy_asks_again() {
    let stage = Stage::new(&[]);
    let done = stage.run(&["prod", "--dry-run"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let seen = stage.world.requests();
    let mut twice: Vec<String> = counted(&seen).into_iter().filter(|(_, count)| *count > 1).map(|it| it.0).collect();
    // The one asks who answers at all, and the other which version that is.
    twice.retain(|request| request.trim() != "airflow GET /api/v1/version");
    // The registry's challenge is the answer to the first question, which is then asked again with a token.
    let challenged: Vec<&RequestLogEntry> = seen.iter().filter(|it| it.status == 401).collect();
    assert_eq!(challenged.len(), 1, "{challenged:?}");
    twice.retain(|request| request.trim() != format!("registry {} {}", challenged[0].method, challenged[0].path));
    assert_eq!(twice, Vec::<String>::new());
    assert!(seen.len() <= 60, "{} requests", seen.len());

    let done = stage.run(&approved(&[]));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let live = stage.world.requests().split_off(seen.len());
    let count = |part: &str| live.iter().filter(|it| it.path.contains(part)).count();
    // At the start, before the flag, and again after the answer to the plan.
    assert!(count("/dagRuns/list") >= 3, "{}", count("/dagRuns/list"));
    // By the list, and by id after the yes.
    assert!(count("/releases/170000051") >= 2, "{}", count("/releases/170000051"));
    assert!(count("/manifests/latest") >= 3, "{}", count("/manifests/latest"));
}
