//! Releases, workflow runs and pull requests.

use catalog_deploy::adapters::github::{ChangedFile, PullRequest, Release, Review, WorkflowRun};
use jiff::Timestamp;

use super::{DRAFT, infra};

pub const OPENVERSE: &str = "WordPress/openverse";
pub const VIEWER: &str = "ada";
pub const TAG_WORKFLOW: &str = "tag_docker_image_and_trigger_deployment.yml";

pub struct Github {
    pub releases: Vec<Release>,
    /// The workflow's file, and its run.
    pub runs: Vec<(String, WorkflowRun)>,
    /// The repository, and its pull request.
    pub pulls: Vec<(String, PullRequest)>,
    pub reviews: Vec<(u64, Review)>,
    pub files: Vec<(u64, ChangedFile)>,
}

pub fn release(id: u64, tag: &str, draft: bool) -> Release {
    Release {
        id,
        tag_name: tag.into(),
        name: Some(tag.into()),
        draft,
        prerelease: false,
        body: "## Improvements\n\n- Retry reports (#4921) by @maintainer\n".into(),
        target_commitish: "main".into(),
        html_url: format!("https://github.test/releases/{id}"),
        published_at: (!draft).then_some(Timestamp::UNIX_EPOCH),
        created_at: Some(Timestamp::UNIX_EPOCH),
    }
}

fn run(id: u64, event: &str, branch: &str, sha: &str, created_at: Timestamp) -> WorkflowRun {
    WorkflowRun {
        id,
        event: event.into(),
        status: "completed".into(),
        conclusion: Some("success".into()),
        head_branch: Some(branch.into()),
        head_sha: sha.into(),
        display_title: branch.into(),
        html_url: format!("https://github.test/runs/{id}"),
        created_at,
    }
}

pub fn pull(number: u64, title: &str, branch: &str, sha: &str, author: &str) -> PullRequest {
    PullRequest {
        number,
        title: title.into(),
        state: "open".into(),
        merged: false,
        head_ref: branch.into(),
        head_sha: sha.into(),
        base_ref: "main".into(),
        author: author.into(),
        html_url: format!("https://github.test/pull/{number}"),
        updated_at: None,
    }
}

impl Github {
    pub fn new() -> Self {
        let built = run(1, "push", "main", "commit-new", Timestamp::UNIX_EPOCH);
        Self {
            releases: vec![release(1, DRAFT, true), release(2, "catalog-2024.08.22.20.53.01", false)],
            runs: vec![("ci_cd.yml".into(), built)],
            pulls: Vec::new(),
            reviews: Vec::new(),
            files: Vec::new(),
        }
    }

    pub fn tagging_runs(&mut self, git_tag: &str, now: i64, fails: bool) {
        let mut run = run(10 + self.runs.len() as u64, "release", git_tag, "commit-new", infra::moment(now));
        if fails {
            run.conclusion = Some("failure".into());
        } else {
            (run.status, run.conclusion) = ("in_progress".into(), None);
        }
        self.runs.insert(0, (TAG_WORKFLOW.into(), run));
    }

    pub fn tagging_ends(&mut self, git_tag: &str, conclusion: &str) {
        let mine = self.runs.iter_mut().filter(|(_, run)| run.head_branch.as_deref() == Some(git_tag));
        for (_, run) in mine {
            run.status = "completed".into();
            run.conclusion = Some(conclusion.into());
        }
    }

    pub fn open_changelog(&mut self, git_tag: &str) {
        let number = 100 + self.pulls.len() as u64;
        let branch = format!("changelog/{git_tag}");
        self.pulls.push((OPENVERSE.into(), pull(number, "Changelog", &branch, "changelog-sha", "openverse-bot")));
        let version = git_tag.trim_start_matches("catalog-");
        self.files.push((
            number,
            ChangedFile {
                filename: format!("documentation/changelogs/catalog/{version}.md"),
                status: "added".into(),
                additions: 2,
                deletions: 0,
                patch: Some("+# A version\n+- Retry".into()),
            },
        ));
    }

    /// As the drafter does at every push to main.
    pub fn rename_draft(&mut self) {
        for draft in self.releases.iter_mut().filter(|release| release.draft) {
            draft.body.push_str("- One more\n");
        }
    }
}
