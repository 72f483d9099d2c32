//! A run of steps made of closures, over real adapters that reach nobody and the stand-ins of `fakes`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

use crate::adapters::absent::Absent;
use crate::adapters::checkout::{Checkout, CheckoutOptions};
use crate::adapters::clock::Clock;
use crate::adapters::github::GithubClient;
use crate::adapters::process::Commands;
use crate::adapters::prompt::Prompt;
use crate::adapters::{Cause, ServiceError, World};
use crate::engine::{Outcome, Recorder, Run, StopSignal};
use crate::event::{AnsweredBy, Event, FORMAT, Mode, Question, Refusal, Stamped, StepHead, Strength};
use crate::facts::{FactKind, Held, Parameters, Place, Thing};
use crate::journal::Journal;
use crate::journal::status::RunState;
use crate::plan::approval::Answer;
use crate::plan::{Plan, PlannedStep};
use crate::report::Sink;
use crate::runbook::load::Source;
use crate::step::{Act, Decision, Effect, Finding, Look, Returned, Settled, Step, Trouble, Undo, Wait};

use super::fakes::{FakeClock, MemoryLock, Nap};

/// What one act does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Works,
    /// The change is made, and its answer lost.
    WorksInDoubt,
    /// Nothing is changed, and nobody says so.
    LostInDoubt,
    Refused,
    Panics,
    /// Answers well and changes nothing.
    Nothing,
    /// The journal breaks just before the change.
    BreaksJournal,
    /// Ctrl-C comes just before the change.
    Interrupted,
}

/// A step that is satisfied once `done` holds its name.
pub struct Part {
    pub id: &'static str,
    pub takes: bool,
    pub waits: Option<Wait>,
    pub acts: Mutex<VecDeque<Does>>,
    /// How often giving back is not answered at first.
    pub unreachable: Mutex<u32>,
    pub refuses_while_in_doubt: bool,
    pub applies: bool,
    /// A person is asked before it acts.
    pub gated: bool,
    /// Changes nothing, so that a resume looks again.
    pub looks_only: bool,
    /// What it holds once it has taken it.
    pub thing: Thing,
    /// What a look after a lost answer says, whatever is there.
    pub settles: Option<Settled>,
    pub shared: Arc<Shared>,
}

/// The world of the parts, and what was done in it, in order.
pub struct Shared {
    log: Mutex<Vec<String>>,
    done: Mutex<Vec<String>>,
    pub stop: StopSignal,
    recorder: Mutex<Option<Arc<Recorder>>>,
    pub lock: Arc<MemoryLock>,
    pub clock: Arc<FakeClock>,
    /// What a person chooses; nobody is there where it is `None`.
    pub chooses: Mutex<Option<usize>>,
    /// What a run is begun with.
    pub parameters: Mutex<Parameters>,
    /// Steps whose looks are refused from now on.
    spoiled: Mutex<Vec<String>>,
    /// What happens while a person reads a gate's question, one for each yes.
    yeses: Mutex<VecDeque<Nap>>,
}

/// Says yes to gates while there are yeses, and has one answer to all else.
struct Person(Arc<Shared>);

#[async_trait]
impl Prompt for Person {
    fn can_ask(&self) -> bool {
        self.0.chooses.lock().unwrap().is_some()
    }
    async fn ask(&self, question: &Question) -> Result<Option<Answer>, ServiceError> {
        self.0.say(format!("ask {}", question.gate));
        let Some(meanwhile) = self.0.yeses.lock().unwrap().pop_front() else { return Ok(None) };
        meanwhile();
        let (gate, text) = (question.gate.clone(), "yes".to_owned());
        Ok(Some(Answer { gate, text, digest: None, by: AnsweredBy::Terminal }))
    }
    async fn choose(&self, _: &str, _: &[&str]) -> Result<Option<usize>, ServiceError> {
        Ok(*self.0.chooses.lock().unwrap())
    }
}

impl Shared {
    pub fn new() -> Arc<Self> {
        let stop = StopSignal::default();
        let clock = FakeClock::new(&stop);
        Arc::new(Self {
            log: Mutex::default(),
            done: Mutex::default(),
            stop,
            recorder: Mutex::default(),
            lock: Arc::default(),
            clock: Arc::new(clock),
            chooses: Mutex::default(),
            parameters: Mutex::default(),
            spoiled: Mutex::default(),
            yeses: Mutex::default(),
        })
    }
    /// The next gate gets its yes, after this has happened.
    pub fn yes_after(&self, meanwhile: impl FnOnce() + Send + 'static) {
        self.yeses.lock().unwrap().push_back(Box::new(meanwhile));
    }
    /// The world changes so that `step` no longer holds.
    pub fn spoil(&self, step: &str) {
        self.spoiled.lock().unwrap().push(step.to_owned());
    }
    fn refusals(&self, step: &str) -> Vec<Refusal> {
        let spoiled = self.spoiled.lock().unwrap().iter().any(|it| it == step);
        spoiled
            .then(|| Refusal { what: format!("{step} no longer holds"), next: "look at it".into() })
            .into_iter()
            .collect()
    }
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
    pub fn done(&self) -> MutexGuard<'_, Vec<String>> {
        self.done.lock().unwrap()
    }
    pub fn say(&self, text: impl Into<String>) {
        self.log.lock().unwrap().push(text.into());
    }
    pub fn break_journal(&self) {
        if let Some(recorder) = &*self.recorder.lock().unwrap() {
            recorder.break_journal();
        }
    }
}

pub fn part(shared: &Arc<Shared>, id: &'static str) -> Part {
    Part {
        id,
        takes: false,
        waits: None,
        acts: Mutex::new(VecDeque::new()),
        unreachable: Mutex::new(0),
        refuses_while_in_doubt: false,
        applies: false,
        gated: false,
        looks_only: false,
        thing: Thing::PausedDag { dag: id.into() },
        settles: None,
        shared: shared.clone(),
    }
}

impl Part {
    pub fn takes(self) -> Self {
        Self { takes: true, ..self }
    }
    pub fn takes_thing(self, thing: Thing) -> Self {
        Self { takes: true, thing, ..self }
    }
    pub fn gated(self) -> Self {
        Self { gated: true, ..self }
    }
    pub fn applies(self) -> Self {
        Self { applies: true, ..self }
    }
    pub fn looks_only(self) -> Self {
        self.shared.done().push(self.id.into());
        Self { looks_only: true, ..self }
    }
    pub fn does(self, does: &[Does]) -> Self {
        Self { acts: Mutex::new(does.iter().copied().collect()), ..self }
    }
    pub fn waits(self, at_most: u64, refuse_after: bool) -> Self {
        let wait = Wait {
            on: "the ferry".into(),
            poll: Duration::from_secs(10),
            at_most: Duration::from_secs(at_most),
            next: "take the bridge".into(),
            refuse_after,
            ..Wait::default()
        };
        Self { waits: Some(wait), ..self }
    }
}

#[async_trait]
impl Step for Part {
    fn gives(&self) -> &'static [FactKind] {
        if self.applies { &[FactKind::Applied] } else { &[] }
    }

    fn undo(&self) -> Undo {
        match (self.takes, self.looks_only) {
            (true, _) => Undo::GivesBack,
            (false, true) => Undo::Nothing,
            (false, false) => Undo::Never("it is done"),
        }
    }

    async fn guard(&self, _: Look<'_>) -> Result<Vec<Refusal>, Trouble> {
        Ok(self.shared.refusals(self.id))
    }

    async fn observe(&self, _: Look<'_>) -> Result<Finding, Trouble> {
        let refusals = self.shared.refusals(self.id);
        if !refusals.is_empty() {
            return Ok(Finding::new(Decision::Blocked(refusals)));
        }
        if self.shared.done().contains(&self.id.to_owned()) {
            return Ok(Finding::satisfied("there"));
        }
        if let Some(wait) = &self.waits {
            return Ok(Finding::new(Decision::Wait(wait.clone())));
        }
        Ok(Finding::new(Decision::Change(Question {
            gate: self.id.into(),
            title: String::new(),
            summary: vec![],
            digest: "digest".into(),
            expected: true,
            strength: Strength::Yes,
            details: None,
        })))
    }

    async fn settle(&self, look: Look<'_>) -> Result<Settled, Trouble> {
        if let Some(settled) = &self.settles {
            return Ok(settled.clone());
        }
        Ok(match self.observe(look).await?.decision {
            Decision::Satisfied => Settled::TookEffect(Vec::new()),
            Decision::Wait(wait) => Settled::UnderWay(wait),
            _ => Settled::NoEffect,
        })
    }

    async fn act(&self, act: Act<'_>, _: &Question) -> Result<(), Trouble> {
        let does = self.acts.lock().unwrap().pop_front().unwrap_or(Does::Works);
        let mut effect = Effect::new(format!("do {}", self.id));
        if self.takes {
            effect.holds.push(Held {
                id: self.id.into(),
                step: self.id.into(),
                thing: self.thing.clone(),
                place: Place::World,
            });
        }
        match does {
            Does::BreaksJournal => self.shared.break_journal(),
            Does::Interrupted => drop(self.shared.stop.raise(2)),
            _ => {}
        }
        act.change(effect, |_| async {
            self.shared.say(format!("do {}", self.id));
            let lost = |text: &str| ServiceError::new("fake", "do", Cause::NoAnswer(text.into()));
            match does {
                Does::Works | Does::WorksInDoubt | Does::Interrupted => self.shared.done().push(self.id.into()),
                Does::Panics => panic!("a bug in {}", self.id),
                Does::Refused => return Err(ServiceError::new("fake", "do", Cause::Refused("no".into()))),
                Does::Nothing | Does::LostInDoubt | Does::BreaksJournal => {}
            }
            if matches!(does, Does::WorksInDoubt | Does::LostInDoubt) { Err(lost("reset")) } else { Ok(()) }
        })
        .await
    }

    async fn give_back(&self, act: &Act<'_>, held: &Held) -> Result<Returned, Trouble> {
        if self.refuses_while_in_doubt && act.look.in_doubt.iter().any(|step| *step != held.step) {
            return Ok(Returned::NotYet("an apply may still be under way".into()));
        }
        {
            let mut unreachable = self.unreachable.lock().unwrap();
            if *unreachable > 0 {
                *unreachable -= 1;
                return Err(ServiceError::new("fake", "look", Cause::Unreachable("booting".into())).into());
            }
        }
        if !self.shared.done().contains(&self.id.to_owned()) {
            return Ok(Returned::Back("never taken".into()));
        }
        act.change(Effect::new(format!("give {} back", self.id)), |_| async {
            self.shared.say(format!("give {} back", self.id));
            self.shared.done().retain(|done| done != self.id);
            Ok(())
        })
        .await?;
        Ok(Returned::Back("back".into()))
    }
}

struct Silent;
impl Sink for Silent {
    fn event(&mut self, _: &Stamped) {}
}

const RUNBOOK: &str = r#"
format = 1
title = "A runbook"
environment = "prod"
alone = true

[[step]]
id = "note"
kind = "manual"
title = "Note"
instructions = "Nothing."
"#;

/// How a run of `parts` ended, and what it left in the journal.
pub struct Ended {
    pub outcome: Outcome,
    /// As the journal on the disk tells it.
    pub state: RunState,
    pub directory: tempfile::TempDir,
}

/// Begins a run.
pub async fn carry_out(shared: &Arc<Shared>, parts: Vec<Part>) -> Ended {
    play(shared, parts, None, false).await
}

/// Goes on with one, or gives it up, with new steps, as another process would.
pub async fn go_on(shared: &Arc<Shared>, parts: Vec<Part>, earlier: Ended, give_up: bool) -> Ended {
    play(shared, parts, Some(earlier.directory), give_up).await
}

async fn play(shared: &Arc<Shared>, parts: Vec<Part>, earlier: Option<tempfile::TempDir>, give_up: bool) -> Ended {
    let plan = Plan {
        steps: parts
            .into_iter()
            .map(|part| PlannedStep {
                head: StepHead {
                    id: part.id.into(),
                    title: part.id.into(),
                    kind: "fake".into(),
                    gate: part.gated,
                    locked: false,
                },
                step: Arc::new(part),
                skip: None,
            })
            .collect(),
    };
    let clock: Arc<dyn Clock> = shared.clock.clone();
    let resumes = earlier.is_some();
    let directory = earlier.unwrap_or_else(|| tempfile::tempdir().unwrap());
    let recorder = if resumes {
        let (journal, events) = Journal::open(directory.path()).unwrap();
        let state = RunState::replay(&events).unwrap().unwrap();
        let recorder = Recorder::resume(journal, &events, state, Box::new(Silent), clock.clone());
        recorder.record(Event::RunResumed { who: "ada".into(), host: "laptop".into() }).unwrap();
        recorder
    } else {
        let mut steps = vec![crate::engine::lock::head()];
        steps.extend(plan.heads());
        let start = Event::RunStarted {
            format: FORMAT,
            run: "run-1".into(),
            runbook: "prod".into(),
            source: "built in".into(),
            hash: String::new(),
            title: String::new(),
            mode: Mode::Deploy,
            who: "ada".into(),
            host: "laptop".into(),
            parameters: shared.parameters.lock().unwrap().clone(),
            steps,
        };
        let journal = Journal::create(directory.path()).unwrap();
        Recorder::begin(journal, start, Box::new(Silent), clock.clone()).unwrap()
    };
    let recorder = Arc::new(recorder);
    *shared.recorder.lock().unwrap() = Some(recorder.clone());
    let commands = Arc::new(Commands::new("/nonexistent".into()));
    let checkout = Checkout::new(CheckoutOptions {
        root: directory.path().into(),
        remote: "origin".into(),
        main: "main".into(),
        directory: ".".into(),
        environment: Default::default(),
        scratch_parent: directory.path().join("scratch"),
        commands: commands.clone(),
        host: "laptop".into(),
    });
    let github = GithubClient::new("http://127.0.0.1:9", None).unwrap();
    let world = World::new(
        Arc::new(github),
        Arc::new(Absent::default()),
        Arc::new(Absent::default()),
        None,
        Arc::new(checkout),
        shared.lock.clone(),
        commands,
        clock,
    );
    let runbook = crate::runbook::load("prod", Source::Frozen, RUNBOOK).unwrap().runbook;
    let who = ("ada".to_owned(), "laptop".to_owned());
    let workspace = directory.path().to_owned();
    let person = Person(shared.clone());
    let run = Run::new(&runbook, &plan, &world, &recorder, &person, &shared.stop, workspace, who);
    let outcome = if give_up { run.give_up().await } else { run.carry_out().await };
    let state = RunState::replay(&crate::journal::store::read(directory.path()).unwrap()).unwrap().unwrap();
    drop(run);
    *shared.recorder.lock().unwrap() = None;
    Ended { outcome, state, directory }
}
