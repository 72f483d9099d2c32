//! A DAG is paused that this run has paused, or was about to: by this run alone? Airflow's audit log can tell.

use jiff::{SignedDuration, Timestamp};

use crate::adapters::airflow::PauseEntry;

/// How far the server's clock may be behind ours.
const SKEW: SignedDuration = SignedDuration::from_mins(10);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Ours,
    /// By whom, in a sentence.
    Theirs(String),
    /// Why that cannot be told.
    Unknown(String),
}

/// `entries` are the log's, newest first; the run that `began` then saw the DAG unpaused right before it set it to paused,
/// or died. Theirs is what somebody else paused before ours arrived, and what somebody else paused once more.
///
/// Only a log with a pause of ours is believed: an account may be logged by another name than it logs in with, and a run
/// may be gone on with by another account.
pub(super) fn judge(dag: &str, entries: &[PauseEntry], began: Timestamp) -> Whose {
    let told = |entry: &PauseEntry| {
        format!("{dag} was {}paused by {} at {}", if entry.paused { "" } else { "un" }, entry.by, entry.at)
    };
    // The DAG was not paused since the run began, so what is older was ended by something that is not logged.
    let of = |entry: &PauseEntry, ours: bool| entry.paused && entry.ours == Some(ours) && entry.at >= began - SKEW;
    if !entries.iter().any(|entry| of(entry, true)) {
        let last = entries.first().map_or("nothing of that".into(), told);
        return Whose::Unknown(format!("the last word of its audit log: {last}"));
    }
    // The newest but for ours: who paused it over ours, or was there before.
    match entries.iter().find(|entry| !of(entry, true)) {
        Some(entry) if of(entry, false) => Whose::Theirs(format!("{}: it stays theirs", told(entry))),
        _ => Whose::Ours,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` paused, `-` unpaused; whose; minutes after the run began.
    fn entry(said: &str) -> PauseEntry {
        let mut words = said.split(' ');
        let (paused, by) = (words.next() == Some("+"), words.next().unwrap().to_owned());
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(words.next().unwrap().parse().unwrap());
        let ours = (by != "token").then_some(by == "us");
        PauseEntry { paused, by, ours, at }
    }

    fn judged(entries: &[&str]) -> Whose {
        judge("refresh", &entries.iter().map(|said| entry(said)).collect::<Vec<_>>(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_pause_of_ours() {
        for entries in [
            &["+ us 5"][..],
            &["+ us 5", "- bob 4", "+ bob 3"],
            // Sent twice, and given back in between.
            &["+ us 5", "+ us 4", "- bob 3"],
            &["+ us 5", "- us 4", "+ us 3"],
            // Unpaused by a way that is not logged.
            &["+ us 5", "+ bob -9000"],
            // A clock that is minutes behind.
            &["+ us -9"],
        ] {
            assert_eq!(judged(entries), Whose::Ours, "{entries:?}");
        }
    }

    #[test]
    fn a_pause_of_somebody_else() {
        for entries in [
            // Already paused when ours arrived.
            &["+ us 5", "+ bob 4"][..],
            &["+ us 6", "+ us 5", "+ bob 4", "- bob 3"],
            // Meant to stay.
            &["+ bob 6", "+ us 5"],
            &["+ bob 7", "- bob 6", "+ us 5"],
        ] {
            assert!(matches!(judged(entries), Whose::Theirs(_)), "{entries:?}");
        }
        let told = "refresh was paused by bob at 1970-01-01T00:05:00Z: it stays theirs";
        assert_eq!(judged(&["+ bob 5", "+ us 4"]), Whose::Theirs(told.into()));
    }

    /// Bob may be us by another name, and the log of an Airflow before 2.9 has not what came through the API.
    #[test]
    fn a_log_without_a_pause_of_ours_tells_nothing() {
        for entries in
            [&[][..], &["+ bob 5"], &["+ bob 5", "- us 4"], &["+ us -9000"], &["+ bob -9000"], &["+ token 5"]]
        {
            assert!(matches!(judged(entries), Whose::Unknown(_)), "{entries:?}");
        }
    }
}
