//! Who watches a run, on which stream: talk and progress on stderr, data on stdout. The only writer of either.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::adapters::notify::{Notifier, SlackWebhook};
use crate::adapters::redact::Redactor;
use crate::engine::Outcome;
use crate::event::Stamped;
use crate::report::json::Json;
use crate::report::lines::Lines;
use crate::report::notify::Announcer;
use crate::report::preview::Preview;
use crate::report::terminal::Terminal;
use crate::report::text::clean_lines;
use crate::report::{ColorChoice, Fanout, NoScreen, Screen, Sink, Verbosity};
use crate::runbook::Runbook;

use super::error::CliError;
use super::settings::Settings;

/// Messages that are still under way at the end of a run get this long.
const LAST_MESSAGES: Duration = Duration::from_secs(6);

/// The streams of one run.
pub struct Output {
    terminal: std::sync::Mutex<Option<Terminal>>,
    screen: Arc<dyn Screen>,
    json: bool,
    colour: ColorChoice,
    verbosity: Verbosity,
}

/// The watchers of a live run.
pub struct Watchers {
    pub sink: Box<dyn Sink>,
    pub delivered: Delivered,
}

impl Output {
    pub fn of(settings: &Settings) -> Self {
        let (environment, shared) = (&settings.environment, &settings.shared);
        let colour = if environment.colour(shared.color) { ColorChoice::Always } else { ColorChoice::Never };
        let verbosity = match (shared.quiet, shared.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        };
        let terminal = environment.animated().then(|| Terminal::stderr(colour, verbosity));
        let screen: Arc<dyn Screen> = terminal.as_ref().map_or(Arc::new(NoScreen), Terminal::screen);
        Self { terminal: std::sync::Mutex::new(terminal), screen, json: shared.json, colour, verbosity }
    }

    /// Whoever draws, to be paused while somebody else uses the terminal.
    pub fn screen(&self) -> Arc<dyn Screen> {
        self.screen.clone()
    }

    /// Progress on stderr, events on stdout where asked for, messages to people.
    pub fn watchers(&self, runbook: &Runbook, slack: Option<SlackWebhook>) -> Watchers {
        let mut sinks = self.progress();
        let delivered = match slack {
            Some(slack) => {
                let (messages, delivered) = Messages::start(slack, runbook);
                sinks = sinks.with(messages);
                delivered
            }
            None => Delivered(None),
        };
        Watchers { sink: Box::new(sinks), delivered }
    }

    /// Progress on stderr, and what gathers the report of a dry run.
    pub fn preview(&self, redactor: &Redactor) -> (Box<dyn Sink>, Report) {
        let in_full = self.verbosity == Verbosity::Verbose;
        let report = Report { preview: Arc::default(), json: self.json, in_full };
        let sinks = self.progress().with(report.clone());
        (Box::new(Clean { sinks, redactor: redactor.clone() }), report)
    }

    fn progress(&self) -> Fanout {
        let terminal = self.terminal.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let sinks = match terminal {
            Some(terminal) => Fanout::new().with(terminal),
            None => Fanout::new().with(Lines::new(std::io::stderr(), self.verbosity)),
        };
        if self.json { sinks.with(Json::new(std::io::stdout())) } else { sinks }
    }

    pub fn colour(&self) -> bool {
        self.colour == ColorChoice::Always
    }
}

/// A preview has no recorder that would keep secrets out of its events.
struct Clean {
    sinks: Fanout,
    redactor: Redactor,
}

impl Sink for Clean {
    fn event(&mut self, stamped: &Stamped) {
        self.sinks.event(&Stamped { at: stamped.at, event: self.redactor.event(stamped.event.clone()) });
    }
}

/// The report of a dry run, gathered while it runs and printed on stdout when it is over (as JSON its events are enough).
#[derive(Clone)]
pub struct Report {
    preview: Arc<std::sync::Mutex<Preview>>,
    json: bool,
    /// The plan's whole text below the report.
    in_full: bool,
}

impl Sink for Report {
    fn event(&mut self, stamped: &Stamped) {
        self.preview.lock().unwrap_or_else(std::sync::PoisonError::into_inner).event(stamped);
    }
}

impl Report {
    pub fn print(&self) -> Result<(), CliError> {
        if self.json {
            return Ok(());
        }
        let preview = self.preview.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut text = preview.render(width());
        for file in preview.details().filter(|_| self.in_full) {
            let plan = std::fs::read_to_string(file)
                .map_err(|error| CliError::failed(format!("could not read {file}: {error}")))?;
            text.push_str(&format!("\n## In full\n\n{}\n", clean_lines(&plan).join("\n")));
        }
        data(text.as_bytes()).map(|_| ())
    }
}

/// Columns of the terminal behind stdout, 100 where there is none.
pub fn width() -> usize {
    usize::from(console::Term::stdout().size_checked().map_or(100, |(_, columns)| columns))
}

/// Turns events into messages and hands them to a task of their own, so that a slow service never holds a run up.
struct Messages {
    announcer: Announcer,
    queue: mpsc::UnboundedSender<String>,
}

/// The end of all messages.
pub struct Delivered(Option<tokio::task::JoinHandle<()>>);

impl Messages {
    fn start(slack: SlackWebhook, runbook: &Runbook) -> (Self, Delivered) {
        let (queue, mut texts) = mpsc::unbounded_channel::<String>();
        let task = tokio::spawn(async move {
            while let Some(text) = texts.recv().await {
                // Best effort: the run's own words say what happened.
                if let Err(error) = slack.notify(&text).await {
                    tracing::warn!(%error, "a message was not delivered");
                }
            }
        });
        (Self { announcer: Announcer::new(runbook.incident.clone()), queue }, Delivered(Some(task)))
    }
}

impl Sink for Messages {
    fn event(&mut self, stamped: &Stamped) {
        if let Some(text) = self.announcer.event(&stamped.event) {
            // The task ends only with this sender.
            let _queued = self.queue.send(text);
        }
    }

    fn past(&mut self, stamped: &Stamped) {
        self.announcer.past(&stamped.event);
    }
}

impl Delivered {
    /// Waits a moment for the last messages. The watchers must be gone by then.
    pub async fn wait(self) {
        if let Some(task) = self.0 {
            let _late = tokio::time::timeout(LAST_MESSAGES, task).await;
        }
    }
}

/// Writes data to stdout. A reader that went away is nobody's error.
pub fn data(bytes: &[u8]) -> Result<ExitCode, CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::failed(format!("could not write: {error}")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Says something on stderr.
pub fn say(text: &str) {
    let _gone = writeln!(std::io::stderr().lock(), "{text}");
}

/// The end of a command that did not get as far as a run.
pub fn failed(error: &CliError, json: bool) -> ExitCode {
    if json {
        let line = serde_json::json!({
            "format": crate::event::FORMAT,
            "event": "run-finished",
            "exit": error.exit,
            "reason": error.reason,
            "message": error.message,
            "next": error.next,
        });
        let _gone = writeln!(std::io::stdout().lock(), "{line}");
    }
    // A full last column makes terminals wrap.
    let width = console::Term::stderr().size_checked().map(|(_, columns)| usize::from(columns).saturating_sub(1));
    let _gone = write!(std::io::stderr().lock(), "{}", error.render(width));
    error.code()
}

/// The exit code of a run; its last words were an event.
pub fn code(outcome: &Outcome) -> ExitCode {
    ExitCode::from(outcome.exit)
}
