//! What was deployed, when and by whom: from the version's history on main, from this machine's runs, and from the bump
//! pull requests.
//!
//! Everything here is best effort: what cannot be read makes the answer shorter, never wrong.

use jiff::Timestamp;

use crate::adapters::Readers;
use crate::adapters::checkout::{Landed, Location};
use crate::adapters::github::PullRequest;
use crate::facts::{PastRun, RunningFact};
use crate::release::{self, Deployed};
use crate::runbook::schema::ReleaseShape;
use crate::runbook::{Kind, Runbook};

/// How many commits of the version's file are looked through: decades of deploys.
const COMMITS: usize = 500;

/// Deploys of the past.
#[derive(Debug, Clone, Default)]
pub struct Deploys {
    /// What main of the infrastructure repository held, newest first; empty where it cannot be read.
    main: Vec<Landed>,
    runs: Vec<PastRun>,
}

/// One deploy of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    pub at: Timestamp,
    pub by: String,
    pub source: Source,
}

/// Where a deploy is known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Its bump is on main, and came there after the apply.
    Main,
    /// A run on this machine, and how it ended.
    Run { run: String, ended: String },
}

impl std::fmt::Display for Deploy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "deployed on {}, by {}", self.at.strftime("%Y-%m-%d"), self.by)?;
        match &self.source {
            Source::Main => Ok(()),
            Source::Run { run, ended } => write!(f, " (run {run}: {ended})"),
        }
    }
}

impl Deploys {
    /// Reads main's history; `past` are the runs on this machine.
    pub async fn read(readers: &Readers, runbook: &Runbook, past: &[PastRun]) -> Self {
        let main = match &runbook.infrastructure {
            Some(infrastructure) => {
                let at = Location::from(&infrastructure.version);
                let history = readers.checkout.literals_in_history(&infrastructure.main, &at, COMMITS).await;
                history.unwrap_or_else(|error| {
                    tracing::warn!(%error, "what was deployed before is not known");
                    Vec::new()
                })
            }
            None => Vec::new(),
        };
        Self { main, runs: past.to_vec() }
    }

    /// Every deploy of `tag` that is known, newest first.
    pub fn of(&self, tag: &str) -> Vec<Deploy> {
        let literal = format!("\"{tag}\"");
        let landed = self.main.iter().filter(|landed| landed.literal == literal);
        let main = landed.map(|landed| Deploy { at: landed.at, by: landed.by.clone(), source: Source::Main });
        let runs = self.runs.iter().filter(|run| run.tag == tag).filter_map(|run| {
            let source = Source::Run { run: run.run.clone(), ended: run.ended.clone() };
            Some(Deploy { at: run.deployed_at()?, by: run.by.clone(), source })
        });
        let mut all: Vec<Deploy> = main.chain(runs).collect();
        all.sort_by_key(|deploy| std::cmp::Reverse(deploy.at));
        all
    }

    /// The newest value on main.
    pub(super) fn on_main(&self) -> Option<&Landed> {
        self.main.first()
    }

    /// Every tag that is known to have been deployed, each once.
    pub(super) fn tags(&self, shape: &ReleaseShape) -> Vec<String> {
        let main = self.main.iter().map(|landed| landed.literal.trim_matches('"'));
        let runs = self.runs.iter().filter(|run| run.deployed_at().is_some()).map(|run| run.tag.as_str());
        let mut tags: Vec<String> =
            main.chain(runs).filter(|tag| shape.version_of_image(tag).is_some()).map(str::to_owned).collect();
        tags.sort();
        tags.dedup();
        tags
    }

    /// `fact` with when and by whom it was deployed, where that is known.
    pub(super) fn dated(&self, fact: RunningFact) -> RunningFact {
        match self.of(&fact.tag).first() {
            Some(deploy) if !fact.source.contains("deployed on") => {
                RunningFact { source: format!("{}; {deploy}", fact.source), ..fact }
            }
            _ => fact,
        }
    }

    /// Whether `tag` was ever deployed. A bump pull request is opened after its apply, so what is on main was deployed, and
    /// even an open one means that the tag probably ran.
    pub(super) fn judge(
        &self,
        shape: &ReleaseShape,
        tag: &str,
        running: Option<&RunningFact>,
        pulls: &[PullRequest],
    ) -> Deployed {
        if let Some(running) = running.filter(|running| running.tag == tag) {
            return match running.certain {
                true => Deployed::Now(running.source.clone()),
                false => Deployed::Probably(running.source.clone()),
            };
        }
        let deploys = self.of(tag);
        if let Some(deploy) = deploys.first() {
            let unwell = matches!(&deploy.source, Source::Run { ended, .. } if ended == "unhealthy");
            return if unwell { Deployed::Unwell(deploy.to_string()) } else { Deployed::Before(deploy.to_string()) };
        }
        let ran = |run: &&PastRun| run.running.as_ref().is_some_and(|running| running.certain && running.tag == tag);
        if let Some(run) = self.runs.iter().rev().find(ran) {
            return Deployed::Before(format!("it ran before run {}", run.run));
        }
        if let Some(pull) = pulls.iter().find(|pull| pull.merged) {
            return Deployed::Before(format!("pull request #{} merged", pull.number));
        }
        match pulls.iter().find(|pull| pull.state == "open") {
            Some(pull) => Deployed::Probably(format!("pull request #{} open", pull.number)),
            None => {
                // A clone may be shallow: only a history that goes back to before the tag was made can deny it.
                let made = shape.version_of_image(tag).and_then(release::time_of);
                let reaches = made.is_some_and(|made| self.main.iter().any(|landed| landed.at <= made));
                if reaches { Deployed::Never } else { Deployed::NotKnown }
            }
        }
    }
}

/// Infrastructure pull requests that this runbook's own step would have opened for a tag; empty where they cannot be read.
pub(super) async fn bumps_of(readers: &Readers, runbook: &Runbook, tag: &str) -> Vec<PullRequest> {
    let Some(infrastructure) = &runbook.infrastructure else { return Vec::new() };
    let template = runbook.steps.iter().find_map(|step| match &step.kind {
        Kind::InfrastructurePullRequest { branch, .. } => Some(branch),
        _ => None,
    });
    let Some(template) = template else { return Vec::new() };
    let branch = template.replace("{tag}", tag);
    readers.github.pull_requests_of_branch(&infrastructure.repository, &branch).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::PastDeploy;

    const TAG: &str = "rel-2024.08.22.20.53.01";

    fn shape() -> ReleaseShape {
        ReleaseShape { git_prefix: "catalog-".into(), image_prefix: "rel-".into() }
    }

    fn judged(deploys: &Deploys, tag: &str, running: Option<&RunningFact>, pulls: &[PullRequest]) -> Deployed {
        deploys.judge(&shape(), tag, running, pulls)
    }

    fn on_main() -> Deploys {
        let landed =
            |at: &str, tag: &str| Landed { at: at.parse().unwrap(), by: "Ana".into(), literal: format!("\"{tag}\"") };
        let main = vec![
            landed("2024-09-10T08:00:00Z", "rel-2024.09.09.23.00.57"),
            landed("2024-06-14T09:00:00Z", "rel-2024.06.13.17.07.54"),
        ];
        Deploys { main, runs: vec![] }
    }

    fn run(tag: &str, at: &str, ended: &str) -> PastRun {
        let at = at.parse().unwrap();
        PastRun {
            run: "prod-1".into(),
            by: "ada on laptop".into(),
            tag: tag.into(),
            began: at,
            deploy: PastDeploy::Done(at),
            ended: ended.into(),
            image: None,
            running: Some(RunningFact { tag: "rel-2024.01.01.00.00.00".into(), certain: true, source: "state".into() }),
            bumped: true,
        }
    }

    #[test]
    fn deployed_is_said_only_as_far_as_it_is_known() {
        let pull = |state: &str, merged| PullRequest {
            number: 12,
            title: String::new(),
            state: state.into(),
            merged,
            head_ref: String::new(),
            head_sha: String::new(),
            base_ref: String::new(),
            author: String::new(),
            html_url: String::new(),
            updated_at: None,
        };
        let nothing = Deploys::default();
        let running = |certain| RunningFact { tag: TAG.into(), certain, source: "state".into() };
        assert_eq!(judged(&nothing, TAG, Some(&running(true)), &[]), Deployed::Now("state".into()));
        assert_eq!(judged(&nothing, TAG, Some(&running(false)), &[]), Deployed::Probably("state".into()));
        let merged = Deployed::Before("pull request #12 merged".into());
        assert_eq!(judged(&nothing, TAG, None, &[pull("closed", true)]), merged);
        let open = Deployed::Probably("pull request #12 open".into());
        assert_eq!(judged(&nothing, TAG, None, &[pull("open", false)]), open);
        assert_eq!(judged(&nothing, TAG, None, &[pull("closed", false)]), Deployed::NotKnown);
    }

    #[test]
    fn main_tells_what_was_deployed_and_denies_only_what_it_would_show() {
        let past = |tag: &str| judged(&on_main(), tag, None, &[]);
        assert_eq!(past("rel-2024.06.13.17.07.54"), Deployed::Before("deployed on 2024-06-14, by Ana".into()));
        assert_eq!(past(TAG), Deployed::Never);
        assert_eq!(past("rel-2023.12.20.22.19.13"), Deployed::NotKnown, "from before this history");
    }

    #[test]
    fn runs_on_this_machine_are_deploys_too() {
        let runs = vec![run(TAG, "2024-09-11T08:00:00Z", "unhealthy"), run(TAG, "2024-09-12T08:00:00Z", "done")];
        let deploys = Deploys { runs, ..on_main() };
        let newest = "deployed on 2024-09-12, by ada on laptop (run prod-1: done)";
        assert_eq!(judged(&deploys, TAG, None, &[]), Deployed::Before(newest.into()));
        assert_eq!(deploys.of(TAG).len(), 2);
        let running = RunningFact { tag: TAG.into(), certain: true, source: "Terraform's state".into() };
        assert_eq!(deploys.dated(running).source, format!("Terraform's state; {newest}"));
        let ran = judged(&deploys, "rel-2024.01.01.00.00.00", None, &[]);
        assert_eq!(ran, Deployed::Before("it ran before run prod-1".into()));
        let tags = ["rel-2024.06.13.17.07.54", TAG, "rel-2024.09.09.23.00.57"];
        assert_eq!(deploys.tags(&shape()), tags);
    }

    #[test]
    fn what_was_deployed_and_unhealthy_is_said() {
        let deploys = Deploys { runs: vec![run(TAG, "2024-09-11T08:00:00Z", "unhealthy")], ..on_main() };
        assert!(matches!(judged(&deploys, TAG, None, &[]), Deployed::Unwell(_)));
    }
}
