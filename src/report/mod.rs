//! Everything people see: folds over [`Stamped`] events. Nothing here decides, asks or touches the world.
//!
//! | view | for |
//! |---|---|
//! | [`terminal`] | a person at a terminal: the list of steps, live |
//! | [`lines`] | CI and pipes: one plain line per event |
//! | [`json`] | programs |
//! | [`preview`] | the report of a dry run |
//! | [`document`] | `show RUN`: one run, told afterwards |
//! | [`notify`] | Slack messages |

pub mod document;
pub mod held;
pub mod hint;
pub mod json;
pub mod lines;
pub mod notify;
pub mod preview;
#[cfg(test)]
mod samples;
pub mod steps;
pub mod terminal;
pub mod text;
pub mod words;

use crate::event::Stamped;

/// Something that watches a run.
pub trait Sink: Send {
    fn event(&mut self, stamped: &Stamped);

    /// An event of an earlier process of the same run, on resume: to be known, not to be told again.
    fn past(&mut self, _stamped: &Stamped) {}
}

/// Several sinks as one, told in the order in which they were added.
#[derive(Default)]
pub struct Fanout {
    sinks: Vec<Box<dyn Sink>>,
}

impl Fanout {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn with(mut self, sink: impl Sink + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }
}

impl Sink for Fanout {
    fn event(&mut self, stamped: &Stamped) {
        for sink in &mut self.sinks {
            sink.event(stamped);
        }
    }

    fn past(&mut self, stamped: &Stamped) {
        for sink in &mut self.sinks {
            sink.past(stamped);
        }
    }
}

/// Whether to colour. `--color`, `NO_COLOR` and the like are resolved by the CLI's settings; nothing here reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorChoice {
    Always,
    Never,
}

/// How much is told. Warnings, failures and what a person must do are told at every level.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    Quiet,
    #[default]
    Normal,
    Verbose,
}

/// Whoever draws on the terminal and can be asked to leave it alone while somebody else (a prompt, a pager, an
/// attached child) uses it. Calls may nest.
pub trait Screen: Send + Sync {
    /// Takes down what is drawn; nothing is printed until [`Screen::go_on`].
    fn pause(&self);
    /// Prints what came meanwhile and draws again.
    fn go_on(&self);
}

/// A screen on which nothing is drawn.
#[derive(Debug, Clone, Copy)]
pub struct NoScreen;

impl Screen for NoScreen {
    fn pause(&self) {}
    fn go_on(&self) {}
}

/// Holds a [`Screen`] paused; drawing goes on when this is dropped, so also when the holder is cancelled.
#[must_use]
pub struct Paused(std::sync::Arc<dyn Screen>);

impl Paused {
    pub fn new(screen: std::sync::Arc<dyn Screen>) -> Self {
        screen.pause();
        Self(screen)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.go_on();
    }
}
