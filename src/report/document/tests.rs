//! Reports of whole runs.

use super::*;
use crate::event::{Event, Mode};
use crate::report::samples::*;

#[test]
fn a_failed_run_as_text() {
    insta::assert_snapshot!(render(&failing(), Some(INCIDENT), Format::Text, 80), @r#"
    Run 2024-09-09-adal: Deploy the catalog to production
    =====================================================
      runbook: prod (built in, sha256 5f2d5f2d5f2d)
      what: deploy
      who: ada on laptop
      started: 2024-09-09 23:00:57 UTC
      ended: 2024-09-09 23:04:00 UTC
      duration: 3m 03s
      result: not-given-back (exit 9)

    Asked for
    ---------
      override: the tasks of DAG batched_update may be killed: agreed with Grace

    Steps
    -----
      23:00:57 1. The infrastructure checkout is clean and up to date (checkout): •
        nothing to do, 1s
      23:00:59 2. Publish the drafted catalog release (publish): ✔ done, 41s
      23:01:40 3. The release's Docker image is on GHCR (image): • nothing to do,
        46s
      23:02:27 4. 🔒 Bump the catalog version in the infrastructure repository
        (bump): ✔ done, 1s
      23:02:28 5. Set running_dags_cleared to true (flag): ✔ done, 1s
      23:02:29 6. 🔒 Plan and apply with Terraform (apply): ✘ failed: terraform:
        apply: InsufficientInstanceCapacity in us-east-1a, 1m 29s
      --:--:-- 7. Ist die Produktion gesund? 本番は正常ですか 🚀 (health): not
        reached

    Gates
    -----
      23:01:37 publish: yes, at the terminal (digest 0123456789ab)
      23:02:57 apply: yes, by --approve (digest 0123456789ab)

    Changes
    -------
      23:01:38 publish catalog-2024.09.09.23.00.57: done
      23:02:27 bump docker_image_tag to rel-2: done
      23:02:28 set running_dags_cleared to true: done
      23:02:58 apply the plan 0123456789ab: took no effect: terraform exited 1

    Changed only for the deploy
    ---------------------------
      23:02:27 docker_image_tag in environments/prod/catalog-airflow.tf: could not
        be given back: somebody edited the line
      23:02:28 running_dags_cleared in environments/prod/catalog-airflow.tf: given
        back 23:03:59: running_dags_cleared is false again

    Known
    -----
      image: rel-2024.09.09.23.00.57 sha256:feed
      Airflow: 2.10.1

    What went wrong
    ---------------
      could not apply the plan: InsufficientInstanceCapacity in us-east-1a
      still held: docker_image_tag in environments/prod/catalog-airflow.tf, now
        "rel-2", before "rel-1" (in /src/infra on laptop)
      next: catalog-deploy resume 2024-09-09-adal
      next: catalog-deploy restore 2024-09-09-adal
      Consider this a Production Incident and notify the team.
    "#);
}

#[test]
fn a_failed_run_as_markdown() {
    insta::assert_snapshot!(render(&failing(), Some(INCIDENT), Format::Markdown, 80), @r#"
    # Run 2024-09-09-adal: Deploy the catalog to production

    - runbook: prod (built in, sha256 5f2d5f2d5f2d)
    - what: deploy
    - who: ada on laptop
    - started: 2024-09-09 23:00:57 UTC
    - ended: 2024-09-09 23:04:00 UTC
    - duration: 3m 03s
    - result: not-given-back (exit 9)

    ## Asked for

    - override: the tasks of DAG batched_update may be killed: agreed with Grace

    ## Steps

    - 23:00:57 1. The infrastructure checkout is clean and up to date (checkout): • nothing to do, 1s
    - 23:00:59 2. Publish the drafted catalog release (publish): ✔ done, 41s
    - 23:01:40 3. The release's Docker image is on GHCR (image): • nothing to do, 46s
    - 23:02:27 4. 🔒 Bump the catalog version in the infrastructure repository (bump): ✔ done, 1s
    - 23:02:28 5. Set running_dags_cleared to true (flag): ✔ done, 1s
    - 23:02:29 6. 🔒 Plan and apply with Terraform (apply): ✘ failed: terraform: apply: InsufficientInstanceCapacity in us-east-1a, 1m 29s
    - --:--:-- 7. Ist die Produktion gesund? 本番は正常ですか 🚀 (health): not reached

    ## Gates

    - 23:01:37 publish: yes, at the terminal (digest 0123456789ab)
    - 23:02:57 apply: yes, by --approve (digest 0123456789ab)

    ## Changes

    - 23:01:38 publish catalog-2024.09.09.23.00.57: done
    - 23:02:27 bump docker_image_tag to rel-2: done
    - 23:02:28 set running_dags_cleared to true: done
    - 23:02:58 apply the plan 0123456789ab: took no effect: terraform exited 1

    ## Changed only for the deploy

    - 23:02:27 docker_image_tag in environments/prod/catalog-airflow.tf: could not be given back: somebody edited the line
    - 23:02:28 running_dags_cleared in environments/prod/catalog-airflow.tf: given back 23:03:59: running_dags_cleared is false again

    ## Known

    - image: rel-2024.09.09.23.00.57 sha256:feed
    - Airflow: 2.10.1

    ## What went wrong

    - could not apply the plan: InsufficientInstanceCapacity in us-east-1a
    - still held: docker_image_tag in environments/prod/catalog-airflow.tf, now "rel-2", before "rel-1" (in /src/infra on laptop)
    - next: `catalog-deploy resume 2024-09-09-adal`
    - next: `catalog-deploy restore 2024-09-09-adal`
    - Consider this a Production Incident and notify the team.
    "#);
}

#[test]
fn a_run_whose_process_died_names_the_way_on() {
    let events = &failing()[..30];
    let text = render(events, Some(INCIDENT), Format::Text, 80);
    assert!(text.contains("result: not finished, or its process died"), "{text}");
    assert!(text.contains("apply the plan 0123456789ab: begun, and its end was not recorded"), "{text}");
    assert!(text.ends_with("next: catalog-deploy restore 2024-09-09-adal\n"), "{text}");
    assert!(!text.contains(INCIDENT));
}

#[test]
fn a_resumed_and_closed_run() {
    let mut events = failing();
    events.push(stamped(900, Event::RunResumed { who: "grace".into(), host: "desk".into() }));
    events.push(stamped(901, Event::GivenBack { held: "bump/version".into(), how: "put back by hand".into() }));
    events.push(stamped(902, Event::RunClosed { why: "restored".into() }));
    let text = render(&events, None, Format::Text, 80);
    assert!(text.contains("gone on with: grace on desk, 2024-09-09 23:15:57 UTC"), "{text}");
    assert!(text.contains("closed: restored"), "{text}");
    assert!(!text.contains("still held"), "{text}");
    assert!(!text.contains("next: "), "{text}");
}

#[test]
fn outside_text_is_no_markup() {
    let events = [
        stamped(0, started(Mode::Deploy)),
        stamped(1, Event::Warned { text: "[click](http://evil) `x` <script>".into() }),
    ];
    let text = render(&events, None, Format::Markdown, 80);
    assert!(text.contains(r"\[click\](http://evil) \`x\` \<script\>"), "{text}");
}

#[test]
fn a_failed_run_as_an_incident_summary() {
    insta::assert_snapshot!(super::incident::render(&failing(), Some(INCIDENT)), @r#"
    # Incident summary: Deploy the catalog to production (run 2024-09-09-adal)

    - what happened: could not apply the plan: InsufficientInstanceCapacity in us-east-1a
    - result: not-given-back (exit 9)
    - began 2024-09-09 23:00:57 UTC, ended 2024-09-09 23:04:00 UTC
    - duration: 3m 03s
    - by: ada on laptop
    - old tag: not known
    - new tag: rel-2024.09.09.23.00.57
    - apply: not done
    - plan: digest 0123456789ab
    - severity: to be set by a person

    ## Timeline (UTC)

    - 23:00:58 checkout: nothing to do, 1s
    - 23:01:37 publish answered yes, at the terminal, after 37s
    - 23:01:38 change: publish catalog-2024.09.09.23.00.57: done
    - 23:01:40 publish: done, 41s
    - 23:02:26 image: nothing to do, 46s
    - 23:02:27 change: bump docker_image_tag to rel-2: done
    - 23:02:28 bump: done, 1s
    - 23:02:28 change: set running_dags_cleared to true: done
    - 23:02:29 flag: done, 1s
    - 23:02:57 apply answered yes, by --approve, after 27s
    - 23:02:58 change: apply the plan 0123456789ab: took no effect: terraform exited 1
    - 23:03:58 apply: failed: terraform: apply: InsufficientInstanceCapacity in us-east-1a, 1m 29s

    ## Held now

    - docker_image_tag in environments/prod/catalog-airflow.tf, now "rel-2", before "rel-1" (in /src/infra on laptop)
    - paused DAGs: none

    ## Overrides

    - at the start: the tasks of DAG batched_update may be killed: agreed with Grace

    ## Commands that help now

    - next: `catalog-deploy resume 2024-09-09-adal`
    - next: `catalog-deploy restore 2024-09-09-adal`
    - next: `catalog-deploy status prod`
    - next: `catalog-deploy show 2024-09-09-adal`

    ## Procedure

    - Consider this a Production Incident and notify the team.
    "#);
}

/// Nothing is invented of a run that has only begun, and outside text stays text.
#[test]
fn a_run_that_only_began_as_an_incident_summary() {
    let summary = super::incident::render(&failing()[..1], None);
    assert!(summary.contains("has not finished, or its process died"), "{summary}");
    assert!(summary.contains("old tag: not known") && summary.contains("apply: not done"), "{summary}");
    assert!(super::incident::render(&[], None).contains("whose beginning is missing"));
}
