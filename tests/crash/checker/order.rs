//! The flag and the DAGs, each in its time.

use crate::history::{History, What};
use crate::scenario::Scenario;

/// No DAG is unpaused while the flag still says that none runs.
pub fn flag_before_unpause(history: &History, _: Scenario) -> Vec<String> {
    let unpauses = history.deeds.iter().filter(|deed| {
        matches!(&deed.what, What::Request { path, body, .. } if path.contains("/dags/") && body["is_paused"] == false)
    });
    let early = unpauses.filter(|deed| deed.before.flag.as_deref() != Some("false"));
    early.map(|deed| format!("{} with the flag {:?}", super::words(&deed.what), deed.before.flag)).collect()
}

/// Terraform is let loose only with the flag true.
pub fn flag_during_apply(history: &History, _: Scenario) -> Vec<String> {
    let applies = history.deeds.iter().filter(|deed| deed.what == What::Apply);
    let without = applies.filter(|deed| deed.before.flag.as_deref() != Some("true"));
    without.map(|deed| format!("an apply began with the flag {:?}", deed.before.flag)).collect()
}

#[cfg(test)]
mod tests {
    use crate::checker::forged::{Forged, rules};
    use crate::history::What;

    #[test]
    fn an_unpause_with_the_flag_true_is_found() {
        let mut forged = Forged::deploy();
        forged.unpaused().before.flag = Some("true".into());
        assert_eq!(rules(&forged.history()), ["unpause-late"]);
    }

    #[test]
    fn an_apply_with_the_flag_false_is_found() {
        let mut forged = Forged::deploy();
        forged.deed(&What::Apply).before.flag = Some("false".into());
        assert_eq!(rules(&forged.history()), ["flag-in-apply"]);
    }
}
