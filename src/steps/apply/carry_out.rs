//! Carries out what was approved, and turns every end but a clear success into what the world says about it.

use std::sync::{Arc, Mutex, PoisonError};

use super::question::Binding;
use super::resolve::{Landed, landed};
use super::terraform_says::{last_words, lock_left, nothing_applied};
use super::traces::next_traces;
use super::{Ready, errored_state};
use crate::adapters::process::{Command, Exit, LineSink};
use crate::adapters::{Cause, ServiceError, Writers};
use crate::step::{Act, Trouble};
use crate::steps::transcript::Transcript;

/// Runs the apply once, and turns every end but a clear success into what the world says about it.
pub(super) async fn carry_out(
    act: &Act<'_>,
    writers: Writers,
    ready: &Ready,
    partly: &Mutex<Option<String>>,
) -> Result<(), ServiceError> {
    let look = act.look;
    let Some(infrastructure) = &look.runbook.infrastructure else { return Ok(()) };
    let (transcript, lines) = Transcript::over(look.lines);
    let mut argv = infrastructure.apply.clone();
    let ended = match ready.binding {
        Binding::PlanFile => {
            argv.push(ready.file.display().to_string());
            let traces = next_traces(look.workspace, look.step);
            match writers.checkout.apply(&argv, &traces, lines, act.stop.clone()).await {
                // Whoever was to note how it ends is gone, and it may be at work without: until it has ended, a plan
                // would tell of a state that is about to change.
                Err(error) if !error.surely_refused() => {
                    let quiet: LineSink = Arc::new(|_: &str| ());
                    match look.readers.commands.wait_recorded(&traces, quiet).await {
                        Ok(Some(exit)) => Ok(exit),
                        Ok(None) | Err(_) => Err(error),
                    }
                }
                ended => ended.map(|recorded| recorded.exit),
            }
        }
        Binding::Terminal => {
            let directory = Some(look.readers.checkout.root());
            let traces = next_traces(look.workspace, look.step);
            let command = Command { argv: argv.clone(), directory, ..Command::default() };
            writers.commands.run_attached(&command, &traces).await
        }
    };
    let output = transcript.text();
    let why = match ended {
        Ok(Exit::Code(0)) => return Ok(()),
        Ok(Exit::Code(code)) => format!("it ended with exit {code}{}", said(&output)),
        Ok(Exit::Signal(signal)) => format!("it was ended by signal {signal}{}", said(&output)),
        Err(error) if error.surely_refused() => return Err(error),
        Err(error) => error.cause.to_string(),
    };
    let failed = |cause| Err(ServiceError::new("terraform", format!("`{}`", infrastructure.apply.join(" ")), cause));
    if let Some(reason) = nothing_applied(&output) {
        return failed(Cause::Rejected { status: 0, message: format!("nothing was applied: {reason}") });
    }
    if let Ok(Some(refusal)) = errored_state(&look).await {
        let text = format!("{why}; {}", refusal.what);
        let next = match lock_left(&output) {
            Some(first) => format!("{first}; then {}", refusal.next),
            None => refusal.next,
        };
        *partly.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
        return failed(Cause::Failed(text));
    }
    match landed(look).await {
        Ok(Landed::Yes) => Ok(()),
        Ok(Landed::No) => {
            failed(Cause::Rejected { status: 0, message: format!("nothing was applied, as a new plan shows: {why}") })
        }
        Ok(Landed::Partly { left }) => {
            let next = "apply again: `catalog-deploy resume` makes a new plan of what is left and asks anew";
            *partly.lock().unwrap_or_else(PoisonError::into_inner) = Some(next.into());
            failed(Cause::Failed(format!("{why}; it took effect partly, left to do: {}", left.join(", "))))
        }
        Err(trouble) => {
            failed(Cause::Failed(format!("{why}; and it could not be found out how much it did: {trouble}")))
        }
    }
}

/// The last words of what was said; nothing where it was said to the terminal.
fn said(output: &str) -> String {
    let last = last_words(output);
    if last.is_empty() { String::new() } else { format!(": {last}") }
}

/// `partly`: it is known that it took effect in part, and this is the way on.
pub(super) fn in_words(trouble: Trouble, partly: Option<String>) -> Trouble {
    match trouble {
        Trouble::Service(ServiceError { cause: Cause::Rejected { status: 0, message }, .. }) => Trouble::Failed {
            what: message,
            next: "mend the cause, then `catalog-deploy resume` makes a new plan and asks anew".into(),
        },
        Trouble::InDoubt { what, .. } => match partly {
            Some(next) => Trouble::Failed { what, next },
            None => Trouble::InDoubt { what, next: "`catalog-deploy resume` finds out with a new plan".into() },
        },
        other => other,
    }
}
