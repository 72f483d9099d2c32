//! The registry's client against Debian's `docker-registry`, which asks for a token as GHCR does, and which hands one
//! out is `issuer.rs`; images are OCI layouts written by hand (`layout.rs`) and pushed by `skopeo`.
//!
//! The registry checks every token itself (`auth: token`): signature, issuer, service, scope and times.

mod access;
mod images;
mod issuer;
mod layout;
mod stage;
mod tags;
mod world;
