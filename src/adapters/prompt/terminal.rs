//! The person at the terminal.
//!
//! The answer is read as a line in the terminal's own mode: nothing to restore when the run is killed in the middle of
//! it, the usual editing keys work, and Ctrl-C is the signal that everything else listens to as well. A choice among a
//! few answers is a menu ([`super::menu`]).

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use console::Term;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{FlushArg, tcflush};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Prompt, ServiceError, menu};
use crate::adapters::Cause;
use crate::adapters::redact::Redactor;
use crate::event::{AnsweredBy, Question};
use crate::plan::approval::Answer;
use crate::report::text::{clean, clean_lines, fit, wrap};
use crate::report::words::{self, needed};
use crate::report::{Paused, Screen};

/// How soon an abandoned read notices that nobody wants its line any more, in milliseconds.
const LOOK_UP: u8 = 100;

/// Asks on stderr, reads from stdin, and only where stdin is a terminal.
pub struct TerminalPrompt {
    input: File,
    terminal: bool,
    /// A choice is a menu; without, a number is typed.
    menus: bool,
    output: Mutex<Box<dyn Write + Send>>,
    columns: Box<dyn Fn() -> usize + Send + Sync>,
    screen: Arc<dyn Screen>,
    /// Program and arguments of `$PAGER`, resolved by the CLI's settings.
    pager: Option<Vec<String>>,
    /// What is shown holds no secret that is known.
    redactor: Redactor,
    stops: Vec<SignalKind>,
}

impl TerminalPrompt {
    /// `screen` is whatever draws on the terminal meanwhile; `pager` shows details, which are printed without one. Where
    /// the terminal has no `menus` (`TERM=dumb`), a choice is made by typing a number.
    ///
    /// # Errors
    /// stdin is closed.
    pub fn new(
        screen: Arc<dyn Screen>,
        menus: bool,
        pager: Option<Vec<String>>,
        redactor: Redactor,
    ) -> io::Result<Self> {
        let input = io::stdin();
        Ok(Self {
            terminal: input.is_terminal(),
            menus,
            input: File::from(input.as_fd().try_clone_to_owned()?),
            output: Mutex::new(Box::new(io::stderr())),
            columns: Box::new(|| usize::from(Term::stderr().size().1)),
            screen,
            pager: pager.filter(|words| !words.is_empty()),
            redactor,
            stops: vec![SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()],
        })
    }

    fn width(&self) -> usize {
        (self.columns)().saturating_sub(1)
    }

    fn print(&self, text: &str) -> Result<(), ServiceError> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(|error| failed("write", &error))
    }

    fn rows(&self, rows: &[String]) -> Result<(), ServiceError> {
        rows.iter().try_for_each(|row| self.print(&format!("{row}\n")))
    }

    /// Prints `ask` and reads one line. What was typed before it was there to be read does not count as an answer.
    async fn line(&self, ask: &str) -> Result<Typed, ServiceError> {
        let mut stops = Stops::new(&self.stops).map_err(|error| failed("listen for Ctrl-C", &error))?;
        let input = self.input.try_clone().map_err(|error| failed("read", &error))?;
        // Fails only where there is no terminal to flush.
        let _ = tcflush(&input, FlushArg::TCIFLUSH);
        self.print(ask)?;
        let over = Over::default();
        let abandoned = over.0.clone();
        let read = tokio::task::spawn_blocking(move || read_line(input, &abandoned));
        let typed = tokio::select! {
            biased;
            () = stops.any() => Ok(Typed::Stop),
            line = read => line.unwrap_or_else(|died| Err(io::Error::other(died))).map_err(|error| failed("read", &error)),
        };
        drop(over);
        if !matches!(typed, Ok(Typed::Line(_))) {
            self.print("\n")?;
        }
        typed
    }

    /// The index of the option whose number is typed; the last one, which changes nothing, for anything else.
    async fn number(&self, text: &str, options: &[&str]) -> Result<Option<usize>, ServiceError> {
        self.rows(&wrap(&self.redactor.clean(&clean(text)), "", self.width()))?;
        for (index, option) in options.iter().enumerate() {
            self.rows(&wrap(&clean(option), &format!("  {} ", index + 1), self.width()))?;
        }
        let last = options.len();
        Ok(match self.line(&format!("Type a number; anything else means {last}: ")).await? {
            Typed::Stop | Typed::End => None,
            Typed::Line(line) => {
                Some(line.trim().parse().ok().filter(|it| (1..=last).contains(it)).unwrap_or(last) - 1)
            }
        })
    }

    async fn details(&self, path: &str) -> Result<(), ServiceError> {
        let text = match std::fs::read(path) {
            Ok(text) => clean_lines(&self.redactor.clean(&String::from_utf8_lossy(&text))).join("\n") + "\n",
            Err(error) => {
                return self.print(&format!("could not read the details in {}: {error}\n", clean(path)));
            }
        };
        if let Some(words) = &self.pager {
            let (words, text) = (words.clone(), text.clone());
            let shown = tokio::task::spawn_blocking(move || page(&words, &text)).await;
            if matches!(shown, Ok(Ok(true))) {
                return Ok(());
            }
        }
        self.print(&text)
    }
}

#[async_trait]
impl Prompt for TerminalPrompt {
    fn can_ask(&self) -> bool {
        self.terminal
    }

    fn attended(&self) -> bool {
        self.terminal
    }

    async fn ask(&self, question: &Question) -> Result<Option<Answer>, ServiceError> {
        // First of all: a redirected stdin never answers, even where a terminal could be opened by name.
        if !self.terminal {
            return Ok(None);
        }
        let _paused = Paused::new(self.screen.clone());
        let mut question = question.clone();
        self.redactor.question(&mut question);
        let question = &question;
        let needed = needed(question);
        self.print("\n")?;
        self.rows(&words::question(question, self.width()))?;
        let details = if question.details.is_some() { ", `d` for the details" } else { "" };
        let ask = format!("Type `{needed}` to go on{details}; anything else declines: ");
        let mut warned = false;
        let text = loop {
            match self.line(&ask).await? {
                Typed::Stop => return Ok(None),
                Typed::End => break String::new(),
                Typed::Line(line) => match (line.trim(), &question.details) {
                    ("d", Some(path)) => self.details(path).await?,
                    ("d", None) => self.rows(&["there are no further details".to_owned()])?,
                    // Meant as a yes, by somebody who has not read what is needed.
                    ("yes", _) if needed != "yes" && !warned => {
                        warned = true;
                        let more = format!("`yes` is not enough for this: type `{needed}` if it is what you want");
                        self.rows(&wrap(&more, "", self.width()))?;
                    }
                    (text, _) => break text.to_owned(),
                },
            }
        };
        if text != needed {
            let rows = wrap(&format!("declined {}: only `{needed}` goes on", question.gate), "", self.width());
            self.rows(&rows)?;
        }
        Ok(Some(Answer {
            gate: question.gate.clone(),
            text,
            digest: Some(question.digest.clone()),
            by: AnsweredBy::Terminal,
        }))
    }

    async fn choose(&self, text: &str, options: &[&str]) -> Result<Option<usize>, ServiceError> {
        if !self.terminal || options.is_empty() {
            return Ok(None);
        }
        let _paused = Paused::new(self.screen.clone());
        if !self.menus {
            return self.number(text, options).await;
        }
        // Kept here as well: where a signal ends the question, the menu's own thread still waits for a key.
        let _modes = menu::Modes::keep();
        let mut stops = Stops::new(&self.stops).map_err(|error| failed("listen for Ctrl-C", &error))?;
        self.rows(&wrap(&self.redactor.clean(&clean(text)), "", self.width()))?;
        // Two columns for the menu's own mark; it counts rows, so none may wrap.
        let room = self.width().saturating_sub(2);
        let options: Vec<String> = options.iter().map(|option| fit(&clean(option), room)).collect();
        let chosen = tokio::task::spawn_blocking(move || menu::select(&options));
        tokio::select! {
            biased;
            () = stops.any() => Ok(None),
            chosen = chosen => chosen.unwrap_or_else(|died| Err(io::Error::other(died))).map_err(|error| failed("read", &error)),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Line(String),
    /// Ctrl-D, or the terminal is gone.
    End,
    /// A signal.
    Stop,
}

/// Tells the reading thread that nobody waits for it any more, also when the question is cancelled.
#[derive(Default)]
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

struct Stops(Vec<Signal>);

impl Stops {
    fn new(kinds: &[SignalKind]) -> io::Result<Self> {
        kinds.iter().map(|kind| signal(*kind)).collect::<io::Result<_>>().map(Self)
    }

    async fn any(&mut self) {
        let each = self.0.iter_mut().map(|signal| Box::pin(signal.recv()));
        futures::future::select_all(each).await;
    }
}

/// Waits with a poll instead of a read, so that a line typed after the question was abandoned is left to the next one.
fn read_line(mut input: File, over: &AtomicBool) -> io::Result<Typed> {
    let mut line = Vec::new();
    let mut part = [0; 4096];
    loop {
        if over.load(Ordering::Acquire) {
            return Ok(Typed::Stop);
        }
        match poll(&mut [PollFd::new(input.as_fd(), PollFlags::POLLIN)], PollTimeout::from(LOOK_UP)) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let read = match input.read(&mut part) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The terminal was closed.
            Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => 0,
            Err(error) => return Err(error),
        };
        line.extend_from_slice(&part[..read]);
        // A half line before Ctrl-D is no answer either.
        if read == 0 {
            return Ok(Typed::End);
        }
        if let Some(end) = line.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            line.truncate(end);
            return Ok(Typed::Line(String::from_utf8_lossy(&line).into_owned()));
        }
    }
}

/// Shows a text in the pager, on the terminal: stdout may be a pipe that carries data. Whether that worked.
#[expect(clippy::disallowed_methods, reason = "the person's pager gets the terminal itself")]
fn page(words: &[String], text: &str) -> io::Result<bool> {
    let Some((program, arguments)) = words.split_first() else { return Ok(false) };
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(text.as_bytes())?;
    let screen = io::stderr().as_fd().try_clone_to_owned()?;
    let status = Command::new(program).args(arguments).arg(file.path()).stdout(Stdio::from(screen)).status()?;
    Ok(status.success())
}

fn failed(what: &str, error: &io::Error) -> ServiceError {
    ServiceError::new("terminal", format!("{what} at the prompt"), Cause::Failed(format!("could not {what}: {error}")))
}
