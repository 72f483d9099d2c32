//! The run on a terminal: the whole list of steps from the start, the current one moving, what is worth keeping
//! printed above. Only this file draws; what is drawn is in `terminal/picture.rs`, what is printed in
//! `terminal/printed.rs`.

mod hard_lines;
mod picture;
mod printed;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use jiff::Timestamp;

use super::steps::Steps;
use super::{ColorChoice, Screen, Sink, Verbosity};
use crate::event::{Event, Stamped};

/// How often the spinner moves.
const FRAME: Duration = Duration::from_millis(120);

/// Rows and columns.
pub type Size = (u16, u16);

/// The sink for a person at a terminal. Draws until [`Terminal::finish`] or drop, which leave the last picture and the
/// cursor on the screen.
pub struct Terminal {
    canvas: Arc<Canvas>,
    over: Arc<AtomicBool>,
    ticker: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Draws on stderr. Only to be used where stderr is a terminal that can move its cursor; [`super::lines`] otherwise.
    pub fn stderr(color: ColorChoice, verbosity: Verbosity) -> Self {
        let term = Term::stderr();
        let mut terminal = Self::silent(Canvas::new(Arc::new(term.clone()), Some(term), color, verbosity));
        let (canvas, over) = (terminal.canvas.clone(), terminal.over.clone());
        terminal.ticker = std::thread::Builder::new()
            .name("progress".into())
            .spawn(move || {
                while !over.load(Ordering::Acquire) {
                    std::thread::park_timeout(FRAME);
                    canvas.tick(Timestamp::now());
                }
            })
            // Without the thread the picture still changes with each event.
            .ok();
        terminal
    }

    fn silent(canvas: Canvas) -> Self {
        Self { canvas: Arc::new(canvas), over: Arc::new(AtomicBool::new(false)), ticker: None }
    }

    /// For prompts, pagers and attached children.
    pub fn screen(&self) -> Arc<dyn Screen> {
        self.canvas.clone()
    }

    /// Stops drawing and leaves the last picture as plain lines. Nothing is drawn afterwards.
    pub fn finish(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(ticker) = self.ticker.take() {
            ticker.thread().unpark();
            // A panic of the ticker has been printed and must not hide how the run ended.
            let _ = ticker.join();
        }
        self.canvas.lock().freeze(None);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Sink for Terminal {
    fn event(&mut self, stamped: &Stamped) {
        self.canvas.lock().event(stamped);
    }

    fn past(&mut self, stamped: &Stamped) {
        let mut drawing = self.canvas.lock();
        drawing.steps.event(stamped);
        drawing.printer.past(stamped);
    }
}

struct Canvas(Mutex<Drawing>);

impl Canvas {
    fn new(term: Arc<dyn TermLike>, cursor: Option<Term>, color: ColorChoice, verbosity: Verbosity) -> Self {
        let hard = hard_lines::HardLines::new(term.clone());
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(hard)));
        let plain = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = multi.add(ProgressBar::no_length().with_style(plain));
        Self(Mutex::new(Drawing {
            multi,
            bar,
            term,
            cursor,
            steps: Steps::default(),
            printer: printed::Printer::new(color, verbosity),
            paint: picture::Paint::new(color, verbosity),
            frame: 0,
            now: Timestamp::UNIX_EPOCH,
            paused: 0,
            queued: Vec::new(),
            frozen: false,
        }))
    }

    /// A panic elsewhere leaves the drawing usable: it holds no invariant worth dying for.
    fn lock(&self) -> MutexGuard<'_, Drawing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self, now: Timestamp) {
        let mut drawing = self.lock();
        drawing.now = now;
        drawing.frame = drawing.frame.wrapping_add(1);
        drawing.draw();
    }
}

impl Screen for Canvas {
    fn pause(&self) {
        let mut drawing = self.lock();
        drawing.paused += 1;
        if !drawing.frozen {
            // A terminal that cannot be drawn on any more is no reason to stop a deploy; the same below.
            let _ = drawing.multi.clear();
        }
    }

    fn go_on(&self) {
        let mut drawing = self.lock();
        drawing.paused = drawing.paused.saturating_sub(1);
        if drawing.paused == 0 {
            drawing.show_cursor();
            let queued = std::mem::take(&mut drawing.queued);
            drawing.print(queued);
            drawing.draw();
        }
    }
}

struct Drawing {
    multi: MultiProgress,
    /// The whole picture is one message of one bar, so that it is drawn at once and cut to the screen by us.
    bar: ProgressBar,
    term: Arc<dyn TermLike>,
    cursor: Option<Term>,
    steps: Steps,
    printer: printed::Printer,
    paint: picture::Paint,
    frame: usize,
    now: Timestamp,
    /// Prompts open at the moment. Events go on to be folded; what they print waits.
    paused: usize,
    queued: Vec<String>,
    frozen: bool,
}

impl Drawing {
    fn event(&mut self, stamped: &Stamped) {
        self.now = self.now.max(stamped.at);
        let (_, columns) = self.size();
        let width = usize::from(columns).saturating_sub(1);
        let mut rows = self.printer.before(stamped, &self.steps, width, &self.paint);
        self.steps.event(stamped);
        rows.extend(self.printer.after(stamped, &self.steps, width));
        if matches!(stamped.event, Event::RunFinished { .. }) {
            self.freeze(Some(rows));
            return;
        }
        self.print(rows);
        self.draw();
    }

    fn print(&mut self, rows: Vec<String>) {
        if self.paused > 0 {
            self.queued.extend(rows);
        } else if !rows.is_empty() {
            self.multi
                .suspend(|| rows.iter().try_for_each(|row| self.term.write_line(row)).and_then(|()| self.term.flush()))
                .ok();
        }
    }

    fn draw(&mut self) {
        if self.paused > 0 || self.frozen || self.steps.rows().is_empty() {
            return;
        }
        let picture = self.paint.picture(&self.steps, self.now, self.frame, self.size());
        self.bar.set_message(picture.join("\n"));
        self.bar.force_draw();
    }

    /// The last picture becomes plain lines, and `rows` follow it.
    fn freeze(&mut self, rows: Option<Vec<String>>) {
        if !self.frozen {
            self.frozen = true;
            let _ = self.multi.clear();
            self.bar.finish_and_clear();
            // As high as it needs to be: plain lines may scroll.
            let (_, columns) = self.size();
            let picture = self.paint.picture(&self.steps, self.now, 0, (u16::MAX, columns));
            self.print(picture);
        }
        self.print(rows.unwrap_or_default());
        self.show_cursor();
    }

    fn size(&self) -> Size {
        (self.term.height(), self.term.width())
    }

    fn show_cursor(&self) {
        if let Some(term) = &self.cursor {
            let _ = term.show_cursor();
        }
    }
}
