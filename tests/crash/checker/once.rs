//! Nothing is done twice.

use crate::history::{History, What};
use crate::scenario::Scenario;

pub fn at_most(history: &History, _: Scenario) -> Vec<String> {
    let count = |which: &dyn Fn(&What) -> bool| history.effects().filter(|deed| which(&deed.what)).count();
    let request = |method: &'static str, part: &'static str| move |what: &What| matches!(what, What::Request { method: m, path, .. } if m == method && path.contains(part));
    let counts = [
        ("releases", count(&request("PATCH", "/releases/"))),
        ("approvals", count(&request("POST", "/reviews"))),
        ("pull requests", count(&request("POST", "-infrastructure/pulls"))),
        (
            "applies that changed something",
            history.effects().filter(|deed| deed.what == What::Apply && deed.changed()).count(),
        ),
    ];
    counts.iter().filter(|(_, count)| *count > 1).map(|(what, count)| format!("{count} {what}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::checker::forged::{Forged, rules};
    use crate::history::What;

    #[test]
    fn whatever_is_done_twice_is_found() {
        let requests = [
            ("PATCH", "/repos/WordPress/openverse/releases/1", json!({ "draft": false })),
            ("POST", "/repos/WordPress/openverse/pulls/4901/reviews", json!({})),
            ("POST", "/repos/WordPress/openverse-infrastructure/pulls", json!({})),
        ];
        for (method, path, body) in requests {
            let mut forged = Forged::deploy();
            let what = What::Request { service: "github".into(), method: method.into(), path: path.into(), body };
            forged.add(what.clone());
            forged.add(what);
            assert_eq!(rules(&forged.history()), ["once"], "{path}");
        }
        let mut forged = Forged::deploy();
        let again = forged.deed(&What::Apply).clone();
        forged.again(again);
        assert_eq!(rules(&forged.history()), ["once"]);
    }
}
