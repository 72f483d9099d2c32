//! `--tag`: deploys a tag that exists, without the release steps.

mod deploys;
mod refused;
