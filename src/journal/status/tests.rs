use super::*;
use crate::event::FORMAT;
use crate::facts::{AppliedFact, Fact, Place, Thing};

fn at(event: Event) -> Stamped {
    Stamped { at: Timestamp::UNIX_EPOCH, event }
}

fn start() -> Stamped {
    let head =
        |id: &str| StepHead { id: id.into(), title: id.into(), kind: "shell".into(), gate: false, locked: false };
    at(Event::RunStarted {
        format: FORMAT,
        run: "r".into(),
        runbook: "prod".into(),
        source: "built in".into(),
        hash: String::new(),
        title: String::new(),
        mode: Mode::Deploy,
        who: "ada".into(),
        host: "laptop".into(),
        parameters: Parameters::default(),
        steps: vec![head("flag"), head("apply")],
    })
}

fn held(id: &str, step: &str) -> Held {
    Held { id: id.into(), step: step.into(), thing: Thing::PausedDag { dag: id.into() }, place: Place::World }
}

fn intent(step: &str, effect: &str, holds: Vec<Held>) -> Stamped {
    let what = format!("change {effect}");
    at(Event::Intent {
        step: step.into(),
        effect: effect.into(),
        what,
        holds,
        keeps: vec![],
        returns: None,
        forever: false,
    })
}

fn outcome(effect: &str, ended: Ended) -> Stamped {
    at(Event::Outcome { effect: effect.into(), ended })
}

fn replay(rest: Vec<Stamped>) -> Result<RunState, Illegal> {
    let events: Vec<Stamped> = std::iter::once(start()).chain(rest).collect();
    Ok(RunState::replay(&events)?.unwrap())
}

fn started(step: &str) -> Stamped {
    at(Event::StepStarted { step: step.into() })
}

fn finished(step: &str) -> Stamped {
    at(Event::StepFinished { step: step.into(), result: StepResult::Changed })
}

#[test]
fn an_intent_without_outcome_is_in_doubt_and_owes_what_it_took() {
    let state = replay(vec![started("flag"), intent("flag", "flag/1", vec![held("f", "flag")])]).unwrap();
    assert_eq!(state.in_doubt(), ["flag"]);
    assert_eq!(state.held.len(), 1);
    assert!(state.open() && state.resumable() && state.changed());
}

/// A rollback writes its own version over the one of the run that it has taken over.
#[test]
fn a_value_written_over_a_held_one_is_the_one_to_set_back() {
    let version = |ours: &str| Held {
        thing: Thing::Attribute {
            file: "a.tf".into(),
            block: vec![],
            attribute: "version".into(),
            prior: "old".into(),
            ours: ours.into(),
        },
        ..held("flag/version", "flag")
    };
    let first =
        || vec![started("flag"), intent("flag", "flag/1", vec![version("new")]), outcome("flag/1", Ended::Done)];
    let second = || [first(), vec![intent("flag", "flag/2", vec![version("older")])]].concat();
    assert_eq!(replay(second()).unwrap().held, [version("older")]);
    for (end, stands) in [
        (Ended::Done, "older"),
        (Ended::InDoubt { why: "lost".into() }, "older"),
        (Ended::Refused { why: "no".into() }, "new"),
        (Ended::NotSeen, "new"),
    ] {
        let state = replay([second(), vec![outcome("flag/2", end.clone())]].concat()).unwrap();
        assert_eq!(state.held, [version(stands)], "{end:?}");
    }
}

#[test]
fn what_is_given_back_before_the_apply_is_to_be_done_again() {
    let given = at(Event::GivenBack { held: "f".into(), how: "false again".into() });
    let mut events = vec![
        started("flag"),
        intent("flag", "flag/1", vec![held("f", "flag")]),
        outcome("flag/1", Ended::Done),
        finished("flag"),
    ];
    let mut early = events.clone();
    early.push(given.clone());
    assert_eq!(replay(early).unwrap().steps["flag"], StepState::Idle);

    let applied =
        AppliedFact { ended_at: Timestamp::UNIX_EPOCH, airflow_clock_skew_ms: 0, changed: true, unverified: None };
    events.push(at(Event::Learned { step: "apply".into(), fact: Fact::Applied(applied) }));
    events.push(given);
    assert_eq!(replay(events).unwrap().steps["flag"], StepState::Ended(StepResult::Changed));
}

/// Killed while the bump was set back: the next process must not plan with a bump that is gone.
#[test]
fn what_is_being_given_back_is_not_done_any_more() {
    let mut returns = intent("flag", "flag/2", vec![]);
    if let Event::Intent { returns, .. } = &mut returns.event {
        *returns = Some("f".into());
    }
    let taken = vec![
        started("flag"),
        intent("flag", "flag/1", vec![held("f", "flag")]),
        outcome("flag/1", Ended::Done),
        finished("flag"),
    ];
    assert_eq!(replay(taken.clone()).unwrap().steps["flag"], StepState::Ended(StepResult::Changed));
    let state = replay([taken, vec![returns]].concat()).unwrap();
    assert_eq!(state.steps["flag"], StepState::Idle);
    assert_eq!(state.held.len(), 1, "and it is still owed");
}

#[test]
fn the_first_reading_of_a_held_value_survives_a_second_taking() {
    let again = Held { thing: Thing::PausedDag { dag: "other".into() }, ..held("f", "flag") };
    let state = replay(vec![
        started("flag"),
        intent("flag", "flag/1", vec![held("f", "flag")]),
        started("flag"),
        intent("flag", "flag/2", vec![again]),
    ])
    .unwrap();
    assert_eq!(state.held, [held("f", "flag")]);
}

#[test]
fn a_refused_change_is_no_change() {
    let refused = Ended::Refused { why: "403".into() };
    let state = replay(vec![started("flag"), intent("flag", "flag/1", vec![]), outcome("flag/1", refused)]).unwrap();
    assert!(!state.changed() && state.in_doubt().is_empty());
}

#[test]
fn histories_that_no_run_writes_are_refused_with_their_place() {
    let cases: Vec<(&str, Vec<Stamped>)> = vec![
        ("outcome without intent", vec![outcome("flag/1", Ended::Done)]),
        ("intent before looking", vec![intent("flag", "flag/1", vec![])]),
        (
            "same intent twice",
            vec![started("flag"), intent("flag", "e", vec![]), started("flag"), intent("flag", "e", vec![])],
        ),
        ("unknown step", vec![started("other")]),
        ("second start", vec![start()]),
        ("given back, never taken", vec![at(Event::GivenBack { held: "f".into(), how: String::new() })]),
        (
            "answer without question",
            vec![
                started("flag"),
                at(Event::GateAnswered {
                    gate: "flag".into(),
                    yes: true,
                    digest: String::new(),
                    by: crate::event::AnsweredBy::Flag,
                }),
            ],
        ),
        (
            "two outcomes",
            vec![started("flag"), intent("flag", "e", vec![]), outcome("e", Ended::Done), outcome("e", Ended::Done)],
        ),
        ("anything after the close", vec![at(Event::RunClosed { why: String::new() }), started("flag")]),
        ("finished twice", vec![started("flag"), finished("flag"), finished("flag")]),
    ];
    for (name, events) in cases {
        let count = events.len();
        let error = replay(events).unwrap_err();
        assert_eq!(error.number, count + 1, "{name}: {error}");
    }
}

#[test]
fn a_lost_answer_can_be_settled_later() {
    let lost = Ended::InDoubt { why: "reset".into() };
    let state = replay(vec![
        started("apply"),
        intent("apply", "apply/1", vec![]),
        outcome("apply/1", lost),
        started("apply"),
        outcome("apply/1", Ended::Done),
        finished("apply"),
    ])
    .unwrap();
    assert!(state.in_doubt().is_empty());
}
