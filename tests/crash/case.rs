//! One case: killed at a point, a fault in the way of the next process, then `resume` or `restore`, then judged.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::checker::{Violation, check};
use crate::director::{BadDisk, Broken, Service};
use crate::history::{Ended, History};
use crate::kill;
use crate::point::Point;
use crate::scenario::{Scenario, Set};
use crate::stage::Kept;

/// How often somebody resumes before it is called a violation.
const RESUMES: usize = 3;

/// Every point is played once with each.
pub const FAULTS: [Option<Broken>; 4] = [None, Some(Broken::Refused), Some(Broken::Reset), Some(Broken::BadGateway)];

/// What the person does after the crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Resume,
    Restore,
}

/// What is done to the first process.
#[derive(Debug, Clone, PartialEq)]
pub enum Crash {
    Killed(Point),
    Disk(BadDisk),
    /// A service does not answer from this point on, until the next command has ended.
    Outage {
        of: Service,
        from: Point,
        killed: bool,
    },
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(point) => point.fmt(f),
            Self::Outage { of, from, killed } => {
                write!(f, "{of} down from {from}{}", if *killed { " and killed" } else { "" })
            }
            Self::Disk(bad) => {
                let for_good = if bad.from_then_on { " and all after it" } else { "" };
                write!(f, "disk call {} fails with errno {}{for_good}", bad.nth, bad.errno)
            }
        }
    }
}

impl FromStr for Crash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((of, from)) = text.split_once(" down from ") {
            let (from, killed) = match from.strip_suffix(" and killed") {
                Some(from) => (from, true),
                None => (from, false),
            };
            return Ok(Self::Outage { of: of.parse()?, from: from.parse()?, killed });
        }
        let Some(disk) = text.strip_prefix("disk call ") else { return text.parse().map(Self::Killed) };
        let (disk, from_then_on) = match disk.strip_suffix(" and all after it") {
            Some(disk) => (disk, true),
            None => (disk, false),
        };
        let (nth, errno) = disk.split_once(" fails with errno ").ok_or("disk call N fails with errno E")?;
        let number = |error: std::num::ParseIntError| error.to_string();
        Ok(Self::Disk(BadDisk {
            nth: nth.parse().map_err(number)?,
            errno: errno.parse().map_err(number)?,
            from_then_on,
        }))
    }
}

/// How a case went.
pub enum Went {
    /// Judged; empty is well.
    Judged(Vec<Violation>, Box<History>),
    /// The point was not reached: this run took another way.
    Missed,
    /// No request that changes something came, so the fault had nothing to break.
    NothingToBreak,
}

pub struct Played {
    pub scenario: Scenario,
    pub crash: Crash,
    pub broken: Option<Broken>,
    pub then: Then,
    pub went: Went,
}

/// Plays a crash with each of `faults`; `turn` says which of them end with `restore`.
pub fn play(set: &Set, crash: &Crash, faults: &[Option<Broken>], turn: usize) -> Vec<Played> {
    let mut played = Vec::new();
    let mut killed: Option<(Kept, Vec<Ended>)> = None;
    let mut asked = None;
    for (index, broken) in faults.iter().copied().enumerate() {
        let then = if (turn + index).is_multiple_of(2) { Then::Resume } else { Then::Restore };
        let done = |went| Played { scenario: set.scenario, crash: crash.clone(), broken, then, went };
        if broken.is_some() && asked == Some((then, 0)) {
            played.push(done(Went::NothingToBreak));
            continue;
        }
        let commands = match &killed {
            Some((moment, commands)) => {
                set.stage.back_to(moment);
                commands.clone()
            }
            None => {
                let Some(first) = strike(set, crash) else {
                    played.push(done(Went::Missed));
                    return played;
                };
                let commands = vec![first];
                // A child that works on alone cannot be put back; then every fault has a crash of its own.
                if kill::family(set.stage.director.socket()).is_empty() {
                    killed = Some((set.stage.keep("killed"), commands.clone()));
                }
                commands
            }
        };
        let outage = if let Crash::Outage { of, .. } = crash { Some(*of) } else { None };
        let (history, first_asked, broke) = recover(set, commands, broken, outage, then);
        if broken.is_none() {
            asked = Some((then, first_asked));
        }
        if broken.is_some() && !broke {
            played.push(done(Went::NothingToBreak));
            continue;
        }
        played.push(done(Went::Judged(check(&history, set.scenario), Box::new(history))));
    }
    played
}

/// The first process, from the scenario's beginning to its crash. `None`: it got past the point.
fn strike(set: &Set, crash: &Crash) -> Option<Ended> {
    set.stage.back_to(&set.beginning);
    let director = &set.stage.director;
    match crash {
        Crash::Killed(point) => director.next_process(Some(point.clone()), None, None),
        Crash::Disk(bad) => director.next_process(None, None, Some(*bad)),
        Crash::Outage { of, from, killed } => {
            director.next_process(Some(from.clone()), None, None);
            director.outage_at_the_point(*of, *killed);
        }
    }
    let ended = set.stage.run(&set.command());
    set.stage.director.lock().hit.then_some(ended)
}

/// Resumes or restores, and tells how many changing requests the first of these commands made and whether the fault
/// found one. An outage lasts until the first of these commands has ended.
fn recover(
    set: &Set,
    commands: Vec<Ended>,
    broken: Option<Broken>,
    outage: Option<Service>,
    then: Then,
) -> (History, u32, bool) {
    let stage = &set.stage;
    let given_up = then == Then::Restore && set.open.is_none();
    let mut history = History { start: set.start.clone(), commands, given_up, ..History::default() };
    let (mut first_asked, mut broke) = (0, false);
    for attempt in 0..RESUMES {
        stage.director.next_process(None, broken.filter(|_| attempt == 0), None);
        let mut command = next_command(set, &history, then, attempt);
        if let Some(service) = outage.filter(|_| attempt == 0 && command[0] == "resume") {
            command.extend(["--override".to_owned(), format!("{}=it is down", service.check())]);
        }
        let ended = stage.run(&command);
        if attempt == 0 {
            let inner = stage.director.lock();
            (first_asked, broke) = (inner.asked, inner.hit);
        }
        stage.director.bring_back();
        let over = over(&ended) && (set.open.is_none() || command[0] != "restore");
        history.commands.push(ended);
        // One restore is enough, unless something was broken in its way.
        let undisturbed = broken.is_none() && outage.is_none();
        if over || (given_up && (undisturbed || attempt == 1)) {
            break;
        }
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while !kill::family(stage.director.socket()).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    history.end = stage.facts();
    stage.director.next_process(None, None, None);
    history.status = stage.run(&["status".to_owned()]).stdout;
    history.deeds = stage.director.lock().deeds.clone();
    (history, first_asked, broke)
}

/// What a person types next: the run by its name, as every command that is printed names it. A rollback that has not
/// begun, or was given up, is begun again.
fn next_command(set: &Set, history: &History, then: Then, attempt: usize) -> Vec<String> {
    let run = set.stage.newest_run();
    if set.open.is_some() && (run == set.open || set.stage.director.closed()) {
        return set.command();
    }
    if then == Then::Restore && (set.open.is_none() || attempt == 0) {
        return ["restore"].into_iter().chain(run.as_deref()).map(str::to_owned).collect();
    }
    set.resume(run.as_deref(), &history.commands)
}

/// Nothing more is to be done, by what the command said.
pub fn over(ended: &Ended) -> bool {
    let left_open = ended.stderr.contains("catalog-deploy resume ");
    matches!((ended.code, left_open), (Some(0), _) | (Some(7), false)) || nothing_to_go_on_with(ended)
}

/// There is no run that could go on: none was begun, or it is closed.
pub fn nothing_to_go_on_with(ended: &Ended) -> bool {
    let words =
        ["there is no run to go on with", "cannot go on", "no run holds anything", "is closed already", "is empty"];
    ended.code == Some(3) && words.iter().any(|word| ended.stderr.contains(word))
}
