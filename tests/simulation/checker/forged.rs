//! Forged histories: every rule can fail.
