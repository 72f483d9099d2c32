//! One run of a runbook from the command line's side: what it is made of, who watches it, how it ends.
//!
//! `prod`, `resume`, `restore` and `rehearse` all come through here; a rehearsal differs only in what it passes in.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;

use crate::adapters::World;
use crate::adapters::awake::Awake;
use crate::adapters::checkout::{Place, sweep};
use crate::adapters::clock::Clock;
use crate::adapters::memo::of_one_moment;
use crate::adapters::prompt::{FlagAnswers, FlagsThen, Nobody, Prompt, RehearsalYes, TerminalPrompt};
use crate::adapters::redact::Redactor;
use crate::engine::adoption::adoption;
use crate::engine::outlook::{Credential, Credentials};
use crate::engine::preview::Preview;
use crate::engine::{Adopting, Outcome, Recorder, Run, StopSignal};
use crate::event::{AnsweredBy, Event, FORMAT, Mode, Refusal};
use crate::facts::{Override, Parameters, PastRun};
use crate::journal::runs::{Runs, RunsError, StoredRun};
use crate::journal::status::RunState;
use crate::journal::store::JournalError;
use crate::plan::Plan;
use crate::report::document::incident;
use crate::runbook::Loaded;
use crate::runbook::suggest::nearest;
use crate::steps;

use super::connect::{Connection, host, who};
use super::credentials::{Verdict, credentials};
use super::debug_log;
use super::error::CliError;
use super::output::{Output, say};
use super::settings::Settings;
use super::signals;

/// How gates are answered where no `--approve` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    Terminal,
    Nobody,
    /// `rehearse --yes`.
    RehearsalYes,
}

/// Everything a run needs from the outside.
pub struct Session {
    pub settings: Settings,
    pub loaded: Loaded,
    pub clock: Arc<dyn Clock>,
    /// Extra environment of children.
    pub environment: BTreeMap<String, String>,
    pub runs: Runs,
    pub scratch: PathBuf,
    pub asking: Asking,
    /// Given beforehand, for the deploy that was asked for: whoever then rolls back at the terminal is asked there.
    pub approvals: Mutex<Vec<String>>,
}

impl Session {
    /// Runs the runbook from its first step.
    pub async fn deploy(&self, parameters: Parameters) -> Result<Outcome, CliError> {
        let plan = self.plan(&parameters);
        self.answers(&plan)?;
        let adopting = self.adopting(&parameters, &plan)?;
        let (run, outcome) = self.begin(parameters, adopting).await?;
        self.after(run, outcome).await
    }

    /// A new run, to its end. Gives its id as well.
    pub(super) async fn begin(
        &self,
        parameters: Parameters,
        adopting: Option<Adopting>,
    ) -> Result<(String, Outcome), CliError> {
        let plan = self.plan(&parameters);
        let output = Output::of(&self.settings);
        let world = self.world(&output).await?;
        let run = Runs::new_id(&self.loaded.name, self.clock.now());
        let (directory, journal) = self.runs.create(&run, &self.loaded.text).map_err(|error| no_journal(&error))?;
        self.keep_log(&directory);
        let mode = if parameters.tag.is_some() { Mode::Rollback } else { Mode::Deploy };
        let start = self.redactor().event(self.start(run.clone(), mode, parameters, &plan));
        let watchers = output.watchers(&self.loaded.runbook, self.slack().await?);
        let recorder = Recorder::begin(journal, start, watchers.sink, self.clock.clone()).map_err(|trouble| {
            CliError::refused(format!("{trouble}. Nothing was changed"))
                .next("free the disk or mend it; nothing is changed without a journal")
                .next(format!("then begin anew: catalog-deploy {}", self.loaded.name))
        })?;
        let recorder = recorder.without_secrets(self.redactor().clone());
        let how = How { directory, adopting, go: Go::On };
        let outcome = self.carry_out(&world, &plan, &Arc::new(recorder), &output, how).await?;
        watchers.delivered.wait().await;
        Ok((run, outcome))
    }

    /// Goes on with a stored run, or only gives back what it holds.
    /// `overrides` are those given now, beside those that the run has.
    pub async fn go_on(&self, stored: &StoredRun, go: Go, overrides: &[Override]) -> Result<Outcome, CliError> {
        let plan = self.plan(&stored.state.parameters);
        self.answers(&plan)?;
        let output = Output::of(&self.settings);
        let world = self.world(&output).await?;
        let run = &stored.state.run;
        let opened = if stored.in_part { self.runs.open_to_give_back(run) } else { self.runs.open(run) };
        let (journal, events) = opened.map_err(|error| match error {
            JournalError::Busy { .. } => busy(&stored.state.run),
            error => RunsError::from(error).into(),
        })?;
        // As of the moment from which on nobody else writes: another process may have ended it since it was looked at.
        let state = match stored.in_part {
            false => RunState::replay(&events).map_err(|error| error.to_string()),
            true => RunState::owed(&events),
        }
        .map_err(CliError::failed)?;
        let state = state.filter(RunState::resumable).ok_or_else(|| {
            CliError::refused(format!("run {} was ended by another process just now", stored.state.run))
                .next("catalog-deploy history")
        })?;
        self.close_taken_over(&state);
        // A rollback that was stopped before its first change has taken over nothing yet.
        let adopting = match go {
            Go::On if state.took_over.is_none() && !state.changed() => {
                self.adopting(&state.parameters, &plan).ok().flatten().filter(|other| other.run() != run)
            }
            _ => None,
        };
        let watchers = output.watchers(&self.loaded.runbook, self.slack().await?);
        self.keep_log(&stored.directory);
        let recorder = Recorder::resume(journal, &events, state, watchers.sink, self.clock.clone());
        let recorder = recorder.without_secrets(self.redactor().clone());
        let resumed = Event::RunResumed { who: who(&self.settings), host: host() };
        recorder.record(resumed).map_err(|trouble| journal_error(&trouble, &stored.state.run))?;
        for given in overrides {
            let given = Event::Overridden { step: None, given: given.clone(), by: AnsweredBy::Flag };
            recorder.record(given).map_err(|trouble| journal_error(&trouble, &stored.state.run))?;
        }
        let how = How { directory: stored.directory.clone(), adopting, go };
        let outcome = self.carry_out(&world, &plan, &Arc::new(recorder), &output, how).await?;
        watchers.delivered.wait().await;
        Ok(outcome)
    }

    /// Looks, and changes nothing: no lock, no journal, no message to anybody.
    pub async fn preview(&self, parameters: Parameters) -> Result<Outcome, CliError> {
        let plan = self.plan(&parameters);
        self.answers(&plan)?;
        let output = Output::of(&self.settings);
        let readers = of_one_moment(self.world(&output).await?.into_readers());
        // Plan files may hold secrets: what a killed preview leaves is swept with its scratch copy.
        let workspace = Place::new(&self.scratch)
            .map_err(|error| CliError::failed(format!("could not make a private directory: {error}")))?;
        let stop = StopSignal::default();
        let _signals = signals::watch(&stop, |_| ()).map_err(signal_error)?;
        let (adoption, refusals) = match self.adoptable(&parameters) {
            Ok(stored) => (stored.map(|stored| adoption(&stored.state)), None),
            Err(refusal) => (None, Some(Refusal { what: refusal.message, next: refusal.next.join("; or ") })),
        };
        let plan_text = self.settings.state_directory.join("previews").join(format!("{}.plan.txt", self.loaded.name));
        // A preview that gets as far as no plan must not seem to have made the last one's.
        match std::fs::remove_file(&plan_text) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(CliError::failed(format!("could not remove the old {}: {error}", plan_text.display())));
            }
            _ => {}
        }
        let preview = Preview {
            readers: &readers,
            runbook: &self.loaded.runbook,
            name: &self.loaded.name,
            plan: &plan,
            parameters: &parameters,
            workspace: workspace.directory().to_owned(),
            plan_text,
            stop: &stop,
            refusals: refusals.into_iter().collect(),
            adoption,
            past: self.past(None)?,
        };
        let start = self.start("preview".into(), Mode::Preview, parameters.clone(), &plan);
        let (sink, report) = output.preview(self.redactor());
        let outcome = preview.look(self.redactor().event(start), sink).await;
        // Stopped half-way, a report would only list what was not looked at.
        if outcome.exit < 128 {
            report.print()?;
        }
        Ok(outcome)
    }

    async fn carry_out(
        &self,
        world: &World,
        plan: &Plan,
        recorder: &Arc<Recorder>,
        output: &Output,
        How { directory, adopting, go }: How,
    ) -> Result<Outcome, CliError> {
        let stop = StopSignal::default();
        let said = recorder.clone();
        // Stands before the lock is taken: from here on a signal is a wish, not an end.
        let _signals = signals::watch(&stop, move |text| said.tell(Event::Said { text: text.to_owned() }))
            .map_err(signal_error)?;
        let _awake = Awake::keep();
        let prompt = self.prompt(plan, output)?;
        let people = (who(&self.settings), host());
        let left = directory.clone();
        let mut run = Run::new(&self.loaded.runbook, plan, world, recorder, &prompt, &stop, directory, people);
        run.options = self.settings.options();
        run.adopting = adopting;
        run.past = self.past(Some(&recorder.state().run))?;
        if go == Go::On {
            run = run.asking_about(self.credentials(world));
        }
        let outcome = match go {
            Go::On => run.carry_out().await,
            Go::GiveUp => run.give_up().await,
        };
        if let Err(error) = self.redactor().traces(&left) {
            recorder.tell(Event::Warned { text: format!("what children printed may still hold secrets: {error}") });
        }
        self.keep_incident(&recorder.state(), &outcome);
        Ok(outcome)
    }

    /// Asks about every credential while the first steps look.
    fn credentials(&self, world: &World) -> Credentials {
        let (readers, runbook) = (world.readers().clone(), self.loaded.runbook.clone());
        let session_end = self.settings.environment.get("AWS_CREDENTIAL_EXPIRATION");
        let mut asked = Credentials::new();
        asked.spawn(async move {
            let checks = join_all(credentials(&readers, &runbook, session_end.as_deref())).await;
            let told = checks.into_iter().filter(|check| check.verdict != Verdict::Unknown);
            told.map(|check| Credential {
                text: format!("{}: {}", check.name, check.text),
                works: check.verdict == Verdict::Pass,
            })
            .collect()
        });
        asked
    }

    /// What every part of this run keeps out of what it tells.
    fn redactor(&self) -> &Redactor {
        &self.settings.environment.redactor
    }

    /// Where a run ended unwell after a change: the summary for whoever takes over, beside its journal.
    fn keep_incident(&self, state: &RunState, outcome: &Outcome) {
        let unwell = matches!((outcome.exit, outcome.reason), (1 | 9 | 128.., _) | (7, "unhealthy" | "inconclusive"));
        let path = self.runs.directory(&state.run).join("incident.md");
        // One that lies there already must not say what is over.
        if !state.changed() || !(unwell || !state.held.is_empty() || path.exists()) {
            return;
        }
        let written = self.runs.load(&state.run).map_err(|error| error.to_string()).and_then(|stored| {
            let text = incident::render(&stored.events, self.loaded.runbook.incident.as_deref());
            private(&path, &text).map_err(|error| error.to_string())
        });
        match written {
            Ok(()) => say(&format!("incident summary: {}", path.display())),
            Err(error) => say(&format!("warning: the incident summary could not be written: {error}")),
        }
    }

    fn keep_log(&self, directory: &Path) {
        if let Err(error) = debug_log::keep(directory, self.redactor()) {
            // Nice to have; the journal is what a run rests on.
            say(&format!("warning: no debug log is kept for this run: {error}"));
        }
    }

    /// The answers given beforehand, each for a gate that there is. Asked first of all: a slip of the pen must not come
    /// to light when a release is published.
    fn answers(&self, plan: &Plan) -> Result<FlagAnswers, CliError> {
        let approvals = self.approvals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let flags = FlagAnswers::parse(&approvals).map_err(|error| CliError::usage(error.to_string()))?;
        let gates: Vec<String> = plan.heads().into_iter().filter(|head| head.gate).map(|head| head.id).collect();
        if let Some(unknown) = flags.left().into_iter().find(|gate| !gates.contains(gate)) {
            let near = nearest(&unknown, gates.iter().map(String::as_str));
            let meant = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let (name, gates) = (&self.loaded.name, gates.join(", "));
            return Err(CliError::usage(format!("--approve {unknown}: {name} has no such gate{meant}"))
                .next(format!("its gates are: {gates}")));
        }
        Ok(flags)
    }

    fn prompt(&self, plan: &Plan, output: &Output) -> Result<FlagsThen<Box<dyn Prompt>>, CliError> {
        Ok(FlagsThen::new(self.answers(plan)?, self.person(output)?))
    }

    /// Whoever can be asked, without the answers given beforehand.
    pub(super) fn person(&self, output: &Output) -> Result<Box<dyn Prompt>, CliError> {
        Ok(match self.asking {
            Asking::Terminal => {
                let pager = self.settings.environment.get("PAGER");
                let words = pager.map(|pager| pager.split_whitespace().map(str::to_owned).collect());
                let prompt = TerminalPrompt::new(
                    output.screen(),
                    !self.settings.environment.dumb(),
                    words,
                    self.redactor().clone(),
                )
                .map_err(|error| CliError::failed(format!("could not use the terminal: {error}")))?;
                Box::new(prompt)
            }
            Asking::Nobody => Box::new(Nobody),
            Asking::RehearsalYes => Box::new(RehearsalYes),
        })
    }

    async fn world(&self, output: &Output) -> Result<World, CliError> {
        // What a killed process left behind; a directory that is not there yet holds nothing.
        if let Err(error) = sweep(&self.scratch) {
            tracing::debug!(%error, "old scratch copies were not swept");
        }
        self.connection(output).open().await
    }

    async fn slack(&self) -> Result<Option<crate::adapters::notify::SlackWebhook>, CliError> {
        self.connection(&Output::of(&self.settings)).slack().await
    }

    pub fn connection(&self, output: &Output) -> Connection<'_> {
        Connection {
            settings: &self.settings,
            runbook: &self.loaded.runbook,
            clock: self.clock.clone(),
            environment: self.environment.clone(),
            scratch: self.scratch.clone(),
            screen: output.screen(),
        }
    }

    pub(super) fn plan(&self, parameters: &Parameters) -> Plan {
        Plan::new(&self.loaded.runbook, parameters, steps::build)
    }

    fn start(&self, run: String, mode: Mode, parameters: Parameters, plan: &Plan) -> Event {
        let mut steps = vec![crate::engine::lock::head()];
        steps.extend(plan.heads());
        Event::RunStarted {
            format: FORMAT,
            run,
            runbook: self.loaded.name.clone(),
            source: self.loaded.source.to_string(),
            hash: self.loaded.hash.clone(),
            title: self.loaded.runbook.title.clone(),
            mode,
            who: who(&self.settings),
            host: host(),
            parameters,
            steps,
        }
    }

    /// The runs of this runbook, oldest first, but for this one.
    pub(super) fn past(&self, but: Option<&str>) -> Result<Vec<PastRun>, CliError> {
        let (runs, _broken) = self.runs.all().map_err(|error| no_journal(&error))?;
        let others = runs.iter().filter(|run| run.state.runbook == self.loaded.name && Some(&*run.state.run) != but);
        Ok(others.filter_map(|run| run.state.past()).collect())
    }

    /// The refusal of a new run while an older one is open, if one is.
    pub(super) fn open_run(&self) -> Result<Option<Open>, CliError> {
        let (runs, broken) = self.runs.all().map_err(|error| no_journal(&error))?;
        if let Some(error) = broken.into_iter().next() {
            let CliError { message, next, .. } = error.into();
            let refusal = CliError::refused(format!("a run's journal cannot be read: {message}. Nothing was changed"));
            return Ok(Some(Open { refusal: CliError { next, ..refusal }, run: None }));
        }
        let open = runs.into_iter().find(|run| run.state.open() && run.state.runbook == self.loaded.name);
        Ok(open.map(|run| {
            let state = &run.state;
            let holds: Vec<String> = state.held.iter().map(ToString::to_string).collect();
            let why = if run.busy {
                "is at work in another process".to_owned()
            } else if !holds.is_empty() {
                format!("still holds {}", holds.join("; "))
            } else if !state.in_doubt().is_empty() {
                "left something in doubt".to_owned()
            } else {
                format!("did what cannot be taken back ({}), and not what follows from it", state.forever().join("; "))
            };
            let refusal = CliError::refused(format!("run {} is open: it {why}. Nothing was changed", state.run));
            let refusal = if run.busy {
                refusal.next("wait for it, or look what it does: catalog-deploy status")
            } else {
                refusal
                    .next(format!("go on with it: catalog-deploy resume {}", state.run))
                    .next(format!("give it up: catalog-deploy restore {}", state.run))
                    .next(format!(
                        "or roll back, which takes over what it holds: catalog-deploy {} --tag TAG",
                        state.runbook
                    ))
            };
            Open { refusal, run: (!run.busy).then_some(run) }
        }))
    }
}

/// Writes a file that only its owner may read.
fn private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

fn no_journal(error: &RunsError) -> CliError {
    CliError::refused(format!("{error}. Nothing was changed"))
        .next("make the state directory readable and writable; nothing is changed without a journal")
}

/// What stands in the way of a new run.
pub(super) struct Open {
    pub refusal: CliError,
    /// The run that could be closed; `None` where it is at work, or cannot be read.
    pub run: Option<StoredRun>,
}

pub(super) fn busy(run: &str) -> CliError {
    CliError::refused(format!("run {run} is at work in another process"))
        .next("wait for it, or look what it does: catalog-deploy status")
}

/// How a run is carried out.
struct How {
    directory: PathBuf,
    adopting: Option<Adopting>,
    go: Go,
}

/// What to do with a stored run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Go {
    On,
    GiveUp,
}

fn journal_error(trouble: &crate::step::Trouble, run: &str) -> CliError {
    CliError::failed(trouble.to_string())
        .next("free the disk or mend it; nothing is changed without a journal")
        .next(format!("then go on: catalog-deploy resume {run}"))
}

pub(super) fn signal_error(error: std::io::Error) -> CliError {
    CliError::failed(format!("could not listen for signals: {error}"))
}
