//! A pause in doubt, and the DAG is paused: by this run, or by somebody else since? Airflow's audit log can tell.

use jiff::{SignedDuration, Timestamp};

use crate::adapters::airflow::PauseEntry;

/// How far the server's clock may be behind ours: what the log has from before is older than our intent.
const SKEW: SignedDuration = SignedDuration::from_mins(10);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Ours,
    /// Who, and when.
    Theirs(String),
    /// Why that cannot be told.
    Unknown(String),
}

/// `newest` is the log's last word on a DAG that is paused now, and was not when this run was about to pause it, at
/// `intended`.
pub(super) fn judge(newest: Option<PauseEntry>, intended: Timestamp) -> Whose {
    let Some(entry) = newest else { return Whose::Unknown("its audit log has no word of that".into()) };
    let told = format!("{}paused by {} at {}", if entry.paused { "" } else { "un" }, entry.by, entry.at);
    match entry {
        PauseEntry { paused: true, ours: Some(true), .. } => Whose::Ours,
        PauseEntry { paused: true, ours: Some(false), at, .. } if at >= intended - SKEW => Whose::Theirs(told),
        // Of another time, or by an account that may be ours: what paused it is not in the log.
        _ => Whose::Unknown(format!("the last word of its audit log is that it was {told}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(paused: bool, by: &str, at: &str) -> PauseEntry {
        PauseEntry { paused, by: by.into(), ours: Some(by == "maintainer"), at: at.parse().unwrap() }
    }

    fn judged(newest: Option<PauseEntry>) -> Whose {
        judge(newest, "2024-10-01T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn the_last_who_paused_it_owns_the_pause() {
        assert_eq!(judged(Some(entry(true, "maintainer", "2024-10-01T12:00:01Z"))), Whose::Ours);
        let theirs = Whose::Theirs("paused by bob at 2024-10-01T12:20:00Z".into());
        assert_eq!(judged(Some(entry(true, "bob", "2024-10-01T12:20:00Z"))), theirs);
    }

    #[test]
    fn a_clock_that_is_minutes_behind_is_no_alibi() {
        assert!(matches!(judged(Some(entry(true, "bob", "2024-10-01T11:51:00Z"))), Whose::Theirs(_)));
    }

    /// The log of an Airflow before 2.9 has the clicks of people, and not what came through the API.
    #[test]
    fn a_log_without_what_paused_it_tells_nothing() {
        for newest in [
            None,
            Some(entry(true, "bob", "2024-03-01T12:00:00Z")),
            Some(entry(false, "bob", "2024-10-01T12:20:00Z")),
            Some(entry(false, "maintainer", "2024-09-01T12:00:00Z")),
            Some(PauseEntry { ours: None, ..entry(true, "svc", "2024-10-01T12:00:01Z") }),
        ] {
            assert!(matches!(judged(newest.clone()), Whose::Unknown(_)), "{newest:?}");
        }
    }
}
