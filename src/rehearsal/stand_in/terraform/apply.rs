//! Carries out a plan, writing the state after every resource as the real one does.

use std::path::Path;
use std::process::Command;

use super::super::{Failure, fail, say};
use super::config::NOW;
use super::plan::{Change, Plan};
use super::state::{self, Existing};

pub(super) fn apply(directory: &Path, plan: &Plan) -> Result<(), Failure> {
    let mut state = state::read(directory)?;
    if state.serial != plan.serial || (state.serial > 0 && state.lineage != plan.lineage) {
        return fail(
            "Error: Saved plan is stale\n\nThe given plan file can no longer be applied because the state was changed by \
             another operation after the plan was created.",
        );
    }
    // What is replaced or removed goes first, dependents before what they depend on.
    for change in plan.changes.iter().rev().filter(|change| change.actions.contains("delete")) {
        say(&format!("{}: Destroying...\n", change.address()));
        if let Some(command) = &change.destroy {
            #[expect(clippy::disallowed_methods, reason = "a stand-in for a program that starts programs")]
            let done = Command::new("sh").arg("-c").arg(command).status()?;
            if !done.success() {
                return fail(format!("Error: local-exec provisioner error\n\nwith {}: {done}", change.address()));
            }
        }
        state.resources.retain(|it| it.address() != change.address());
        state::write(directory, &mut state)?;
    }
    let mut counts = [0; 3];
    for change in &plan.changes {
        counts[0] += usize::from(change.actions.contains("create"));
        counts[1] += usize::from(change.actions == "update");
        counts[2] += usize::from(change.actions.contains("delete"));
        if change.actions == "update" {
            say(&format!("{}: Modifying...\n", change.address()));
            state.resources.iter_mut().filter(|it| it.address() == change.address()).for_each(|it| {
                it.input = input(change);
            });
        } else if change.actions.contains("create") {
            say(&format!("{}: Creating...\n", change.address()));
            state.resources.push(Existing {
                module: change.module.clone(),
                name: change.name.clone(),
                id: state::new_id()?,
                input: input(change),
                trigger: change.trigger.clone(),
            });
        } else {
            continue;
        }
        state::write(directory, &mut state)?;
    }
    say(&format!(
        "\nApply complete! Resources: {} added, {} changed, {} destroyed.\n",
        counts[0], counts[1], counts[2]
    ));
    Ok(())
}

/// What the resource gets, which a plan may not know.
fn input(change: &Change) -> Option<String> {
    if change.input.as_deref() == Some(NOW) { Some(jiff::Timestamp::now().to_string()) } else { change.input.clone() }
}
