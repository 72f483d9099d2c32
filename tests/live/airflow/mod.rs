//! Airflow 2.10.5 and 3.1.8, real ones. Every case is asked of both, and both must give the answer that stands here.

#![expect(clippy::print_stderr, reason = "the cases and their time are the suite's summary")]

mod accounts;
mod bench;
mod busy;
mod front;
mod quiet;
mod server;

use std::time::Instant;

use front::Gate;
use server::{Airflow, Version};

#[tokio::test]
async fn airflow_2_10_5() {
    whole(Version::Two).await;
}

#[tokio::test]
async fn airflow_3_1_8() {
    whole(Version::Three).await;
}

/// One server, asked while nothing runs, while one refresh waits, and while everything runs.
async fn whole(version: Version) {
    let begun = Instant::now();
    let (gate, url) = Gate::start().await;
    let airflow = Airflow::start(version, &url).await;
    let mut cases = Cases { version, begun, count: 0 };
    // A token of 3.x that has run out when it is asked with again.
    let old = accounts::old_token(&airflow).await;
    quiet::cases(&airflow, &mut cases).await;
    accounts::cases(&airflow, &mut cases).await;
    quiet::one_refresh_waits(&airflow, &mut cases).await;
    busy::cases(&airflow, &gate, &mut cases).await;
    accounts::unseen(&airflow, &mut cases).await;
    accounts::token_runs_out(&airflow, old, &mut cases).await;
    let took = begun.elapsed().as_secs();
    eprintln!("Airflow {}: {} cases in {took} s", version.number(), cases.count);
}

/// Tells each case as it passes, so that a failure says what came before it.
struct Cases {
    version: Version,
    begun: Instant,
    count: usize,
}

impl Cases {
    fn passed(&mut self, what: &str) {
        self.count += 1;
        let at = self.begun.elapsed().as_secs();
        eprintln!("Airflow {} {at:>4} s  {what}", self.version.number());
    }
}
