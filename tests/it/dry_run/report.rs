//! What a preview says.

use std::os::unix::fs::PermissionsExt;

use catalog_deploy::rehearsal::Fault;

use super::RUNNING;
use crate::support::{Done, Stage};

/// The refusals of a report: step and whether a command follows.
fn in_the_way(done: &Done) -> Vec<String> {
    let (_, list) = done.stdout.split_once("## In the way\n").unwrap_or_default();
    let (list, _) = list.split_once("\n\n").unwrap_or_default();
    let numbered = |line: &&str| line.split_once(". ").is_some_and(|(number, _)| number.parse::<u8>().is_ok());
    let named: Vec<String> = list
        .lines()
        .filter(numbered)
        .map(|line| line.split_once(". ").unwrap().1.split(':').next().unwrap().to_owned())
        .collect();
    let next = list.lines().filter(|line| line.starts_with("   next: ")).count();
    assert_eq!(next, named.len(), "each has its next command:\n{list}");
    named
}

#[test]
fn everything_in_the_way_is_told_in_the_order_of_the_steps() {
    use Fault::{
        BlindAccount, BumpWritesLatest, CheckoutDirty, FlagAlreadyTrue, LockHeld, ProviderDagRunning, TwoDrafts,
    };
    let cases: [(&[Fault], i32, &[&str]); 4] = [
        (
            &[LockHeld, CheckoutDirty, FlagAlreadyTrue, ProviderDagRunning, TwoDrafts],
            6,
            &["lock", "checkout", "checkout", "dags", "publish", "hold-dags"],
        ),
        (&[BlindAccount, CheckoutDirty], 4, &["checkout", "dags", "hold-dags"]),
        (&[BumpWritesLatest, CheckoutDirty], 3, &["checkout", "bump"]),
        (&[TwoDrafts], 3, &["publish"]),
    ];
    for (faults, exit, steps) in cases {
        let stage = Stage::new(faults);
        let done = stage.run(&["prod", "-n"]);
        assert_eq!(in_the_way(&done), steps, "{faults:?}: {}", done.stdout);
        assert_eq!(done.code, exit, "{faults:?}: {}", done.stdout);
    }
}

#[test]
fn every_line_says_how_far_it_can_be_trusted() {
    let stage = Stage::new(&[Fault::BumpPrOpen, Fault::ShortRunFinishes, Fault::SentryDown]);
    let done = stage.run(&["prod", "-n"]);
    assert_eq!(done.code, 0, "{}", done.stdout);
    let labels = [
        "verified: ",
        "predicted: ",
        "not previewable: ",
        "warning: ",
        "in the way: ",
        "would change",
        "nothing to do",
        "skipped: ",
    ];
    let entries = done.stdout.lines().filter_map(|line| line.strip_prefix("- "));
    let bare: Vec<&str> = entries.filter(|entry| !labels.iter().any(|label| entry.starts_with(label))).collect();
    assert!(bare.is_empty(), "{bare:?}");
    for label in &labels[..4] {
        assert!(done.stdout.contains(&format!("\n- {label}")), "no line is {label}");
    }
}

/// The tag that runs, and nothing else changed; then with another variable changed.
#[test]
fn the_same_tag_needs_a_deployment_only_for_another_change() {
    let stage = Stage::new(&[]);
    let plan = stage.state().join("previews/prod.plan.txt");
    std::fs::create_dir_all(plan.parent().unwrap()).unwrap();
    std::fs::write(&plan, "an older preview's\n").unwrap();
    let preview = ["prod", "-n", "--tag", RUNNING];
    let done = stage.run(&preview);
    assert_eq!(done.code, 0, "{}", done.stdout);
    assert!(done.stdout.ends_with("## Verdict\nNothing would change: no service deployment is needed.\n"));
    assert!(!plan.exists(), "there is no plan to read, so no older one may be there");
    let json = stage.run(&["prod", "-n", "--tag", RUNNING, "--json"]);
    assert!(json.stdout.contains("nothing would change: no service deployment is needed"), "{}", json.stdout);

    stage.commit("modules/catalog-airflow/main.tf", |text| {
        text.replace("input = var.docker_image_tag", "input = \"${var.docker_image_tag} ${var.slack_channel}\"")
    });
    let done = stage.run(&preview);
    assert_eq!(done.code, 0, "{}", done.stdout);
    assert!(done.stdout.contains(&format!("- verified: deploys {RUNNING}, which runs now\n")), "{}", done.stdout);
    assert!(done.stdout.contains("- would change: Apply this plan to prod\n"), "{}", done.stdout);
    assert!(done.stdout.ends_with("Nothing is in the way. The run would ask once.\n"), "{}", done.stdout);

    // The whole plan can be read afterwards, by its owner only; or at once.
    assert!(done.stdout.contains(&format!("    in full: {}\n", plan.display())), "{}", done.stdout);
    let text = std::fs::read_to_string(&plan).unwrap();
    assert!(text.contains("openverse-alerts") && text.contains("Plan: 1 to add, 1 to change, 1 to destroy."), "{text}");
    assert_eq!(std::fs::metadata(&plan).unwrap().permissions().mode() & 0o777, 0o600);
    let verbose = stage.run(&["prod", "-n", "--tag", RUNNING, "-v"]);
    assert!(verbose.stdout.contains("Plan: 1 to add, 1 to change, 1 to destroy."), "{}", verbose.stdout);
    assert!(verbose.stderr.contains("] checkout: nothing to do"), "{}", verbose.stderr);
}

#[test]
fn the_report_says_it_all_and_progress_is_silent() {
    let stage = Stage::new(&[Fault::CheckoutDirty]);
    let done = stage.run(&["prod", "-n"]);
    assert_eq!(done.code, 3, "{}", done.stderr);
    let lines: Vec<&str> = done.stderr.lines().filter(|line| !line.starts_with("runbook prod: ")).collect();
    assert_eq!(lines.len(), 1, "{}", done.stderr);
    assert!(lines[0].ends_with("(dry run, nothing is changed); looking"), "{}", done.stderr);
}

/// Whatever a run would wait for is said at once.
#[test]
fn nothing_is_waited_for() {
    let stage = Stage::new(&[Fault::BuildPending]);
    stage.world.start_dag_run(
        "production_elasticsearch_cluster_healthcheck",
        "running",
        &[("ping", "PythonOperator", "running")],
    );
    let started = std::time::Instant::now();
    let done = stage.run(&["prod", "-n"]);
    assert!(started.elapsed().as_secs() < 15);
    assert!(done.stdout.contains("a run would wait up to 2m for the short run of"), "{}", done.stdout);
    assert!(!done.stderr.contains("waiting"), "{}", done.stderr);
}
