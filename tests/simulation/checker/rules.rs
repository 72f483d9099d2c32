//! The rules, each a pure function of history and final world: `Some` tells how it was broken.

use std::collections::{BTreeMap, BTreeSet};

use super::Case;
use crate::driver::End;
use crate::scenario::Command;
use crate::world::history::{Actor, Change, Happened};

type Rule = fn(&Case<'_>) -> Option<String>;

pub const RULES: [(&str, Rule); 15] = [
    ("no mutation without a durable intent", intent_first),
    ("no mutation without the lock", under_the_lock),
    ("at most one release", one_release),
    ("at most one apply that completes, and never two at once", one_apply),
    ("at most one approval and one pull request", one_of_each),
    ("no unpause before the flag is false, nor during an apply", unpause_last),
    ("nothing changed that was not ours", only_ours),
    ("no byte but the two literals", no_other_byte),
    ("the pull request is the bump alone", bump_alone),
    ("the lock goes back last", lock_last),
    ("a refusal changed nothing", refusals_are_clean),
    ("done means deployed", done_is_deployed),
    ("in the end nothing of ours is left", nothing_left),
    ("every process ends, and the run comes to rest", comes_to_rest),
    ("no apply over a DAG that began to work before the last look", over_no_dag),
];

/// A look at the lock may be this old when a request is begun, in milliseconds.
const FRESH: i64 = 10_000;
/// What an effect reads before it begins to change anything.
const READS_FIRST: i64 = 60_000;

fn ours<'a>(case: &Case<'a>) -> impl DoubleEndedIterator<Item = &'a Happened> {
    case.history.iter().filter(|it| matches!(it.actor, Actor::Run(_)))
}

/// The step whose intent a change needs; `None` for what is no act of its own.
fn step_of(change: &Change) -> Option<&'static str> {
    Some(match change {
        Change::Published { .. } => "publish",
        Change::Approved { .. } => "changelog",
        Change::Pushed { .. } | Change::PullOpened { .. } => "pull-request",
        Change::Paused { .. } => "hold-dags",
        Change::Lock { .. } => "lock",
        Change::File { version, .. } if version.0 != version.1 => "bump",
        Change::File { flag, .. } if flag.0 != flag.1 => "flag",
        Change::ApplyStarted { .. } => "apply",
        Change::File { .. } | Change::ApplyEnded { .. } => return None,
    })
}

pub fn intent_first(case: &Case<'_>) -> Option<String> {
    ours(case).find_map(|it| {
        let step = step_of(&it.change)?;
        (!it.intents.iter().any(|open| open == step)).then(|| format!("{it:?} has no durable intent of {step}"))
    })
}

pub fn under_the_lock(case: &Case<'_>) -> Option<String> {
    ours(case).find_map(|it| {
        let held = it.holder.as_deref().is_some_and(|holder| case.is_ours(holder));
        // Someone decided to continue without the remote.
        if case.errand(it).is_some_and(|errand| errand.without.contains(&"remote")) {
            return None;
        }
        let gives_back = match &it.change {
            Change::Lock { .. } | Change::ApplyEnded { .. } => return None,
            // What is in this checkout is given back whoever deploys by now.
            Change::File { version, flag, .. } => {
                flag.1 == "false" && flag.0 != "false" || version.1 == case.last.first_version
            }
            Change::Paused { paused: false, .. } => it.holder.is_none(),
            _ => false,
        };
        let reads_first = matches!(it.change, Change::File { .. } | Change::Published { .. } | Change::Pushed { .. });
        let fresh = if reads_first { FRESH + READS_FIRST + it.slept } else { FRESH };
        (!held && !gives_back && it.held_for - it.on_its_way > fresh)
            .then(|| format!("{it:?} while the lock was not ours"))
    })
}

pub fn one_release(case: &Case<'_>) -> Option<String> {
    let count = ours(case).filter(|it| matches!(it.change, Change::Published { .. })).count();
    (count > 1).then(|| format!("{count} releases were published"))
}

pub fn one_apply(case: &Case<'_>) -> Option<String> {
    let mut running = BTreeSet::new();
    // What runs by an apply of ours that was complete. Another tag is another run's.
    let mut complete: Option<&str> = None;
    let mut tags: BTreeMap<usize, &str> = BTreeMap::new();
    for it in case.history {
        match &it.change {
            // What somebody else applied over ours may be applied over again, after another yes.
            Change::ApplyEnded { .. } if it.actor == Actor::Other => complete = None,
            Change::ApplyStarted { child, tag } => {
                if !running.is_empty() {
                    return Some(format!("apply {child} was started while {running:?} was at work"));
                }
                if complete == Some(tag.as_str()) {
                    return Some(format!("apply {child} was started after one that was complete"));
                }
                running.insert(*child);
                tags.insert(*child, tag);
            }
            Change::ApplyEnded { child, complete: whole, touched } => {
                running.remove(child);
                if *whole && *touched {
                    complete = tags.get(child).copied();
                }
            }
            _ => {}
        }
    }
    None
}

pub fn one_of_each(case: &Case<'_>) -> Option<String> {
    let approvals = ours(case).filter(|it| matches!(it.change, Change::Approved { .. })).count();
    let mut pulls: BTreeMap<&str, usize> = BTreeMap::new();
    for it in ours(case) {
        if let Change::PullOpened { branch } = &it.change {
            *pulls.entry(branch).or_default() += 1;
        }
    }
    let twice = pulls.values().any(|count| *count > 1);
    (approvals > 1 || twice).then(|| format!("{approvals} approvals and pull requests of {pulls:?}"))
}

/// Follows whose the flag's value is: `true` after our run set it, until anybody sets it otherwise.
fn flag_is_ours(before: bool, it: &Happened) -> bool {
    match &it.change {
        Change::File { flag, .. } if flag.0 != flag.1 => flag.1 == "true" && matches!(it.actor, Actor::Run(_)),
        _ => before,
    }
}

pub fn unpause_last(case: &Case<'_>) -> Option<String> {
    let mut ours = false;
    case.history.iter().find_map(|it| {
        ours = flag_is_ours(ours, it);
        let mine = matches!(it.actor, Actor::Run(_));
        let unpauses = mine && matches!(it.change, Change::Paused { paused: false, was: true, .. });
        (unpauses && (it.applying || it.flag == "true" && ours)).then(|| format!("{it:?}"))
    })
}

pub fn only_ours(case: &Case<'_>) -> Option<String> {
    // DAGs that our run has paused itself, and nobody else since.
    let mut paused: BTreeSet<&str> = BTreeSet::new();
    // When others did, for those that they have paused.
    let mut theirs: BTreeMap<&str, i64> = BTreeMap::new();
    case.history.iter().find_map(|it| {
        let mine = matches!(it.actor, Actor::Run(_));
        match &it.change {
            // Where the log is not told, nobody can tell a pause over ours, or one just before it.
            Change::Paused { dag, paused: true, was } if mine => {
                if !was || !case.last.audit {
                    paused.insert(dag);
                }
                None
            }
            Change::Paused { dag, paused: false, was: true } if mine => {
                // Airflow sets what it is told to: a pause that lands after our look at its log is not seen.
                let seen = |at: i64| at < it.at - it.on_its_way - READS_FIRST;
                (!paused.remove(dag.as_str()) && theirs.get(dag.as_str()).is_none_or(|at| seen(*at)))
                    .then(|| format!("{dag} was unpaused, and others had paused it"))
            }
            Change::Paused { dag, paused: true, .. } if case.last.audit => {
                paused.remove(dag.as_str());
                theirs.insert(dag, it.at);
                None
            }
            Change::Lock { from: Some(from), .. } if mine && !case.is_ours(from) => {
                Some(format!("the lock of {from} was taken away"))
            }
            _ => None,
        }
    })
}

pub fn no_other_byte(case: &Case<'_>) -> Option<String> {
    ours(case).find(|it| matches!(it.change, Change::File { elsewhere: true, .. })).map(|it| format!("{it:?}"))
}

pub fn bump_alone(case: &Case<'_>) -> Option<String> {
    ours(case).find_map(|it| match &it.change {
        Change::Pushed { only_the_version, flag, .. } if !only_the_version || flag != "false" => {
            Some(format!("{it:?}"))
        }
        _ => None,
    })
}

/// While the lock goes back, nothing of ours may be left that others could run over.
pub fn lock_last(case: &Case<'_>) -> Option<String> {
    let mut paused: BTreeSet<&str> = BTreeSet::new();
    case.history.iter().find_map(|it| {
        let mine = matches!(it.actor, Actor::Run(_));
        match &it.change {
            Change::Paused { dag, paused: true, was: false } if mine => {
                paused.insert(dag);
            }
            Change::Paused { dag, .. } => {
                paused.remove(dag.as_str());
            }
            // A run that was refused before its first change has taken over nothing, and frees what it has taken itself.
            Change::Lock { from: Some(_), to: None } if mine && !changed(case, it) => {}
            Change::Lock { from: Some(_), to: None } if mine && (it.applying || !paused.is_empty()) => {
                return Some(format!("freed while {paused:?} were paused by us, or an apply was at work"));
            }
            _ => {}
        }
        None
    })
}

/// Whether the run behind this has changed anything but the lock until then.
fn changed(case: &Case<'_>, it: &Happened) -> bool {
    let run = |it: &Happened| case.errand(it).map(|errand| errand.run.as_str());
    let before = case.history.iter().take_while(|other| other.at <= it.at);
    before.filter(|other| run(other) == run(it)).any(|other| !matches!(other.change, Change::Lock { .. }))
}

/// Whether the world is another one by this: what was changed and put back as it was is not. What somebody writes into
/// the file while a command of ours is at work on it goes with what that command did.
fn net(history: &[Happened], mine: impl Fn(&&Happened) -> bool + Copy) -> bool {
    let mut paused = BTreeSet::new();
    // What each attribute was at first, and what others made of it.
    let (mut versions, mut flags) = (BTreeSet::new(), BTreeSet::new());
    let mut file = true;
    for it in history {
        if let Change::File { version, flag, .. } = &it.change {
            for ((before, after), fine) in [(version, &mut versions), (flag, &mut flags)] {
                if fine.is_empty() {
                    fine.insert(before);
                }
                if !mine(&it) && before != after {
                    fine.insert(after);
                }
            }
            file = versions.contains(&version.1) && flags.contains(&flag.1);
        }
    }
    for it in history.iter().filter(mine) {
        match &it.change {
            Change::Lock { .. } | Change::ApplyEnded { .. } | Change::File { .. } => {}
            Change::Paused { dag, paused: true, was: false } => drop(paused.insert(dag)),
            Change::Paused { dag, .. } => drop(paused.remove(dag)),
            _ => return true,
        }
    }
    !file || !paused.is_empty()
}

/// Exit 3 says that nothing was changed, by this run.
pub fn refusals_are_clean(case: &Case<'_>) -> Option<String> {
    case.last.ends.iter().find_map(|(number, _, end)| {
        let End::Ended(outcome) = end else { return None };
        let run = &case.errands.get(number)?.run;
        let after = |it: &Happened| matches!(it.actor, Actor::Run(by) if by > *number);
        let until = case.history.iter().position(after).unwrap_or(case.history.len());
        let history = &case.history[..until];
        let mine = |it: &&Happened| case.errand(it).is_some_and(|errand| errand.run == *run);
        (outcome.exit == 3 && net(history, mine))
            .then(|| format!("process {number} says \"{}\": {history:?}", outcome.message))
    })
}

/// Of the last process that says so: others have deployed over earlier ones since, and so may a run of ours.
pub fn done_is_deployed(case: &Case<'_>) -> Option<String> {
    let done = case.last.ends.iter().rfind(|(_, command, end)| {
        matches!(end, End::Ended(outcome) if matches!(outcome.exit, 0 | 7) && *command != Command::Restore)
    });
    let (number, _, end) = done?;
    let errand = case.errands.get(number)?;
    let of_run = |it: &&Happened| case.errand(it).is_some_and(|other| other.run == errand.run);
    let deployed = ours(case).filter(of_run).any(|it| matches!(&it.change, Change::ApplyEnded { complete: true, .. }));
    // One that found nothing to change, and was resumed after another run of ours had deployed, speaks of its own time.
    let unchanged =
        |end: &End| matches!(end, End::Ended(outcome) if outcome.message.starts_with("nothing had to be changed"));
    let by_another = |it: &&Happened| case.errand(it).is_some_and(|other| other.run != errand.run);
    let overtaken = unchanged(end)
        && ours(case).filter(by_another).any(|it| matches!(&it.change, Change::ApplyEnded { complete: true, .. }));
    // A tag that runs already needs no apply; and a run may say itself that it could not look.
    (!deployed && !overtaken && !said_unverified(case) && case.last.instance.as_deref() != Some(&errand.target))
        .then(|| format!("{:?} runs, not {}", case.last.instance, errand.target))
}

/// The last command said that Terraform reported success and that no one could verify it.
fn said_unverified(case: &Case<'_>) -> bool {
    let said = |end: &End| matches!(end, End::Ended(outcome) if outcome.exit == 7 && outcome.message.contains("that was not verified"));
    case.last.ends.iter().any(|(_, _, end)| said(end))
}

pub fn nothing_left(case: &Case<'_>) -> Option<String> {
    if !case.last.closed {
        return None;
    }
    let mut mine: BTreeSet<&str> = BTreeSet::new();
    let mut flag = false;
    for it in case.history {
        flag = flag_is_ours(flag, it);
        let ours = matches!(it.actor, Actor::Run(_));
        match &it.change {
            Change::Paused { dag, paused: true, was: false } if ours => drop(mine.insert(dag)),
            Change::Paused { dag, .. } => drop(mine.remove(dag.as_str())),
            _ => {}
        }
    }
    let last = case.last;
    if !mine.is_empty() {
        return Some(format!("{mine:?} are still paused by us"));
    }
    if last.flag == "true" && flag {
        return Some("the flag is still true".into());
    }
    if last.holder.as_deref().is_some_and(|holder| case.is_ours(holder)) {
        return Some("the lock is still ours".into());
    }
    if last.applying {
        return Some("an apply is at work".into());
    }
    let touched = ours(case).any(|it| matches!(it.change, Change::ApplyEnded { touched: true, .. }));
    let wanted = format!("\"{}\"", case.target());
    (!touched
        && last.version == wanted
        && !said_unverified(case)
        && last.version != last.first_version
        && last.instance.as_deref() != Some(case.target()))
    .then(|| format!("{wanted} is in the checkout, and was never applied"))
}

pub fn comes_to_rest(case: &Case<'_>) -> Option<String> {
    if let Some((number, _, end)) =
        case.last.ends.iter().find(|(.., end)| matches!(end, End::Panicked(_) | End::NeverEnds))
    {
        return Some(format!("process {number}: {end:?}"));
    }
    if !case.last.readable {
        return Some("the journal of a run that changed the world cannot be read".into());
    }
    // Whoever finds a service out of reach last of all has to come back.
    let away = matches!(&case.last.last, Some((.., End::Ended(outcome))) if outcome.reason == "unreachable");
    (!case.last.closed && !away).then(|| format!("the last of all: {:?}", case.last.last))
}

/// Running DAGs are looked at again after the yes to the plan. What began to work well before the apply was seen, unless no
/// one could ask Airflow.
pub fn over_no_dag(case: &Case<'_>) -> Option<String> {
    ours(case).filter(|it| matches!(it.change, Change::ApplyStarted { .. })).find_map(|it| {
        let errand = case.errand(it)?;
        if errand.without.contains(&"Airflow") {
            return None;
        }
        let seen = it.at - it.on_its_way - FRESH - READS_FIRST - it.slept;
        let killed = it.busy.iter().find(|(dag, since)| *since < seen && !errand.may_kill.contains(dag));
        killed.map(|(dag, since)| format!("{dag} works since {since}, and the apply began at {}", it.at))
    })
}
