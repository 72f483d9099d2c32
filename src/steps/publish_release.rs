//! Publishes the drafted release, and sees that it stays published.
//!
//! Publishing cannot be taken back and aliases whatever `latest` is, so everything that can be checked is checked before
//! the question: one draft, its notes, no build of main pending, `latest` = the newest build. The draft is rewritten by
//! every push to main; hence it is read again by id after the yes and compared with what was approved.

mod distance;
mod draft;
mod latest;
mod notes;
mod published;
mod question;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};

use crate::adapters::checkout::Tree;
use crate::adapters::github::{Commit, Release, RunFilter, WorkflowRun};
use crate::adapters::registry::{Manifest, airflow_version};
use crate::adapters::{Cause, ServiceError};
use crate::event::{Evidence, Question, Refusal};
use crate::facts::{Check, Fact, FactKind, ImageFact, ReleaseFact, RunningFact, TargetFact};
use crate::step::{Act, Decision, Effect, Finding, Look, Step, Trouble, Undo, Wait};
use crate::steps::declared::{self, from_now, short_commit, short_digest};
use crate::steps::running::{RunningImage, running_image, running_tag, same_image};
use latest::{Candidate, NotLatest};
use published::Verdict;
use question::{LatestCommit, LatestImage};

/// How long a release must be seen in one state before that is believed: the drafter turns releases back within seconds.
const SETTLE: Duration = Duration::from_secs(10);
const SETTLE_POLL: Duration = Duration::from_secs(3);
const BUILD_POLL: Duration = Duration::from_secs(15);
/// Of so many commits the image is looked up, to say how far `latest` is from what runs.
const LOOKED_UP: usize = 30;
/// What it means to continue while GitHub does not answer.
const UNSEEN: &str = "Whether the release is still published is unknown";

/// What the runbook says of the workflows around a release, and of the image's paths.
#[derive(Debug, Clone)]
pub struct Workflows {
    /// Tags the image when a release is published, of any application.
    pub tag: String,
    /// Rewrites the drafted releases.
    pub draft: Option<String>,
    /// Pushes `latest` on main when one of `build_paths` changed.
    pub build: String,
    /// The job of `build` that pushes it.
    pub publish_job: Option<String>,
    pub build_paths: Vec<String>,
    /// Files that the image itself is made of.
    pub image_files: Vec<String>,
    /// How long they are waited for; runbook time.
    pub wait: Duration,
}

pub struct PublishRelease {
    workflows: Workflows,
    /// Since when the release is seen as it is: draft or not, first seen.
    seen: Mutex<Option<(bool, Timestamp)>>,
}

/// What was read about builds of main.
struct Built {
    /// Builds that can still move `latest`.
    pending: Vec<WorkflowRun>,
    /// Commits that touch the image's paths, newest first.
    touching: Vec<Commit>,
    candidates: Vec<Candidate>,
    /// The image of each candidate; empty while a build is pending, when it is about to change.
    digests: Vec<Option<String>>,
}

impl PublishRelease {
    pub fn new(workflows: Workflows) -> Self {
        Self { workflows, seen: Mutex::new(None) }
    }

    /// The release that this run approved, looked up by id.
    async fn observe_published(&self, look: Look<'_>, approved: &ReleaseFact) -> Result<Option<Finding>, Trouble> {
        let github = declared::github(look.runbook)?;
        let shape = declared::release(look.runbook)?;
        let filter = RunFilter { event: Some("release".into()), ..RunFilter::default() };
        let (found, runs) = futures::join!(
            look.readers.github.release(&github.repository, approved.id),
            look.readers.github.workflow_runs(&github.repository, &self.workflows.tag, &filter),
        );
        let found = match found {
            Ok(release) => Some(release),
            Err(error) if error.not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let mut runs = runs?;
        runs.retain(|run| is_for(run, &approved.git_tag));
        let confirmed = look.facts.target.as_ref().is_some_and(|target| !target.predicted);
        let settled = found.as_ref().is_some_and(|release| self.settled(&look, release));
        let reading = published::Reading { approved, confirmed, found: found.as_ref(), runs: &runs, settled };
        let finding = match published::judge(reading) {
            Verdict::NeverPublished => return Ok(None),
            Verdict::Refused(refusal) => Finding::new(Decision::Blocked(vec![refusal])),
            Verdict::LookAgain => Finding::new(Decision::Wait(Wait {
                on: format!("{} to stay as it is seen (looked once)", approved.git_tag),
                poll: SETTLE_POLL,
                at_most: from_now(&look, SETTLE * 6),
                next: format!("look at {} and resume", approved.url),
                ..Wait::default()
            })),
            Verdict::Stays => {
                // A draft's address is another one than that of the release it becomes.
                let url = found.as_ref().map_or(&approved.url, |release| &release.html_url);
                let mut finding = Finding::satisfied(format!("{} is published and stays so: {url}", approved.git_tag))
                    .learned(Fact::Release(ReleaseFact { url: url.clone(), ..approved.clone() }));
                if let Some(tag) = shape.image_tag_of(&approved.git_tag) {
                    finding = finding.learned(Fact::Target(TargetFact { tag, predicted: false }));
                }
                finding
            }
        };
        Ok(Some(finding))
    }

    /// Whether the release has been seen in this state for [`SETTLE`]. Measured by our own clock between two of our own
    /// looks, since `published_at` is GitHub's clock; only a publication of long ago needs no second look.
    fn settled(&self, look: &Look<'_>, release: &Release) -> bool {
        let now = look.readers.clock.now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match *seen {
            Some((draft, since)) if draft == release.draft => since,
            _ => {
                *seen = Some((release.draft, now));
                now
            }
        };
        let long_ago = SignedDuration::from_mins(15);
        let old = !release.draft && release.published_at.is_some_and(|at| now.duration_since(at) > long_ago);
        let settle = SignedDuration::try_from(look.readers.clock.scaled(SETTLE)).unwrap_or(SignedDuration::ZERO);
        old || now.duration_since(since) >= settle
    }

    /// The draft that could be published, and everything in its way.
    async fn observe_draft(&self, look: Look<'_>, preview: bool) -> Result<Finding, Trouble> {
        let github = declared::github(look.runbook)?;
        let registry = declared::registry(look.runbook)?;
        let shape = declared::release(look.runbook)?;
        let reader = &look.readers.github;
        let target_of = |releases: &[Release]| {
            let chosen = draft::choose(shape, releases, look.parameters.allow_empty_release).ok();
            chosen.and_then(|draft| shape.image_tag_of(&draft.tag_name))
        };
        // Three questions that do not wait for each other: which draft, which builds, which image.
        let drafts = async {
            let releases = reader.releases(&github.repository).await?;
            let told = releases.iter().any(|release| release.draft) || self.may_see_drafts(&look).await?;
            let taken = match target_of(&releases) {
                Some(tag) => look.readers.registry.digest(&registry.image, &tag).await,
                None => Ok(None),
            };
            Ok::<_, Trouble>((releases, told, taken))
        };
        let image = async {
            let latest = look.readers.registry.manifest(&registry.image, "latest").await?;
            let environment = match &latest {
                Some(latest) => look.readers.registry.environment(&registry.image, &latest.digest).await,
                None => Ok(Vec::new()),
            };
            Ok::<_, ServiceError>((latest, environment))
        };
        let running = async {
            let running = running_tag(look.readers, look.runbook, look.past).await?;
            // Best effort: it only says how far `latest` is from it.
            let image = running_image(&look, running.fact.as_ref()).await.unwrap_or_default();
            Ok::<_, Trouble>((running.fact, image))
        };
        let (drafts, built, busy, image, running) =
            futures::join!(drafts, self.built(&look), self.busy(&look), image, running);
        let ((releases, told, taken), built, busy) = (drafts?, built?, busy?);
        let ((latest, environment), (running, running_image)) = (image?, running?);
        let chosen = draft::choose(shape, &releases, look.parameters.allow_empty_release);
        let target = target_of(&releases);
        let mut refusals = chosen.as_ref().err().cloned().unwrap_or_default();
        if !told {
            let hint = "; if there is a draft, this token may not see it: it needs Contents, read and write";
            refusals.iter_mut().for_each(|refusal| refusal.next.push_str(hint));
        }
        if refusals.is_empty()
            && let Some(wait) = self.wait_for(&built.pending, &busy)
        {
            return Ok(Finding::new(Decision::Wait(wait)));
        }
        if let (Some(tag), Some(digest)) = (&target, taken?) {
            refusals.push(Refusal {
                what: format!(
                    "the registry already has {tag} ({}), the tag this draft would get",
                    short_digest(&digest)
                ),
                next: format!("find out who tagged it; if it is right, deploy it with --tag {tag}"),
            });
        }
        // The image itself is read only where its digest differs: it may be the same one, wrapped anew.
        let newest = match latest::newest_built(&built.candidates, &built.digests) {
            Some((_, digest)) if latest.as_ref().is_some_and(|latest| latest.digest != digest) => {
                look.readers.registry.manifest(&registry.image, digest).await?
            }
            _ => None,
        };
        let judged = latest::judge(&built.candidates, &built.digests, latest.as_ref(), newest.as_ref());
        let commit = match judged {
            Ok(commit) => Some(LatestCommit::Known(commit.to_owned())),
            // While a build is pending, latest is expected to lag.
            Err(_) if !built.pending.is_empty() => None,
            Err(not) => match look.parameters.overridden(Check::Latest) {
                Some(reason) if latest.is_some() => {
                    Some(LatestCommit::Overridden(format!("{} ({reason})", not.refusal().what)))
                }
                _ => {
                    let unknown = matches!(not, NotLatest::Unknown(_)) && refusals.is_empty();
                    let mut refusal = not.into_refusal();
                    refusal.next.push_str("; to publish `latest` as it is, pass --override latest=\"REASON\"");
                    if unknown {
                        return Ok(Finding::new(Decision::Unknown(refusal)));
                    }
                    refusals.push(refusal);
                    None
                }
            },
        };
        let (Ok(draft), Some(tag), Some(manifest), Some(commit), true) =
            (chosen, target, latest, commit, refusals.is_empty())
        else {
            return Ok(Finding::new(Decision::Blocked(refusals)));
        };
        let distance = self.distance(&look, &built, &commit, &manifest, running.as_ref(), running_image).await?;
        let image = LatestImage { manifest, commit, airflow_version: airflow_version(&environment?), distance };
        let question = question::ask(look.step, draft, &tag, &image, &self.workflows.tag, preview);
        let expected = question.expected;
        let mut finding = Finding::new(Decision::Change(question))
            .saw(Evidence::verified(format!("one drafted release: {} ({})", draft.tag_name, draft.html_url)))
            .saw(match &image.commit {
                LatestCommit::Known(commit) => Evidence::verified(format!(
                    "no pending build of {} can move latest, and latest is the image of its newest build {} ({})",
                    github.main,
                    short_commit(commit),
                    short_digest(&image.manifest.digest)
                )),
                LatestCommit::Overridden(what) => Evidence::warning(format!("latest is overridden: {what}")),
            })
            .learned(Fact::Target(TargetFact { tag: tag.clone(), predicted: true }));
        if !expected {
            finding = finding.saw(Evidence::warning(question::name_differs(draft)));
        }
        if preview {
            let changes = draft.body.lines().filter(|line| line.trim_start().starts_with(['-', '*'])).count();
            finding = finding.saw(Evidence::predicted(format!(
                "publishing {} ({changes} listed changes) makes the image tag {tag}",
                draft.tag_name
            )));
            finding.evidence.extend(image.distance.iter().map(Evidence::verified));
        }
        Ok(finding)
    }

    /// Builds of main, the commits whose image `latest` may be, and the image of each.
    async fn built(&self, look: &Look<'_>) -> Result<Built, Trouble> {
        let github = declared::github(look.runbook)?;
        let registry = declared::registry(look.runbook)?;
        let reader = &look.readers.github;
        let touching = try_join_all(
            self.workflows
                .build_paths
                .iter()
                .map(|path| reader.commits_touching(&github.repository, &github.main, path)),
        );
        let (runs, touching) = futures::try_join!(self.builds(look), touching)?;
        let touching = latest::by_time(touching);
        let pending = self.pending(look, &runs, &touching).await?;
        if !pending.is_empty() {
            return Ok(Built { pending, touching, candidates: Vec::new(), digests: Vec::new() });
        }
        let candidates = latest::candidates(&runs, &touching);
        let digests = try_join_all(
            candidates.iter().map(|candidate| look.readers.registry.digest(&registry.image, &candidate.commit)),
        )
        .await?;
        Ok(Built { pending, touching, candidates, digests })
    }

    /// Builds of main, and dispatched ones, which push `latest` from any branch.
    async fn builds(&self, look: &Look<'_>) -> Result<Vec<WorkflowRun>, ServiceError> {
        // A runbook without [github] was refused before; an empty name asks nothing.
        let Some(github) = &look.runbook.github else { return Ok(Vec::new()) };
        let of = |filter: RunFilter| async move {
            look.readers.github.workflow_runs(&github.repository, &self.workflows.build, &filter).await
        };
        let (main, dispatched) = futures::try_join!(
            of(RunFilter { branch: Some(github.main.clone()), ..RunFilter::default() }),
            of(RunFilter { event: Some("workflow_dispatch".into()), ..RunFilter::default() }),
        )?;
        let known: Vec<u64> = main.iter().map(|run| run.id).collect();
        Ok(main.into_iter().chain(dispatched.into_iter().filter(|run| !known.contains(&run.id))).collect())
    }

    /// Those of `runs` that can still move `latest`.
    async fn pending(
        &self,
        look: &Look<'_>,
        runs: &[WorkflowRun],
        touching: &[Commit],
    ) -> Result<Vec<WorkflowRun>, Trouble> {
        let github = declared::github(look.runbook)?;
        let pending = latest::pending(runs, touching);
        let Some(job) = &self.workflows.publish_job else { return Ok(pending.into_iter().cloned().collect()) };
        let jobs = try_join_all(pending.iter().map(|run| look.readers.github.jobs(&github.repository, run.id))).await?;
        let open = pending.into_iter().zip(jobs).filter(|(_, jobs)| !latest::pushed(jobs, job));
        Ok(open.map(|(run, _)| run.clone()).collect())
    }

    /// Runs that rewrite releases and are not completed: the drafter, and the tagging of any application. They share a
    /// concurrency group, where a newer pending run cancels an older one.
    async fn busy(&self, look: &Look<'_>) -> Result<Vec<WorkflowRun>, Trouble> {
        let github = declared::github(look.runbook)?;
        let workflows = self.workflows.draft.iter().chain([&self.workflows.tag]);
        let filter = RunFilter::default();
        let runs = try_join_all(
            workflows.map(|workflow| look.readers.github.workflow_runs(&github.repository, workflow, &filter)),
        );
        let mut busy: Vec<WorkflowRun> = runs.await?.into_iter().flatten().collect();
        busy.retain(|run| run.status != "completed");
        Ok(busy)
    }

    fn wait_for(&self, pending: &[WorkflowRun], busy: &[WorkflowRun]) -> Option<Wait> {
        let first = pending.first().or(busy.first())?;
        let count = if pending.is_empty() { busy.len() } else { pending.len() };
        let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        let on = if pending.is_empty() {
            format!("the workflow run {} ({}{more}), which rewrites releases", first.html_url, first.status)
        } else {
            let commit = short_commit(&first.head_sha);
            let status = &first.status;
            format!("CI to build main ({commit}: {status}{more}), since publishing tags whatever latest is")
        };
        Some(Wait {
            on,
            poll: BUILD_POLL,
            at_most: self.workflows.wait,
            next: format!("look at {}; when it is over, run again", first.html_url),
            refuse_after: true,
            ..Wait::default()
        })
    }

    /// How far `latest` is from the image that runs, in lines for the question.
    async fn distance(
        &self,
        look: &Look<'_>,
        built: &Built,
        commit: &LatestCommit,
        latest: &Manifest,
        running: Option<&RunningFact>,
        image: RunningImage,
    ) -> Result<Vec<String>, Trouble> {
        let github = declared::github(look.runbook)?;
        let registry = declared::registry(look.runbook)?;
        let (Some(running), Some((_, image)), LatestCommit::Known(commit)) = (running, image, commit) else {
            return Ok(Vec::new());
        };
        let same = same_image(&image, latest);
        let asked = if same { &[][..] } else { &built.touching[..built.touching.len().min(LOOKED_UP)] };
        let manifests =
            try_join_all(asked.iter().map(|commit| look.readers.registry.manifest(&registry.image, &commit.sha)));
        let files = if same { &[][..] } else { &self.workflows.image_files };
        let files = try_join_all(
            files.iter().map(|file| look.readers.github.commits_touching(&github.repository, &github.main, file)),
        );
        let (manifests, files) = futures::try_join!(manifests, files)?;
        let mut of = asked.iter().zip(&manifests);
        let running_commit =
            of.find(|(_, manifest)| manifest.as_ref().is_some_and(|manifest| same_image(manifest, &image)));
        Ok(distance::lines(distance::Reading {
            running: Some(&running.tag),
            same,
            touching: &built.touching,
            looked_up: asked.len(),
            running_commit: running_commit.map(|(commit, _)| commit.sha.as_str()),
            latest_commit: commit,
            of_image_files: &latest::by_time(files),
            knows_files: !self.workflows.image_files.is_empty(),
        }))
    }

    /// Drafts are seen only with push access, so "no draft" means nothing without it. `false` where GitHub does not tell
    /// what the token may.
    async fn may_see_drafts(&self, look: &Look<'_>) -> Result<bool, Trouble> {
        let github = declared::github(look.runbook)?;
        let found = look.readers.github.permissions(&github.repository).await?;
        if found.push {
            return Ok(found.told);
        }
        let cause = Cause::Forbidden("these credentials have no push access, and only with it drafts are seen".into());
        Err(ServiceError::new("GitHub", format!("GET /repos/{}/releases", github.repository), cause).into())
    }
}

#[async_trait]
impl Step for PublishRelease {
    fn gives(&self) -> &'static [FactKind] {
        &[FactKind::Release, FactKind::Target]
    }

    fn undo(&self) -> Undo {
        Undo::Never("a published release has triggered its workflow, which tags the image: it cannot be unpublished")
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        if let Some(approved) = &look.facts.release
            && let Some(finding) = self.observe_published(look, approved).await?
        {
            return Ok(finding);
        }
        self.observe_draft(look, false).await
    }

    async fn preview(&self, look: Look<'_>, _scratch: &Arc<dyn Tree>) -> Result<Finding, Trouble> {
        self.observe_draft(look, true).await
    }

    async fn guard(&self, look: Look<'_>) -> Result<Vec<Refusal>, Trouble> {
        let confirmed = look.facts.target.as_ref().is_some_and(|target| !target.predicted);
        let Some(approved) = look.facts.release.as_ref().filter(|_| confirmed) else { return Ok(Vec::new()) };
        let github = declared::github(look.runbook)?;
        let found = match look.readers.github.release(&github.repository, approved.id).await {
            Ok(release) => Some(release),
            Err(error) if error.not_found() => None,
            Err(error) => {
                look.saw(look.without(Check::Github, error, UNSEEN)?);
                return Ok(Vec::new());
            }
        };
        let reading = published::Reading { approved, confirmed, found: found.as_ref(), runs: &[], settled: true };
        Ok(match published::judge(reading) {
            Verdict::Refused(refusal) => vec![refusal],
            Verdict::Stays | Verdict::LookAgain | Verdict::NeverPublished => Vec::new(),
        })
    }

    async fn act(&self, act: Act<'_>, question: &Question) -> Result<(), Trouble> {
        let look = act.look;
        let github = declared::github(look.runbook)?;
        let registry = declared::registry(look.runbook)?;
        let shape = declared::release(look.runbook)?;
        let repository = github.repository.as_str();
        let reader = &look.readers.github;
        if !self.busy(&look).await?.is_empty() {
            // The next look waits for it, and this very question stays approved as long as nothing of it changed.
            return Ok(());
        }
        let releases = reader.releases(repository).await?;
        let listed = draft::choose(shape, &releases, true).map_err(Trouble::Refused)?;
        let (draft, latest, built) = futures::join!(
            reader.release(repository, listed.id),
            look.readers.registry.digest(&registry.image, "latest"),
            self.built(&look),
        );
        let (draft, latest, built) = (draft?, latest?, built?);
        question::still_as_approved(&draft, latest.as_deref().unwrap_or_default(), &built.pending, question)
            .map_err(Trouble::Refused)?;
        let tag = shape.image_tag_of(&draft.tag_name).unwrap_or_default();
        // Known before the request is sent, so that a lost answer can be looked up by id.
        act.learn(Fact::Release(ReleaseFact {
            id: draft.id,
            git_tag: draft.tag_name.clone(),
            url: draft.html_url.clone(),
        }))?;
        // What the tag has to point to, however the workflow gets there.
        if let Some(digest) = latest {
            act.learn(Fact::Image(ImageFact { tag: tag.clone(), digest, airflow_version: None }))?;
        }
        let (id, git_tag) = (draft.id, draft.tag_name.clone());
        let effect = Effect::new(format!("publish {git_tag}"));
        act.change(effect, |writers| async move { writers.github.publish_release(repository, id, &git_tag).await })
            .await?;
        act.learn(Fact::Target(TargetFact { tag, predicted: false }))
    }
}

/// Runs on `release` carry the git tag as their branch.
fn is_for(run: &WorkflowRun, git_tag: &str) -> bool {
    run.event == "release" && (run.head_branch.as_deref() == Some(git_tag) || run.display_title == git_tag)
}
