//! A clock that jumps, and a lock in memory.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::adapters::ServiceError;
use crate::adapters::clock::Clock;
use crate::adapters::lock::{LockRead, LockRecord, LockState, LockWrite, Taken};
use crate::engine::StopSignal;

/// No wait of these tests takes this long: whoever sleeps beyond it sleeps through a deadline.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A clock on which sleeping costs nothing, and signals come at set times.
pub struct FakeClock {
    now: Mutex<Duration>,
    alarms: Mutex<Vec<(Duration, i32)>>,
    stop: StopSignal,
}

impl FakeClock {
    pub fn new(stop: &StopSignal) -> Self {
        Self { now: Mutex::default(), alarms: Mutex::default(), stop: stop.clone() }
    }

    pub fn elapsed(&self) -> u64 {
        self.now.lock().unwrap().as_secs()
    }

    pub fn passes(&self, seconds: u64) {
        *self.now.lock().unwrap() += Duration::from_secs(seconds);
    }

    /// `signal` comes when this clock says `seconds`. Earliest first.
    pub fn alarm(&self, seconds: u64, signal: i32) {
        self.alarms.lock().unwrap().push((Duration::from_secs(seconds), signal));
    }

    fn due(&self, until: Duration) -> Option<i32> {
        let mut alarms = self.alarms.lock().unwrap();
        if alarms.first()?.0 > until {
            return None;
        }
        let (at, signal) = alarms.remove(0);
        *self.now.lock().unwrap() = at;
        Some(signal)
    }
}

#[async_trait]
impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + *self.now.lock().unwrap()
    }
    fn uptime(&self) -> Duration {
        *self.now.lock().unwrap() + Duration::from_secs(3600)
    }
    async fn sleep(&self, duration: Duration) {
        let until = *self.now.lock().unwrap() + duration;
        assert!(until < LONGEST, "a deadline has passed, and something still waits");
        while let Some(signal) = self.due(until) {
            self.stop.raise(signal);
            // Whoever waits beside this sleep is asked now, and may end it.
            tokio::task::yield_now().await;
        }
        *self.now.lock().unwrap() = until;
        tokio::task::yield_now().await;
    }
    fn scaled(&self, duration: Duration) -> Duration {
        duration
    }
}

/// What happens meanwhile.
pub type Nap = Box<dyn FnOnce() + Send>;

/// A lock that works: free, ours or somebody's.
#[derive(Default)]
pub struct MemoryLock {
    state: Mutex<Option<LockState>>,
    /// What happens between a look at it and its answer, one for each look.
    naps: Mutex<VecDeque<Nap>>,
}

impl MemoryLock {
    pub fn nap(&self, nap: impl FnOnce() + Send + 'static) {
        self.naps.lock().unwrap().push_back(Box::new(nap));
    }
    pub fn holder(&self) -> Option<String> {
        self.state.lock().unwrap().as_ref().map(|state| state.record.run.clone())
    }
    pub fn set(&self, run: Option<&str>) {
        let state = run.map(|run| LockState {
            reference: "refs/lock".into(),
            commit: format!("commit-of-{run}"),
            record: LockRecord {
                run: run.into(),
                runbook: "prod".into(),
                who: "grace".into(),
                host: "elsewhere".into(),
                step: None,
                taken_at: Timestamp::UNIX_EPOCH,
                heartbeat_at: Timestamp::UNIX_EPOCH,
                nonce: String::new(),
            },
        });
        *self.state.lock().unwrap() = state;
    }
}

#[async_trait]
impl LockRead for MemoryLock {
    fn reference(&self) -> Option<String> {
        Some("refs/lock".into())
    }
    async fn holder(&self) -> Result<Option<LockState>, ServiceError> {
        let state = self.state.lock().unwrap().clone();
        let nap = self.naps.lock().unwrap().pop_front();
        nap.into_iter().for_each(|nap| nap());
        Ok(state)
    }
}

#[async_trait]
impl LockWrite for MemoryLock {
    async fn take(&self, record: &LockRecord) -> Result<Taken, ServiceError> {
        self.set(Some(&record.run));
        Ok(Taken::Ours(self.state.lock().unwrap().clone().unwrap()))
    }
    async fn replace(&self, _: &str, record: &LockRecord) -> Result<Taken, ServiceError> {
        self.take(record).await
    }
    async fn free(&self, _: &str) -> Result<bool, ServiceError> {
        self.set(None);
        Ok(true)
    }
}
