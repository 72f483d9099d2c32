//! The services as they were at a moment, to go on from there more than once. The repository is plain files: whoever
//! goes back puts those back himself.

use std::sync::PoisonError;
use std::time::Instant;

use super::World;
use super::state::State;

/// A moment of the services; see [`World::remember`].
#[derive(Debug, Clone)]
pub struct Memory {
    state: State,
    at: Instant,
    requests: usize,
}

impl World {
    /// Everything that the services know at this moment.
    pub fn remember(&self) -> Memory {
        let requests = self.shared().entries.lock().unwrap_or_else(PoisonError::into_inner).len();
        Memory { state: self.shared().state().clone(), at: Instant::now(), requests }
    }

    /// Goes back to that moment. What was about to happen then has as much time left as it had.
    pub fn recall(&self, memory: &Memory) {
        let passed = memory.at.elapsed();
        let mut state = memory.state.clone();
        state.timeline.iter_mut().for_each(|(at, _)| *at += passed);
        *self.shared().state() = state;
        self.shared().entries.lock().unwrap_or_else(PoisonError::into_inner).truncate(memory.requests);
        self.shared().write_registry_tags();
    }
}
