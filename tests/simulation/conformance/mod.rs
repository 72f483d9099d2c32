//! The same cases against the simulated adapters and the real ones: what the simulation proves of the engine holds only as
//! far as its adapters behave like those that go to production.
//!
//! The real ones talk HTTP to the embedded world, and run real git, `just` and Terraform (or their stand-ins).

mod cases;
mod real;
mod simulated;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use catalog_deploy::adapters::airflow::AirflowWrite;
use catalog_deploy::adapters::checkout::CheckoutWrite;
use catalog_deploy::adapters::github::GithubWrite;
use catalog_deploy::adapters::lock::LockWrite;
use catalog_deploy::adapters::process::CommandRun;
use catalog_deploy::adapters::registry::RegistryRead;

/// What goes wrong in the world of a list of cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    None,
    /// The next publication takes effect, and its answer is lost.
    PublishAnswerLost,
    /// The next apply fails before it changes anything.
    ApplyFails,
}

/// One set of adapters, with what only a world can do.
pub struct Bench {
    pub github: Arc<dyn GithubWrite>,
    pub registry: Arc<dyn RegistryRead>,
    pub airflow: Arc<dyn AirflowWrite>,
    pub checkout: Arc<dyn CheckoutWrite>,
    pub lock: Arc<dyn LockWrite>,
    pub commands: Arc<dyn CommandRun>,
    /// A private directory, as a run has one.
    pub workspace: PathBuf,
    /// A run of `image_data_refresh` begins, and waits on its sensor.
    pub start_refresh: Box<dyn Fn()>,
}

pub type Case = for<'a> fn(&'a Bench) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Asks until it holds; the world's time goes by meanwhile, simulated or real.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain until {what}");
}

/// Name, trouble, and the cases that are played in this order in one world.
type List = (Trouble, &'static [(&'static str, Case)]);

fn lists() -> [List; 3] {
    [
        (Trouble::None, &cases::QUIET),
        (Trouble::PublishAnswerLost, &cases::PUBLISH_LOST),
        (Trouble::ApplyFails, &cases::APPLY_FAILS),
    ]
}

#[test]
fn the_simulated_adapters_pass() {
    for (trouble, cases) in lists() {
        simulated::play(trouble, cases);
    }
}

#[test]
fn the_real_adapters_pass() {
    for (trouble, cases) in lists() {
        real::play(trouble, cases);
    }
}
