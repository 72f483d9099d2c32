//! Folds over events.

use crate::event::Stamped;

pub trait Sink: Send {
    fn event(&mut self, stamped: &Stamped);
}
