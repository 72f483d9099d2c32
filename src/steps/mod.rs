//! One file per kind of step: decisions, no clients. [`build`] is the registry: a new kind is a file and a line here.

pub mod approve_changelog;
pub mod declared;
pub mod image_ready;
pub mod publish_release;
pub mod running;
pub mod baseline;
pub mod dag_rules;
pub mod dags_clear;
pub mod dags_hold;
pub mod give_back;
pub mod post_checks;
