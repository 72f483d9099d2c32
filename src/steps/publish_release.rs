//! Publishes the drafted release, and sees that it stays published.
//!
//! Publishing cannot be taken back and aliases whatever `latest` is, so everything that can be checked is checked before
//! the question: one draft, its notes, no build of main pending, `latest` = the newest build. The draft is rewritten by
//! every push to main; hence it is read again by id after the yes and compared with what was approved.

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
use crate::adapters::github::{Release, RunFilter, WorkflowRun};
use crate::adapters::registry::airflow_version;
use crate::adapters::{Cause, ServiceError};
use crate::event::{Evidence, Question, Refusal};
use crate::facts::{Fact, FactKind, ImageFact, ReleaseFact, TargetFact};
use crate::runbook::schema::Span;
use crate::step::{Act, Decision, Effect, Finding, Look, Step, Trouble, Undo, Wait};
use crate::steps::declared::{self, from_now, short_commit, short_digest};
use latest::{Candidate, NotLatest};
use published::Verdict;
use question::LatestImage;

/// How long a release must be seen in one state before that is believed: the drafter turns releases back within seconds.
const SETTLE: Duration = Duration::from_secs(10);
const SETTLE_POLL: Duration = Duration::from_secs(3);
const BUILD_POLL: Duration = Duration::from_secs(15);

pub struct PublishRelease {
    tag_workflow: String,
    build_workflow: String,
    build_paths: Vec<String>,
    build_wait: Duration,
    /// Since when the release is seen as it is: draft or not, first seen.
    seen: Mutex<Option<(bool, Timestamp)>>,
}

impl PublishRelease {
    /// `tag_workflow` tags the image when a release is published; `build_workflow` pushes `latest` on main when one of
    /// `build_paths` changed, and is waited for up to `build_wait`.
    pub fn new(tag_workflow: String, build_workflow: String, build_paths: Vec<String>, build_wait: Span) -> Self {
        Self { tag_workflow, build_workflow, build_paths, build_wait: build_wait.0, seen: Mutex::new(None) }
    }

    /// The release that this run approved, looked up by id.
    async fn observe_published(&self, look: Look<'_>, approved: &ReleaseFact) -> Result<Option<Finding>, Trouble> {
        let github = declared::github(look.runbook)?;
        let shape = declared::release(look.runbook)?;
        let filter = RunFilter { event: Some("release".into()), ..RunFilter::default() };
        let (found, runs) = futures::join!(
            look.readers.github.release(&github.repository, approved.id),
            look.readers.github.workflow_runs(&github.repository, &self.tag_workflow, &filter),
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
                refuse_after: false,
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
        let (drafts, builds, image) = futures::join!(drafts, self.built(&look), image);
        let ((releases, told, taken), (runs, candidates, digests), (latest, environment)) = (drafts?, builds?, image?);
        let chosen = draft::choose(shape, &releases, look.parameters.allow_empty_release);
        let target = target_of(&releases);
        let mut refusals = chosen.as_ref().err().cloned().unwrap_or_default();
        if !told {
            let hint = "; if there is a draft, this token may not see it: it needs Contents, read and write";
            refusals.iter_mut().for_each(|refusal| refusal.next.push_str(hint));
        }
        let pending = latest::pending(&runs);
        if refusals.is_empty()
            && let Some(wait) = self.wait_for(&pending)
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
        let built = match latest::newest_built(&candidates, &digests) {
            Some((_, digest)) if latest.as_ref().is_some_and(|latest| latest.digest != digest) => {
                look.readers.registry.manifest(&registry.image, digest).await?
            }
            _ => None,
        };
        let commit = match latest::judge(&candidates, &digests, latest.as_ref(), built.as_ref()) {
            Ok(commit) => Some(commit.to_owned()),
            // While a build is pending, latest is expected to lag.
            Err(_) if !pending.is_empty() => None,
            Err(NotLatest::Refused(refusal)) => {
                refusals.push(refusal);
                None
            }
            Err(NotLatest::Unknown(refusal)) if refusals.is_empty() => {
                return Ok(Finding::new(Decision::Unknown(refusal)));
            }
            Err(NotLatest::Unknown(refusal)) => {
                refusals.push(refusal);
                None
            }
        };
        let (Ok(draft), Some(tag), Some(manifest), Some(commit), true) =
            (chosen, target, latest, commit, refusals.is_empty())
        else {
            return Ok(Finding::new(Decision::Blocked(refusals)));
        };
        let image = LatestImage { manifest, commit, airflow_version: airflow_version(&environment?) };
        let question = question::ask(look.step, draft, &tag, &image, &self.tag_workflow, preview);
        let expected = question.expected;
        let mut finding = Finding::new(Decision::Change(question))
            .saw(Evidence::verified(format!("one drafted release: {} ({})", draft.tag_name, draft.html_url)))
            .saw(Evidence::verified(format!(
                "no build of {} is pending, and latest is the image of its newest build {} ({})",
                github.main,
                short_commit(&image.commit),
                short_digest(&image.manifest.digest)
            )))
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
        }
        Ok(finding)
    }

    /// Builds of main, the commits whose image `latest` may be, and the digest of each; while a build is pending that is
    /// about to change, so digests are not asked for.
    async fn built(&self, look: &Look<'_>) -> Result<(Vec<WorkflowRun>, Vec<Candidate>, Vec<Option<String>>), Trouble> {
        let github = declared::github(look.runbook)?;
        let registry = declared::registry(look.runbook)?;
        let reader = &look.readers.github;
        let touching = try_join_all(
            self.build_paths.iter().map(|path| reader.commits_touching(&github.repository, &github.main, path)),
        );
        let (runs, touching) = futures::try_join!(self.builds(look), touching)?;
        if !latest::pending(&runs).is_empty() {
            return Ok((runs, Vec::new(), Vec::new()));
        }
        let candidates = latest::candidates(&runs, &touching);
        let digests = try_join_all(
            candidates.iter().map(|candidate| look.readers.registry.digest(&registry.image, &candidate.commit)),
        )
        .await?;
        Ok((runs, candidates, digests))
    }

    async fn builds(&self, look: &Look<'_>) -> Result<Vec<WorkflowRun>, ServiceError> {
        // A runbook without [github] was refused before; an empty name asks nothing.
        let Some(github) = &look.runbook.github else { return Ok(Vec::new()) };
        let filter = RunFilter { branch: Some(github.main.clone()), ..RunFilter::default() };
        look.readers.github.workflow_runs(&github.repository, &self.build_workflow, &filter).await
    }

    fn wait_for(&self, pending: &[&WorkflowRun]) -> Option<Wait> {
        let first = pending.first()?;
        let more = if pending.len() > 1 { format!(" and {} more", pending.len() - 1) } else { String::new() };
        Some(Wait {
            on: format!(
                "CI to finish building main ({}: {}{more}), since publishing tags whatever latest is",
                short_commit(&first.head_sha),
                first.status
            ),
            poll: BUILD_POLL,
            at_most: self.build_wait,
            next: format!("look at {}; when the build is over, run again", first.html_url),
            refuse_after: true,
        })
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
            Err(error) => return Err(error.into()),
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
        let releases = reader.releases(repository).await?;
        let listed = draft::choose(shape, &releases, true).map_err(Trouble::Refused)?;
        let (draft, latest, runs) = futures::try_join!(
            reader.release(repository, listed.id),
            look.readers.registry.digest(&registry.image, "latest"),
            self.builds(&look),
        )?;
        question::still_as_approved(&draft, latest.as_deref().unwrap_or_default(), &runs, question)
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
