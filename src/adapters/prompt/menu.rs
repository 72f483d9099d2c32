//! Questions with a few given answers, drawn by dialoguer: keys are read one by one in raw mode, so whatever way such a
//! question ends, the terminal gets back the modes it had, and its cursor.

use std::io;
use std::os::fd::AsFd;

use console::Term;
use dialoguer::{Confirm, Select};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

/// The index of the chosen option; `None` where the person left with Escape or `q`, or pressed Ctrl-C (which is a
/// signal for everybody else as well). Only to be asked where stdin is a terminal.
///
/// # Errors
/// The terminal could not be read or written.
pub fn select(options: &[String]) -> io::Result<Option<usize>> {
    let _later = CtrlCLater::from_now();
    let _modes = Modes::keep();
    // The last option changes nothing, so that is what only pressing return means.
    let asked = Select::new()
        .with_prompt("Your choice (arrows, then return)")
        .items(options)
        .default(options.len().saturating_sub(1))
        .report(true)
        .interact_on_opt(&Term::stderr());
    unless_interrupted(asked)
}

/// `y` or `n`, then return; nothing is taken for granted. `None` as for [`select`]. Only to be asked where stdin is a
/// terminal.
///
/// # Errors
/// As for [`select`].
pub fn confirm(text: &str) -> io::Result<Option<bool>> {
    let _later = CtrlCLater::from_now();
    let _modes = Modes::keep();
    let asked = Confirm::new().with_prompt(text).wait_for_newline(true).interact_on_opt(&Term::stderr());
    unless_interrupted(asked)
}

fn unless_interrupted<T>(asked: dialoguer::Result<Option<T>>) -> io::Result<Option<T>> {
    match asked {
        Ok(answer) => Ok(answer),
        Err(dialoguer::Error::IO(error)) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(dialoguer::Error::IO(error)) => Err(error),
    }
}

/// In raw mode Ctrl-C is a key; dialoguer turns it into a signal of this thread. Where nobody listens to it yet, that ends
/// the process at once, so it has to wait until the terminal is as it was: declare this before [`Modes`].
struct CtrlCLater(Option<SigSet>);

impl CtrlCLater {
    fn from_now() -> Self {
        let mut interrupt = SigSet::empty();
        interrupt.add(Signal::SIGINT);
        Self(interrupt.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok())
    }
}

impl Drop for CtrlCLater {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // The mask was valid when it was read.
            let _ = before.thread_set_mask();
        }
    }
}

/// The terminal's modes as they were; set again, with the cursor, when this is dropped.
#[must_use]
pub struct Modes(Option<Termios>);

impl Modes {
    pub fn keep() -> Self {
        Self(tcgetattr(io::stdin().as_fd()).ok())
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        if let Some(modes) = &self.0 {
            // The terminal may be gone: then there is nothing to set.
            let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, modes);
        }
        let _ = Term::stderr().show_cursor();
    }
}
