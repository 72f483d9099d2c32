//! Where runs live: `STATE/runs/RUN/`, private to the user, with the journal, the frozen runbook and children's output.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::disk::{Disk, RealDisk};
use super::status::{Illegal, RunState};
use super::store::{Journal, JournalError, in_use, read_known, read_on};
use crate::event::Stamped;

const RUNBOOK: &str = "runbook.toml";

/// Why a run cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{}: {illegal}", path.display())]
    Illegal { path: PathBuf, illegal: Illegal },
    #[error("no run is called {name}{}", near.as_ref().map_or(String::new(), |near| format!("; did you mean {near}?")))]
    Unknown { name: String, near: Option<String> },
    #[error("could not {what} {}: {source}", path.display())]
    Disk { what: &'static str, path: PathBuf, source: std::io::Error },
}

/// The id that was probably meant. Ids of one day are alike, so only a slip or two makes a guess.
fn nearest<'a>(wrong: &str, names: &'a [String]) -> Option<&'a str> {
    let alike = |name: &String| (similar::TextDiff::from_chars(wrong, name.as_str()).ratio() * 1000.0) as u32;
    names.iter().map(|name| (alike(name), name.as_str())).filter(|(ratio, _)| *ratio > 850).max().map(|(_, name)| name)
}

/// The directory of all runs.
#[derive(Clone)]
pub struct Runs {
    disk: Arc<dyn Disk>,
    /// The tool's state directory.
    state: PathBuf,
    directory: PathBuf,
}

/// One run as it lies on disk.
#[derive(Debug)]
pub struct StoredRun {
    pub directory: PathBuf,
    pub events: Vec<Stamped>,
    pub state: RunState,
    /// A living process is at work on it.
    pub busy: bool,
    /// A newer version wrote it, and this one knows only a part: good for giving back, not for going on.
    pub in_part: bool,
}

fn taken_over_by(run: &str) -> String {
    format!("taken over by run {run}")
}

impl Runs {
    /// `state` is the tool's state directory; nothing is created until a run is.
    pub fn new(state: &Path) -> Self {
        Self::on(Arc::new(RealDisk), state)
    }

    /// As [`Runs::new`], on another disk.
    pub fn on(disk: Arc<dyn Disk>, state: &Path) -> Self {
        Self { disk, state: state.to_owned(), directory: state.join("runs") }
    }

    pub fn directory(&self, run: &str) -> PathBuf {
        self.directory.join(run)
    }

    /// A new id: runbook, UTC time, four random hex digits: sorts by time within a runbook, safe as a file name.
    pub fn new_id(runbook: &str, now: Timestamp) -> String {
        let mut random = [0_u8; 2];
        // Without randomness the time alone still tells runs of one person apart.
        let _absent = getrandom::fill(&mut random);
        let name: String = runbook.chars().filter(|it| it.is_ascii_alphanumeric() || *it == '-').take(40).collect();
        format!("{}-{}-{:02x}{:02x}", name, now.strftime("%Y%m%d-%H%M%S"), random[0], random[1])
    }

    /// Makes the run's directory with its frozen runbook and opens its journal.
    pub fn create(&self, run: &str, runbook: &str) -> Result<(PathBuf, Journal), RunsError> {
        let directory = self.directory(run);
        let disk = |what, path: &Path| {
            let path = path.to_owned();
            move |source| RunsError::Disk { what, path, source }
        };
        for private in [&self.directory, &directory] {
            self.disk.create_directory(private).map_err(disk("create", private))?;
        }
        let path = directory.join(RUNBOOK);
        let mut file = self.disk.create(&path).map_err(disk("create", &path))?;
        file.append(runbook.as_bytes()).map_err(disk("write", &path))?;
        file.sync().map_err(disk("sync", &path))?;
        let journal = Journal::create_on(self.disk.as_ref(), &directory)?;
        // The journal is found again only where every name on the way to it is durable.
        for above in [&self.directory, &self.state] {
            self.disk.sync_directory(above).map_err(disk("sync", above))?;
        }
        Ok((directory, journal))
    }

    /// Opens the journal of a run to go on with it.
    pub fn open(&self, run: &str) -> Result<(Journal, Vec<Stamped>), JournalError> {
        Journal::open_on(self.disk.as_ref(), &self.directory(run))
    }

    /// As [`Runs::open`], also where a newer version wrote it: only to give back what is owed.
    pub fn open_to_give_back(&self, run: &str) -> Result<(Journal, Vec<Stamped>), JournalError> {
        Journal::open_to_give_back(self.disk.as_ref(), &self.directory(run))
    }

    /// The runbook's text as it was when the run began.
    pub fn runbook(&self, run: &str) -> Result<String, RunsError> {
        let path = self.directory(run).join(RUNBOOK);
        let text = self.disk.read(&path).and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
        text.map_err(|source| RunsError::Disk { what: "read", path, source })
    }

    /// One run, read without changing it. One that another run has taken over is closed, whatever its own journal says:
    /// a crash may have come before that was noted there.
    pub fn load(&self, run: &str) -> Result<StoredRun, RunsError> {
        let mut stored = self.load_alone(run)?;
        if stored.state.closed.is_none() {
            let others = self.names()?.into_iter().filter(|name| name != run);
            let other =
                others.filter_map(|name| self.load_alone(&name).ok()).find(|other| other.state.has_taken_over(run));
            stored.state.closed = other.map(|other| taken_over_by(&other.state.run));
        }
        Ok(stored)
    }

    fn load_alone(&self, run: &str) -> Result<StoredRun, RunsError> {
        let directory = self.directory(run);
        let names = self.names()?;
        if !names.iter().any(|name| name == run) {
            // A part of an id (its end is what people remember) or a slip of the pen.
            let part = || names.iter().rfind(|name| run.len() >= 4 && name.contains(run)).map(String::as_str);
            let near = part().or_else(|| nearest(run, &names)).map(str::to_owned);
            return Err(RunsError::Unknown { name: run.to_owned(), near });
        }
        let events = read_on(self.disk.as_ref(), &directory)?;
        let state = RunState::replay(&events)
            .map_err(|illegal| RunsError::Illegal { path: directory.join(super::store::JOURNAL), illegal })?
            .ok_or_else(|| JournalError::Damaged {
                path: directory.clone(),
                line: 1,
                why: "the journal is empty".into(),
            })?;
        Ok(StoredRun { busy: in_use(self.disk.as_ref(), &directory), directory, events, state, in_part: false })
    }

    /// One run as [`Runs::load`] gives it; where a newer version wrote it, with what this one knows of it.
    pub fn load_at_least_to_give_back(&self, run: &str) -> Result<StoredRun, RunsError> {
        match self.load(run) {
            Err(RunsError::Journal(JournalError::Newer { .. })) => self.load_to_give_back(run),
            loaded => loaded,
        }
    }

    /// A run that a newer version wrote, with what this one knows of it: good for giving back only.
    fn load_to_give_back(&self, run: &str) -> Result<StoredRun, RunsError> {
        let directory = self.directory(run);
        let events = read_known(self.disk.as_ref(), &directory)?;
        let damaged = |why: String| JournalError::Damaged { path: directory.join(super::store::JOURNAL), line: 1, why };
        let state = RunState::owed(&events).map_err(damaged)?.ok_or_else(|| damaged("the journal is empty".into()))?;
        Ok(StoredRun { busy: in_use(self.disk.as_ref(), &directory), directory, events, state, in_part: true })
    }

    /// All runs that can be read, oldest first, and what is wrong with the others.
    pub fn all(&self) -> Result<(Vec<StoredRun>, Vec<RunsError>), RunsError> {
        let mut runs = Vec::new();
        let mut broken = Vec::new();
        for name in self.names()? {
            match self.load_alone(&name) {
                Ok(run) => runs.push(run),
                // Killed before its first event was written: nothing happened.
                Err(RunsError::Journal(JournalError::Damaged { line: 1, ref why, .. })) if why.contains("empty") => {}
                Err(error) => broken.push(error),
            }
        }
        runs.sort_by_key(|run| run.state.started_at);
        let taken: Vec<(String, String)> = runs
            .iter()
            .filter_map(|run| run.state.took_over.as_ref().map(|(other, _)| (other.clone(), run.state.run.clone())))
            .collect();
        for run in runs.iter_mut().filter(|run| run.state.closed.is_none()) {
            let by = taken.iter().find(|(other, _)| *other == run.state.run);
            run.state.closed = by.map(|(_, by)| taken_over_by(by));
        }
        Ok((runs, broken))
    }

    fn names(&self) -> Result<Vec<String>, RunsError> {
        let names = match self.disk.names(&self.directory) {
            Ok(names) => names,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(RunsError::Disk { what: "read", path: self.directory.clone(), source }),
        };
        let has_journal = |run: &String| {
            let inside = self.disk.names(&self.directory.join(run));
            inside.is_ok_and(|names| names.iter().any(|name| name == super::store::JOURNAL))
        };
        let mut names: Vec<String> = names.into_iter().filter(has_journal).collect();
        names.sort();
        Ok(names)
    }
}
