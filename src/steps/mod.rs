//! One file per kind of step: decisions, no clients. [`build`] is the registry: a new kind is a file and a line here.
