//! How versions are written.
