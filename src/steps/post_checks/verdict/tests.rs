use super::*;
use crate::adapters::Cause;
use crate::adapters::airflow::Component;

fn at(text: &str) -> Timestamp {
    format!("2026-11-20T{text}Z").parse().expect("timestamp")
}

fn component(status: Option<&str>, heartbeat: Option<&str>) -> Component {
    Component { status: status.map(Into::into), heartbeat: heartbeat.map(at) }
}

fn issue(id: &str, first_seen: &str) -> Issue {
    Issue {
        id: id.into(),
        short_id: format!("CATALOG-{id}"),
        title: "KeyError".into(),
        permalink: format!("https://sentry.io/{id}"),
        first_seen: Some(at(first_seen)),
    }
}

/// Applied at 09:00, all well.
fn well() -> (Reading, Expected) {
    let components = [
        ("metadatabase".to_owned(), component(Some("healthy"), None)),
        ("scheduler".to_owned(), component(Some("healthy"), Some("09:05:00"))),
        ("triggerer".to_owned(), component(None, None)),
        ("dag_processor".to_owned(), component(None, None)),
    ];
    let reading = Reading {
        health: Ok(Health { components: components.into(), server_time: None }),
        version: Ok("2.10.1".into()),
        import_errors: Ok(vec!["old.py: NameError: x".into()]),
        sentry: Some(Ok(vec![issue("1", "01:00:00")])),
    };
    let expected = Expected {
        applied: Some(AppliedFact {
            ended_at: at("09:00:00"),
            airflow_clock_skew_ms: 0,
            changed: true,
            unverified: None,
        }),
        baseline: Some(BaselineFact {
            taken_at: at("08:00:00"),
            airflow_version: Some("2.9.3".into()),
            import_errors: Some(vec!["old.py: NameError: x".into()]),
            from_run: None,
            sentry_issues: Some(vec!["1".into()]),
        }),
        version: Some("v2.10.1".into()),
    };
    (reading, expected)
}

/// Boot until 09:15; well from `well` on with ten minutes of soak.
fn times(now: &str, well: Option<&str>, unwell: Option<&str>) -> Times {
    Times {
        now: at(now),
        boot_until: at("09:15:00"),
        soak_until: well.map(|well| at(well) + Duration::from_secs(600)),
        unwell_since: unwell.map(at),
        grace: GRACE,
    }
}

/// Before the end of the boot time, and after it.
fn early_and_late(reading: &Reading, expected: &Expected) -> (Next, Next) {
    let verdict = judge(reading, expected);
    (
        decide(&verdict, &times("09:01:00", None, Some("09:01:00"))),
        decide(&verdict, &times("09:15:00", None, Some("09:01:00"))),
    )
}

fn waits_then_unhealthy(reading: &Reading, expected: &Expected, why: &str) {
    let (early, late) = early_and_late(reading, expected);
    assert!(matches!(&early, Next::Wait(on) if on.contains(why)), "{early:?}");
    assert!(matches!(&late, Next::Unhealthy(seen) if seen.contains(why)), "{late:?}");
}

fn unread(cause: Cause) -> Unread {
    ServiceError::new("Airflow", "GET /health", cause).into()
}

#[test]
fn all_well_soaks_and_then_is_done() {
    let (reading, expected) = well();
    let verdict = judge(&reading, &expected);
    assert_eq!((verdict.unwell.len(), verdict.bad.len(), verdict.untold.len()), (0, 0, 0), "{verdict:?}");
    let next = |now| decide(&verdict, &times(now, Some("09:06:00"), None));
    assert!(matches!(next("09:15:59"), Next::Wait(_)));
    assert_eq!(next("09:16:00"), Next::Done);
}

#[test]
fn the_old_version_still_answering_is_unhealthy_at_the_deadline() {
    let (mut reading, expected) = well();
    reading.version = Ok("2.9.3".into());
    waits_then_unhealthy(&reading, &expected, "expected Airflow 2.10.1, but it still answers 2.9.3");
}

#[test]
fn health_is_read_not_only_reached() {
    let (reading, expected) = well();
    let with = |name: &str, component: Component| {
        let mut reading = reading.clone();
        if let Ok(health) = &mut reading.health {
            health.components.insert(name.into(), component);
        }
        reading
    };
    let table = [
        ("metadatabase", component(Some("unhealthy"), None), "metadatabase is unhealthy"),
        ("scheduler", component(Some("unhealthy"), Some("09:05:00")), "scheduler is unhealthy"),
        ("scheduler", component(None, Some("09:05:00")), "does not say how its scheduler is"),
        ("scheduler", component(Some("healthy"), Some("08:59:59")), "it is the old one's"),
        ("scheduler", component(Some("healthy"), None), "no heartbeat yet"),
        ("triggerer", component(Some("unhealthy"), None), "triggerer is unhealthy"),
    ];
    for (name, component, why) in table {
        waits_then_unhealthy(&with(name, component), &expected, why);
    }
}

#[test]
fn nothing_restarted_needs_no_new_heartbeat() {
    let (mut reading, mut expected) = well();
    if let Ok(health) = &mut reading.health {
        health.components.insert("scheduler".into(), component(Some("healthy"), Some("08:00:00")));
    }
    assert!(!judge(&reading, &expected).unwell.is_empty());
    expected.applied.as_mut().expect("applied").changed = false;
    assert!(judge(&reading, &expected).unwell.is_empty());
}

#[test]
fn an_airflow_that_cannot_be_reached_is_unhealthy_and_refused_credentials_are_inconclusive() {
    let (mut reading, expected) = well();
    reading.health = Err(unread(Cause::Unreachable("connection refused".into())));
    waits_then_unhealthy(&reading, &expected, "connection refused");
    reading.health = Err(unread(Cause::Unauthorized("expired".into())));
    let (early, late) = early_and_late(&reading, &expected);
    assert!(matches!(early, Next::Wait(_)));
    assert!(matches!(late, Next::Inconclusive(_)), "{late:?}");
    reading.version = Ok("2.9.3".into());
    assert!(matches!(early_and_late(&reading, &expected).1, Next::Unhealthy(_)));
}

#[test]
fn only_new_import_errors_count() {
    let (mut reading, expected) = well();
    reading.import_errors = Ok(vec!["new.py: ImportError: y".into(), "old.py: NameError: x".into()]);
    waits_then_unhealthy(&reading, &expected, "new import errors: new.py: ImportError: y");
    reading.import_errors = Ok(vec![]);
    assert!(judge(&reading, &expected).unwell.is_empty());
}

#[test]
fn an_import_error_is_known_by_its_path_in_either_version() {
    let known = |before: &str, now: &str| same_import_error(before, now);
    let (whole, within) = ("/opt/airflow/dags/a/b.py: NameError: x", "a/b.py: NameError: x");
    assert!(known(whole, within) && known(within, whole) && known(whole, whole));
    assert!(!known("/opt/airflow/dags/aa/b.py: NameError: x", within));
    assert!(!known(whole, "a/b.py: NameError: y"));
}

#[test]
fn a_new_sentry_issue_is_unhealthy_at_once() {
    let (mut reading, expected) = well();
    reading.sentry = Some(Ok(vec![issue("1", "01:00:00"), issue("2", "09:03:00")]));
    let (early, _) = early_and_late(&reading, &expected);
    assert!(matches!(&early, Next::Unhealthy(why) if why.contains("CATALOG-2 KeyError (https://sentry.io/2)")));
}

#[test]
fn an_old_issue_behind_a_full_list_is_not_new() {
    let (mut reading, mut expected) = well();
    reading.sentry = Some(Ok(vec![issue("old", "01:00:00")]));
    assert_eq!(judge(&reading, &expected).bad.len(), 1, "came back");
    let full = (0..SENTRY_LIMIT).map(|id| format!("x{id}")).collect();
    expected.baseline.as_mut().expect("baseline").sentry_issues = Some(full);
    assert!(judge(&reading, &expected).bad.is_empty());
}

#[test]
fn what_cannot_be_told_is_inconclusive_only_after_the_soak() {
    let (reading, expected) = well();
    let check = |reading: &Reading, expected: &Expected, why: &str| {
        let verdict = judge(reading, expected);
        assert!(matches!(decide(&verdict, &times("09:10:00", Some("09:06:00"), None)), Next::Wait(_)));
        let end = decide(&verdict, &times("09:16:00", Some("09:06:00"), None));
        assert!(matches!(&end, Next::Inconclusive(text) if text.contains(why)), "{end:?}");
    };
    let refused =
        Reading { sentry: Some(Err(unread(Cause::Unauthorized("not configured".into())))), ..reading.clone() };
    check(&refused, &expected, "not configured");
    check(&reading, &Expected { version: None, ..expected.clone() }, "which version the image holds");
    let mut without = expected.clone();
    without.baseline.as_mut().expect("baseline").sentry_issues = None;
    check(&reading, &without, "no list from before");
    let none = Reading { sentry: None, ..reading };
    assert!(judge(&none, &without).untold.is_empty(), "no Sentry in the runbook, nothing to tell");
}

#[test]
fn an_airflow_that_does_not_answer_at_all_is_said_once() {
    let (reading, expected) = well();
    let dead = || unread(Cause::Unreachable("Connection refused".into()));
    let reading = Reading { health: Err(dead()), version: Err(dead()), import_errors: Err(dead()), ..reading };
    let verdict = judge(&reading, &expected);
    assert_eq!(verdict.unwell.len(), 1, "{:?}", verdict.unwell);
    assert!(verdict.unwell[0].starts_with("Airflow cannot be read: "), "{:?}", verdict.unwell);
}

#[test]
fn a_hiccup_in_the_soak_is_no_verdict_but_a_lapse_is() {
    let (mut reading, expected) = well();
    reading.health = Err(unread(Cause::NoAnswer("no answer in time".into())));
    let verdict = judge(&reading, &expected);
    let next = |now, unwell| decide(&verdict, &times(now, Some("09:10:00"), Some(unwell)));
    assert!(matches!(next("09:18:00", "09:18:00"), Next::Wait(_)));
    assert!(matches!(next("09:19:00", "09:18:00"), Next::Unhealthy(_)));
}
