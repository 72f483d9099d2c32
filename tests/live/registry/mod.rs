//! The registry's client against Debian's `docker-registry`, which asks for a token as GHCR does. `issuer.rs` hands the
//! tokens out; images are OCI layouts written by hand (`layout.rs`) and pushed by `skopeo`.
//!
//! The registry checks every token itself (`auth: token`): signature, issuer, service, scope and times.

mod access;
mod images;
mod issuer;
mod layout;
mod stage;
mod tags;
mod world;
