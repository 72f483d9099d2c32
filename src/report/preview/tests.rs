//! Reports of whole previews.

use super::*;
use crate::event::{Mode, Strength};
use crate::report::samples::*;

fn told(events: Vec<Event>, width: usize) -> String {
    let mut preview = Preview::new();
    events.into_iter().for_each(|event| preview.event(&stamped(0, event)));
    preview.render(width)
}

/// All steps, their events interleaved as in a run side by side.
fn looked(results: [StepResult; 7]) -> Vec<Event> {
    let mut events = vec![started(Mode::Preview)];
    events.extend(heads().iter().map(|head| step_started(&head.id)));
    events.extend(heads().iter().zip(results).rev().map(|(head, result)| finished(&head.id, result)));
    events
}

fn blocked(what: &str, next: &str) -> StepResult {
    StepResult::Blocked { refusals: vec![Refusal { what: what.into(), next: next.into() }] }
}

const NOTHING: [StepResult; 7] = [const { StepResult::Satisfied }; 7];

#[test]
fn everything_in_the_way_is_told_at_once_in_the_order_of_the_steps() {
    use StepResult::{Satisfied, WouldChange};
    let mut events = looked([
        blocked("the checkout is 2 commits behind origin/main", "git -C /src/infra pull --ff-only"),
        WouldChange,
        Satisfied,
        WouldChange,
        WouldChange,
        StepResult::Failed { why: "terraform: plan: the cloud session has expired".into() },
        Satisfied,
    ]);
    let mut wider = question("bump");
    wider.title = "Bump docker_image_tag to rel-2024.09.09.23.00.57".into();
    wider.expected = false;
    wider.strength = Strength::Typed { text: "prod".into() };
    events.splice(
        8..8,
        [
            Event::GateAsked { question: wider, waits: true },
            saw("bump", Evidence::predicted("the tag follows from the draft catalog-2024.09.09.23.00.57")),
            saw("checkout", Evidence::verified(long_evidence())),
            saw("image", Evidence::not_previewable("the image exists only once the release is published")),
            saw("health", Evidence::warning("Sentry could not be asked")),
            saw("health", Evidence::warning("Sentry could not be asked")),
        ],
    );
    events.push(Event::Warned { text: "an unmerged version bump is open: pull request 12".into() });
    insta::assert_snapshot!(told(events, 80), @r###"
# Dry run of prod: Deploy the catalog to production

Looked at by ada on laptop, 2024-09-09 23:00:57 UTC. Nothing was changed.
Runbook: built in (sha256 5f2d5f2d5f2d).
Override: the tasks of DAG batched_update may be killed: agreed with Grace.

## 1. The infrastructure checkout is clean and up to date (checkout)
- verified: no DAG is running among 14 that this account sees: flickr_workflow,
  flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow,
  flickr_workflow, flickr_workflow, flickr_workflow, flickr_workflow, 日本語_dag
- in the way: the checkout is 2 commits behind origin/main
  next: git -C /src/infra pull --ff-only

## 2. Publish the drafted catalog release (publish, asks first)
- would change

## 3. The release's Docker image is on GHCR (image)
- not previewable: the image exists only once the release is published
- nothing to do

## 4. 🔒 Bump the catalog version in the infrastructure repository (bump, asks
      first)
- predicted: the tag follows from the draft catalog-2024.09.09.23.00.57
- would change: Bump docker_image_tag to rel-2024.09.09.23.00.57
    - replace module.catalog-airflow.aws_instance.instance (its user data
      changed)
    - Airflow stops for some minutes
- warning: this holds more than the runbook expects; read it line by line

## 5. Set running_dags_cleared to true (flag)
- would change

## 6. 🔒 Plan and apply with Terraform (apply, asks first)
- failed: terraform: plan: the cloud session has expired

## 7. Ist die Produktion gesund? 本番は正常ですか 🚀 (health)
- warning: Sentry could not be asked
- nothing to do

## Warnings
- an unmerged version bump is open: pull request 12

## In the way
1. checkout: the checkout is 2 commits behind origin/main
   next: git -C /src/infra pull --ff-only
2. apply: could not be looked at: terraform: plan: the cloud session has expired
   next: look at this step, then preview again

## Verdict
2 things are in the way.
"###);
}

#[test]
fn nothing_to_deploy_is_said_although_the_flag_would_be_set() {
    let mut results = NOTHING;
    results[4] = StepResult::WouldChange;
    assert!(
        told(looked(results), 80).ends_with("## Verdict\nNothing would change: no service deployment is needed.\n")
    );
}

#[test]
fn a_free_way() {
    let mut results = NOTHING;
    results[1] = StepResult::WouldChange;
    results[5] = StepResult::WouldChange;
    assert!(told(looked(results), 80).ends_with("## Verdict\nNothing is in the way. The run would ask 2 times.\n"));
}

#[test]
fn a_step_that_was_not_looked_at_is_in_the_way() {
    let mut events = looked(NOTHING);
    events.pop();
    let told = told(events, 80);
    assert!(told.ends_with("## Verdict\n1 thing is in the way.\n"), "{told}");
}

#[test]
fn a_refusal_outside_the_steps_counts() {
    let mut events = looked(NOTHING);
    events.push(Event::RunFinished {
        exit: 4,
        reason: "credentials".into(),
        message: "GitHub did not accept the token".into(),
        next: vec!["gh auth login".into()],
        findings: vec![],
    });
    let told = told(events, 80);
    assert!(told.contains("1. the run: GitHub did not accept the token\n   next: gh auth login\n"), "{told}");
}
