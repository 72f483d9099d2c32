//! Where a process is killed: the n-th time that something is at one of its moments.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A moment of a write, a request or a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Moment {
    /// Of a call or a request: nothing of it has happened.
    Before,
    /// Half the bytes are written.
    Torn,
    /// The call is done.
    After,
    /// The request took effect; no answer has left.
    Effect,
    /// The answer has left.
    Answered,
    /// The child has begun and done nothing.
    Begin,
    /// The child has done its work and not ended.
    Worked,
}

const NAMES: [(Moment, &str); 7] = [
    (Moment::Before, "before"),
    (Moment::Torn, "torn"),
    (Moment::After, "after"),
    (Moment::Effect, "effect"),
    (Moment::Answered, "answered"),
    (Moment::Begin, "begin"),
    (Moment::Worked, "worked"),
];

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Whom {
    /// The product; its children go on alone.
    Alone,
    /// The product with everything that it started: a power cut.
    All,
}

/// One place in a run. Written as `KEY#N:MOMENT`, with `:all` for a power cut.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point {
    /// What happens, e.g. `write journal.ndjson`.
    pub key: String,
    /// The how-manieth of its key in this process, from 1.
    pub nth: u32,
    pub moment: Moment,
    pub whom: Whom,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = NAMES.iter().find(|(moment, _)| *moment == self.moment).unwrap().1;
        let all = if self.whom == Whom::All { ":all" } else { "" };
        write!(f, "{}#{}:{moment}{all}", self.key, self.nth)
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no point: KEY#N:MOMENT[:all]");
        let (key, rest) = text.rsplit_once('#').ok_or_else(wrong)?;
        let mut parts = rest.split(':');
        let nth = parts.next().and_then(|nth| nth.parse().ok()).ok_or_else(wrong)?;
        let name = parts.next().ok_or_else(wrong)?;
        let moment = NAMES.iter().find(|(_, known)| *known == name).ok_or_else(wrong)?.0;
        let whom = match parts.next() {
            None => Whom::Alone,
            Some("all") => Whom::All,
            Some(_) => return Err(wrong()),
        };
        Ok(Self { key: key.to_owned(), nth, moment, whom })
    }
}

/// One line of a recording run's trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub key: String,
    pub nth: u32,
    pub moment: Moment,
    /// Disk or world are not the same as before this line.
    pub changes: bool,
    /// Belongs to something that changes: each of its moments is worth a kill.
    pub matters: bool,
}

/// The points of a run, and how many more there are that no process could tell from one of them.
///
/// Between two changes every process sees the same disk and the same world, however many reads and polls there are; so
/// of each such stretch the first and the last moment are kept. What changes is kept at all its moments, writes also
/// torn and children also with a power cut.
pub fn points(trace: &[Seen]) -> (Vec<Point>, usize) {
    let mut kept = BTreeSet::new();
    let mut places = BTreeSet::new();
    for (index, seen) in trace.iter().enumerate() {
        let point = |moment, whom| (index, Point { key: seen.key.clone(), nth: seen.nth, moment, whom });
        places.insert(point(seen.moment, Whom::Alone));
        let first = index == 0 || seen.changes;
        let last = trace.get(index + 1).is_none_or(|next| next.changes);
        if first || last || seen.matters {
            kept.insert(point(seen.moment, Whom::Alone));
        }
        if seen.key.starts_with("write ") && seen.moment == Moment::Before {
            kept.insert(point(Moment::Torn, Whom::Alone));
        }
        if seen.matters && matches!(seen.moment, Moment::Begin | Moment::Worked) {
            kept.insert(point(seen.moment, Whom::All));
        }
    }
    let folded = places.difference(&kept).count();
    (kept.into_iter().map(|(_, point)| point).collect(), folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(key: &str, moment: Moment, changes: bool) -> Seen {
        Seen { key: key.into(), nth: 1, moment, changes, matters: false }
    }

    #[test]
    fn a_point_survives_its_name() {
        for text in ["write journal.ndjson#57:torn", "just apply#1:worked:all", "GET /a#b#2:effect"] {
            assert_eq!(text.parse::<Point>().unwrap().to_string(), text);
        }
        for wrong in ["", "write#x:torn", "write#1", "write#1:soon", "write#1:torn:some"] {
            assert!(wrong.parse::<Point>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn polls_between_two_changes_are_folded_to_the_first_and_the_last() {
        let mut trace = vec![seen("write a", Moment::Before, false), seen("write a", Moment::After, true)];
        trace.extend((0..5).map(|_| seen("GET b", Moment::Before, false)));
        trace.extend([seen("write c", Moment::Before, false), seen("write c", Moment::After, true)]);
        let (points, folded) = points(&trace);
        let names: Vec<String> = points.iter().map(ToString::to_string).collect();
        let wanted = [
            "write a#1:before",
            "write a#1:torn",
            "write a#1:after",
            "write c#1:before",
            "write c#1:torn",
            "write c#1:after",
        ];
        assert_eq!(names, wanted);
        assert_eq!(folded, 5);
    }
}
