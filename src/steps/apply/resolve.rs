//! Finds out whether an apply took effect: by the serial of Terraform's state, and by a plan in a scratch copy with the
//! wanted tag and the flag true.
//!
//! Exit codes prove nothing (`just` says 130 for whatever its child did, and a recipe can end with 0 and have done
//! nothing), and with the flag false every plan fails.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::adapters::checkout::{Location, Plan, Planned, PlannedChange};
use crate::adapters::process::write_durably;
use crate::event::Evidence;
use crate::step::{Look, Trouble};
use crate::steps::infrastructure::{infrastructure, literal, target};
use crate::steps::transcript::Transcript;

use super::plan_judgement::verb;
use super::terraform_says::plan_failed;

/// Whether an apply took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landed {
    /// It did. What a plan finds all the same, one line each: a configuration may never converge.
    Yes { remains: Vec<String> },
    /// A plan finds exactly what was approved, or the state is the same as before; which of them, in a sentence.
    No(String),
    /// Some of what was approved is still planned, or (where the approved plan is not known here) something else is.
    Partly {
        /// What is left, one line each.
        left: Vec<String>,
    },
}

/// What was approved, and the state's serial before it was applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approved {
    #[serde(flatten)]
    pub plan: Plan,
    /// `None` where it could not be read.
    #[serde(default)]
    pub serial: Option<u64>,
}

/// What is known of an apply besides the plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// Terraform reported no success, or none that is known.
    Nothing,
    /// Terraform itself reported success.
    Success,
    /// It reported success, and its state is another one than before.
    SuccessAndState,
}

/// Pure: compares what was approved with what a plan finds now. After a success an update that is planned again, or
/// anything that was not approved, does not mean that the apply is incomplete.
pub fn judge_landed(approved: Option<&Plan>, now: &Plan, reported: Reported) -> Landed {
    let lines = |changes: &[&PlannedChange], outputs: &[String]| -> Vec<String> {
        let changes = changes.iter().map(|change| format!("{} {}", verb(&change.actions), change.address));
        changes.chain(outputs.iter().map(|output| format!("output {output}"))).collect()
    };
    let everything = || lines(&now.changes.iter().collect::<Vec<_>>(), &now.outputs);
    if now.changes.is_empty() && now.outputs.is_empty() {
        return Landed::Yes { remains: Vec::new() };
    }
    let Some(approved) = approved else { return Landed::Partly { left: everything() } };
    // Where the state has changed, and all that was approved never settles, a plan could never find it applied.
    let settles =
        reported != Reported::SuccessAndState || approved.changes.iter().any(|change| lasting(&change.actions));
    if settles && (approved.digest == now.digest || all_planned_again(approved, now)) {
        return Landed::No("a new plan finds everything that was approved".into());
    }
    if reported == Reported::Nothing {
        return Landed::Partly { left: everything() };
    }
    let pending: Vec<&PlannedChange> = now.changes.iter().filter(|change| pending(approved, change)).collect();
    match pending.is_empty() {
        true => Landed::Yes { remains: everything() },
        false => Landed::Partly { left: lines(&pending, &[]) },
    }
}

/// Values in a plan may be unknown or move by themselves; addresses and actions say what has been done.
fn all_planned_again(approved: &Plan, now: &Plan) -> bool {
    let same = |change: &PlannedChange| {
        now.changes.iter().any(|other| other.address == change.address && other.actions == change.actions)
    };
    let nothing = approved.changes.is_empty() && approved.outputs.is_empty();
    !nothing && approved.changes.iter().all(same) && approved.outputs.iter().all(|output| now.outputs.contains(output))
}

/// Whether a planned change is left over from one that was approved: an instance that is still to be replaced, or that
/// is gone and not made anew.
fn pending(approved: &Plan, change: &PlannedChange) -> bool {
    lasting(&change.actions)
        && approved.changes.iter().any(|other| other.address == change.address && lasting(&other.actions))
}

/// Whether these actions, once carried out, are not planned again. An update may be planned for ever.
fn lasting(actions: &str) -> bool {
    actions != "update"
}

fn approved_file(look: &Look<'_>) -> PathBuf {
    look.workspace.join(format!("{}.approved.json", look.step))
}

/// Keeps what was approved for a process that may have to find out later. Holds no attribute values.
pub fn remember_approved(look: &Look<'_>, approved: &Approved) -> Result<(), Trouble> {
    let file = approved_file(look);
    let bytes = serde_json::to_vec(approved).map_err(|error| error.to_string());
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

fn approved(look: &Look<'_>) -> Option<Approved> {
    let bytes = std::fs::read(approved_file(look)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The serial of Terraform's state, which each change of it raises; `None` where it cannot be read. Takes no state lock.
pub async fn serial(look: &Look<'_>) -> Option<u64> {
    let infrastructure = look.runbook.infrastructure.as_ref()?;
    let program = infrastructure.state.as_ref().and_then(|argv| argv.first()).map_or("terraform", String::as_str);
    let argv = [program, &format!("-chdir={}", infrastructure.directory), "state", "pull"].map(str::to_owned);
    let output = look.readers.checkout.output(&argv).await.ok()?;
    // The state holds secrets: nothing but the number leaves this function.
    #[derive(Deserialize)]
    struct State {
        serial: u64,
    }
    serde_json::from_slice::<State>(&output).ok().map(|state| state.serial)
}

/// Asks the world. Takes no state lock and changes nothing but its own copy.
pub async fn landed(look: Look<'_>, succeeded: bool) -> Result<Landed, Trouble> {
    let approved = approved(&look);
    let before = approved.as_ref().and_then(|approved| approved.serial);
    let (after, planned) = tokio::join!(serial(&look), plan_again(look));
    // Of an apply that was cut off, the state may know less than what was done.
    let reported = match (succeeded, before, after) {
        (false, ..) => Reported::Nothing,
        (true, Some(before), Some(after)) if before == after => {
            return Ok(Landed::No(format!("Terraform's state is the same as before (serial {after})")));
        }
        (true, Some(_), Some(_)) => Reported::SuccessAndState,
        (true, ..) => Reported::Success,
    };
    Ok(judge_landed(approved.as_ref().map(|approved| &approved.plan), &planned?, reported))
}

/// A plan in a scratch copy with the wanted tag and the flag true.
async fn plan_again(look: Look<'_>) -> Result<Plan, Trouble> {
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
        Planned::Ready(now) => Ok(now),
        Planned::Failed { code, tail } => Err(plan_failed(code, &whole(&transcript, &tail))),
    }
}

/// A change that a plan finds although the apply succeeded.
pub fn never_converges(line: &str) -> Evidence {
    Evidence::warning(format!(
        "still planned after the apply: {line}; it was not what the apply was for, or never settles"
    ))
}

/// Everything that a failed plan said.
pub fn whole(transcript: &Transcript, tail: &[String]) -> String {
    let text = transcript.text();
    if text.trim().is_empty() { tail.join("\n") } else { text }
}

#[cfg(test)]
mod tests {
    use super::Reported::{Nothing, Success, SuccessAndState};
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

    fn yes(remains: &[&str]) -> Landed {
        Landed::Yes { remains: remains.iter().map(|&it| it.into()).collect() }
    }

    fn no() -> Landed {
        Landed::No("a new plan finds everything that was approved".into())
    }

    fn partly(left: &[&str]) -> Landed {
        Landed::Partly { left: left.iter().map(|&it| it.into()).collect() }
    }

    #[test]
    fn what_a_later_plan_finds_tells_whether_it_landed() {
        let approved = plan("a", &[("instance", "delete/create"), ("user_data", "update")]);
        let reordered = plan("b", &[("user_data", "update"), ("instance", "delete/create")]);
        let half = plan("c", &[("instance", "create")]);
        let cases = [
            ("nothing left", Some(&approved), plan("z", &[]), yes(&[])),
            ("the same plan", Some(&approved), approved.clone(), no()),
            ("the same changes", Some(&approved), reordered, no()),
            ("destroyed, not created", Some(&approved), half.clone(), partly(&["create instance"])),
            ("approved elsewhere", None, half, partly(&["create instance"])),
            ("approved elsewhere, landed", None, plan("z", &[]), yes(&[])),
        ];
        for (name, approved, now, expected) in cases {
            for reported in [Nothing, Success, SuccessAndState] {
                assert_eq!(judge_landed(approved, &now, reported), expected, "{name}, {reported:?}");
            }
        }
    }

    #[test]
    fn success_with_a_replacement_still_planned_is_partial() {
        let approved = plan("a", &[("instance", "delete/create"), ("user_data", "update")]);
        let again = plan("b", &[("instance", "create/delete")]);
        assert_eq!(judge_landed(Some(&approved), &again, Success), partly(&["replace instance"]));
    }

    #[test]
    fn what_never_converges_is_no_failure_of_an_apply_that_succeeded() {
        let approved = plan("a", &[("instance", "delete/create"), ("user_data", "update")]);
        let now = plan("b", &[("user_data", "update"), ("other", "create")]);
        let left = ["update user_data", "create other"];
        assert_eq!(judge_landed(Some(&approved), &now, Success), yes(&left));
        assert_eq!(judge_landed(Some(&approved), &now, Nothing), partly(&left), "nobody reported success");
    }

    /// Every plan finds it, so that a plan cannot show that it was not applied; the state can.
    #[test]
    fn where_all_that_was_approved_never_settles_the_state_decides() {
        let approved = plan("a", &[("planned_at", "update")]);
        for (reported, expected) in [(Nothing, no()), (Success, no()), (SuccessAndState, yes(&["update planned_at"]))] {
            assert_eq!(judge_landed(Some(&approved), &approved, reported), expected, "{reported:?}");
        }
    }

    #[test]
    fn everything_planned_again_means_not_applied_whatever_else_is_planned() {
        let approved = plan("a", &[("instance", "delete/create")]);
        let now = plan("b", &[("instance", "delete/create"), ("other", "update")]);
        assert_eq!(judge_landed(Some(&approved), &now, Success), no());
        let outputs = Plan { outputs: vec!["tag".into()], ..plan("o", &[]) };
        let again = Plan { digest: "p".into(), ..outputs.clone() };
        assert_eq!(judge_landed(Some(&outputs), &again, Success), no());
    }

    #[test]
    fn an_output_that_still_changes_is_something_left() {
        let now = Plan { outputs: vec!["tag".into()], ..plan("n", &[]) };
        let approved = plan("a", &[("instance", "delete/create")]);
        assert_eq!(judge_landed(Some(&approved), &now, Nothing), partly(&["output tag"]));
        assert_eq!(judge_landed(Some(&approved), &now, Success), yes(&["output tag"]));
    }
}
