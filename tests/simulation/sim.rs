//! What all simulated adapters share: the world, the faults, the story, and the moment at which a process dies.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use catalog_deploy::adapters::{Cause, ServiceError};
use catalog_deploy::journal::store::JOURNAL;
use tokio::time::Instant;

use crate::disk::SimDisk;
use crate::rng::Rng;
use crate::world::World;

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// 4xx, surely without effect.
    Refused,
    /// No connection was made.
    Unreachable,
    /// The connection breaks before the request arrives.
    LostBefore,
    /// The connection breaks, or the patience ends, after it took effect.
    LostAfter,
    /// 502 without effect.
    BrokenBefore,
    /// 502 after the effect.
    BrokenAfter,
}

/// Requests that go wrong, of 1000, and how they do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    pub reads: u64,
    pub writes: u64,
    /// Of 1000 requests, those that take long.
    pub slow: u64,
}

/// Where a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// When its future was polled so often.
    Poll(u64),
    /// Right before or after the effect of its n-th request.
    Request(u64, bool),
}

pub struct State {
    pub world: World,
    rng: Rng,
    pub weather: Weather,
    /// The n-th request of this process, and what becomes of it; beside the weather.
    pub fault: Option<(u64, Fault)>,
    /// What becomes of the next request whose name holds this word.
    pub loses: Option<(&'static str, Fault)>,
    pub death: Option<Death>,
    pub requests: u64,
    /// The laptop's clock minus the true time.
    pub clock_offset: i64,
    /// `None` where nobody listens: telling costs half the time.
    story: Option<String>,
    start: Instant,
}

/// One simulated laptop and the world around it.
pub struct Sim {
    state: Mutex<State>,
    pub dead: Arc<AtomicBool>,
    pub disk: SimDisk,
    pub directory: std::path::PathBuf,
}

pub type Answer<T> = Result<T, Cause>;

impl Sim {
    /// To be made inside a runtime whose time is paused. `directory` is the state directory: virtual for journals, real
    /// for what children and steps leave there.
    pub fn new(mut rng: Rng, directory: std::path::PathBuf, telling: bool) -> Arc<Self> {
        let dead = Arc::new(AtomicBool::new(false));
        let disk = SimDisk::new(rng.split(), dead.clone());
        let state = State {
            world: World::new(),
            rng,
            weather: Weather::default(),
            fault: None,
            loses: None,
            death: None,
            requests: 0,
            clock_offset: 0,
            story: telling.then(String::new),
            start: Instant::now(),
        };
        Arc::new(Self { state: Mutex::new(state), dead, disk, directory })
    }

    /// The world as of now.
    pub fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap();
        let now = i64::try_from(state.start.elapsed().as_millis()).unwrap();
        for line in state.world.advance(now) {
            state.tell(&line);
        }
        state
    }

    pub fn telling(&self) -> bool {
        self.state.lock().unwrap().story.is_some()
    }

    pub fn tell(&self, line: &str) {
        if !self.telling() {
            return;
        }
        let mut state = self.state();
        let now = state.world.now;
        state.tell(&format!("{now:>9} {line}"));
    }

    pub fn story(&self) -> String {
        self.state().story.clone().unwrap_or_default().replace(&self.directory.display().to_string(), "STATE")
    }

    /// A dead process gets no further.
    async fn alive(&self) {
        if self.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    /// Steps whose intent a power cut would leave, without its outcome.
    fn intents(&self, run: &str) -> Vec<String> {
        let bytes = self.disk.durable(&self.directory.join("runs").join(run).join(JOURNAL));
        let mut open: Vec<(String, String)> = Vec::new();
        for line in String::from_utf8_lossy(&bytes).lines() {
            let field = |name: &str| {
                let (_, rest) = line.split_once(&format!("\"{name}\":\""))?;
                Some(rest.split('"').next()?.to_owned())
            };
            match field("event").as_deref() {
                Some("intent") => open.push((field("effect").unwrap_or_default(), field("step").unwrap_or_default())),
                // In doubt is no outcome: the effect may still be under way.
                Some("outcome") if field("ended").as_deref() != Some("in-doubt") => {
                    let effect = field("effect").unwrap_or_default();
                    open.retain(|(other, _)| *other != effect);
                }
                _ => {}
            }
        }
        open.into_iter().map(|(_, step)| step).collect()
    }

    /// One request: its way there, its effect, its way back, each of which can go wrong or be the process' last.
    pub async fn request<T>(
        &self,
        service: &str,
        what: String,
        writes: bool,
        effect: impl FnOnce(&mut World) -> Answer<T>,
    ) -> Result<T, ServiceError> {
        self.alive().await;
        let (number, fault, there, back) = self.state().draw(&what, writes);
        let error = |cause| ServiceError::new(service, what.clone(), cause);
        let sent = self.state().world.now;
        tokio::time::sleep(there).await;
        if self.state().death == Some(Death::Request(number, false)) {
            self.dies(&format!("#{number} {what}, before it took effect"));
        }
        self.alive().await;
        let fault = if self.state().world.down.contains(service) { Fault::Unreachable } else { fault };
        let lost = match fault {
            Fault::Refused => Some(Cause::Rejected { status: 409, message: "not now".into() }),
            Fault::Unreachable => Some(Cause::Unreachable("connection refused".into())),
            Fault::LostBefore => Some(Cause::NoAnswer("connection reset".into())),
            Fault::BrokenBefore => Some(Cause::Broken { status: 502, message: "bad gateway".into() }),
            Fault::None | Fault::LostAfter | Fault::BrokenAfter => None,
        };
        if let Some(cause) = lost {
            self.tell(&format!("#{number} {what}: {cause}"));
            tokio::time::sleep(back).await;
            self.alive().await;
            return Err(error(cause));
        }
        let answer = {
            let run = self.state().world.run.clone();
            let intents = if writes { self.intents(&run) } else { Vec::new() };
            let mut state = self.state();
            state.world.intents = intents;
            state.world.sent = sent;
            let answer = effect(&mut state.world);
            let now = state.world.now;
            let told = answer.as_ref().err().map_or("ok".to_owned(), ToString::to_string);
            if writes || fault != Fault::None || answer.is_err() {
                state.tell(&format!("{now:>9} #{number} {what}: {told} ({fault:?})"));
            }
            answer
        };
        if self.state().death == Some(Death::Request(number, true)) {
            self.dies(&format!("#{number} {what}, after it took effect"));
        }
        self.alive().await;
        tokio::time::sleep(back).await;
        self.alive().await;
        match fault {
            Fault::LostAfter => Err(error(Cause::NoAnswer("connection reset".into()))),
            Fault::BrokenAfter => Err(error(Cause::Broken { status: 502, message: "bad gateway".into() })),
            _ => answer.map_err(error),
        }
    }

    fn dies(&self, at: &str) {
        self.tell(&format!("the process dies at {at}"));
        self.dead.store(true, Ordering::SeqCst);
    }

    /// Waits `duration` of simulated time, for as long as the process lives.
    pub async fn pause(&self, duration: Duration) {
        self.alive().await;
        tokio::time::sleep(duration).await;
        self.alive().await;
    }
}

impl State {
    pub fn tell(&mut self, line: &str) {
        if let Some(story) = &mut self.story {
            story.push_str(line);
            story.push('\n');
        }
    }

    fn draw(&mut self, what: &str, writes: bool) -> (u64, Fault, Duration, Duration) {
        self.requests += 1;
        let rng = &mut self.rng;
        let mut way = || Duration::from_millis(rng.below(200));
        let (mut there, back) = (way(), way());
        if rng.below(1000) < self.weather.slow {
            there += Duration::from_secs(rng.below(40));
        }
        let rate = if writes { self.weather.writes } else { self.weather.reads };
        let bad = rng.below(1000) < rate;
        const OF_READS: [Fault; 4] = [Fault::Unreachable, Fault::LostBefore, Fault::LostAfter, Fault::BrokenBefore];
        const OF_WRITES: [Fault; 6] = [
            Fault::Refused,
            Fault::Unreachable,
            Fault::LostBefore,
            Fault::LostAfter,
            Fault::BrokenBefore,
            Fault::BrokenAfter,
        ];
        let drawn = if writes { *rng.pick(&OF_WRITES) } else { *rng.pick(&OF_READS) };
        let named = self.loses.take_if(|(word, _)| what.contains(*word)).map(|(_, fault)| fault);
        let planned = self.fault.filter(|(number, _)| *number == self.requests).map(|(_, fault)| fault);
        let fault = planned.or(named).unwrap_or(if bad { drawn } else { Fault::None });
        (self.requests, fault, there, back)
    }
}
