//! GitHub over the simulated world.

use async_trait::async_trait;
use catalog_deploy::adapters::Cause;
use catalog_deploy::adapters::github::{
    ChangedFile, CheckRun, Commit, GithubRead, GithubWrite, Job, NewPullRequest, Permissions, PullRequest, Release,
    Result, Review, RunFilter, WorkflowRun,
};

use super::Hands;
use crate::sim::Answer;
use crate::world::github::{TAG_WORKFLOW, VIEWER, pull};
use crate::world::history::{Actor, Change};
use crate::world::{Event, World, infra};

impl Hands {
    async fn github<T>(&self, what: String, writes: bool, effect: impl FnOnce(&mut World) -> Answer<T>) -> Result<T> {
        self.0.request("GitHub", what, writes, effect).await
    }
}

fn not_found<T>(found: Option<T>) -> Answer<T> {
    found.ok_or_else(|| Cause::NotFound("no such thing".into()))
}

#[async_trait]
impl GithubRead for Hands {
    async fn viewer(&self) -> Result<String> {
        self.github("GET user".into(), false, |_| Ok(VIEWER.into())).await
    }
    async fn permissions(&self, _: &str) -> Result<Permissions> {
        self.github("GET permissions".into(), false, |_| {
            Ok(Permissions { pull: true, push: true, told: true, expires: None })
        })
        .await
    }
    async fn releases(&self, _: &str) -> Result<Vec<Release>> {
        self.github("GET releases".into(), false, |world| Ok(world.github.releases.clone())).await
    }
    async fn release(&self, _: &str, id: u64) -> Result<Release> {
        self.github(format!("GET release {id}"), false, |world| {
            not_found(world.github.releases.iter().find(|release| release.id == id).cloned())
        })
        .await
    }
    async fn workflow_runs(&self, _: &str, workflow: &str, filter: &RunFilter) -> Result<Vec<WorkflowRun>> {
        self.github(format!("GET runs of {workflow}"), false, |world| {
            let runs = world.github.runs.iter().filter(|(file, run)| {
                file == workflow && filter.event.as_ref().is_none_or(|event| *event == run.event)
            });
            Ok(runs.map(|(_, run)| run.clone()).collect())
        })
        .await
    }
    async fn jobs(&self, _: &str, run: u64) -> Result<Vec<Job>> {
        self.github(format!("GET jobs of {run}"), false, |_| Ok(Vec::new())).await
    }
    async fn commits_touching(&self, _: &str, _: &str, path: &str) -> Result<Vec<Commit>> {
        let commit = Commit { sha: "commit-new".into(), at: jiff::Timestamp::UNIX_EPOCH };
        self.github(format!("GET commits of {path}"), false, |_| Ok(vec![commit])).await
    }
    async fn pull_requests_of_branch(&self, repo: &str, branch: &str) -> Result<Vec<PullRequest>> {
        self.github(format!("GET pulls of {branch}"), false, |world| {
            let of = world.github.pulls.iter().filter(|(there, pull)| there == repo && pull.head_ref == branch);
            Ok(of.map(|(_, pull)| pull.clone()).collect())
        })
        .await
    }
    async fn open_pull_requests(&self, repo: &str) -> Result<Vec<PullRequest>> {
        self.github(format!("GET open pulls of {repo}"), false, |world| {
            let open = world.github.pulls.iter().filter(|(there, pull)| there == repo && pull.state == "open");
            Ok(open.map(|(_, pull)| pull.clone()).collect())
        })
        .await
    }
    async fn pull_request(&self, _: &str, number: u64) -> Result<PullRequest> {
        self.github(format!("GET pull {number}"), false, |world| {
            let mut pulls = world.github.pulls.iter().map(|(_, pull)| pull);
            not_found(pulls.find(|pull| pull.number == number).cloned())
        })
        .await
    }
    async fn pull_request_files(&self, _: &str, number: u64) -> Result<Vec<ChangedFile>> {
        self.github(format!("GET files of {number}"), false, |world| {
            let files = world.github.files.iter().filter(|(of, _)| *of == number);
            Ok(files.map(|(_, file)| file.clone()).collect())
        })
        .await
    }
    async fn reviews(&self, _: &str, number: u64) -> Result<Vec<Review>> {
        self.github(format!("GET reviews of {number}"), false, |world| {
            let reviews = world.github.reviews.iter().filter(|(of, _)| *of == number);
            Ok(reviews.map(|(_, review)| review.clone()).collect())
        })
        .await
    }
    async fn checks(&self, _: &str, sha: &str) -> Result<Vec<CheckRun>> {
        let check = CheckRun { name: "lint".into(), status: "completed".into(), conclusion: Some("success".into()) };
        self.github(format!("GET checks of {sha}"), false, |_| Ok(vec![check])).await
    }
    async fn file_at(&self, _: &str, path: &str, _: &str) -> Result<Option<Vec<u8>>> {
        self.github(format!("GET file {path}"), false, |_| Ok(None)).await
    }
}

#[async_trait]
impl GithubWrite for Hands {
    async fn publish_release(&self, _: &str, id: u64, tag_name: &str) -> Result<Release> {
        self.github(format!("PATCH release {id}: publish as {tag_name}"), true, |world| {
            let now = infra::moment(world.now);
            let found = world.github.releases.iter_mut().find(|release| release.id == id);
            let release = not_found(found)?;
            if release.draft {
                release.draft = false;
                release.tag_name = tag_name.into();
                release.published_at = Some(now);
                let git_tag = tag_name.to_owned();
                let fails = world.tagging_fails;
                world.later(3_000, Event::Tagging { git_tag: git_tag.clone(), fails });
                if !fails {
                    world.later(45_000, Event::Tagged { git_tag: git_tag.clone() });
                    world.later(60_000, Event::ChangelogOpened { git_tag: git_tag.clone() });
                }
                let by = Actor::Run(world.process);
                world.record(by, Change::Published { git_tag });
            }
            not_found(world.github.releases.iter().find(|release| release.id == id).cloned())
        })
        .await
    }
    async fn approve_pull_request(&self, _: &str, number: u64, commit_id: &str, _: &str) -> Result<()> {
        self.github(format!("POST approval of {number}"), true, |world| {
            let review = Review { user: VIEWER.into(), state: "APPROVED".into(), commit_id: Some(commit_id.into()) };
            world.github.reviews.push((number, review));
            let by = Actor::Run(world.process);
            world.record(by, Change::Approved { number });
            Ok(())
        })
        .await
    }
    async fn open_pull_request(&self, repo: &str, new: &NewPullRequest) -> Result<PullRequest> {
        self.github(format!("POST pull of {}", new.head), true, |world| {
            let mut pulls = world.github.pulls.iter();
            if pulls.any(|(there, pull)| there == repo && pull.head_ref == new.head && pull.state == "open") {
                return Err(Cause::Rejected { status: 422, message: "a pull request already exists".into() });
            }
            let Some(bytes) = world.repo.branches.get(&new.head) else {
                return Err(Cause::Rejected { status: 422, message: "head: not found".into() });
            };
            let (version, _) = infra::literals(bytes);
            let number = 200 + world.github.pulls.len() as u64;
            let opened = pull(number, &new.title, &new.head, "branch-sha", VIEWER);
            world.github.pulls.push((repo.into(), opened.clone()));
            let file = ChangedFile {
                filename: infra::FILE.into(),
                status: "modified".into(),
                additions: 1,
                deletions: 1,
                patch: Some(format!("-  docker_image_tag = \"old\"\n+  docker_image_tag = {version}")),
            };
            world.github.files.push((number, file));
            let by = Actor::Run(world.process);
            world.record(by, Change::PullOpened { branch: new.head.clone() });
            Ok(opened)
        })
        .await
    }
}

/// The one workflow that publishing starts is the runbook's.
#[test]
fn the_tagging_workflow_is_the_runbooks() {
    assert!(crate::scenario::RUNBOOK.contains(TAG_WORKFLOW));
}
