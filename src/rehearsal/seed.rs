//! How a world looks at its start.

use jiff::{Timestamp, ToSpan};

use super::registry;
use super::shared::{BOT, Shared, VIEWER, commit};
use super::state::{Airflow, Commit, Dag, DagRun, Images, Instance, Release, SentryIssue, State, Task, WorkflowRun};
use super::timeline::TAG_WORKFLOW;
use super::{AirflowEdition, Fault, Options};

/// What is deployed when the world starts.
pub(super) const DEPLOYED_TAG: &str = "rel-2024.08.22.20.53.01";
/// Deploys that main remembers, oldest first: tag, time, author.
pub(super) const DEPLOYS: [(&str, &str, &str); 3] = [
    ("rel-2023.11.14.18.24.16", "2023-11-15T09:00:00Z", "A Colleague"),
    ("rel-2023.12.20.22.19.13", "2024-01-04T09:00:00Z", "A Maintainer"),
    (DEPLOYED_TAG, "2024-08-23T09:00:00Z", "A Colleague"),
];
/// The date of the drafted release.
pub(super) const DRAFT_DATE: &str = "2024.09.30.10.20.30";
const BUILD_WORKFLOW: &str = "ci_cd.yml";
/// Rewrites the drafted releases at every push to main.
pub(super) const DRAFT_WORKFLOW: &str = "draft_releases.yml";

/// Dates of the catalog's real releases. The second one's workflow broke half-way: it never got an image.
const CATALOG_DATES: [&str; 9] = [
    "2023.04.27.02.43.13",
    "2023.06.08.16.52.36",
    "2023.06.19.17.21.41",
    "2023.08.30.17.30.22",
    "2023.11.14.18.24.16",
    "2023.12.20.22.19.13",
    "2024.06.13.17.07.54",
    "2024.08.22.20.53.01",
    "2024.09.09.23.00.57",
];
const WITHOUT_IMAGE: &str = "2023.06.08.16.52.36";

const DRAFT_NOTES: &str = "## New Features\n\n\
    - Add the Auckland Museum provider (#4876) by @ngken0995\n\n\
    ## Improvements\n\n\
    - Bump Airflow to the next version (#4930) by @maintainer\n\
    - Retry reports of the data refresh (#4921) by @openverse-bot\n\n\
    ## Bug Fixes\n\n\
    - Wait for the filtered index before promoting (#4915) by @maintainer\n";
/// What release-drafter writes where nothing was merged.
const EMPTY_NOTES: &str = "* No changes\n";

/// The Airflow version of an image built at `date`.
pub(super) fn airflow_version(edition: AirflowEdition, date: &str) -> &'static str {
    match edition {
        AirflowEdition::V2 if date < "2023.05" => "2.5.3",
        AirflowEdition::V2 if date < "2024.06" => "2.7.0",
        AirflowEdition::V2 if date < "2024.08" => "2.9.1",
        AirflowEdition::V2 if date < "2024.09" => "2.9.3",
        AirflowEdition::V2 => "2.10.1",
        AirflowEdition::V3 if date < "2024.06" => "3.0.0",
        AirflowEdition::V3 if date < "2024.08" => "3.0.6",
        AirflowEdition::V3 if date < "2024.09" => "3.1.0",
        AirflowEdition::V3 => "3.1.8",
    }
}

/// `YYYY.MM.DD.HH.MM.SS` as a moment.
pub(super) fn moment(date: &str) -> Timestamp {
    let parts: Vec<&str> = date.split('.').collect();
    let text = match parts.as_slice() {
        [year, month, day, hour, minute, second] => format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"),
        _ => String::new(),
    };
    text.parse().unwrap_or(Timestamp::UNIX_EPOCH)
}

pub(super) fn state(options: &Options) -> State {
    let mut state = State {
        releases: Vec::new(),
        workflow_runs: Vec::new(),
        commits: commits(options),
        pulls: Vec::new(),
        images: images(options),
        airflow: airflow(options),
        issues: issues(),
        slack: Vec::new(),
        registry_tokens: Default::default(),
        timeline: Vec::new(),
        played: Default::default(),
        reads: 0,
        github_used: 0,
        next_id: 170_000_000 + options.seed % 1_000_000,
    };
    releases(&mut state, options);
    workflow_runs(&mut state, options);
    state
}

fn commits(options: &Options) -> Vec<Commit> {
    let commit = |label: &str, message: &str, date: &str, file: &str| Commit {
        sha: commit(options.seed, label),
        message: message.into(),
        at: moment(date),
        files: vec![file.into()],
    };
    let mut all = vec![
        // The newest commit touched no catalog path, so the newest image is of the one before.
        commit("head", "Fix the footer's links (#4941)", "2024.09.30.09.58.11", "frontend/src/footer.vue"),
        commit(
            "build",
            "Bump Airflow to the next version (#4930)",
            "2024.09.29.15.04.42",
            "catalog/requirements-prod.txt",
        ),
    ];
    for date in CATALOG_DATES.iter().rev() {
        all.push(commit(date, &format!("Change the catalog before {date}"), date, "catalog/dags/common/loader.py"));
    }
    all
}

fn images(options: &Options) -> Images {
    let mut images = Images::default();
    for date in CATALOG_DATES.into_iter().filter(|date| *date != WITHOUT_IMAGE) {
        let tags = [commit(options.seed, date)];
        // Older images are plain manifests; buildx made indexes of the newer ones.
        let indexed = date > "2023.09";
        registry::push(&mut images, date, airflow_version(options.airflow, date), indexed, &tags);
        registry::alias(&mut images, &tags[0], &format!("rel-{date}"));
    }
    let version = airflow_version(options.airflow, DRAFT_DATE);
    let build = commit(options.seed, "build");
    registry::push(&mut images, "build", version, true, &[build, "latest".into()]);
    if options.faults.contains(&Fault::LatestIsOlder) {
        let older = images.tags.get(&commit(options.seed, "2024.09.09.23.00.57")).cloned();
        images.tags.extend(older.map(|digest| ("latest".to_owned(), digest)));
    }
    images
}

fn releases(state: &mut State, options: &Options) {
    let mut add = |app: &str, date: &str, draft: bool, body: &str| {
        let at = moment(date);
        let id = state.id();
        state.releases.push(Release {
            id,
            tag_name: format!("{app}-{date}"),
            name: format!("{app}-{date}"),
            body: body.into(),
            draft,
            prerelease: false,
            target_commitish: "main".into(),
            author: BOT.into(),
            created_at: at,
            published_at: (!draft).then_some(at),
        });
    };
    let some = "## Improvements\n\n- Change something (#4711) by @maintainer\n";
    for date in CATALOG_DATES {
        add("catalog", date, false, some);
    }
    for day in 10..28 {
        add("api", &format!("2024.08.{day}.09.30.00"), false, some);
        add("frontend", &format!("2024.08.{day}.10.15.00"), false, some);
    }
    add("ingestion_server", "2024.05.02.11.00.09", false, some);
    // Drafts of other applications, one of them forgotten for a year.
    add("api", "2024.09.30.10.20.28", true, some);
    add("frontend", "2024.09.30.10.20.33", true, some);
    add("ingestion_server", "2023.09.11.08.07.06", true, EMPTY_NOTES);
    let notes = if options.faults.contains(&Fault::EmptyDraft) { EMPTY_NOTES } else { DRAFT_NOTES };
    add("catalog", DRAFT_DATE, true, notes);
    if options.faults.contains(&Fault::TwoDrafts) {
        add("catalog", "2024.09.21.06.05.04", true, DRAFT_NOTES);
    }
    state.releases.sort_by_key(|release| std::cmp::Reverse(release.created_at));
}

fn workflow_runs(state: &mut State, options: &Options) {
    let mut add = |workflow: &str, event: &str, branch: &str, label: &str, title: &str, at: Timestamp, done: bool| {
        let id = state.id();
        state.workflow_runs.push(WorkflowRun {
            id,
            workflow: workflow.into(),
            event: event.into(),
            status: if done { "completed" } else { "in_progress" }.into(),
            conclusion: done.then(|| "success".to_owned()),
            head_branch: branch.into(),
            head_sha: commit(options.seed, label),
            title: title.into(),
            actor: VIEWER.into(),
            created_at: at,
            updated_at: at + 20.minutes(),
        });
    };
    let has = |fault| options.faults.contains(&fault);
    let pending = has(Fault::BuildPending) || has(Fault::BuildDeploysStaging);
    let title = "Fix the footer's links (#4941)";
    let at = moment("2024.09.30.09.58.20");
    add(DRAFT_WORKFLOW, "push", "main", "head", title, at, !has(Fault::DraftRunPending));
    add(BUILD_WORKFLOW, "push", "main", "head", "Fix the footer's links (#4941)", moment("2024.09.30.09.58.20"), true);
    add(
        BUILD_WORKFLOW,
        "push",
        "main",
        "build",
        "Bump Airflow to the next version (#4930)",
        moment("2024.09.29.15.04.50"),
        !pending,
    );
    for date in CATALOG_DATES.iter().rev() {
        let title = format!("catalog-{date}");
        add(TAG_WORKFLOW, "release", &title, date, &title, moment(date), true);
        add(BUILD_WORKFLOW, "push", "main", date, "Change the catalog", moment(date) - 3.hours(), true);
        add(
            BUILD_WORKFLOW,
            "pull_request",
            "renovate/all",
            &format!("pr {date}"),
            "Update",
            moment(date) - 5.hours(),
            true,
        );
    }
}

fn issues() -> Vec<SentryIssue> {
    let issue = |id, title: &str, culprit: &str, first: &str, count| SentryIssue {
        id,
        title: title.into(),
        culprit: culprit.into(),
        first_seen: moment(first),
        last_seen: moment("2024.09.29.23.10.00"),
        count,
    };
    vec![
        issue(5_601_233_801, "AirflowException: Bash command failed", "rotate_db_snapshots", "2024.07.01.00.04.12", 14),
        issue(
            5_411_120_977,
            "ConnectionError: Remote end closed",
            "flickr_workflow.pull_data",
            "2024.03.05.02.41.00",
            311,
        ),
        issue(4_980_004_115, "AirflowTaskTimeout: Timeout", "image_popularity_refresh", "2023.11.20.18.00.41", 7),
    ]
}

fn airflow(options: &Options) -> Airflow {
    let dag = |dag_id: &str, paused: bool, tags: &[&str]| Dag {
        dag_id: dag_id.into(),
        paused,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
    };
    let dags = vec![
        dag("audio_data_refresh", false, &["data_refresh"]),
        dag("batched_update", false, &["database"]),
        dag("flickr_workflow", false, &["provider"]),
        dag("image_data_refresh", false, &["data_refresh"]),
        dag("image_popularity_refresh", false, &["popularity_refresh"]),
        dag("metropolitan_museum_workflow", false, &["provider"]),
        dag("new_provider_workflow", true, &["provider"]),
        dag("production_elasticsearch_cluster_healthcheck", false, &["elasticsearch"]),
        dag("rotate_db_snapshots", false, &["maintenance"]),
        dag("staging_database_restore", false, &["database"]),
        dag("staging_elasticsearch_cluster_healthcheck", false, &["elasticsearch"]),
    ];
    let mut airflow = Airflow {
        dags,
        runs: Vec::new(),
        tasks: Vec::new(),
        pauses: Vec::new(),
        import_errors: vec![(
            "/opt/airflow/catalog/dags/providers/old_provider.py".into(),
            "Traceback (most recent call last):\n  File \"old_provider.py\", line 3, in <module>\n\
             ModuleNotFoundError: No module named 'retired'\n"
                .into(),
        )],
        instance: Instance {
            id: String::new(),
            version: airflow_version(options.airflow, DEPLOYED_TAG.trim_start_matches("rel-")).into(),
            up_at: Timestamp::now() - 40.hours(),
            replaced: false,
        },
        tokens: Default::default(),
    };
    for fault in &options.faults {
        activity(&mut airflow, *fault);
    }
    airflow
}

const WAIT_TASK: &str = "data_refresh.wait_for_completion";

fn waits(airflow: &mut Airflow, dag: &str) {
    if !airflow.runs.iter().any(|run| run.dag_id == dag) {
        run(airflow, dag, "running", &[(WAIT_TASK, "HttpSensor", "up_for_reschedule")]);
    }
}

/// What runs in Airflow at the start, by fault.
fn activity(airflow: &mut Airflow, fault: Fault) {
    let (image, audio) = ("image_data_refresh", "audio_data_refresh");
    match fault {
        Fault::WaitingRefreshes
        | Fault::AlreadyPausedRefresh
        | Fault::RefreshMovesOn
        | Fault::NewAirflowNeverBoots
        | Fault::DeployFailsWhilePaused => {
            waits(airflow, image);
            waits(airflow, audio);
            if fault == Fault::AlreadyPausedRefresh {
                airflow.dags.iter_mut().filter(|dag| dag.dag_id == image).for_each(|dag| dag.paused = true);
            }
        }
        Fault::ProviderDagRunning => {
            waits(airflow, image);
            waits(airflow, audio);
            run(airflow, "flickr_workflow", "running", &[("ingest_data.pull_image_data", "PythonOperator", "running")]);
        }
        Fault::AudioWaitsItsTurn => {
            waits(airflow, image);
            let task = ("data_refresh.wait_for_data_refresh", "SingleRunExternalDAGsSensor", "up_for_reschedule");
            run(airflow, audio, "running", &[task]);
        }
        Fault::SensorOutsideException => {
            let task = ("await_rds_status", "HttpSensor", "up_for_reschedule");
            run(airflow, "staging_database_restore", "running", &[task]);
        }
        Fault::SensorUpForRetry => run(airflow, image, "running", &[(WAIT_TASK, "HttpSensor", "up_for_retry")]),
        Fault::MappedOtherOperator => {
            run(airflow, image, "running", &[]);
            let run_id = airflow.runs.last().map(|run| run.run_id.clone()).unwrap_or_default();
            let rows =
                [("wait_for_index", "HttpSensor", "up_for_reschedule"), ("trigger_index", "HttpOperator", "running")];
            for (index, (task, operator, state)) in (0..).zip(rows) {
                airflow.tasks.push(Task {
                    dag_id: image.into(),
                    run_id: run_id.clone(),
                    task_id: format!("filtered_index.{task}"),
                    map_index: index,
                    state: state.into(),
                    operator: operator.into(),
                });
            }
        }
        Fault::RunWithoutTasks => run(airflow, image, "running", &[]),
        Fault::RunOnlyQueued => run(airflow, "flickr_workflow", "queued", &[]),
        Fault::ManyRuns => (0..250).for_each(|_| run(airflow, "batched_update", "queued", &[])),
        Fault::ShortRunFinishes => {
            let task = ("check_cluster", "PythonOperator", "running");
            run(airflow, "production_elasticsearch_cluster_healthcheck", "running", &[task]);
        }
        _ => {}
    }
}

/// Adds a run of `dag` with its active tasks: id, operator class, state.
pub(super) fn run(airflow: &mut Airflow, dag: &str, state: &str, tasks: &[(&str, &str, &str)]) {
    let at = Timestamp::now() - 30.minutes() + i64::try_from(airflow.runs.len()).unwrap_or(0).milliseconds();
    let run_id = format!("scheduled__{}", at.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00"));
    airflow.runs.push(DagRun { dag_id: dag.into(), run_id: run_id.clone(), state: state.into(), at });
    for (task_id, operator, state) in tasks {
        airflow.tasks.push(Task {
            dag_id: dag.into(),
            run_id: run_id.clone(),
            task_id: (*task_id).into(),
            map_index: -1,
            state: (*state).into(),
            operator: (*operator).into(),
        });
    }
}

impl Shared {
    /// The draft gets another tag and other notes, as the drafter does at every push to main.
    pub(super) fn rename_draft(&self) {
        let mut state = self.state();
        let drafts =
            state.releases.iter_mut().filter(|release| release.draft && release.tag_name.starts_with("catalog-"));
        for draft in drafts {
            draft.tag_name = "catalog-2024.09.30.11.45.07".into();
            draft.name.clone_from(&draft.tag_name);
            draft.body.push_str("- Merged a moment ago (#4950) by @somebody\n");
        }
    }
}
