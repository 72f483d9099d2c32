//! No change while the lock does not name this run.

use super::words;
use crate::facts::LOCK;
use crate::history::{Deed, History, What};
use crate::scenario::Scenario;

pub fn held(history: &History, _: Scenario) -> Vec<String> {
    let mut found = Vec::new();
    for deed in &history.deeds {
        let holder = deed.before.lock.as_deref();
        let ours = holder.is_some() && holder == history.run.as_deref();
        let fine = match &deed.what {
            What::Ref { name, old, .. } if name == LOCK => ours || (holder.is_none() && zero(old)),
            // What is owed is given back under a free lock too, so long as nobody else deploys.
            _ if gives_back(deed) => ours || holder.is_none(),
            _ => ours,
        };
        if !fine {
            found.push(format!("the lock was held by {holder:?} before: {}", words(&deed.what)));
        }
    }
    found
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
    fn somebody_elses_lock_is_not_freed() {
        let mut forged = Forged::deploy();
        forged.freed().before.lock = Some("somebody-elses".into());
        assert_eq!(rules(&forged.history()), ["lock"]);
    }
}
