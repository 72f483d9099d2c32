//! Runs the steps.
