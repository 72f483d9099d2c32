//! What a child said: passed on line by line, and kept to explain how it ended.

use std::sync::{Arc, Mutex, PoisonError};

use crate::adapters::process::LineSink;

/// More lines than this are no plan that a person reads; the first ones go.
const KEPT: usize = 20_000;

/// Keeps the lines that pass through its sink.
#[derive(Clone, Default)]
pub struct Transcript {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Transcript {
    /// A transcript, and a sink that fills it and passes every line on to `sink`.
    pub fn over(sink: &LineSink) -> (Self, LineSink) {
        let transcript = Self::default();
        let (kept, onward) = (transcript.clone(), sink.clone());
        let tee: LineSink = Arc::new(move |line: &str| {
            kept.push(line);
            onward(line);
        });
        (transcript, tee)
    }

    fn push(&self, line: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= KEPT {
            lines.drain(..KEPT / 2);
        }
        lines.push(line.to_owned());
    }

    pub fn text(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }
}

/// The last `count` lines that say something, in one line.
pub fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.trim_matches(|c: char| c.is_whitespace() || "│╷╵".contains(c)))
        .filter(|line| !line.is_empty())
        .collect();
    lines[lines.len().saturating_sub(count)..].join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_and_passes_on() {
        let seen = Arc::new(Mutex::new(0));
        let count = seen.clone();
        let sink: LineSink = Arc::new(move |_: &str| *count.lock().unwrap() += 1);
        let (transcript, tee) = Transcript::over(&sink);
        tee("one");
        tee("two");
        assert_eq!(transcript.text(), "one\ntwo");
        assert_eq!(*seen.lock().unwrap(), 2);
    }

    #[test]
    fn the_tail_leaves_frames_out() {
        assert_eq!(tail("first\n╷\n│ \nError: no\n  \nwhy\n╵\n", 2), "Error: no why");
        assert_eq!(tail("", 3), "");
    }
}
