//! Carries out what was approved, and turns every end but a clear success into what the world says about it.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::question::Binding;
use super::resolve::{Landed, landed, never_converges};
use super::terraform_says::{last_words, lock_left, nothing_applied};
use super::traces::next_traces;
use super::{Ready, errored_state};
use crate::adapters::process::{Command, Exit, LineSink};
use crate::adapters::{Cause, ServiceError, Writers};
use crate::step::{Act, Trouble};
use crate::steps::transcript::Transcript;

/// An apply that took effect.
pub(super) struct Applied {
    /// When the command ended, before anything was verified.
    pub ended_at: Timestamp,
    /// Why that could not be verified; Terraform reported success.
    pub unverified: Option<String>,
}

/// Runs the apply once. However it ends, what it says of itself is not believed: the world is asked.
pub(super) async fn carry_out(
    act: &Act<'_>,
    writers: Writers,
    ready: &Ready,
    partly: &Mutex<Option<String>>,
) -> Result<Applied, ServiceError> {
    let look = act.look;
    let (transcript, lines) = Transcript::over(look.lines);
    let mut argv = ready.apply.clone();
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
    let ended_at = look.readers.clock.now();
    let applied = |unverified| Ok(Applied { ended_at, unverified });
    let output = transcript.text();
    let succeeded = matches!(ended, Ok(Exit::Code(0)));
    let why = match ended {
        Ok(Exit::Code(0)) => "it ended with exit 0".to_owned(),
        Ok(Exit::Code(code)) => format!("it ended with exit {code}{}", said(&output)),
        Ok(Exit::Signal(signal)) => format!("it was ended by signal {signal}{}", said(&output)),
        Err(error) if error.surely_refused() => return Err(error),
        Err(error) => error.cause.to_string(),
    };
    let failed = |cause| Err(ServiceError::new("terraform", format!("`{}`", ready.apply.join(" ")), cause));
    if !succeeded && let Some(reason) = nothing_applied(&output) {
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
    match landed(look, succeeded).await {
        Ok(Landed::Yes { remains }) => {
            remains.iter().for_each(|line| look.saw(never_converges(line)));
            applied(None)
        }
        Ok(Landed::No(shown)) => {
            failed(Cause::Rejected { status: 0, message: format!("nothing was applied: {shown}; {why}") })
        }
        Ok(Landed::Partly { left }) => {
            let next = "apply again: `catalog-deploy resume` makes a new plan of what is left and asks anew";
            *partly.lock().unwrap_or_else(PoisonError::into_inner) = Some(next.into());
            failed(Cause::Failed(format!("{why}; it took effect partly, left to do: {}", left.join(", "))))
        }
        Err(trouble) if succeeded => applied(Some(trouble.to_string())),
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
