//! What changes between a question and its answer: a person may take an hour.

use catalog_deploy::rehearsal::Fault;

use super::person::{ARROW_UP, Person};
use super::{Stage, approved};

const OLD: &str = "rel-2024.08.22.20.53.01";
const EARLIER: &str = "rel-2023.12.20.22.19.13";

/// Drafts are rewritten at every push to main: what was approved must still be there when it is published.
#[test]
fn a_run_that_rewrites_drafts_is_waited_for_again_after_the_yes() {
    let stage = Stage::new(&[]);
    let mut person = Person::at(stage.command(&["prod"]), (50, 160));
    person.sees(" publish: ");
    person.sees("anything else declines:");
    stage.world.change(|state| {
        let mut run = state.workflow_runs.iter().find(|run| run.workflow == "draft_releases.yml").unwrap().clone();
        run.id += 1000;
        run.status = "queued".into();
        run.conclusion = None;
        state.workflow_runs.insert(0, run);
    });
    person.types("yes\n");
    person.sees("waiting for the workflow run");
    assert_eq!(stage.mutations(), [] as [&str; 0], "nothing is published meanwhile");
    stage.world.finish_builds();
    // The same draft, so the same yes.
    person.sees("is published and stays so");
    person.answers("bump", "no");
    let left = person.leaves();
    assert_eq!(left.code, 5, "{}", left.text);
    assert_eq!(left.text.matches("publish: Publish ").count(), 1, "asked once: {}", left.text);
}

/// An earlier step's look does not hold any more.
#[test]
fn a_dag_that_starts_between_question_and_yes_stops_the_apply() {
    let stage = Stage::new(&[]);
    let mut person = Person::at(stage.command(&["prod", "--approve", "publish", "--approve", "bump"]), (50, 160));
    person.sees(" apply: ");
    person.sees("anything else declines:");
    stage.world.start_dag_run("flickr_workflow", "running", &[("ingest", "PythonOperator", "running")]);
    person.types("yes\n");
    person.sees("flickr_workflow: 1 run");
    let left = person.leaves();
    assert_eq!(left.code, 1, "{}", left.text);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
    assert!(!stage.locked());
}

/// An override is typed after the consequence is shown; `--approve` never answers that.
#[test]
fn a_missing_answer_is_overridden_by_typing_the_checks_name() {
    let stage = Stage::new(&[Fault::AirflowDead]);
    let mut person = Person::at(stage.command(&approved(&["--tag", EARLIER])), (50, 160));
    person.sees("Continue without the check `airflow`?");
    person.sees("Running tasks are unknown and will be killed");
    person.sees("Type `airflow`");
    person.types("yes\n");
    person.sees("`yes` is not enough for this");
    person.types("no\n");
    let left = person.leaves();
    assert_eq!(left.code, 3, "anything else declines: {}", left.text);
    assert_eq!(stage.mutations(), [] as [&str; 0]);

    let mut person = Person::at(stage.command(&approved(&["--tag", EARLIER])), (50, 160));
    person.sees("Type `airflow`");
    person.types("airflow\n");
    person.sees("OVERRIDDEN: airflow, running DAGs were not checked: typed at the terminal by ada");
    person.sees("Type `prod`");
    person.types("no\n");
    let left = person.leaves();
    assert_eq!(left.code, 5, "{}", left.text);
    assert!(!stage.locked());
}

/// Where something answers but not to this machine, its name is not enough: the environment is typed.
#[test]
fn what_is_only_hidden_from_this_machine_wants_the_environment_typed() {
    let stage = Stage::new(&[Fault::LoginPage]);
    let mut person = Person::at(stage.command(&["prod", "--tag", EARLIER]), (50, 160));
    person.sees("The service may be healthy; this machine cannot see it.");
    person.sees("Type `prod`");
    person.types("airflow\n");
    let left = person.leaves();
    assert_eq!(left.code, 3, "{}", left.text);
    assert_eq!(stage.mutations(), [] as [&str; 0]);
}

/// The rollback is offered before any other gate, and takes over what the bad deploy holds.
#[test]
fn an_unhealthy_production_is_rolled_back_at_once() {
    let stage = Stage::new(&[Fault::NewAirflowNeverBoots]);
    let arguments = ["prod", "--approve", "publish", "--approve", "bump", "--approve", "apply"];
    let mut person = Person::at(stage.command(&arguments), (50, 160));
    person.sees(
        "rel-2024.08.22.20.53.01 ran before this deploy (Terraform's state; deployed on 2024-08-23, by A Colleague)",
    );
    person.sees("Production is unhealthy");
    person.sees("Stop here");
    person.types(&format!("{ARROW_UP}{ARROW_UP}\r"));
    person.sees("takes over run prod-");
    // Airflow is dead: that is one more decision.
    person.sees("Type `airflow`");
    person.types("airflow\n");
    person.answers("bump", "yes");
    person.sees("Type `prod`");
    person.types("prod\n");
    person.finds_no_alerts();
    let left = person.leaves();
    assert_eq!(left.code, 0, "{}", left.text);
    left.terminal_is_restored();
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
    assert!(!stage.locked());
    assert!(!stage.world.paused_dags().contains(&"image_data_refresh".into()));
    assert!(!left.text.contains("changelog: Approve"), "no other gate came first: {}", left.text);
}

#[test]
fn a_tag_is_chosen_from_the_list() {
    let stage = Stage::new(&[]);
    let mut person = Person::at(stage.command(&["prod", "--tag"]), (50, 160));
    person.sees("Deploy which tag?");
    person.sees("rel-2023.12.20.22.19.13 the latest stable one, 2 years ago, deployed on 2024-01-04, by A Maintainer");
    person.sees("None of these");
    person.types("\r");
    let left = person.leaves();
    assert_eq!(left.code, 5, "{}", left.text);
    left.says("no tag was chosen. Nothing was changed");
    assert!(stage.runs().is_empty());

    let mut person = Person::at(stage.command(&["prod", "--tag"]), (50, 160));
    person.sees("None of these");
    // The oldest of the list stands right above it.
    person.types(&format!("{ARROW_UP}\r"));
    person.sees("rollback from rel-2024.08.22.20.53.01 to rel-2023");
    person.answers("bump", "no");
    assert_eq!(person.leaves().code, 5);
}
