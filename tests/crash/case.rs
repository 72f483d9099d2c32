//! One case: killed at a point, a fault in the way of the next process, then `resume` or `restore`, then judged.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::checker::{Violation, check};
use crate::director::{BadDisk, Broken};
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
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(point) => point.fmt(f),
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
        let (history, first_asked, broke) = recover(set, commands, broken, then);
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
    let (point, disk) = match crash {
        Crash::Killed(point) => (Some(point.clone()), None),
        Crash::Disk(bad) => (None, Some(*bad)),
    };
    set.stage.director.next_process(point, None, disk);
    let ended = set.stage.run(&set.scenario.command());
    set.stage.director.lock().hit.then_some(ended)
}

/// Resumes or restores, and tells how many changing requests the first of these commands made and whether the fault
/// found one.
fn recover(set: &Set, commands: Vec<Ended>, broken: Option<Broken>, then: Then) -> (History, u32, bool) {
    let stage = &set.stage;
    let mut history =
        History { start: set.start.clone(), commands, given_up: then == Then::Restore, ..History::default() };
    let (mut first_asked, mut broke) = (0, false);
    for attempt in 0..RESUMES {
        stage.director.next_process(None, broken.filter(|_| attempt == 0), None);
        // The run by its name, as every command that is printed names it.
        let run = stage.newest_run();
        let mut command = match then {
            Then::Resume => set.scenario.resume(),
            Then::Restore => vec!["restore"],
        };
        if let Some(run) = &run {
            command.insert(1, run);
        }
        let ended = stage.run(&command);
        {
            let inner = stage.director.lock();
            if attempt == 0 {
                (first_asked, broke) = (inner.asked, inner.hit);
            }
        }
        let over = over(&ended);
        history.commands.push(ended);
        // One restore is enough, unless something was broken in its way.
        if over || (then == Then::Restore && (broken.is_none() || attempt == 1)) {
            break;
        }
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while !kill::family(stage.director.socket()).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    history.run = stage.newest_run();
    history.end = stage.facts();
    stage.director.next_process(None, None, None);
    history.status = stage.run(&["status"]).stdout;
    history.deeds = stage.director.lock().deeds.clone();
    (history, first_asked, broke)
}

/// Nothing more is to be done, by what the command said.
pub fn over(ended: &Ended) -> bool {
    matches!(ended.code, Some(0 | 7)) || nothing_to_go_on_with(ended)
}

/// There is no run that could go on: none was begun, or it is closed.
pub fn nothing_to_go_on_with(ended: &Ended) -> bool {
    let words =
        ["there is no run to go on with", "cannot go on", "no run holds anything", "is closed already", "is empty"];
    ended.code == Some(3) && words.iter().any(|word| ended.stderr.contains(word))
}
