//! What is offered after an apply that did not work out.

use super::person::{ARROW_UP, Person};
use crate::support::Stage;
use catalog_deploy::rehearsal::Fault;

const OLD: &str = "rel-2024.08.22.20.53.01";
const NEW: &str = "rel-2024.09.30.10.20.30";

/// A run at the terminal whose first apply fails, up to the menu.
fn at_the_menu(stage: &Stage) -> Person {
    let mut person = Person::at(stage.command(&["prod", "--approve", "publish", "--approve", "bump"]), (50, 120));
    person.answers("apply", "yes");
    person.sees("rel-2024.08.22.20.53.01 ran before this deploy (Terraform's state; deployed on 2024-08-23");
    person.sees("What next?");
    person.sees("Leave it for now");
    person
}

#[test]
fn only_return_leaves_everything_given_back_and_resumable() {
    let stage = Stage::new(&[Fault::DeployFailsWhilePaused]);
    let mut person = at_the_menu(&stage);
    person.types("\r");
    let left = person.leaves();
    assert_eq!(left.code, 1, "{}", left.text);
    left.terminal_is_restored();
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(OLD));
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
    assert!(!stage.locked());
    let resume =
        ["resume", "--approve", "bump", "--approve", "apply", "--approve", "changelog", "--approve", "pull-request"];
    assert_eq!(stage.run(&resume).code, 0);
}

#[test]
fn resume_goes_on_at_once() {
    let stage = Stage::new(&[Fault::DeployFailsWhilePaused]);
    let mut person = at_the_menu(&stage);
    person.types(ARROW_UP);
    person.types(ARROW_UP);
    person.types("\r");
    // The answer that was given beforehand for the bump holds again.
    person.answers("apply", "yes");
    person.finds_no_alerts();
    person.answers("changelog", "yes");
    person.answers("pull-request", "yes");
    let left = person.leaves();
    assert_eq!(left.code, 0, "{}", left.text);
    left.terminal_is_restored();
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(NEW));
    assert!(!stage.locked());
}
