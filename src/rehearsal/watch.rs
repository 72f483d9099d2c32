//! Somebody who stands at the world's door: told of every request at its three moments, and free to break one.
//!
//! What a crash harness needs: a client can be killed before a request takes effect, after it did and before the answer
//! leaves, and once the answer is out. Nothing here knows what a kill is.

use std::sync::Arc;

use super::RequestLogEntry;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intervention {
    /// Goes its way.
    None,
    /// This status is the answer. Before the effect: it takes none.
    Answer(u16),
    /// The connection is cut, and not one byte of the answer arrives.
    Cut,
}

/// Told of every request on the thread that serves it, so the world stands still while it looks.
pub trait Watch: Send + Sync {
    /// Before it takes effect; the status is 0.
    fn before(&self, _request: &RequestLogEntry) -> Intervention {
        Intervention::None
    }
    /// It took effect, or was refused, as the status says. Its answer has not left.
    fn after(&self, _request: &RequestLogEntry) -> Intervention {
        Intervention::None
    }
    /// Its answer has left.
    fn answered(&self, _request: &RequestLogEntry) {}
}

/// The one watcher of a world, if any.
#[derive(Clone, Default)]
pub(super) struct Watcher(pub(super) Option<Arc<dyn Watch>>);

impl Watcher {
    pub(super) fn before(&self, request: &RequestLogEntry) -> Intervention {
        self.0.as_ref().map_or(Intervention::None, |watch| watch.before(request))
    }

    pub(super) fn after(&self, request: &RequestLogEntry) -> Intervention {
        self.0.as_ref().map_or(Intervention::None, |watch| watch.after(request))
    }
}
