//! No change without an intent on the disk that has no outcome yet.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{step, words};
use crate::history::{Deed, History};
use crate::scenario::Scenario;

pub fn durable(history: &History, _: Scenario) -> Vec<String> {
    let without = |deed: &&Deed| {
        let open = open_steps(&deed.before.journal);
        let intended =
            |turns_flag| step(&deed.what, turns_flag).is_some_and(|step| open.iter().any(|open| open == step));
        match &deed.flag_after {
            Some(after) => !intended(deed.before.flag.as_ref() != Some(after)),
            // Killed meanwhile: nobody saw which of the two attributes it was about.
            None => !intended(true) && !intended(false),
        }
    };
    let attempted = history.deeds.iter().filter(without);
    attempted.map(|deed| format!("no durable intent without outcome stood for: {}", words(&deed.what))).collect()
}

/// Steps with an intent and no outcome, in the whole lines of a journal.
pub fn open_steps(journal: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(journal);
    let mut open = BTreeMap::new();
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let record = &line["record"];
        let word = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        match record["event"].as_str() {
            Some("intent") => {
                open.insert(word("effect"), word("step"));
            }
            Some("outcome") => {
                open.remove(&word("effect"));
            }
            _ => {}
        }
    }
    open.into_values().collect()
}

#[cfg(test)]
mod tests {
    use crate::checker::forged::{Forged, rules};
    use crate::history::What;

    #[test]
    fn a_change_with_no_intent_or_with_one_that_has_its_outcome_is_found() {
        assert_eq!(rules(&Forged::deploy().history()), [] as [&str; 0]);
        let mut none = Forged::deploy();
        none.deed(&What::Apply).before.journal.clear();
        assert_eq!(rules(&none.history()), ["intent"]);
        let mut over = Forged::deploy();
        let outcome = br#"{"record":{"event":"outcome","effect":"apply/1","ended":{"ended":"done"}}}"#;
        over.deed(&What::Apply).before.journal.extend([outcome.as_slice(), b"\n"].concat());
        assert_eq!(rules(&over.history()), ["intent"]);
        let mut torn = Forged::deploy();
        let journal = &mut torn.deed(&What::Apply).before.journal;
        journal.truncate(journal.len() - 1);
        assert_eq!(rules(&torn.history()), ["intent"]);
    }
}
