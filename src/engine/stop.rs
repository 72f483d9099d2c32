//! The wish to stop, as everybody in a run sees it.

use tokio::sync::watch;

use crate::step::Stop;

/// Raised by signal handlers, watched by waits and children. Cloning shares it.
#[derive(Debug, Clone)]
pub struct StopSignal {
    level: watch::Sender<Stop>,
    child: watch::Sender<bool>,
    /// The signal that came first, e.g. 2 for SIGINT.
    number: watch::Sender<Option<i32>>,
}

impl Default for StopSignal {
    fn default() -> Self {
        Self { level: watch::Sender::new(Stop::No), child: watch::Sender::new(false), number: watch::Sender::new(None) }
    }
}

impl StopSignal {
    /// One more signal came. Returns the level it led to.
    pub fn raise(&self, signal: i32) -> Stop {
        self.number.send_if_modified(|number| number.is_none() && number.replace(signal).is_none());
        self.level.send_modify(|level| *level = if *level == Stop::No { Stop::Soon } else { Stop::Child });
        let level = *self.level.borrow();
        if level == Stop::Child {
            self.child.send_replace(true);
        }
        level
    }

    pub fn wanted(&self) -> bool {
        *self.level.borrow() != Stop::No
    }

    /// Ends when a stop is wanted.
    pub async fn soon(&self) {
        let mut level = self.level.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ended = level.wait_for(|level| *level != Stop::No).await;
    }

    /// Ends at the second signal, which is for those who will not even wait for what is owed.
    pub async fn again(&self) {
        let mut level = self.level.subscribe();
        let _ended = level.wait_for(|level| *level == Stop::Child).await;
    }

    /// Turns true when a child should get its SIGINT.
    pub fn child(&self) -> watch::Receiver<bool> {
        self.child.subscribe()
    }

    pub fn signal(&self) -> Option<i32> {
        *self.number.borrow()
    }
}
