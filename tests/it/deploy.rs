//! A whole deploy, and what is left of it.

use crate::support::Stage;

pub use crate::support::approved;

#[test]
fn a_deploy_leaves_only_what_it_is_for() {
    let stage = Stage::new(&[]);
    let before = stage.world.paused_dags();
    let done = stage.run(&approved(&[]));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(stage.world.deployed_tag().as_deref(), Some("rel-2024.09.30.10.20.30"));
    assert_eq!(stage.attribute("running_dags_cleared"), "false");
    assert_eq!(stage.attribute("docker_image_tag"), "\"rel-2024.09.30.10.20.30\"");
    assert_eq!(stage.world.paused_dags(), before);
    assert!(!stage.locked());
    assert_eq!(stage.world.pull_requests().len(), 1);
    assert_eq!(
        stage.mutations(),
        [
            "PATCH /repos/WordPress/openverse/releases/170000051",
            "POST /repos/WordPress/openverse/pulls/4901/reviews",
            "POST /repos/WordPress/openverse-infrastructure/pulls",
        ]
    );
}
