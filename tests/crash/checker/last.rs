//! The world at the end: deployed, or as before.

use crate::case;
use crate::facts::{Facts, LOCK};
use crate::history::{Deed, History, What};
use crate::scenario::Scenario;

/// The history ended in a way that promises something about the world.
fn promised(history: &History) -> bool {
    history.last().is_some_and(case::over)
}

pub fn flag_left(history: &History, _: Scenario) -> Vec<String> {
    let flag = history.end.attribute("running_dags_cleared");
    let left = promised(history) && flag.as_deref() != Some("false");
    left.then(|| format!("the flag is {flag:?} at the end")).into_iter().collect()
}

pub fn lock_left(history: &History, _: Scenario) -> Vec<String> {
    let left = history.end.refs.get(LOCK).filter(|_| promised(history));
    left.map(|id| format!("the lock still stands: {id}")).into_iter().collect()
}

pub fn dags_left(history: &History, _: Scenario) -> Vec<String> {
    if !promised(history) {
        return Vec::new();
    }
    let left: Vec<&String> = history.end.paused.difference(&history.start.paused).collect();
    if left.is_empty() { Vec::new() } else { vec![format!("still paused: {left:?}")] }
}

/// Deployed with all that belongs to it, or given back.
pub fn world(history: &History, scenario: Scenario) -> Vec<String> {
    if !promised(history) {
        return Vec::new();
    }
    let went_through = matches!(history.exit(), Some(0 | 7)) && !history.given_up;
    let closed = history.last().is_some_and(case::nothing_to_go_on_with);
    let deployed = missing(history, scenario);
    let given_back = kept(history, scenario);
    match (went_through, closed) {
        (true, _) => deployed,
        // A run that was closed before the kill may have been either; one that was never begun changed nothing.
        (_, true) if deployed.is_empty() => Vec::new(),
        _ => given_back,
    }
}

/// What a finished deploy lacks.
fn missing(history: &History, scenario: Scenario) -> Vec<String> {
    let Facts { deployed, published, pulls, approvals, .. } = &history.end;
    let tag = scenario.tag();
    let mut missing = Vec::new();
    if deployed.as_deref() != Some(tag) {
        missing.push(format!("{deployed:?} is deployed, not {tag}"));
    }
    let version = history.end.attribute("docker_image_tag");
    if version.as_deref() != Some(tag) {
        missing.push(format!("the checkout's version is {version:?}, not {tag}"));
    }
    if pulls.iter().filter(|branch| **branch == format!("catalog-deploy/{tag}")).count() != 1 {
        missing.push(format!("the open pull requests are {pulls:?}"));
    }
    if scenario.releases() {
        let release = tag.replace("rel-", "catalog-");
        if !published.contains(&release) {
            missing.push(format!("{release} is not published"));
        }
        // GitHub's no is told, with exit 7: somebody else must approve it then.
        let refused = |deed: &Deed| deed.effect == Some(false) && super::step(&deed.what, false) == Some("changelog");
        let told = history.exit() == Some(7) && history.deeds.iter().any(refused);
        if approvals.len() != 1 && !(approvals.is_empty() && told) {
            missing.push(format!("changelogs are approved {} times", approvals.len()));
        }
    }
    missing
}

/// What was not given back. A release stays published, and what Terraform has done stays done with its bump.
fn kept(history: &History, scenario: Scenario) -> Vec<String> {
    let (start, end) = (&history.start, &history.end);
    let version = |facts: &Facts| facts.attribute("docker_image_tag");
    let mut kept = Vec::new();
    let applied = history.deeds.iter().any(|deed| deed.what == What::Apply && deed.changed());
    if applied {
        let tag = version(end);
        if tag.as_deref() != Some(scenario.tag()) {
            kept.push(format!("something was applied, and the checkout's version is {tag:?}"));
        }
    } else if start.files != end.files {
        kept.push(format!("the checkout is not as before: its version is {:?}", version(end)));
    }
    if !applied && start.deployed != end.deployed {
        kept.push(format!("{:?} is deployed, and nothing was applied", end.deployed));
    }
    kept
}

#[cfg(test)]
mod tests {
    use crate::checker::forged::{Forged, rules};
    use crate::facts::LOCK;

    #[test]
    fn what_is_left_behind_is_found() {
        let mut flag = Forged::deploy();
        flag.module("rel-2024.09.30.10.20.30", true);
        assert_eq!(rules(&flag.history()), ["flag-left"]);
        let mut lock = Forged::deploy();
        lock.history.end.refs.insert(LOCK.into(), "1".into());
        assert_eq!(rules(&lock.history()), ["lock-left"]);
        let mut paused = Forged::deploy();
        paused.history.end.paused.insert("image_data_refresh".into());
        assert_eq!(rules(&paused.history()), ["dags-left"]);
    }

    #[test]
    fn a_deploy_that_lacks_something_is_found() {
        let mut tag = Forged::deploy();
        tag.history.end.deployed = Some("rel-old".into());
        let mut pull = Forged::deploy();
        pull.history.end.pulls.clear();
        let mut approval = Forged::deploy();
        approval.history.end.approvals.clear();
        let mut version = Forged::deploy();
        version.module("rel-old", false);
        for forged in [tag, pull, approval, version] {
            assert_eq!(rules(&forged.history()), ["final-world"]);
        }
    }

    #[test]
    fn a_bump_that_is_not_given_back_is_found() {
        let mut forged = Forged::restored();
        assert_eq!(rules(&forged.history()), [] as [&str; 0]);
        forged.module("rel-2024.09.30.10.20.30", false);
        assert_eq!(rules(&forged.history()), ["final-world"]);
    }
}
