use super::*;
use crate::runbook::load::{Source, load};

fn loaded(name: &str, text: &str) -> Loaded {
    load(name, Source::BuiltIn, text).unwrap_or_else(|problems| panic!("{}", problems.render(false)))
}

#[test]
fn prod_reads_as_a_document() {
    let text = render(&loaded("prod", include_str!("../../../runbooks/prod.toml")));
    let body = text.split("\n---\n").next().unwrap();
    insta::assert_snapshot!(body, @"
    # Deploy the catalog to production

    The catalog (Airflow) exists only in production; there is no staging. A service deployment is needed when the Docker
    image, an environment variable or the infrastructure changed. Changes to DAG code alone need none: they reach production
    by dag-sync once they are merged.

    Run it with `catalog-deploy prod`. `catalog-deploy prod --dry-run` reads everything, shows what would be done, and changes nothing. Every step looks first and is skipped where all is as wanted already.

    🔒 marks a step that needs infrastructure access: it is for core maintainers who have it.

    A gate shows what a step is about to do and asks before it does it. Gates of this runbook: `publish`, `bump`, `apply`, `changelog`, `pull-request`. Without a terminal each needs its answer beforehand, as `--approve GATE`.

    ## What it works with

    - Environment: `prod`.
    - Lock: `refs/catalog-deploy/lock/openverse-catalog-prod`, a ref on the infrastructure repository's remote. One run at a time; whoever comes second is told who holds it.
    - Versions: the release `catalog-YYYY.MM.DD.HH.MM.SS` becomes the image tag `rel-YYYY.MM.DD.HH.MM.SS`.
    - GitHub: `WordPress/openverse`, branch `main`.
    - Images: `wordpress/openverse-catalog` on https://ghcr.io.
    - Airflow: https://airflow.openverse.engineering.
    - Slack: progress is told in #openverse-alerts.
    - Infrastructure: `WordPress/openverse-infrastructure`, branch `main`, Terraform in `environments/prod`.
    - Version: `docker_image_tag` of `module.catalog-airflow` in `environments/prod/catalog-airflow.tf`.

    ## Steps

    ### 1. 🔒 Nobody else deploys

    Takes the lock, or tells who holds it. `--lock-wait DURATION` waits for it.

    - Freed last, on every way out of the run.
    - Where a run died in it: the ref on the remote names its run.

    ### 2. The infrastructure checkout is clean and up to date

    The checkout of `WordPress/openverse-infrastructure` is clean, on `main` and not behind `origin`. `running_dags_cleared` of `module.catalog-airflow` in `environments/prod/catalog-airflow.tf` is `false`: were it true, the last deployment forgot it. A version bump whose pull request is not merged yet is told.

    - Changes nothing.

    ### 3. No DAG is running in Airflow

    No DAG run is running or queued in Airflow. At least one of the DAGs `image_data_refresh`, `production_image_data_refresh` or `production_elasticsearch_cluster_healthcheck` must be visible, or “nothing runs” would mean nothing.

    The exception: `image_data_refresh`, `audio_data_refresh`, `production_image_data_refresh`, `production_audio_data_refresh`, `staging_image_data_refresh` or `staging_audio_data_refresh` may run while **every** active task of theirs is waiting in `HttpSensor` or `TemplatedConnectionHttpSensor`.

    Short runs of `production_elasticsearch_cluster_healthcheck` or `staging_elasticsearch_cluster_healthcheck` are waited for, 2m at most.

    `--wait DURATION` lets the others finish. `--override DAG=REASON` deploys over one DAG, whose tasks are killed; the reason is recorded.

    > The image and audio refreshes may run, but only while they wait on an HttpSensor.

    - Changes nothing.

    ### 4. Publish the drafted catalog release

    Finds the drafted release, shows its notes and what it would release. A draft with no change is refused without `--allow-empty-release`.

    Before it asks, no run of `ci_cd.yml` may be pending that can still move `latest`, by its job `Publish Docker images (catalog)`, (waits 30m at most), and `latest` must be the image of the newest build that touched `catalog`, `docker/minio`, `docker/upstream_db` or `docker-compose.yml`: publishing tags whatever `latest` is at that moment, through `tag_docker_image_and_trigger_deployment.yml`. `--override latest=REASON` publishes another one.

    Runs of `draft_releases.yml` and of `tag_docker_image_and_trigger_deployment.yml` that are not completed are waited for before the question, and again after the answer: they rewrite releases.

    The question says how far `latest` is from the image that runs, and whether `catalog/Dockerfile`, `catalog/requirements-prod.txt`, `catalog/entrypoint.sh` or `catalog/variables.tsv` changed.

    After the answer the draft is read again, published, and seen to stay published.

    - Belongs to releasing a new version: a run with `--tag` skips it.
    - Gate `publish`: asks before it acts. To answer beforehand: `--approve publish`.
    - **Cannot be taken back.** A published release is followed by a better one, never by the same again.
    - Where a run died in it: the release is looked up by the id that was approved.

    ### 5. Adjust monitoring for the deployment

    If the changes in the notes touch what is monitored, adjust the alerts for the time of the deployment.

    A note to whoever deploys.

    - Belongs to releasing a new version: a run with `--tag` skips it.
    - What a person did, a person takes back.

    ### 6. The release's Docker image is on GHCR

    Waits until the registry has the image tag, 30m at most, asking every 15s. Watches `tag_docker_image_and_trigger_deployment.yml` meanwhile, so that its failure is told at once. Refuses the previous image under a new name, and keeps the digest.

    - Changes nothing.

    ### 7. 🔒 Bump the catalog version in the infrastructure repository

    Runs `just bump prod catalog-airflow`, which picks the newest tag. A rollback writes `docker_image_tag` of `module.catalog-airflow` in `environments/prod/catalog-airflow.tf` directly. Afterwards nothing but that version may differ in the file, and it must be exactly the wanted tag.

    - Gate `bump`: asks before it acts. To answer beforehand: `--approve bump`.
    - Put back if the run ends before the apply begins. From then on it stays, until its pull request is merged.
    - Where a run died in it: the attribute is read; what is neither the earlier value nor ours is left alone.

    ### 8. Note how production looks before the deployment

    Notes Airflow's version and its import errors. The checks after the deployment compare with it.

    - Changes nothing.

    ### 9. Still no DAG is running; pause the refreshes that wait

    Judges the DAGs again, since some time has passed. A refresh that waits is paused and read once more: one that has moved on meanwhile is unpaused and waited for.

    - The DAGs it paused are unpaused by step 13, and on every other way out of the run. One that was paused before, or that somebody else pauses meanwhile, stays paused.
    - Where a run died in it: the DAG in doubt is looked at, and Airflow's audit log says who paused it; where it does not tell, you are asked.

    ### 10. Set running_dags_cleared to true

    Sets `running_dags_cleared` of `module.catalog-airflow` in `environments/prod/catalog-airflow.tf` to `true` in the checkout, and leaves every other byte as it is.

    - The flag is put back by step 12, and on every other way out of the run.
    - Where a run died in it: the attribute is read; what is neither the earlier value nor ours is left alone.

    ### 11. 🔒 Plan and apply with Terraform

    Plans with `just plan prod catalog-airflow`, judges the plan, shows a summary of it, asks, checks every guard again, and applies with `just apply prod catalog-airflow`.

    What is applied is the saved plan that was approved, where the recipe takes it as an argument. Where it does not, apply runs attached to the terminal and Terraform's own prompt decides, which is not bound to what was approved.

    The recipe targets one module, so Terraform calls every plan incomplete. That is normal here.

    Expected changes, which need a plain yes. Anything more needs the environment's name typed:

    - `module.catalog-airflow.*.instance`: `delete/create` or `create/delete`
    - `module.catalog-airflow.*.user_data`: `update`, `delete/create` or `create/delete`

    > Verify the plan before deploying.

    - Gate `apply`: asks before it acts. To answer beforehand: `--approve apply`, which answers only a plan that holds nothing but the expected changes. Anything more needs `--approve apply@DIGEST` with the digest of that plan.
    - **Cannot be taken back.** Rolling back means applying an earlier tag.
    - Where a run died in it: a command that still runs is waited for, by its recorded exit code; then a plan in a scratch copy tells whether the apply landed.

    ### 12. Restore running_dags_cleared to false

    Puts `running_dags_cleared` of `module.catalog-airflow` in `environments/prod/catalog-airflow.tf` back to what it was (see step 10). What somebody else has changed meanwhile is left alone.

    - It gives back; there is nothing to take back.

    ### 13. Unpause the refreshes after the first heartbeat

    Unpauses the DAGs that this run paused, and no other (see step 9). What somebody else has changed meanwhile is left alone. Waits first, 15m at most, until a scheduler newer than the apply beats.

    - It gives back; there is nothing to take back.

    ### 14. Production is healthy

    Airflow answers with a scheduler newer than the apply (15m at most to boot, counted from the apply), its version is the image's, and there is no new import error. It is checked once, as soon as it has booted. The answer is healthy, unhealthy or inconclusive; if production is unhealthy, you are offered the rollback at once.

    - Changes nothing.

    ### 15. No new alerts in #openverse-alerts

    As far as public sources show, the catalog reports failing DAGs to Slack, not to Sentry. Look at https://wordpress.slack.com/app_redirect?channel=openverse-alerts.

    You are asked whether all is well. This cannot be answered beforehand; where no one is there, it is listed as left to do, and the exit code does not change.

    - Changes nothing.

    ### 16. Review and approve the changelog pull request

    Waits for the pull request of the branch `changelog/{git_tag}` (15m at most), shows it, asks, and approves exactly the commit that was shown.

    - Belongs to releasing a new version: a run with `--tag` skips it.
    - Gate `changelog`: asks before it acts. To answer beforehand: `--approve changelog`.
    - **Cannot be taken back** by this program: dismiss the review on GitHub.
    - Where a run died in it: our own reviews of that very commit are listed.

    ### 17. 🔒 Open the infrastructure pull request with the version bump

    Pushes the version bump alone as `catalog-deploy/{tag}` and opens the pull request “Deploy catalog {tag} to production” in `WordPress/openverse-infrastructure`. The branch of the checkout stays as it is. A pull request that is open already is reused.

    - Gate `pull-request`: asks before it acts. To answer beforehand: `--approve pull-request`.
    - **Cannot be taken back** by this program: close the pull request on GitHub.
    - Where a run died in it: the branch and its pull request are looked up.

    ### 18. Production stays healthy

    Airflow answers with a scheduler newer than the apply (15m at most to boot, counted from the apply), its version is the image's, and there is no new import error. It must stay so for 10m, counted from the first moment at which all was well. The answer is healthy, unhealthy or inconclusive; if production is unhealthy, you are offered the rollback at once.

    - Changes nothing.

    ### 19. Undo the adjusted monitoring

    If you adjusted alerts for the time of the deployment, set them back.

    A note to whoever deploys.

    - Belongs to releasing a new version: a run with `--tag` skips it.
    - What a person did, a person takes back.

    ## Rolling back

    `catalog-deploy prod --tag rel-YYYY.MM.DD.HH.MM.SS` deploys an earlier image tag on the same path with the same gates: take the newest one that was really deployed before the bad one. It skips what belongs to a release: `publish`, `monitoring`, `changelog`, `monitoring-back`. The tag is checked on the registry first. DAG code is not rolled back: it follows the main branch. Across Airflow versions the database has been upgraded meanwhile, so that asks for an extra confirmation.

    ## Inferred, not documented

    Check these against what you know, and correct the runbook.

    - `infrastructure.version.attribute` (2023-2024): the attribute's name is public for 2022 only, from before `just bump` existed
    - `infrastructure.flag` (2023-2024): the flag is public; that a plan fails while it is false is taken from how the runbook handles it
    - `infrastructure.plan` (2023-2024): `just plan` is public for 2022; later pages name `just apply` alone
    - `infrastructure.state` (2022-2024): Terraform is taken to be run in the folder of the module's file, without a workspace
    - `infrastructure.targets` (2022-2024): the recipes take a module's name, so they are taken to target it
    - `infrastructure.expect` (2022-2024): a changed user data replaces the EC2 instance; the module's resources are not public
    - `alerts` (2022-2024): the channel is public; the address that opens it is made from its name

    ## If something goes wrong

    `catalog-deploy status` tells what is deployed, who holds the lock and what is still open. `catalog-deploy resume` goes on with an interrupted run; `catalog-deploy restore` gives back what it still holds and closes it.

    **If anything else goes wrong or service is disrupted, consider this a Production Incident and notify the team.**
    ");
}

#[test]
fn kinds_that_prod_does_not_use() {
    let text = r#"
format = 1
title = "Everything else"
environment = "test"
lock = "test"
incident = "Tell the team."

[github]
repository = "a/b"

[airflow]
url = "https://airflow.example.org"
known_dag = ["x"]

[infrastructure]
repository = "a/infra"
directory = "."
plan = ["just", "plan"]
apply = ["just", "apply", "two words"]
apply_with = "terminal"
workspace = "w"

[infrastructure.version]
file = "x.tfvars"
attribute = "tag"

[[step]]
id = "checkout"
kind = "checkout-ready"
title = "Checkout"

[[step]]
id = "who"
kind = "identity"
title = "The right account"
command = ["aws", "sts", "get-caller-identity"]
expect = "123`4"

[[step]]
id = "dags"
kind = "dags-clear"
title = "DAGs"

[[step]]
id = "pin"
kind = "bump"
title = "Pin"
tag = "pin"

[[step]]
id = "warn"
kind = "shell"
title = "Put up the banner"
check = ["banner", "--is-up"]
run = ["banner", "up", "it's us"]
undo = ["banner", "down"]

[[step]]
id = "apply"
kind = "apply"
title = "Apply"
gate = true

[[step]]
id = "take-down"
kind = "give-back"
title = "Take the banner down"
of = "warn"

[[step]]
id = "tell"
kind = "shell"
title = "Tell"
gate = true
run = ["tell"]
"#;
    let text = render(&loaded("rest", text));
    insta::assert_snapshot!(text.split("\n---\n").next().unwrap(), @r#"
    # Everything else

    Run it with `catalog-deploy rest`. `catalog-deploy rest --dry-run` reads everything, shows what would be done, and changes nothing. Every step looks first and is skipped where all is as wanted already.

    A gate shows what a step is about to do and asks before it does it. Gates of this runbook: `apply`, `tell`. Without a terminal each needs its answer beforehand, as `--approve GATE`.

    ## What it works with

    - Environment: `test`.
    - Lock: `refs/catalog-deploy/lock/test`, a ref on the infrastructure repository's remote. One run at a time; whoever comes second is told who holds it.
    - GitHub: `a/b`, branch `main`.
    - Airflow: https://airflow.example.org.
    - Infrastructure: `a/infra`, branch `main`, Terraform in `.`.
    - Terraform workspace: `w`.
    - Version: `tag` in `x.tfvars`.

    ## Steps

    ### 1. 🔒 Nobody else deploys

    Takes the lock, or tells who holds it. `--lock-wait DURATION` waits for it.

    - Freed last, on every way out of the run.
    - Where a run died in it: the ref on the remote names its run.

    ### 2. Checkout

    The checkout of `a/infra` is clean, on `main` and not behind `origin`. The Terraform workspace `w` is selected. A version bump whose pull request is not merged yet is told.

    - Changes nothing.

    ### 3. The right account

    Runs `aws sts get-caller-identity` and refuses to go on unless ``123`4`` occurs in its output: this is the account that would be changed.

    - Changes nothing.

    ### 4. DAGs

    No DAG run is running or queued in Airflow. The DAG `x` must be visible, or “nothing runs” would mean nothing.

    `--wait DURATION` lets the others finish. `--override DAG=REASON` deploys over one DAG, whose tasks are killed; the reason is recorded.

    - Changes nothing.

    ### 5. Pin

    Writes the wanted tag to `tag` in `x.tfvars` directly. Afterwards nothing but that version may differ in the file, and it must be exactly the wanted tag.

    - Put back if the run ends before the apply begins. From then on it stays, until its pull request is merged.
    - Where a run died in it: the attribute is read; what is neither the earlier value nor ours is left alone.

    ### 6. Put up the banner

    Runs `banner up 'it'\''s us'` unless `banner --is-up` says that nothing is to be done.

    - Taken back with `banner down` by step 8, and on every other way out of the run.
    - Where a run died in it: a command that still runs is waited for; then `banner --is-up` tells.

    ### 7. Apply

    Plans with `just plan`, judges the plan, shows a summary of it, asks, checks every guard again, and applies with `just apply 'two words'`.

    Apply runs attached to the terminal and Terraform's own prompt decides, which is not bound to what was approved.

    No change is expected by itself: every plan with changes needs the environment's name typed.

    - Gate `apply`: asks before it acts. To answer beforehand: `--approve apply`, which answers only a plan that holds nothing but the expected changes. Anything more needs `--approve apply@DIGEST` with the digest of that plan.
    - **Cannot be taken back.** Rolling back means applying an earlier tag.
    - Where a run died in it: a command that still runs is waited for, by its recorded exit code; then a plan in a scratch copy tells whether the apply landed.

    ### 8. Take the banner down

    Runs `banner down` (see step 6). What somebody else has changed meanwhile is left alone.

    - It gives back; there is nothing to take back.

    ### 9. Tell

    Runs `tell`.

    - Gate `tell`: asks before it acts. To answer beforehand: `--approve tell`.
    - **Cannot be taken back.** The runbook names no command for it.
    - Where a run died in it: a command that still runs is waited for; exit code 0 tells that it took effect. Any other end only a person can judge, who is asked.

    ## Rolling back

    `catalog-deploy rest --tag YYYY.MM.DD.HH.MM.SS` deploys an earlier image tag on the same path with the same gates: take the newest one that was really deployed before the bad one. The tag is checked on the registry first. DAG code is not rolled back: it follows the main branch. Across Airflow versions the database has been upgraded meanwhile, so that asks for an extra confirmation.

    ## If something goes wrong

    `catalog-deploy status` tells what is deployed, who holds the lock and what is still open. `catalog-deploy resume` goes on with an interrupted run; `catalog-deploy restore` gives back what it still holds and closes it.

    **Tell the team.**
    "#);
}

#[test]
fn the_end_names_the_text_it_was_made_from() {
    let prod = loaded("prod", include_str!("../../../runbooks/prod.toml"));
    let end = render(&prod).lines().last().unwrap().to_owned();
    assert_eq!(end, format!("Rendered from `prod` (built in), SHA-256 {}.", prod.hash));
}
