//! Finds out whether an apply took effect: by a plan in a scratch copy with the wanted tag and the flag true.
//!
//! Exit codes do not tell (`just` says 130 for whatever its child did), and with the flag false every plan fails.

use std::path::PathBuf;

use crate::adapters::checkout::{Location, Plan, Planned, PlannedChange};
use crate::adapters::process::write_durably;
use crate::step::{Look, Trouble};
use crate::steps::infrastructure::{infrastructure, literal, target};
use crate::steps::transcript::Transcript;

use super::plan_judgement::verb;
use super::terraform_says::plan_failed;

/// Whether an apply took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landed {
    /// A plan finds nothing left to do.
    Yes,
    /// A plan finds exactly what was approved.
    No,
    /// A plan finds something else: it took effect partly, or (where the approved plan is not known here) not at all.
    Partly {
        /// What is left, one line each.
        left: Vec<String>,
    },
}

/// Pure: compares what was approved with what a plan finds now.
pub fn judge_landed(approved: Option<&Plan>, now: &Plan) -> Landed {
    if now.changes.is_empty() && now.outputs.is_empty() {
        return Landed::Yes;
    }
    if approved.is_some_and(|approved| approved.digest == now.digest || same_changes(approved, now)) {
        return Landed::No;
    }
    let mut left: Vec<String> =
        now.changes.iter().map(|change| format!("{} {}", verb(&change.actions), change.address)).collect();
    left.extend(now.outputs.iter().map(|output| format!("output {output}")));
    Landed::Partly { left }
}

/// Values in a plan may be unknown or move by themselves; addresses and actions say what has been done.
fn same_changes(approved: &Plan, now: &Plan) -> bool {
    fn key(change: &PlannedChange) -> (&str, &str) {
        (&change.address, &change.actions)
    }
    let sorted = |plan: &'_ Plan| {
        let mut keys: Vec<(String, String)> =
            plan.changes.iter().map(key).map(|(address, actions)| (address.to_owned(), actions.to_owned())).collect();
        keys.sort();
        keys
    };
    !approved.changes.is_empty() && sorted(approved) == sorted(now)
}

fn approved_file(look: &Look<'_>) -> PathBuf {
    look.workspace.join(format!("{}.approved.json", look.step))
}

/// Keeps what was approved for a process that may have to find out later. Holds no attribute values.
pub fn remember_approved(look: &Look<'_>, plan: &Plan) -> Result<(), Trouble> {
    let file = approved_file(look);
    let bytes = serde_json::to_vec(plan).map_err(|error| error.to_string());
    let written = match bytes {
        // The intent that follows is there after a power cut: without this nobody could tell "not at all" from "partly".
        Ok(bytes) => write_durably(&file, &bytes).map_err(|error| error.to_string()),
        Err(error) => Err(error),
    };
    written.map_err(|error| Trouble::Failed {
        what: format!("could not keep the approved plan in {}: {error}", file.display()),
        next: "make room on the disk, then `catalog-deploy resume`; nothing was applied".into(),
    })
}

fn approved(look: &Look<'_>) -> Option<Plan> {
    let bytes = std::fs::read(approved_file(look)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Asks the world. Takes no state lock and changes nothing but its own copy.
pub async fn landed(look: Look<'_>) -> Result<Landed, Trouble> {
    let infrastructure = infrastructure(&look)?;
    let wanted = literal(&target(&look)?.tag)?;
    let scratch = look.readers.checkout.scratch().await?;
    let mut settings = vec![(Location::from(&infrastructure.version), wanted)];
    settings.extend(infrastructure.flag.iter().map(|flag| (Location::from(flag), "true".to_owned())));
    for (at, literal) in settings {
        if scratch.attribute(&at).await?.literal != literal {
            scratch.set_attribute(&at, &literal).await?;
        }
    }
    let file = look.workspace.join(format!("{}.landed.tfplan", look.step));
    let (transcript, lines) = Transcript::over(look.lines);
    match scratch.plan(&infrastructure.plan, &file, lines).await? {
        Planned::Ready(now) => Ok(judge_landed(approved(&look).as_ref(), &now)),
        Planned::Failed { code, tail } => Err(plan_failed(code, &whole(&transcript, &tail))),
    }
}

/// Everything that a failed plan said.
pub fn whole(transcript: &Transcript, tail: &[String]) -> String {
    let text = transcript.text();
    if text.trim().is_empty() { tail.join("\n") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(digest: &str, changes: &[(&str, &str)]) -> Plan {
        Plan {
            changes: changes
                .iter()
                .map(|(address, actions)| PlannedChange {
                    address: (*address).into(),
                    actions: (*actions).into(),
                    reason: None,
                })
                .collect(),
            drift: vec![],
            outputs: vec![],
            checks: vec![],
            errored: false,
            complete: true,
            digest: digest.into(),
            terraform_version: "1.11.4".into(),
        }
    }

    #[test]
    fn what_a_later_plan_finds_tells_whether_it_landed() {
        let approved = plan("a", &[("instance", "delete/create"), ("user_data", "update")]);
        let reordered = plan("b", &[("user_data", "update"), ("instance", "delete/create")]);
        let half = plan("c", &[("instance", "create")]);
        let cases = [
            ("nothing left", Some(&approved), plan("z", &[]), Landed::Yes),
            ("the same plan", Some(&approved), approved.clone(), Landed::No),
            ("the same changes", Some(&approved), reordered, Landed::No),
            (
                "destroyed, not created",
                Some(&approved),
                half.clone(),
                Landed::Partly { left: vec!["create instance".into()] },
            ),
            ("approved elsewhere", None, half, Landed::Partly { left: vec!["create instance".into()] }),
            ("approved elsewhere, landed", None, plan("z", &[]), Landed::Yes),
        ];
        for (name, approved, now, expected) in cases {
            assert_eq!(judge_landed(approved, &now), expected, "{name}");
        }
    }

    #[test]
    fn an_output_that_still_changes_is_something_left() {
        let now = Plan { outputs: vec!["tag".into()], ..plan("n", &[]) };
        let approved = plan("a", &[("instance", "delete/create")]);
        assert_eq!(judge_landed(Some(&approved), &now), Landed::Partly { left: vec!["output tag".into()] });
    }
}
