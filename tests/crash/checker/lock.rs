//! No change while the lock does not name the run that makes it.

use serde_json::Value;

use super::words;
use crate::facts::LOCK;
use crate::history::{Deed, History, What};
use crate::scenario::Scenario;

pub fn held(history: &History, _: Scenario) -> Vec<String> {
    let mut found = Vec::new();
    for deed in &history.deeds {
        let holder = deed.before.lock.as_deref();
        let ours = holder.is_some() && holder == deed.before.run.as_deref();
        let fine = match &deed.what {
            What::Ref { name, old, .. } if name == LOCK => {
                ours || (holder.is_none() && zero(old)) || holder.is_some_and(|holder| taken_over(deed, holder))
            }
            // What is owed is given back under a free lock too, so long as nobody else deploys.
            _ if gives_back(deed) => ours || holder.is_none(),
            // A person has decided to continue without it.
            _ if deed.before.remote_down => ours || (holder.is_none() && overridden(deed)),
            _ => ours,
        };
        if !fine {
            found.push(format!("the lock was held by {holder:?} before: {}", words(&deed.what)));
        }
    }
    found
}

/// Whether the run says, before it touches the lock of `other`, that it takes over what that one holds.
fn taken_over(deed: &Deed, other: &str) -> bool {
    let journal = String::from_utf8_lossy(&deed.before.journal);
    let records = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut adoptions = records.map(|line| line["record"]["adoption"].clone());
    let earlier =
        |adoption: &Value| adoption["before"].as_array().is_some_and(|runs| runs.iter().any(|run| run == other));
    adoptions.any(|adoption| adoption["run"] == other || earlier(&adoption))
}

fn overridden(deed: &Deed) -> bool {
    String::from_utf8_lossy(&deed.before.journal).contains(r#""check":"lock""#)
}

fn zero(id: &str) -> bool {
    id.chars().all(|digit| digit == '0')
}

/// Takes back what the run changed for its own time.
fn gives_back(deed: &Deed) -> bool {
    match &deed.what {
        What::Request { body, path, .. } => path.contains("/dags/") && body["is_paused"] == false,
        What::Edit { .. } => deed.flag_after.as_deref() != Some("true"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::checker::forged::{Forged, rules};
    use crate::history::What;

    #[test]
    fn a_change_under_no_lock_or_somebody_elses_is_found() {
        for lock in [None, Some("somebody-elses".to_owned())] {
            let mut forged = Forged::deploy();
            forged.deed(&What::Apply).before.lock = lock;
            assert_eq!(rules(&forged.history()), ["lock"]);
        }
    }

    #[test]
    fn without_the_remote_the_override_stands_for_the_lock() {
        for (overridden, down, found) in [(true, true, &[][..]), (false, true, &["lock"]), (true, false, &["lock"])] {
            let mut forged = Forged::deploy();
            let before = &mut forged.deed(&What::Apply).before;
            (before.lock, before.remote_down) = (None, down);
            if overridden {
                before.journal.extend(b"{\"record\":{\"given\":{\"subject\":\"check\",\"check\":\"lock\"}}}\n");
            }
            assert_eq!(rules(&forged.history()), found, "{overridden}, {down}");
        }
    }

    #[test]
    fn a_lock_is_taken_over_only_where_the_journal_says_so() {
        let open = Some("prod-0".to_owned());
        for (journal, found) in [
            ("", &["lock"][..]),
            (r#"{"record":{"event":"took-over","adoption":{"run":"prod-x"}}}"#, &["lock"]),
            (r#"{"record":{"event":"took-over","adoption":{"run":"prod-0"}}}"#, &[]),
        ] {
            let mut forged = Forged::deploy();
            let taken = &mut forged.history.deeds[0];
            taken.before.lock.clone_from(&open);
            taken.before.journal.extend(format!("{journal}\n").into_bytes());
            assert_eq!(rules(&forged.history()), found, "{journal}");
        }
    }

    #[test]
    fn somebody_elses_lock_is_not_freed() {
        let mut forged = Forged::deploy();
        forged.freed().before.lock = Some("somebody-elses".into());
        assert_eq!(rules(&forged.history()), ["lock"]);
    }
}
