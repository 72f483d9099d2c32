//! A DAG is paused, and this run was about to pause it: did it, or somebody else? Airflow's audit log can tell.

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
/// or died. Theirs is what somebody else paused before that arrived, and what somebody else paused once more.
pub(super) fn judge(dag: &str, entries: &[PauseEntry], began: Timestamp) -> Whose {
    let told = |entry: &PauseEntry| {
        format!("{dag} was {}paused by {} at {}", if entry.paused { "" } else { "un" }, entry.by, entry.at)
    };
    // What is older than the run says only that the log is not whole: the DAG was not paused since.
    let theirs = |entry: &PauseEntry| entry.paused && entry.ours == Some(false) && entry.at >= began - SKEW;
    let ours = |entry: &PauseEntry| entry.paused && entry.ours == Some(true);
    match entries {
        [] => Whose::Unknown("its audit log has no word of that".into()),
        [newest, ..] if theirs(newest) => Whose::Theirs(format!("{}: it stays theirs", told(newest))),
        [newest, ..] if ours(newest) => match entries.iter().find(|entry| !ours(entry)) {
            Some(before) if theirs(before) => Whose::Theirs(format!("{}: it stays theirs", told(before))),
            _ => Whose::Ours,
        },
        // An unpausing, or one by an account that may be ours: what paused it is not in the log.
        [newest, ..] => Whose::Unknown(format!("the last word of its audit log: {}", told(newest))),
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
        ] {
            assert_eq!(judged(entries), Whose::Ours, "{entries:?}");
        }
    }

    #[test]
    fn a_pause_of_somebody_else() {
        for entries in [
            &["+ bob 5"][..],
            // A clock that is minutes behind is no alibi.
            &["+ bob -9"],
            // Already paused when ours arrived.
            &["+ us 5", "+ bob 4"],
            &["+ us 6", "+ us 5", "+ bob 4", "- bob 3"],
            // Meant to stay.
            &["+ bob 6", "+ us 5"],
            &["+ bob 7", "- bob 6", "+ us 5"],
        ] {
            assert!(matches!(judged(entries), Whose::Theirs(_)), "{entries:?}");
        }
        let told = "refresh was paused by bob at 1970-01-01T00:05:00Z: it stays theirs";
        assert_eq!(judged(&["+ bob 5"]), Whose::Theirs(told.into()));
    }

    /// The log of an Airflow before 2.9 has the clicks of people, and not what came through the API.
    #[test]
    fn a_log_without_what_paused_it_tells_nothing() {
        for entries in [&[][..], &["+ bob -9000"], &["- bob 5"], &["- us -9000"], &["+ token 5"]] {
            assert!(matches!(judged(entries), Whose::Unknown(_)), "{entries:?}");
        }
    }
}
