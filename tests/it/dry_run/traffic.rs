//! What a preview sends, and what it leaves behind.

use catalog_deploy::rehearsal::AirflowEdition;

use super::OLDER;
use crate::support::Stage;

fn only_reads(edition: AirflowEdition, reading_post: &str) {
    let stage = Stage::with(|options| options.airflow = edition);
    for arguments in [&["prod", "-n"][..], &["prod", "-n", "--tag", OLDER]] {
        let done = stage.run(arguments);
        assert_eq!(done.code, 0, "{}\n{}", done.stdout, done.stderr);
        let requests = stage.world.requests();
        let mutating: Vec<_> = requests.iter().filter(|request| request.mutates()).collect();
        assert!(mutating.is_empty(), "{mutating:?}");
        assert!(requests.iter().any(|request| request.method == "POST" && request.path.starts_with(reading_post)));
        assert!(!requests.iter().any(|request| request.service == "slack"), "a message was sent");
        assert!(!stage.locked());
        assert_eq!(stage.state_entries(), ["previews", "previews/prod.plan.txt", "scratch"]);
    }
}

#[test]
fn a_preview_only_reads_with_airflow_2() {
    only_reads(AirflowEdition::V2, "/api/v1/dags/~/dagRuns/list");
}

#[test]
fn a_preview_only_reads_with_airflow_3() {
    only_reads(AirflowEdition::V3, "/auth/token");
}
