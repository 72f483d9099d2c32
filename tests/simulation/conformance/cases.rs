//! What every set of adapters must do, written once over their traits.

use std::sync::Arc;

use catalog_deploy::adapters::ServiceError;
use catalog_deploy::adapters::checkout::{Arguments, Location, Planned};
use catalog_deploy::adapters::github::{NewPullRequest, Release, RunFilter};
use catalog_deploy::adapters::lock::{LockRecord, Taken};
use catalog_deploy::adapters::process::{Exit, LineSink, Traces};
use jiff::Timestamp;
use tokio::sync::watch;

use super::{Bench, Case, until};
use crate::world::github::OPENVERSE;

const INFRASTRUCTURE: &str = "WordPress/openverse-infrastructure";
const IMAGE: &str = "wordpress/openverse-catalog";
const REFRESH: &str = "image_data_refresh";

macro_rules! list {
    ($($case:ident),* $(,)?) => { [$((stringify!($case), (|bench| Box::pin($case(bench))) as Case)),*] };
}

pub const QUIET: [(&str, Case); 15] = list![
    dags_are_paused_and_unpaused,
    what_runs_is_listed,
    an_unknown_dag_is_not_found,
    the_flag_is_set_and_no_other_byte,
    the_lock_is_taken_once_and_freed_by_its_holder_only,
    two_who_want_the_lock_at_once,
    the_lock_is_replaced_by_whoever_knows_its_commit,
    an_unknown_release_is_refused,
    publishing_is_read_back_and_starts_the_workflow,
    the_image_tag_appears,
    the_changelog_is_approved_at_its_commit,
    the_bump_writes_the_newest_tag_and_no_other_byte,
    an_apply_takes_effect_and_leaves_its_exit_code,
    a_saved_plan_is_applied_once,
    the_bump_is_pushed_and_its_pull_request_opened_once,
];
pub const PUBLISH_LOST: [(&str, Case); 1] = list![a_lost_answer_is_looked_up];
pub const APPLY_FAILS: [(&str, Case); 1] = list![a_failing_apply_leaves_its_exit_code];

fn at(attribute: &str) -> Location {
    let block = vec!["module".to_owned(), "catalog-airflow".to_owned()];
    Location { file: "environments/prod/catalog-airflow.tf".into(), block, attribute: attribute.into() }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn quiet() -> LineSink {
    Arc::new(|_: &str| ())
}

async fn draft(bench: &Bench) -> Release {
    let releases = bench.github.releases(OPENVERSE).await.unwrap();
    releases.into_iter().find(|release| release.draft && release.tag_name.starts_with("catalog-")).unwrap()
}

async fn dags_are_paused_and_unpaused(bench: &Bench) {
    for paused in [true, true, false] {
        assert_eq!(bench.airflow.set_paused(REFRESH, paused).await.unwrap().is_paused, paused);
        assert_eq!(bench.airflow.dag(REFRESH).await.unwrap().is_paused, paused);
    }
    let log = bench.airflow.pause_log(REFRESH).await.unwrap();
    let log: Vec<_> = log.iter().map(|entry| (entry.paused, entry.ours)).collect();
    assert_eq!(log, [(false, Some(true)), (true, Some(true)), (true, Some(true))]);
    assert_eq!(bench.airflow.pause_log("flickr_workflow").await.unwrap(), []);
}

async fn what_runs_is_listed(bench: &Bench) {
    assert!(bench.airflow.activity().await.unwrap().runs.is_empty());
    (bench.start_refresh)();
    let activity = bench.airflow.activity().await.unwrap();
    assert_eq!(activity.runs.iter().map(|run| run.dag_id.as_str()).collect::<Vec<_>>(), [REFRESH]);
    assert_eq!(activity.tasks[0].operator.as_deref(), Some("HttpSensor"));
    assert_eq!(activity.tasks[0].run_id, activity.runs[0].run_id);
}

async fn an_unknown_dag_is_not_found(bench: &Bench) {
    assert!(bench.airflow.dag("no_such_dag").await.unwrap_err().not_found());
    assert!(bench.airflow.set_paused("no_such_dag", true).await.unwrap_err().surely_refused());
}

async fn the_flag_is_set_and_no_other_byte(bench: &Bench) {
    let flag = at("running_dags_cleared");
    let before = bench.checkout.read(&flag.file).await.unwrap();
    let blank = [flag.clone(), at("docker_image_tag")];
    let fingerprint = bench.checkout.fingerprint(&blank).await.unwrap();
    assert_eq!(bench.checkout.tree().set_attribute(&flag, "true").await.unwrap(), "false");
    assert_eq!(bench.checkout.attribute(&flag).await.unwrap().literal, "true");
    assert_eq!(bench.checkout.standing().await.unwrap().dirty, vec![flag.file.clone()]);
    assert_eq!(bench.checkout.fingerprint(&blank).await.unwrap(), fingerprint);
    let set = String::from_utf8(bench.checkout.read(&flag.file).await.unwrap()).unwrap();
    assert_eq!(set.matches("= true").count(), 1, "{set}");
    assert_eq!(bench.checkout.tree().set_attribute(&flag, "false").await.unwrap(), "true");
    assert_eq!(bench.checkout.read(&flag.file).await.unwrap(), before);
    assert!(bench.checkout.standing().await.unwrap().dirty.is_empty());
}

fn record(run: &str) -> LockRecord {
    LockRecord {
        run: run.into(),
        runbook: "prod".into(),
        who: "ada".into(),
        host: "laptop".into(),
        step: None,
        taken_at: Timestamp::UNIX_EPOCH,
        heartbeat_at: Timestamp::UNIX_EPOCH,
        nonce: String::new(),
    }
}

async fn the_lock_is_taken_once_and_freed_by_its_holder_only(bench: &Bench) {
    let lock = bench.lock.as_ref();
    assert_eq!(lock.holder().await.unwrap(), None);
    let Taken::Ours(ours) = lock.take(&record("one")).await.unwrap() else { panic!("a free lock") };
    assert_eq!(lock.holder().await.unwrap().unwrap(), ours);
    let Taken::Theirs(seen) = lock.take(&record("two")).await.unwrap() else { panic!("a lock taken twice") };
    assert_eq!((seen.record.run.as_str(), &seen.commit), ("one", &ours.commit));
    let other = "0123456789abcdef0123456789abcdef01234567";
    assert!(!lock.free(other).await.unwrap());
    assert_eq!(lock.holder().await.unwrap().unwrap().commit, ours.commit);
    assert!(lock.free(&ours.commit).await.unwrap());
    assert_eq!(lock.holder().await.unwrap(), None);
    assert!(!lock.free(&ours.commit).await.unwrap());
}

async fn two_who_want_the_lock_at_once(bench: &Bench) {
    let (one, two) = (record("one"), record("two"));
    let (one, two) = tokio::join!(bench.lock.take(&one), bench.lock.take(&two));
    let ours: Vec<_> = [one.unwrap(), two.unwrap()]
        .into_iter()
        .filter_map(|taken| match taken {
            Taken::Ours(state) => Some(state),
            Taken::Theirs(_) => None,
        })
        .collect();
    let [winner] = ours.as_slice() else { panic!("{} have taken it", ours.len()) };
    assert!(bench.lock.free(&winner.commit).await.unwrap());
}

/// How a rollback puts its name on the lock of the run that it takes over.
async fn the_lock_is_replaced_by_whoever_knows_its_commit(bench: &Bench) {
    let lock = bench.lock.as_ref();
    let Taken::Ours(one) = lock.take(&record("one")).await.unwrap() else { panic!("a free lock") };
    let Taken::Ours(two) = lock.replace(&one.commit, &record("two")).await.unwrap() else { panic!("its own commit") };
    assert_eq!((two.record.run.as_str(), lock.holder().await.unwrap().unwrap()), ("two", two.clone()));
    let Taken::Theirs(seen) = lock.replace(&one.commit, &record("three")).await.unwrap() else {
        panic!("replaced twice")
    };
    assert_eq!(seen.record.run, "two");
    assert!(!lock.free(&one.commit).await.unwrap());
    assert!(lock.free(&two.commit).await.unwrap());
    let freed = lock.replace(&two.commit, &record("four")).await.unwrap_err();
    assert!(freed.surely_refused(), "{freed}");
    assert_eq!(lock.holder().await.unwrap(), None);
}

async fn an_unknown_release_is_refused(bench: &Bench) {
    let error = bench.github.publish_release(OPENVERSE, 999_999_999, "catalog-x").await.unwrap_err();
    assert!(error.surely_refused() && error.not_found(), "{error}");
    assert!(draft(bench).await.draft);
}

async fn publishing_is_read_back_and_starts_the_workflow(bench: &Bench) {
    let draft = draft(bench).await;
    let published = bench.github.publish_release(OPENVERSE, draft.id, &draft.tag_name).await.unwrap();
    assert!(!published.draft && published.published_at.is_some());
    let read = bench.github.release(OPENVERSE, draft.id).await.unwrap();
    assert_eq!((read.draft, &read.tag_name), (false, &draft.tag_name));
    let filter = RunFilter { event: Some("release".into()), ..RunFilter::default() };
    until("the tagging workflow runs", async || {
        let runs = bench.github.workflow_runs(OPENVERSE, crate::world::github::TAG_WORKFLOW, &filter).await.unwrap();
        runs.iter().any(|run| run.head_branch.as_deref() == Some(&draft.tag_name))
    })
    .await;
}

async fn newest(bench: &Bench) -> Release {
    let releases = bench.github.releases(OPENVERSE).await.unwrap();
    let ours = releases.into_iter().filter(|release| !release.draft && release.tag_name.starts_with("catalog-"));
    ours.max_by(|a, b| a.tag_name.cmp(&b.tag_name)).unwrap()
}

async fn the_image_tag_appears(bench: &Bench) {
    let tag = newest(bench).await.tag_name.replace("catalog-", "rel-");
    until("the tag is on the registry", async || bench.registry.digest(IMAGE, &tag).await.unwrap().is_some()).await;
    let (tagged, latest) = (bench.registry.manifest(IMAGE, &tag).await.unwrap().unwrap(), "latest");
    let latest = bench.registry.manifest(IMAGE, latest).await.unwrap().unwrap();
    assert_eq!(tagged.contents, latest.contents);
    assert!(bench.registry.tags(IMAGE).await.unwrap().contains(&tag));
    let by_digest = bench.registry.environment(IMAGE, &tagged.digest).await.unwrap();
    assert!(by_digest.iter().any(|(key, _)| key == "AIRFLOW_VERSION"));
    assert_eq!(bench.registry.manifest(IMAGE, "rel-no-such-tag").await.unwrap(), None);
}

async fn the_changelog_is_approved_at_its_commit(bench: &Bench) {
    let branch = format!("changelog/{}", newest(bench).await.tag_name);
    let pulls = async || bench.github.pull_requests_of_branch(OPENVERSE, &branch).await.unwrap();
    until("the changelog is open", async || !pulls().await.is_empty()).await;
    let pull = pulls().await.remove(0);
    assert!(bench.github.reviews(OPENVERSE, pull.number).await.unwrap().is_empty());
    bench.github.approve_pull_request(OPENVERSE, pull.number, &pull.head_sha, "").await.unwrap();
    let reviews = bench.github.reviews(OPENVERSE, pull.number).await.unwrap();
    let viewer = bench.github.viewer().await.unwrap();
    let review = &reviews[0];
    assert_eq!((&review.user, review.state.as_str(), &review.commit_id), (&viewer, "APPROVED", &Some(pull.head_sha)));
}

async fn the_bump_writes_the_newest_tag_and_no_other_byte(bench: &Bench) {
    let version = at("docker_image_tag");
    let before = String::from_utf8(bench.checkout.read(&version.file).await.unwrap()).unwrap();
    let prior = bench.checkout.attribute(&version).await.unwrap().literal;
    let tree = bench.checkout.tree();
    let bump = words("just bump prod catalog-airflow");
    let (code, output) = tree.run(&bump, quiet()).await.unwrap();
    assert_eq!(code, Some(0), "{output}");
    let wanted = format!("\"{}\"", newest(bench).await.tag_name.replace("catalog-", "rel-"));
    assert_eq!(tree.attribute(&version).await.unwrap().literal, wanted);
    assert_eq!(tree.changed().await.unwrap(), vec![version.file.clone()]);
    let after = String::from_utf8(tree.read(&version.file).await.unwrap()).unwrap();
    assert_eq!(after, before.replacen(&prior, &wanted, 1));
}

fn traces(bench: &Bench, number: u32) -> Traces {
    let file = |kind: &str| bench.workspace.join(format!("apply.{number}.{kind}"));
    Traces { output: file("output"), exit: file("exit") }
}

/// Plans in the checkout and applies what was planned.
async fn plan_and_apply(bench: &Bench, number: u32) -> (Planned, Result<Exit, ServiceError>) {
    let file = bench.workspace.join("apply.tfplan");
    let plan = words("just plan prod catalog-airflow");
    let planned = bench.checkout.plan(&plan, &file, quiet()).await.unwrap();
    let mut argv = words("just apply prod catalog-airflow");
    assert_eq!(bench.checkout.arguments(&argv).await.unwrap(), Arguments::Takes);
    argv.push(file.display().to_string());
    let (_keep, stop) = watch::channel(false);
    let recorded = bench.checkout.apply(&argv, &traces(bench, number), quiet(), stop).await;
    (planned, recorded.map(|recorded| recorded.exit))
}

/// The number that Terraform raises with every change of its state.
async fn serial(bench: &Bench) -> u64 {
    let state = bench.checkout.output(&words("terraform -chdir=environments/prod state pull")).await.unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    state["serial"].as_u64().unwrap()
}

async fn an_apply_takes_effect_and_leaves_its_exit_code(bench: &Bench) {
    let (flag, plan) = (at("running_dags_cleared"), words("just plan prod catalog-airflow"));
    let file = bench.workspace.join("early.tfplan");
    let early = bench.checkout.plan(&plan, &file, quiet()).await.unwrap();
    assert!(matches!(early, Planned::Failed { code: Some(1), .. }), "with the flag false: {early:?}");
    bench.checkout.tree().set_attribute(&flag, "true").await.unwrap();
    let before = serial(bench).await;
    assert_eq!(serial(bench).await, before, "looking changes nothing");
    let (planned, exit) = plan_and_apply(bench, 1).await;
    assert!(serial(bench).await > before);
    let Planned::Ready(planned) = planned else { panic!("{planned:?}") };
    assert!(planned.changes.iter().any(|change| change.actions == "delete/create"), "{planned:?}");
    assert_eq!(exit.unwrap(), Exit::Code(0));
    let again = bench.commands.wait_recorded(&traces(bench, 1), quiet()).await.unwrap();
    assert_eq!(again, Some(Exit::Code(0)));
    let copy = bench.checkout.scratch().await.unwrap();
    let Planned::Ready(left) = copy.plan(&plan, &bench.workspace.join("left.tfplan"), quiet()).await.unwrap() else {
        panic!("no plan")
    };
    assert!(left.changes.is_empty(), "{left:?}");
}

/// The state has moved since, so the plan that was applied is stale.
async fn a_saved_plan_is_applied_once(bench: &Bench) {
    let mut argv = words("just apply prod catalog-airflow");
    argv.push(bench.workspace.join("apply.tfplan").display().to_string());
    let (_keep, stop) = watch::channel(false);
    let recorded = bench.checkout.apply(&argv, &traces(bench, 2), quiet(), stop).await.unwrap();
    assert_ne!(recorded.exit, Exit::Code(0));
    bench.checkout.tree().set_attribute(&at("running_dags_cleared"), "false").await.unwrap();
    let never = bench.commands.wait_recorded(&traces(bench, 9), quiet()).await.unwrap();
    assert_eq!(never, None, "a child that was never started");
}

async fn the_bump_is_pushed_and_its_pull_request_opened_once(bench: &Bench) {
    let (version, flag, branch) = (at("docker_image_tag"), at("running_dags_cleared"), "catalog-deploy/rel-x");
    let wanted = bench.checkout.attribute(&version).await.unwrap().literal;
    let new = NewPullRequest {
        title: "Deploy catalog".into(),
        body: String::new(),
        head: branch.into(),
        base: "main".into(),
    };
    let early = bench.github.open_pull_request(INFRASTRUCTURE, &new).await.unwrap_err();
    assert!(early.surely_refused(), "a pull request without its branch: {early}");
    assert_eq!(bench.checkout.remote_branch(branch).await.unwrap(), None);
    bench.checkout.push_version(branch, &version, &wanted, "Deploy catalog").await.unwrap();
    let pushed =
        |at: Location| async move { bench.checkout.remote_attribute(branch, &at).await.unwrap().unwrap().literal };
    assert_eq!((pushed(version.clone()).await, pushed(flag).await), (wanted.clone(), "false".to_owned()));
    let on_main = bench.checkout.remote_attribute("main", &version).await.unwrap().unwrap().literal;
    assert_ne!(on_main, wanted);
    let opened = bench.github.open_pull_request(INFRASTRUCTURE, &new).await.unwrap();
    let again = bench.github.open_pull_request(INFRASTRUCTURE, &new).await.unwrap_err();
    assert!(again.surely_refused(), "a second one: {again}");
    let open = bench.github.pull_requests_of_branch(INFRASTRUCTURE, branch).await.unwrap();
    assert_eq!(open.iter().map(|pull| pull.number).collect::<Vec<_>>(), [opened.number]);
    let files = bench.github.pull_request_files(INFRASTRUCTURE, opened.number).await.unwrap();
    assert_eq!((files.len(), files[0].additions, files[0].deletions), (1, 1, 1));
    assert_eq!(files[0].filename, version.file);
}

async fn a_lost_answer_is_looked_up(bench: &Bench) {
    let draft = draft(bench).await;
    let error = bench.github.publish_release(OPENVERSE, draft.id, &draft.tag_name).await.unwrap_err();
    assert!(!error.surely_refused(), "{error}");
    assert!(!bench.github.release(OPENVERSE, draft.id).await.unwrap().draft, "it took effect");
}

async fn a_failing_apply_leaves_its_exit_code(bench: &Bench) {
    let older = "\"rel-2024.06.13.17.07.54\"";
    bench.checkout.tree().set_attribute(&at("docker_image_tag"), older).await.unwrap();
    bench.checkout.tree().set_attribute(&at("running_dags_cleared"), "true").await.unwrap();
    let (planned, exit) = plan_and_apply(bench, 1).await;
    assert!(matches!(planned, Planned::Ready(_)), "{planned:?}");
    assert_eq!(exit.unwrap(), Exit::Code(1));
    assert_eq!(bench.commands.wait_recorded(&traces(bench, 1), quiet()).await.unwrap(), Some(Exit::Code(1)));
}
