//! Knows all that happens, in one order: disk, requests, children and refs report here and wait for an answer. Writes the
//! history, and kills when the moment has come.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use catalog_deploy::rehearsal::World;

use crate::facts::{LOCK, MODULE, attribute, git};
use crate::history::{Deed, Sight, What};
use crate::kill;
use crate::point::{Moment, Point, Seen, Whom};

/// What goes wrong with the next request that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broken {
    /// 422, and no effect.
    Refused,
    /// It takes effect, and the connection is reset.
    Reset,
    /// It takes effect, and the answer is a proxy's 502.
    BadGateway,
}

/// A disk that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadDisk {
    /// The how-manieth call fails, from 1.
    pub nth: u32,
    pub errno: i32,
    /// All calls after it fail as well.
    pub from_then_on: bool,
}

/// What a rollback needs, and may have to do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    Airflow,
    Registry,
    Github,
    /// The infrastructure repository's remote.
    Remote,
}

impl Service {
    pub const ALL: [Self; 4] = [Self::Airflow, Self::Registry, Self::Github, Self::Remote];

    /// As requests name it.
    fn name(self) -> &'static str {
        match self {
            Self::Airflow => "airflow",
            Self::Registry => "registry",
            Self::Github => "github",
            Self::Remote => "remote",
        }
    }

    /// The check that needs it, as `--override` takes it.
    pub fn check(self) -> &'static str {
        if self == Self::Remote { "lock" } else { self.name() }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Service {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|it| it.name() == name).ok_or_else(|| format!("there is no service {name:?}"))
    }
}

/// A service that goes down at the armed point.
#[derive(Debug, Clone, Copy)]
struct Outage {
    of: Service,
    killed: bool,
}

/// Where nothing listens.
const NOWHERE: &str = "http://127.0.0.1:9/infrastructure.git";

#[derive(Default)]
pub(crate) struct Inner {
    /// The product, as its shim said hello.
    pub(crate) pid: Option<i32>,
    counts: HashMap<(String, Moment), u32>,
    pub(crate) trace: Vec<Seen>,
    pub(crate) armed: Option<Point>,
    pub(crate) hit: bool,
    pub(crate) broken: Option<Broken>,
    /// Requests that change something, since the last start.
    pub(crate) asked: u32,
    pub(crate) bad_disk: Option<BadDisk>,
    /// Calls on the disk since the last start.
    pub(crate) calls: u32,
    pub(crate) deeds: Vec<Deed>,
    outage: Option<Outage>,
    /// What does not answer at this moment.
    pub(crate) down: Option<Service>,
    holders: BTreeMap<String, String>,
}

/// One per stage.
pub struct Director {
    pub(crate) inner: Mutex<Inner>,
    pub(crate) world: OnceLock<World>,
    socket: PathBuf,
    state: PathBuf,
    checkout: PathBuf,
    remote: PathBuf,
}

impl Director {
    /// Listens at `socket` for as long as the process lives.
    pub fn start(socket: &Path, state: &Path, checkout: &Path, remote: &Path) -> Arc<Self> {
        let listener = UnixListener::bind(socket).unwrap();
        let director = Arc::new(Self {
            inner: Mutex::default(),
            world: OnceLock::new(),
            socket: socket.to_owned(),
            state: state.to_owned(),
            checkout: checkout.to_owned(),
            remote: remote.to_owned(),
        });
        let serving = director.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let director = serving.clone();
                std::thread::spawn(move || director.serve(&stream));
            }
        });
        director
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Forgets counts and arms for the next process.
    pub fn next_process(&self, armed: Option<Point>, broken: Option<Broken>, bad_disk: Option<BadDisk>) {
        let mut inner = self.lock();
        inner.counts.clear();
        inner.trace.clear();
        (inner.pid, inner.hit, inner.asked, inner.calls) = (None, false, 0, 0);
        (inner.armed, inner.broken, inner.bad_disk, inner.outage) = (armed, broken, bad_disk, None);
    }

    /// At the armed point `of` goes down; the process is only killed as well where `killed`.
    pub fn outage_at_the_point(&self, of: Service, killed: bool) {
        self.lock().outage = Some(Outage { of, killed });
    }

    /// Whatever is down answers again.
    pub fn bring_back(&self) {
        if self.lock().down.take() == Some(Service::Remote) {
            let remote = self.remote.to_string_lossy().into_owned();
            git(&self.checkout, &["remote", "set-url", "origin", &remote]);
        }
    }

    fn take_down(&self, inner: &mut Inner, service: Service) {
        inner.down = Some(service);
        if service == Service::Remote {
            git(&self.checkout, &["remote", "set-url", "origin", NOWHERE]);
        }
    }

    fn serve(&self, stream: &UnixStream) {
        let mut answers = stream.try_clone().unwrap();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let words: Vec<&str> = line.split('\t').collect();
            let answer = match words.as_slice() {
                ["hello", pid] => {
                    self.lock().pid = pid.parse().ok();
                    "go".to_owned()
                }
                ["disk", when, call, path] => self.disk(when, call, Path::new(path)),
                ["child", moment, _pid, here, name, arguments @ ..] => {
                    self.child(moment, Path::new(here), name, arguments);
                    "go".to_owned()
                }
                ["ref", state, update] => {
                    self.reference(state, update);
                    "go".to_owned()
                }
                _ => "go".to_owned(),
            };
            if writeln!(answers, "{answer}").is_err() {
                return;
            }
        }
    }

    /// Counts, notes, and kills if this is the armed point. Everybody else waits for as long as it takes.
    pub(crate) fn at(&self, inner: &mut Inner, key: &str, moment: Moment, changes: bool, matters: bool) -> bool {
        let count = inner.counts.entry((key.to_owned(), moment)).or_insert(0);
        *count += 1;
        let nth = *count;
        inner.trace.push(Seen { key: key.to_owned(), nth, moment, changes, matters });
        let armed = inner.armed.as_ref().filter(|armed| armed.key == key && armed.nth == nth);
        let Some(armed) = armed.filter(|armed| armed.moment == moment).cloned() else { return false };
        inner.armed = None;
        inner.hit = true;
        if let Some(Outage { of, killed }) = inner.outage.take() {
            self.take_down(inner, of);
            if !killed {
                return false;
            }
        }
        match armed.whom {
            Whom::Alone => {
                if let Some(pid) = inner.pid {
                    kill::alone(pid);
                }
            }
            Whom::All => kill::all(&self.socket),
        }
        true
    }

    fn disk(&self, when: &str, call: &str, path: &Path) -> String {
        let mut inner = self.lock();
        let name = self.name(path);
        let log = name == "debug.log";
        if when == "before" {
            if !log {
                inner.calls += 1;
            }
            let calls = inner.calls;
            let fails = |bad: &BadDisk| bad.nth == calls && !log || bad.from_then_on && bad.nth <= calls;
            if let Some(bad) = inner.bad_disk.filter(fails) {
                inner.hit = true;
                return format!("errno {}", bad.errno);
            }
        }
        if log {
            // What it says is for people; a kill at one of its lines is a kill at the record beside it.
            return "go".into();
        }
        let key = format!("{call} {name}");
        let edits = call == "rename" && path.starts_with(&self.checkout);
        let changes = call != "fsync" && when == "after";
        if edits && when == "before" {
            let file = path.strip_prefix(&self.checkout).unwrap().to_string_lossy().into_owned();
            self.deed(&mut inner, What::Edit { file });
        }
        match when {
            "before" => {
                let torn = inner.armed.clone().filter(|it| it.moment == Moment::Torn && it.key == key);
                self.at(&mut inner, &key, Moment::Before, false, false);
                let nth = inner.counts[&(key, Moment::Before)];
                if torn.is_some_and(|torn| torn.nth == nth) {
                    return "torn".into();
                }
            }
            "torn" => {
                inner.armed = None;
                inner.hit = true;
                if let Some(pid) = inner.pid {
                    kill::alone(pid);
                }
            }
            _ => {
                if edits {
                    self.done(&mut inner, |what| matches!(what, What::Edit { .. }), true);
                }
                self.at(&mut inner, &key, Moment::After, changes, false);
            }
        }
        "go".into()
    }

    /// A file's name for people and for every run alike.
    fn name(&self, path: &Path) -> String {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let runs = self.state.join("runs");
        if path.starts_with(self.state.join("scratch")) {
            return "scratch".into();
        }
        if path == runs {
            return "runs/".into();
        }
        if path.parent() == Some(&runs) {
            return "run/".into();
        }
        let place = if path.starts_with(&self.checkout) { "checkout " } else { "" };
        let temporary = file.starts_with(".tmp") || file.starts_with(".catalog-deploy-");
        format!("{place}{}", if temporary { "temporary" } else { &file })
    }

    fn child(&self, moment: &str, here: &Path, name: &str, arguments: &[&str]) {
        let begins = moment == "begin";
        let in_checkout = here.starts_with(&self.checkout);
        // Recipes run terraform with the checkout as their directory too.
        let words: Vec<&str> = plain(arguments);
        let what = words.iter().find(|word| !word.starts_with('-')).copied().unwrap_or_default();
        let place = if in_checkout { "" } else { " elsewhere" };
        let key = format!("{name} {what}{place}");
        let deed = match (name, what) {
            ("terraform", "apply") if in_checkout => Some(What::Apply),
            ("just", "bump") if in_checkout => Some(What::Bump),
            _ => None,
        };
        let matters = deed.is_some() || matches!((name, what), ("git", "push") | ("just", "apply"));
        let mut inner = self.lock();
        if let Some(deed) = deed {
            if begins {
                self.deed(&mut inner, deed);
            } else {
                self.done(&mut inner, |what| *what == deed, true);
            }
        }
        let moment = if begins { Moment::Begin } else { Moment::Worked };
        self.at(&mut inner, &key, moment, matters && !begins, matters);
    }

    fn reference(&self, state: &str, update: &str) {
        let mut words = update.split(' ').map(str::to_owned);
        let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) else { return };
        let mut inner = self.lock();
        match state {
            "prepared" => self.deed(&mut inner, What::Ref { name, old, new }),
            "committed" | "aborted" => {
                let committed = state == "committed";
                self.done(
                    &mut inner,
                    |what| matches!(what, What::Ref { name: known, .. } if *known == name),
                    committed,
                );
            }
            _ => {}
        }
    }

    /// Somebody sets out to change something.
    pub(crate) fn deed(&self, inner: &mut Inner, what: What) {
        let before = self.sight(inner);
        inner.deeds.push(Deed { what, before, ..Deed::default() });
    }

    /// The last such deed is over.
    pub(crate) fn done(&self, inner: &mut Inner, which: impl Fn(&What) -> bool, effect: bool) {
        let after = self.sight(inner);
        let deed = inner.deeds.iter_mut().rev().find(|deed| deed.effect.is_none() && which(&deed.what));
        if let Some(deed) = deed {
            deed.effect = Some(effect);
            deed.flag_after = after.flag;
            deed.state_after = after.state;
        }
    }

    fn sight(&self, inner: &mut Inner) -> Sight {
        let module = std::fs::read(self.checkout.join(MODULE)).unwrap_or_default();
        let paused = self.world.get().map(World::paused_dags).unwrap_or_default();
        let journal = self.journal();
        Sight {
            run: journal.as_deref().and_then(run_of),
            journal: journal.and_then(|path| std::fs::read(path).ok()).unwrap_or_default(),
            lock: self.holder(inner),
            remote_down: inner.down == Some(Service::Remote),
            flag: attribute(&module, "running_dags_cleared"),
            paused: paused.into_iter().collect(),
            state: std::fs::read(self.checkout.join("environments/prod/terraform.tfstate")).unwrap_or_default(),
        }
    }

    /// The journal of the newest run.
    pub fn journal(&self) -> Option<PathBuf> {
        let runs = std::fs::read_dir(self.state.join("runs")).ok()?;
        let journals = runs.filter_map(Result::ok).map(|run| run.path().join("journal.ndjson"));
        // Of two runs of one second the name does not tell; the first record does, where there is one.
        journals.filter(|path| path.is_file()).max_by_key(|path| (begun(path), path.clone()))
    }

    /// Whether the newest run is over.
    pub fn closed(&self) -> bool {
        let journal = self.journal().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        String::from_utf8_lossy(&journal).contains(r#""event":"run-closed""#)
    }

    fn holder(&self, inner: &mut Inner) -> Option<String> {
        let id = std::fs::read_to_string(self.remote.join(LOCK)).ok()?.trim().to_owned();
        if let Some(known) = inner.holders.get(&id) {
            return Some(known.clone());
        }
        let record = git(&self.remote, &["cat-file", "-p", &id]);
        let json = record.split_once("\n\n").map_or("", |(_, message)| message);
        let value: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
        let run = value["run"].as_str().unwrap_or("unknown").to_owned();
        inner.holders.insert(id, run.clone());
        Some(run)
    }
}

/// When the run of this journal began; empty where its first record was never written.
fn begun(journal: &Path) -> String {
    let mut first = String::new();
    let _read = std::fs::File::open(journal).and_then(|file| BufReader::new(file).read_line(&mut first));
    first.split_once("\"at\":\"").map_or(String::new(), |(_, at)| at.chars().take(30).collect())
}

/// The id of the run that keeps this journal.
pub fn run_of(journal: &Path) -> Option<String> {
    Some(journal.parent()?.file_name()?.to_str()?.to_owned())
}

/// Arguments without git's `-c NAME=VALUE` and terraform's `-chdir`.
fn plain<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let mut words = Vec::new();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        if matches!(*word, "-c" | "-C") {
            rest.next();
        } else {
            words.push(*word);
        }
    }
    words
}
