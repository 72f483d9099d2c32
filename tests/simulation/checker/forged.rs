//! Forged histories: every rule can fail, and none fails a history that is as it should be.

use super::{Case, Final, RULES};
use crate::driver::End;
use crate::scenario::Command;
use crate::world::history::{Actor, Change, Happened};
use crate::world::{Errand, FOREIGN, NEW, OLD};
use catalog_deploy::engine::Outcome;

const RUN: &str = "run-1";

fn by_us(change: Change, step: &str) -> Happened {
    Happened {
        at: 0,
        actor: Actor::Run(1),
        change,
        intents: vec![step.into()],
        holder: Some(RUN.into()),
        held_for: 90_000,
        on_its_way: 0,
        slept: 0,
        flag: "false".into(),
        applying: false,
        busy: Vec::new(),
    }
}

fn paused(dag: &str, paused: bool) -> Happened {
    by_us(Change::Paused { dag: dag.into(), paused, was: !paused }, "hold-dags")
}

fn file(version: (&str, &str), flag: (&str, &str), step: &str) -> Happened {
    let pair = |(from, to): (&str, &str)| (from.to_owned(), to.to_owned());
    by_us(Change::File { version: pair(version), flag: pair(flag), elsewhere: false }, step)
}

fn published() -> Happened {
    by_us(Change::Published { git_tag: "catalog".into() }, "publish")
}

fn started(child: usize) -> Happened {
    by_us(Change::ApplyStarted { child, tag: NEW.into() }, "apply")
}

fn ended(child: usize) -> Happened {
    by_us(Change::ApplyEnded { child, complete: true, touched: true }, "apply")
}

fn freed(from: &str) -> Happened {
    by_us(Change::Lock { from: Some(from.into()), to: None }, "lock")
}

fn ends(exit: u8) -> Vec<(u32, Command, End)> {
    vec![(1, Command::Deploy, End::Ended(Outcome::new(exit, "test", "")))]
}

fn last() -> Final {
    Final {
        flag: "false".into(),
        version: format!("\"{OLD}\""),
        first_version: format!("\"{OLD}\""),
        holder: None,
        instance: Some(OLD.into()),
        applying: false,
        last: None,
        ends: Vec::new(),
        closed: true,
        readable: true,
        audit: true,
    }
}

/// Names of the rules that are broken.
fn broken(history: &[Happened], last: &Final) -> Vec<&'static str> {
    let errand = Errand { run: RUN.into(), target: NEW.into(), without: Vec::new(), may_kill: vec!["allowed".into()] };
    let errands = [(1, errand)].into();
    let case = Case { errands: &errands, history, last };
    RULES.iter().filter(|(_, rule)| rule(&case).is_some()).map(|(name, _)| *name).collect()
}

fn a_deploy() -> Vec<Happened> {
    let (old, new) = (format!("\"{OLD}\""), format!("\"{NEW}\""));
    vec![
        by_us(Change::Lock { from: None, to: Some(RUN.into()) }, "lock"),
        published(),
        file((&old, &new), ("false", "false"), "bump"),
        paused("refresh", true),
        file((&new, &new), ("false", "true"), "flag"),
        started(0),
        ended(0),
        file((&new, &new), ("true", "false"), "flag"),
        paused("refresh", false),
        by_us(Change::Approved { number: 1 }, "changelog"),
        by_us(Change::PullOpened { branch: "b".into() }, "pull-request"),
        freed(RUN),
    ]
}

#[test]
fn a_deploy_as_it_should_be_breaks_no_rule() {
    let last = Final { version: format!("\"{NEW}\""), instance: Some(NEW.into()), ends: ends(0), ..last() };
    assert_eq!(broken(&a_deploy(), &last), [""; 0]);
}

#[test]
fn every_rule_catches_what_it_is_for() {
    let open = |it: Happened| Happened { intents: Vec::new(), ..it };
    let unlocked = |it: Happened| Happened { holder: None, ..it };
    let later = |it: Happened| Happened { at: 90_000, ..it };
    let others = |it: Happened| Happened { actor: Actor::Other, ..it };
    let pull = || by_us(Change::PullOpened { branch: "b".into() }, "pull-request");
    let pushed = |only_the_version, flag: &str| {
        by_us(Change::Pushed { branch: "b".into(), only_the_version, flag: flag.into() }, "pull-request")
    };
    let elsewhere = Change::File { version: Default::default(), flag: Default::default(), elsewhere: true };
    let touches_more = by_us(elsewhere, "bump");
    let flag_set = || file(("v", "v"), ("false", "true"), "flag");
    let at_true = |it: Happened| Happened { flag: "true".into(), ..it };
    let working = |it: Happened| Happened { applying: true, ..it };
    let refused = Final { ends: ends(3), ..last() };
    let done = Final { ends: ends(0), ..last() };
    let open_run = Final { closed: false, ..last() };
    let unreadable = Final { readable: false, ..last() };
    let panicked = Final { ends: vec![(1, Command::Deploy, End::Panicked("x".into()))], ..last() };
    let still_true = Final { flag: "true".into(), ..last() };
    let still_locked = Final { holder: Some(RUN.into()), ..last() };
    let still_applying = Final { applying: true, ..last() };
    let never_applied = Final { version: format!("\"{NEW}\""), ..last() };
    let rule = |index: usize| RULES[index].0;
    let cases: Vec<(usize, Vec<Happened>, Final)> = vec![
        (0, vec![open(published())], last()),
        (0, vec![by_us(Change::Published { git_tag: "t".into() }, "bump")], last()),
        (1, vec![unlocked(published())], last()),
        (1, vec![Happened { holder: Some(FOREIGN.into()), ..started(0) }, ended(0)], last()),
        (2, vec![published(), published()], last()),
        (3, vec![started(0), started(1), ended(0), ended(1)], last()),
        (3, vec![started(0), ended(0), started(1), ended(1)], last()),
        (4, vec![pull(), pull()], last()),
        (5, vec![paused("d", true), flag_set(), at_true(paused("d", false))], last()),
        (5, vec![paused("d", true), working(paused("d", false))], last()),
        (6, vec![paused("d", false)], last()),
        (6, vec![others(paused("d", true)), later(paused("d", false))], last()),
        (6, vec![paused("d", true), others(paused("d", true)), later(paused("d", false))], last()),
        (6, vec![freed(FOREIGN)], last()),
        (7, vec![touches_more], last()),
        (8, vec![pushed(false, "false")], last()),
        (8, vec![pushed(true, "true")], last()),
        (9, vec![paused("d", true), freed(RUN)], last()),
        (9, vec![published(), working(freed(RUN))], last()),
        (10, vec![published()], refused),
        (11, vec![], done),
        (12, vec![paused("d", true)], last()),
        (12, vec![flag_set()], still_true),
        (12, vec![], still_locked),
        (12, vec![], still_applying),
        (12, vec![], never_applied),
        (13, vec![], open_run),
        (13, vec![], unreadable),
        (13, vec![], panicked),
        (14, vec![Happened { at: 900_000, busy: vec![("flickr".into(), 1)], ..started(0) }, ended(0)], last()),
    ];
    let caught: std::collections::BTreeSet<usize> = cases.iter().map(|(index, ..)| *index).collect();
    assert_eq!(caught.len(), RULES.len(), "a rule without a history that breaks it");
    for (number, (index, history, last)) in cases.into_iter().enumerate() {
        assert!(broken(&history, &last).contains(&rule(index)), "case {number} does not break: {}", rule(index));
    }
}
