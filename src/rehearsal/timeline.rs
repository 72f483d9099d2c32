//! What happens in the world by itself, some time after something else.

use std::time::Duration;

use jiff::Timestamp;

use super::Fault;
use super::registry;
use super::seed;
use super::shared::{APPLICATION, BOT, IMAGE, Shared, VIEWER};
use super::state::{Pull, Release, WorkflowRun};

/// The workflow that a published release starts.
pub(super) const TAG_WORKFLOW: &str = "tag_docker_image_and_trigger_deployment.yml";

/// How long the checks of a changelog pull request run, where a fault has them run.
const CHECKS_TAKE: Duration = Duration::from_secs(4);
/// How long a run of the drafting workflow takes.
pub(super) const DRAFTING_TAKES: Duration = Duration::from_secs(2);

/// One thing that will happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// GitHub creates the tagging workflow's run for a release.
    TagRunQueued {
        release: u64,
    },
    TagRunStarts {
        run: u64,
    },
    /// `latest` is aliased to the release's tag.
    ImageTagged {
        release: u64,
    },
    TagRunEnds {
        run: u64,
        conclusion: String,
    },
    ChangelogOpens {
        release: u64,
    },
    BackToDraft {
        release: u64,
    },
    /// Every run of a workflow that is not completed ends well.
    RunsEnd {
        workflow: String,
    },
    /// The checks of all changelog pull requests that still run end well.
    ChecksEnd,
    /// A run of a DAG, and all its tasks, end well.
    RunEnds {
        dag: String,
        run: String,
    },
}

impl Shared {
    /// A release was just published: everything that follows from it.
    pub(super) fn published(&self, release: u64) {
        let soon = |milliseconds| Duration::from_millis(milliseconds);
        self.after(soon(150), Happening::TagRunQueued { release });
        if self.has(Fault::ReleaseBackToDraft) {
            self.after(soon(300), Happening::BackToDraft { release });
        }
        if self.has(Fault::DagStartsDuringRelease) {
            let mut state = self.state();
            seed::run(&mut state.airflow, "flickr_workflow", "running", &[("pull_data", "PythonOperator", "running")]);
        }
    }

    pub(super) fn happen(&self, happening: Happening) {
        match happening {
            Happening::TagRunQueued { release } => self.queue_tag_run(release),
            Happening::TagRunStarts { run } => self.set_run(run, "in_progress", None),
            Happening::TagRunEnds { run, conclusion } => self.set_run(run, "completed", Some(conclusion)),
            Happening::ImageTagged { release } => self.tag_image(release),
            Happening::ChangelogOpens { release } => self.open_changelog(release),
            Happening::BackToDraft { release } => {
                let mut state = self.state();
                if let Some(release) = state.releases.iter_mut().find(|known| known.id == release) {
                    release.draft = true;
                    release.published_at = None;
                }
            }
            Happening::RunsEnd { workflow } => {
                let open: Vec<u64> = {
                    let state = self.state();
                    let runs = state.workflow_runs.iter();
                    let open = runs.filter(|run| run.workflow == workflow && run.status != "completed");
                    open.map(|run| run.id).collect()
                };
                open.into_iter().for_each(|run| self.set_run(run, "completed", Some("success".into())));
            }
            Happening::ChecksEnd => {
                let mut state = self.state();
                for (_, conclusion) in state.pulls.iter_mut().flat_map(|pull| &mut pull.checks) {
                    conclusion.get_or_insert_with(|| "success".into());
                }
            }
            Happening::RunEnds { dag, run } => {
                let mut state = self.state();
                state.airflow.tasks.retain(|task| !(task.dag_id == dag && task.run_id == run));
                for known in state.airflow.runs.iter_mut().filter(|known| known.dag_id == dag && known.run_id == run) {
                    known.state = "success".into();
                }
            }
        }
    }

    fn release(&self, id: u64) -> Option<Release> {
        self.state().releases.iter().find(|release| release.id == id).cloned()
    }

    fn queue_tag_run(&self, release: u64) {
        let Some(published) = self.release(release) else { return };
        let now = Timestamp::now();
        let run = {
            let mut state = self.state();
            let id = state.id();
            let head_sha = state.commits.first().map(|commit| commit.sha.clone()).unwrap_or_default();
            state.workflow_runs.insert(
                0,
                WorkflowRun {
                    id,
                    workflow: TAG_WORKFLOW.into(),
                    event: "release".into(),
                    status: "queued".into(),
                    conclusion: None,
                    head_branch: published.tag_name.clone(),
                    head_sha,
                    title: published.name.clone(),
                    actor: VIEWER.into(),
                    created_at: now,
                    updated_at: now,
                },
            );
            id
        };
        let soon = Duration::from_millis;
        if self.has(Fault::TagWorkflowCancelled) {
            self.after(soon(500), Happening::TagRunEnds { run, conclusion: "cancelled".into() });
            return;
        }
        self.after(soon(300), Happening::TagRunStarts { run });
        if self.has(Fault::TagMissing) {
            self.after(soon(900), Happening::TagRunEnds { run, conclusion: "failure".into() });
            return;
        }
        self.after(soon(800), Happening::ImageTagged { release });
        if !self.has(Fault::ChangelogAbsent) {
            self.after(soon(1000), Happening::ChangelogOpens { release });
        }
        self.after(soon(1100), Happening::TagRunEnds { run, conclusion: "success".into() });
    }

    fn set_run(&self, id: u64, status: &str, conclusion: Option<String>) {
        let mut state = self.state();
        if let Some(run) = state.workflow_runs.iter_mut().find(|run| run.id == id) {
            run.status = status.into();
            run.conclusion = conclusion;
            run.updated_at = Timestamp::now();
        }
    }

    fn tag_image(&self, release: u64) {
        let Some(release) = self.release(release) else { return };
        let Some(version) = release.tag_name.strip_prefix("catalog-") else { return };
        {
            let mut state = self.state();
            let source = if self.has(Fault::TagOnOlderImage) { seed::DEPLOYED_TAG } else { "latest" };
            registry::alias(&mut state.images, source, &format!("rel-{version}"));
        }
        self.write_registry_tags();
    }

    /// Keeps the file up to date that `just bump` reads.
    pub(super) fn write_registry_tags(&self) {
        let tags: Vec<String> = self.state().images.tags.keys().cloned().collect();
        // The recipe fails with its own message where the file cannot be read.
        let _ = std::fs::write(self.registry_tags(), tags.join("\n") + "\n");
    }

    fn open_changelog(&self, release: u64) {
        let Some(release) = self.release(release) else { return };
        let author = if self.has(Fault::OwnChangelog) { VIEWER } else { BOT };
        let mut pull = changelog(&release, author, self.commit(&release.tag_name));
        if self.has(Fault::ChangelogChecksRed) {
            pull.checks.push(("Lint files".into(), Some("failure".into())));
        }
        if self.has(Fault::ChangelogChecksPending) {
            pull.checks.push(("Lint files".into(), None));
            self.after(CHECKS_TAKE, Happening::ChecksEnd);
        }
        let mut others = Vec::new();
        if self.has(Fault::ChangelogSeveral) {
            let mut fork = pull.clone();
            fork.head_owner = "somebody".into();
            fork.author = "somebody".into();
            fork.title = "Fix typos in the changelog".into();
            let mut older = release.clone();
            older.tag_name = "catalog-2024.09.09.23.00.57".into();
            others = vec![fork, changelog(&older, BOT, self.commit("older changelog"))];
        }
        let mut state = self.state();
        for mut pull in std::iter::once(pull).chain(others) {
            pull.number = state.next_pull_number(APPLICATION);
            state.pulls.push(pull);
        }
    }
}

/// The pull request that the tagging workflow opens.
pub(super) fn changelog(release: &Release, author: &str, head_sha: String) -> Pull {
    let version = release.tag_name.trim_start_matches("catalog-");
    let now = Timestamp::now();
    Pull {
        repository: APPLICATION.into(),
        number: 0,
        title: format!("Publish changelog for {}", release.tag_name),
        body: format!(
            "This changelog was automatically generated by the `{TAG_WORKFLOW}` workflow for the image {IMAGE}."
        ),
        state: "open".into(),
        merged: false,
        head_owner: "WordPress".into(),
        head_ref: format!("changelog/{}", release.tag_name),
        head_sha,
        base_ref: "main".into(),
        author: author.into(),
        labels: ["🧱 stack: catalog", "🌟 goal: addition", "📄 aspect: text", "🟩 priority: low", "skip-changelog"]
            .map(String::from)
            .to_vec(),
        created_at: now,
        updated_at: now,
        files: vec![(
            format!("documentation/changelogs/catalog/{version}.md"),
            format!("# {version}\n\n{}\n", release.body),
        )],
        reviews: Vec::new(),
        checks: vec![("Determine images to build and publish".into(), Some("success".into()))],
    }
}
