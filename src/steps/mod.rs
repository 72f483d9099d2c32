//! One file per kind of step: decisions, no clients. `registry.rs` says which file a kind is: a new kind is a file and a
//! line there.
//!
//! | file | is |
//! |---|---|
//! | [`checkout_ready`], [`identity`], [`dags_clear`], [`baseline`] | looks before anything is changed |
//! | [`publish_release`], [`image_ready`] | the release and its image |
//! | [`bump`], [`dags_hold`], [`set_flag`], [`apply`], [`give_back`] | the deploy |
//! | [`approve_changelog`], [`infrastructure_pull_request`], [`post_checks`] | what follows |
//! | [`person_check`], [`manual`], [`shell`] | what people do, and a team's own |

pub mod apply;
pub mod approve_changelog;
pub mod baseline;
pub mod bump;
pub mod candidates;
pub mod checkout_ready;
pub mod dag_rules;
pub mod dags_clear;
pub mod dags_hold;
pub mod declared;
pub mod deploys;
pub mod give_back;
pub mod identity;
pub mod image_ready;
mod infrastructure;
pub mod infrastructure_pull_request;
pub mod manual;
pub mod person_check;
pub mod post_checks;
pub mod publish_release;
mod registry;
pub mod running;
pub mod set_flag;
pub mod shell;
mod transcript;

pub use registry::build;
