//! Real line ends under indicatif's drawing.
//!
//! indicatif 0.18 fills each line with spaces up to the last column and lets the terminal wrap. A terminal that is made
//! wider then joins such lines, and the next redraw clears rows above that are not the picture's. With line ends of
//! their own the rows stay where they are, and what is copied from them has no trailing spaces.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::TermLike;

#[derive(Debug)]
pub struct HardLines {
    term: Arc<dyn TermLike>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Lines are written in pairs: text, then filling.
    filling: bool,
    /// A line stands and another may follow.
    ended: bool,
}

impl HardLines {
    pub fn new(term: Arc<dyn TermLike>) -> Self {
        Self { term, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TermLike for HardLines {
    fn width(&self) -> u16 {
        self.term.width()
    }

    fn height(&self) -> u16 {
        self.term.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_left(n)
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        *self.state() = State::default();
        self.term.write_line(line)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.filling {
            *state = State { filling: false, ended: true };
            return Ok(());
        }
        if state.ended {
            self.term.write_line("")?;
        }
        *state = State { filling: true, ended: false };
        self.term.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        *self.state() = State::default();
        self.term.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.term.flush()
    }
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

    use super::*;

    #[test]
    fn no_row_is_filled_up_and_each_ends_for_itself() {
        let term = InMemoryTerm::new(10, 40);
        let target = ProgressDrawTarget::term_like(Box::new(HardLines::new(Arc::new(term.clone()))));
        let multi = MultiProgress::with_draw_target(target);
        let bar = multi.add(ProgressBar::no_length().with_style(ProgressStyle::with_template("{msg}").unwrap()));
        bar.set_message("one\ntwo");
        bar.force_draw();
        bar.set_message("three\nfour\nfive");
        bar.force_draw();
        assert_eq!(term.contents(), "three\nfour\nfive");
        let moves = term.moves_since_last_check();
        assert!(!moves.contains("  "), "{moves}");
        assert!(moves.ends_with("Str(\"four\")\nStr(\"\")\nNewLine\nStr(\"five\")\nFlush\n"), "{moves}");
    }
}
