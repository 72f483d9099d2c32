//! Time, so that rehearsals can hurry and simulations can invent it.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

#[async_trait]
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment, sleep of the laptop included (`Instant` leaves it out).
    fn uptime(&self) -> Duration;
    /// Sleeps `duration` of the runbook's time.
    async fn sleep(&self, duration: Duration);
    /// A deadline or poll interval of the runbook as it is on this clock: the same in a real run, shortened in a
    /// rehearsal.
    fn scaled(&self, duration: Duration) -> Duration;
}

/// The laptop's clock; `hurry` divides every wait (1 in a real run).
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    hurry: u32,
}

impl SystemClock {
    pub fn real() -> Self {
        Self { hurry: 1 }
    }
    /// For rehearsals: waits are `hurry` times shorter.
    pub fn hurried(hurry: u32) -> Self {
        Self { hurry: hurry.max(1) }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
    fn uptime(&self) -> Duration {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const COUNTS_SLEEP: nix::time::ClockId = nix::time::ClockId::CLOCK_BOOTTIME;
        // macOS' monotonic clock goes on while the laptop sleeps.
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const COUNTS_SLEEP: nix::time::ClockId = nix::time::ClockId::CLOCK_MONOTONIC;
        nix::time::clock_gettime(COUNTS_SLEEP).map(Duration::from).unwrap_or_default()
    }
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(self.scaled(duration)).await;
    }
    fn scaled(&self, duration: Duration) -> Duration {
        duration / self.hurry
    }
}
