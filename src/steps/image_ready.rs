//! Waits until the release's image tag is on the registry, resolves its digest once, and looks whether it is the image
//! that was meant. With `--tag` the tag must exist already. Side by side with that: what runs in production now.

mod advice;
mod before;
mod judge;
mod tagging;
mod unseen;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::adapters::ServiceError;
use crate::adapters::checkout::Tree;
use crate::adapters::github::{Release, RunFilter, WorkflowRun};
use crate::adapters::registry::{Manifest, airflow_version};
use crate::event::{Evidence, Question, Refusal};
use crate::facts::{Check, Fact, FactKind, ImageFact, TargetFact};
use crate::release;
use crate::runbook::schema::Span;
use crate::step::{Act, Decision, Finding, Look, Step, Trouble, Undo, Wait};
use crate::steps::declared::{self, short_digest};
use crate::steps::running::{Running, RunningImage, running_image, same_image};
use before::{deployed_meanwhile, previous_release, running_now, teach_running};
use judge::Earlier;
use tagging::Progress;

pub struct ImageReady {
    tag_workflow: Option<String>,
    wait: Duration,
    poll: Duration,
    /// This process has read what runs, so it need not be compared with what an earlier one read.
    read: AtomicBool,
}

/// What GitHub says about the release while its tag is missing.
struct Publication {
    /// `None` where this run knows no release, `Some(None)` where it is gone.
    release: Option<Option<Release>>,
    runs: Vec<WorkflowRun>,
}

impl ImageReady {
    /// Waits up to `wait`, asking every `poll`; watches `tag_workflow` meanwhile, where the runbook names it.
    pub fn new(tag_workflow: Option<String>, wait: Span, poll: Span) -> Self {
        Self { tag_workflow, wait: wait.0, poll: poll.0, read: AtomicBool::new(false) }
    }

    async fn look_at(&self, look: Look<'_>, tag: &str, rollback: bool) -> Result<Finding, Trouble> {
        let registry = declared::registry(look.runbook)?;
        let reader = &look.readers.registry;
        let running = async {
            let running = running_now(look).await?;
            // Wanted where the tag is there; a rollback's is, so its image is read meanwhile.
            let image = if rollback { Some(running_image(&look, running.fact.as_ref()).await) } else { None };
            Ok::<_, Trouble>((running, image))
        };
        let (manifest, latest, running, publication) = futures::join!(
            reader.manifest(&registry.image, tag),
            reader.manifest(&registry.image, "latest"),
            running,
            self.publication(&look, rollback),
        );
        let (running, image) = running?;
        let seen = async {
            match manifest? {
                Some(manifest) => self.found(&look, tag, rollback, &manifest, latest?.as_ref(), &running, image).await,
                None if rollback => missing(&look, tag, &running).await,
                None => self.not_yet(&look, tag, &publication?),
            }
        };
        let finding = match seen.await {
            // Nothing but the registry is asked there for a rollback.
            Err(Trouble::Service(error)) if rollback => unseen::unseen(&look, tag, error, &running).await?,
            seen => seen?,
        };
        Ok(teach_running(finding, running))
    }

    /// The tag is there: whether it may be deployed.
    async fn found(
        &self,
        look: &Look<'_>,
        tag: &str,
        rollback: bool,
        manifest: &Manifest,
        latest: Option<&Manifest>,
        running: &Running,
        image: Option<Result<RunningImage, ServiceError>>,
    ) -> Result<Finding, Trouble> {
        let shape = declared::release(look.runbook)?;
        let registry = declared::registry(look.runbook)?;
        let reader = &look.readers.registry;
        let again = running.fact.as_ref().is_some_and(|running| running.tag == tag);
        let past = async {
            if rollback && !again {
                return Ok(advice::past(tag, &advice::deployed(look, tag, None).await?));
            }
            Ok::<_, Trouble>(None)
        };
        let (environment, running_image, previous, past) = futures::join!(
            reader.environment(&registry.image, &manifest.digest),
            async {
                match image {
                    Some(image) => image,
                    None => running_image(look, running.fact.as_ref()).await,
                }
            },
            async { if rollback { Ok(None) } else { previous_release(look, tag).await } },
            past,
        );
        let (environment, running_image, previous, past) = (environment?, running_image?, previous?, past?);
        let airflow = airflow_version(&environment);
        // Approved with the publication, or resolved by an earlier look; tagging may wrap the same image anew.
        let resolved = match look.facts.image.as_ref().filter(|known| known.tag == tag) {
            Some(known) if known.digest != manifest.digest => {
                let known_manifest = reader.manifest(&registry.image, &known.digest).await?;
                let same = known_manifest.is_some_and(|known| same_image(&known, manifest));
                (!same).then_some(known)
            }
            known => known,
        };
        let mut earlier = Vec::new();
        let mut running_fact = None;
        if let Some((image, manifest)) = running_image {
            earlier.push(Earlier { tag: image.tag.clone(), manifest });
            running_fact = Some(image);
        }
        earlier.extend(previous);
        let running_airflow = running_fact.as_ref().and_then(|image| image.airflow_version.as_deref());
        let judged = judge::judge(judge::Reading {
            shape,
            tag,
            manifest,
            rollback,
            resolved,
            earlier: &earlier,
            latest,
            running: running.fact.as_ref(),
            airflow_version: airflow.as_deref(),
            running_airflow_version: running_airflow,
        });
        let mut finding = match judged {
            Err(refusal) => Finding::new(Decision::Blocked(vec![refusal])),
            Ok(evidence) => {
                let mut finding = Finding::new(Decision::Satisfied);
                finding.evidence = evidence;
                finding.evidence.extend(past);
                finding.learned(Fact::Target(TargetFact { tag: tag.to_owned(), predicted: false })).learned(
                    Fact::Image(ImageFact {
                        tag: tag.to_owned(),
                        digest: manifest.digest.clone(),
                        airflow_version: airflow.clone(),
                    }),
                )
            }
        };
        // Once the apply began, the tag that runs is no longer the one before it.
        if let Some(image) = running_fact.filter(|_| look.facts.running_image.is_none()) {
            finding = finding.learned(Fact::RunningImage(image));
        }
        Ok(finding)
    }

    /// The tag is missing: whether it is still to come.
    fn not_yet(&self, look: &Look<'_>, tag: &str, publication: &Publication) -> Result<Finding, Trouble> {
        let shape = declared::release(look.runbook)?;
        let registry = declared::registry(look.runbook)?;
        let git_tag = match &look.facts.release {
            Some(release) => release.git_tag.clone(),
            None => shape.git_tag_of(tag).unwrap_or_default(),
        };
        let progress = tagging::judge(tagging::Reading {
            tag,
            git_tag: &git_tag,
            runs: &publication.runs,
            release: publication.release.as_ref().map(Option::as_ref),
        });
        let (state, url) = match progress {
            Progress::Refused(refusal) => return Ok(Finding::new(Decision::Blocked(vec![refusal]))),
            Progress::Coming { state, url } => (state, url),
        };
        let host = registry.url.split_once("://").map_or(registry.url.as_str(), |(_, host)| host);
        let on = match &self.tag_workflow {
            Some(_) => format!("{host} to have {tag} (tagging workflow: {state})"),
            None => format!("{host} to have {tag}"),
        };
        let look_at = url.map_or_else(
            || format!("look why the tagging workflow did not start for {git_tag}"),
            |url| format!("look at {url}"),
        );
        Ok(Finding::new(Decision::Wait(Wait {
            on,
            poll: self.poll,
            at_most: self.wait,
            next: format!("{look_at}; do not publish or dispatch again, that makes duplicate tags; then resume"),
            ..Wait::default()
        })))
    }

    async fn publication(&self, look: &Look<'_>, rollback: bool) -> Result<Publication, ServiceError> {
        let nothing = Publication { release: None, runs: Vec::new() };
        let Some(github) = look.runbook.github.as_ref().filter(|_| !rollback) else { return Ok(nothing) };
        let release = async {
            let Some(release) = &look.facts.release else { return Ok(None) };
            match look.readers.github.release(&github.repository, release.id).await {
                Ok(release) => Ok(Some(Some(release))),
                Err(error) if error.not_found() => Ok(Some(None)),
                Err(error) => Err(error),
            }
        };
        let runs = async {
            let Some(workflow) = &self.tag_workflow else { return Ok(Vec::new()) };
            let filter = RunFilter { event: Some("release".into()), ..RunFilter::default() };
            look.readers.github.workflow_runs(&github.repository, workflow, &filter).await
        };
        let (release, runs) = futures::try_join!(release, runs)?;
        Ok(Publication { release, runs })
    }

    /// Before the release its tag does not exist; it will be whatever `latest` is.
    async fn predict(&self, look: Look<'_>, tag: &str) -> Result<Finding, Trouble> {
        let shape = declared::release(look.runbook)?;
        let registry = declared::registry(look.runbook)?;
        let reader = &look.readers.registry;
        let image = async {
            let latest = reader.manifest(&registry.image, "latest").await?;
            let environment = match &latest {
                Some(latest) => reader.environment(&registry.image, &latest.digest).await?,
                None => Vec::new(),
            };
            Ok::<_, ServiceError>((latest, environment))
        };
        let running = async {
            let running = running_now(look).await?;
            let image = running_image(&look, running.fact.as_ref()).await;
            Ok::<_, Trouble>((running, image))
        };
        let (image, running) = futures::join!(image, running);
        let ((latest, environment), (running, running_image)) = (image?, running?);
        let Some(latest) = latest else {
            let finding = Finding::blocked(
                format!("the registry has no tag latest, so {tag} would have no image"),
                "let CI build main once, then run again",
            );
            return Ok(teach_running(finding, running));
        };
        let running_image = running_image?;
        let airflow = airflow_version(&environment);
        let earlier: Vec<Earlier> = running_image
            .iter()
            .map(|(image, manifest)| Earlier { tag: image.tag.clone(), manifest: manifest.clone() })
            .collect();
        let running_fact = running_image.map(|(image, _)| image);
        let mut evidence = judge::judge(judge::Reading {
            shape,
            tag,
            manifest: &latest,
            rollback: false,
            resolved: None,
            earlier: &earlier,
            latest: Some(&latest),
            running: running.fact.as_ref(),
            airflow_version: airflow.as_deref(),
            running_airflow_version: running_fact.as_ref().and_then(|image| image.airflow_version.as_deref()),
        })
        .unwrap_or_default();
        let tagged = Evidence::predicted(format!(
            "{tag} will be tagged from latest ({}), Airflow {}",
            short_digest(&latest.digest),
            airflow.as_deref().unwrap_or("version not known")
        ));
        match evidence.first_mut() {
            Some(first) => *first = tagged,
            None => evidence.push(tagged),
        }
        let mut finding = Finding::new(Decision::Satisfied).learned(Fact::Image(ImageFact {
            tag: tag.to_owned(),
            digest: latest.digest.clone(),
            airflow_version: airflow,
        }));
        finding.evidence = evidence;
        if let Some(image) = running_fact {
            finding = finding.learned(Fact::RunningImage(image));
        }
        Ok(teach_running(finding, running))
    }
}

#[async_trait]
impl Step for ImageReady {
    /// Ordering only: with `--tag` nobody gives it, and the tag itself is the target.
    fn needs(&self) -> &'static [FactKind] {
        &[FactKind::Target]
    }

    fn gives(&self) -> &'static [FactKind] {
        &[FactKind::Target, FactKind::Image, FactKind::Running, FactKind::RunningImage]
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        let first = !self.read.swap(true, Ordering::SeqCst);
        if first && let Some(refusal) = deployed_meanwhile(&look).await? {
            return Ok(Finding::new(Decision::Blocked(vec![refusal])));
        }
        if let Some(tag) = &look.parameters.tag {
            let shape = declared::release(look.runbook)?;
            if let Some(refusal) = release::explain(shape, tag) {
                let running = running_now(look).await?;
                let tags = advice::recent_tags(&look, running.fact.as_ref()).await?;
                return Ok(Finding::new(Decision::Blocked(vec![advice::with_tags(refusal, &tags)])));
            }
            return self.look_at(look, tag, true).await;
        }
        match &look.facts.target {
            Some(target) => self.look_at(look, &target.tag, false).await,
            None => Ok(Finding::blocked(
                "it is not known which tag to deploy",
                "publish a release in an earlier step, or pass --tag",
            )),
        }
    }

    /// What runs now does not depend on what will be released.
    async fn foresee(&self, look: Look<'_>) {
        if let Ok(running) = running_now(look).await {
            let _told_by_preview = running_image(&look, running.fact.as_ref()).await;
        }
    }

    async fn preview(&self, look: Look<'_>, _scratch: &Arc<dyn Tree>) -> Result<Finding, Trouble> {
        match (&look.parameters.tag, &look.facts.target) {
            (None, Some(target)) if target.predicted => self.predict(look, &target.tag).await,
            (None, None) => {
                let text = "which image would be deployed: there is no release to publish";
                let finding = Finding::new(Decision::Satisfied).saw(Evidence::not_previewable(text));
                Ok(teach_running(finding, running_now(look).await?))
            }
            _ => self.observe(look).await,
        }
    }

    async fn guard(&self, look: Look<'_>) -> Result<Vec<Refusal>, Trouble> {
        let Some(image) = &look.facts.image else { return Ok(Vec::new()) };
        let registry = declared::registry(look.runbook)?;
        let digest = async { Ok(look.readers.registry.digest(&registry.image, &image.tag).await) };
        let (now, deployed) = futures::try_join!(digest, deployed_meanwhile(&look))?;
        let moved = match now {
            Ok(now) => moved(image, now.as_deref()),
            Err(error) if look.parameters.tag.is_some() => {
                look.without(Check::Registry, error, &unseen::consequence(registry, &image.tag))?;
                None
            }
            Err(error) => return Err(error.into()),
        };
        Ok(moved.into_iter().chain(deployed).collect())
    }

    async fn act(&self, _act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        Ok(())
    }
}

/// The tag of a rollback that the registry does not have.
async fn missing(look: &Look<'_>, tag: &str, running: &Running) -> Result<Finding, Trouble> {
    let shape = declared::release(look.runbook)?;
    let registry = declared::registry(look.runbook)?;
    let releases = match &look.runbook.github {
        Some(github) => look.readers.github.releases(&github.repository).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let image = format!("{} at {}", registry.image, registry.url);
    let refusal = advice::missing(shape, tag, &image, &releases);
    let tags = advice::recent_tags(look, running.fact.as_ref()).await?;
    Ok(Finding::new(Decision::Blocked(vec![advice::with_tags(refusal, &tags)])))
}

/// Whether the tag still points to what was resolved.
fn moved(image: &ImageFact, now: Option<&str>) -> Option<Refusal> {
    let now = match now {
        Some(now) if now == image.digest => return None,
        Some(now) => format!("now points to {}", short_digest(now)),
        None => "is gone from the registry".to_owned(),
    };
    Some(Refusal {
        what: format!("{} was {} and {now}", image.tag, short_digest(&image.digest)),
        next: "find out who changed it before anything is deployed".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_moved_after_the_yes_is_a_refusal() {
        let image =
            ImageFact { tag: "rel-2024.08.22.20.53.01".into(), digest: "sha256:a".into(), airflow_version: None };
        assert_eq!(moved(&image, Some("sha256:a")), None);
        assert!(moved(&image, Some("sha256:b")).is_some_and(|refusal| refusal.what.contains("now points to sha256:b")));
        assert!(moved(&image, None).is_some_and(|refusal| refusal.what.contains("gone from the registry")));
    }
}
