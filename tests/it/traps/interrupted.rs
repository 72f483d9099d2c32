//! Trap 10: Ctrl-C while the flag is true.

use std::process::Command;

use catalog_deploy::rehearsal::Fault;

use super::{DEPLOY, NEW, changes};
use crate::deploy::approved;
use crate::support::{Stage, finish, until};

#[test]
fn ctrl_c_while_the_flag_is_true_gives_everything_back() {
    let stage = Stage::new(&[Fault::WaitingRefreshes]);
    let before = stage.world.paused_dags();
    let child = stage.start(&approved(&[]));
    until("the flag is true", || stage.attribute("running_dags_cleared") == "true");
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let done = finish(child);
    assert_eq!(done.code, 130, "{}", done.stderr);
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
    assert_eq!(stage.world.paused_dags(), before);
    assert!(!stage.locked());
    let run = &stage.runs()[0];
    assert!(done.stderr.contains(&format!("next: catalog-deploy resume {run}")), "{}", done.stderr);
    let mut resume = approved(&[]);
    resume[0] = run;
    resume.insert(0, "resume");
    let resumed = stage.run(&resume);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some(NEW));
    assert_eq!((stage.attribute("running_dags_cleared").as_str(), stage.world.paused_dags()), ("false", before));
    let pauses = |change: &String| change.contains("data_refresh");
    let (paused, others): (Vec<String>, Vec<String>) = changes(&stage).into_iter().partition(pauses);
    assert_eq!(others, DEPLOY);
    assert_eq!(paused.iter().filter(|it| it.starts_with("pause ")).count(), paused.len() / 2, "{paused:?}");
    assert!(!stage.locked());
}
