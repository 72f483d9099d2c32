//! The release: drafts, builds, publishing at most once, and the image that must come of it.

use std::collections::BTreeMap;

use catalog_deploy::rehearsal::{AirflowEdition, Fault};

use super::{APPROVE, LEFT, NEW, OPEN, PUBLISH, Want, deployed, each, play, play2, published, refused};

pub const MORE: &[Fault] = &[
    Fault::DraftRenamed,
    Fault::EmptyDraft,
    Fault::BuildPending,
    Fault::BuildDeploysStaging,
    Fault::DraftRunPending,
    Fault::PublishAnswerLost,
    Fault::TagMissing,
    Fault::TagWorkflowCancelled,
];

const RESUME: &str = "catalog-deploy resume prod-";
const RESTORE: &str = "catalog-deploy restore prod-";

each! { V2:
    two_drafts TwoDrafts refused(
        &["2 drafted releases", "catalog-2024.09.30.10.20.30", "catalog-2024.09.21.06.05.04", "Nothing was changed"],
        &["delete the stale draft"],
    );
    latest_is_older LatestIsOlder
        refused(&["is not the image of the newest build of main", "Nothing was changed"], &["re-run the build of main"]);
    release_back_to_draft ReleaseBackToDraft published(
        "refused-after-change",
        &["catalog-2024.09.30.10.20.30", "is a draft again"],
        &["do not publish it again blindly", RESUME, RESTORE],
    );
    tag_on_older_image TagOnOlderImage published(
        "refused-after-change",
        &["rel-2024.09.30.10.20.30 is not the image that this run approved"],
        &["before anything is deployed", RESUME, RESTORE],
    );
}

/// What was approved is published, or nothing is.
#[test]
fn a_draft_that_is_renamed_is_not_published_and_asked_about_anew() {
    let played = play2(Fault::DraftRenamed);
    played.ends(&refused(
        &["what was approved is not what is there", "catalog-2024.09.30.11.45.07", "Nothing was changed"],
        &["run again and read the new question"],
    ));
    let again = played.stage.run(&["prod", "--json"]);
    assert_eq!(again.code, 5, "{}", again.stderr);
    let question = again.stdout.lines().find(|line| line.contains("\"gate-asked\"")).unwrap();
    assert!(question.contains("catalog-2024.09.30.11.45.07") && question.contains("#4950"), "{question}");
    assert_eq!(super::changes(&played.stage), [""; 0]);
}

#[test]
fn an_empty_draft_needs_its_option() {
    let played = play2(Fault::EmptyDraft);
    played.ends(&refused(&["hold no change: nothing to release", "Nothing was changed"], &["--allow-empty-release"]));
    let played = play(Fault::EmptyDraft, AirflowEdition::V2, &["--allow-empty-release"]);
    played.ends(&deployed(&[]));
}

/// Its deadline is a refusal: nothing was begun, so there is nothing to resume.
#[test]
fn a_build_that_never_ends_is_refused_at_its_deadline() {
    let played = play2(Fault::BuildPending);
    played.ends(&refused(
        &["waiting for CI to build main", "waited 30m", "since publishing tags whatever latest is"],
        &["when it is over, run again"],
    ));
}

#[test]
fn a_build_that_ends_is_waited_for() {
    let stage = crate::support::Stage::new(&[Fault::BuildPending]);
    let child = stage.start(&crate::deploy::approved(&["--json"]));
    let builds = || stage.world.requests().iter().filter(|it| it.path.contains("ci_cd.yml")).count() > 2;
    crate::support::until("it polls the builds", builds);
    assert_eq!(super::changes(&stage), [""; 0], "nothing is published while a build is pending");
    stage.world.finish_builds();
    let done = crate::support::finish(child);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(super::changes(&stage), super::DEPLOY);
}

/// Its image is pushed: whatever it still does, it cannot move `latest` any more.
#[test]
fn a_build_that_only_deploys_to_staging_is_not_waited_for() {
    let played = play2(Fault::BuildDeploysStaging);
    assert!(!played.done.stderr.contains("waiting for CI"), "{}", played.done.stderr);
    played.ends(&deployed(&["no pending build of main can move latest"]));
}

#[test]
fn a_run_that_rewrites_drafts_is_waited_for() {
    let played = play2(Fault::DraftRunPending);
    played.ends(&deployed(&["waiting for the workflow run https://github.com/", "which rewrites releases"]));
}

/// The answer is looked up, and the request never sent again.
#[test]
fn a_publication_whose_answer_is_lost_is_published_once() {
    let played = play2(Fault::PublishAnswerLost);
    played.ends(&Want {
        changes: &["publish 170000051 (answer lost)", APPROVE, OPEN],
        ..deployed(&["no complete answer", "is published and stays so"])
    });
    let tags: BTreeMap<String, String> = played.stage.world.registry_tags();
    assert_eq!(tags.keys().filter(|tag| tag.starts_with("rel-2024.09.30")).count(), 1, "{tags:?}");
}

/// A tag that never came by itself: once somebody set it (by re-running the workflow), the run goes on.
fn goes_on_once_tagged(fault: Fault, conclusion: &'static [&'static str]) {
    let mut played = play2(fault);
    let want = published(
        "refused-after-change",
        conclusion,
        &["will not come by itself. Do not publish or dispatch again", RESUME, RESTORE],
    );
    played.ends(&want);
    // A new run is refused while this one is half-way.
    let other = played.stage.run(&["prod"]);
    assert_eq!(other.code, 3, "{}", other.stderr);
    for part in
        ["did what cannot be taken back (publish catalog-", "catalog-deploy resume prod-", "catalog-deploy restore"]
    {
        assert!(other.stderr.contains(part), "{part}: {}", other.stderr);
    }
    played.stage.world.tag_image("latest", NEW);
    played.resume(&[]);
    assert_eq!(played.stage.world.deployed_tag().as_deref(), Some(NEW), "{}", played.done.stderr);
    // The workflow broke before it opened the changelog's pull request: that is said, and all else is done.
    played.ends(&Want {
        exit: 7,
        reason: "unfinished",
        changes: &[PUBLISH, OPEN],
        next: &[LEFT, "catalog-deploy resume prod-"],
        ..deployed(&["no changelog pull request from changelog/catalog-2024.09.30.10.20.30"])
    });
}

#[test]
fn a_tag_that_is_missing() {
    goes_on_once_tagged(Fault::TagMissing, &["the tagging workflow", "ended as failure"]);
}

#[test]
fn a_tagging_workflow_that_is_cancelled() {
    goes_on_once_tagged(
        Fault::TagWorkflowCancelled,
        &["ended as cancelled", "a newer run of the same concurrency group"],
    );
}
