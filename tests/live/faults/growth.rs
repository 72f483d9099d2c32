//! The matrix grows with the product: a request that fits none of its rows fails a test.

use std::collections::BTreeSet;

use catalog_deploy::rehearsal::{AirflowEdition, Fault, World};

use super::calls::{self, Row};
use crate::stage::Stage;

fn rows() -> Vec<Row> {
    let editions = [AirflowEdition::V2, AirflowEdition::V3];
    calls::common().into_iter().chain(editions.into_iter().flat_map(calls::airflow)).collect()
}

/// Requests that this world has seen and no row stands for.
pub fn missing(world: &World) -> BTreeSet<String> {
    let rows = rows();
    let requests = world.requests();
    let unknown = requests.iter().filter(|request| {
        // The log leaves the secret part of a webhook out.
        let path = if request.service == "slack" { format!("{}/secret", request.path) } else { request.path.clone() };
        !rows.iter().any(|row| row.route.service == request.service && row.route.is(&request.method, &path))
    });
    unknown.map(|request| format!("{}: {} {}", request.service, request.method, request.path)).collect()
}

/// Every command that asks a service anything, for both versions of Airflow.
#[test]
fn no_route_that_a_command_uses_is_missing() {
    for edition in [AirflowEdition::V2, AirflowEdition::V3] {
        let stage = Stage::with(|options| {
            options.airflow = edition;
            options.faults = vec![Fault::WaitingRefreshes];
        });
        // What there is to roll back to, and what there is not.
        for arguments in [
            &["doctor", "prod"][..],
            &["status", "prod"],
            &["prod", "--dry-run"],
            &["prod", "--dry-run", "--tag", "rel-2024.09.09.23.00.57"],
            &["prod", "--dry-run", "--tag", "rel-2024.09.09.23.00.58"],
        ] {
            let done = stage.run(arguments);
            assert!([0, 3].contains(&done.code), "{arguments:?}: {}", done.stderr);
        }
        let missing = missing(&stage.world);
        assert!(missing.is_empty(), "no row of the matrix stands for {missing:#?}");
        // A matrix that nothing is held against proves nothing.
        assert!(stage.world.requests().len() > 30);
    }
}
