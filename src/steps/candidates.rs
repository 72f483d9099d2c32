//! The tags that a rollback can choose from: what is on the registry or was deployed, newest first.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use jiff::Timestamp;

use super::declared;
use super::deploys::{Deploy, Deploys, bumps_of};
use crate::adapters::registry::airflow_version;
use crate::adapters::{Readers, ServiceError};
use crate::facts::{PastRun, RunningFact};
use crate::release::{self, Deployed};
use crate::runbook::Runbook;
use crate::runbook::schema::ReleaseShape;
use crate::step::Trouble;

/// How many tags are shown, the latest stable one apart.
const SHOWN: usize = 8;

/// Tags to choose from.
#[derive(Debug)]
pub struct Candidates<'a> {
    shape: &'a ReleaseShape,
    /// Newest first.
    pub tags: Vec<String>,
    /// The newest tag older than what runs that was really deployed, and not known to have been unhealthy.
    pub stable: Option<String>,
    history: BTreeMap<String, Deployed>,
    deploys: Deploys,
    /// All tags of the registry, or why they could not be listed.
    registry: Result<BTreeSet<String>, ServiceError>,
}

/// What the registry tells of one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `None` where the registry could not be asked.
    pub there: Option<bool>,
    pub airflow_version: Option<String>,
}

impl<'a> Candidates<'a> {
    /// Looks. What cannot be read makes the list shorter.
    ///
    /// # Errors
    /// Where the runbook has no `[release]`.
    pub async fn read(
        readers: &Readers,
        runbook: &'a Runbook,
        past: &[PastRun],
        running: Option<&RunningFact>,
    ) -> Result<Self, Trouble> {
        let shape = declared::release(runbook)?;
        let (registry, deploys) = futures::join!(
            async {
                let registry = runbook.registry.as_ref();
                match registry {
                    Some(registry) => readers.registry.tags(&registry.image).await.map(BTreeSet::from_iter),
                    None => Ok(BTreeSet::new()),
                }
            },
            Deploys::read(readers, runbook, past),
        );
        let known: BTreeSet<String> =
            deploys.tags(shape).into_iter().chain(registry.iter().flatten().cloned()).collect();
        let all = release::recent(shape, &Vec::from_iter(known), usize::MAX);
        let mut tags: Vec<String> = all.iter().take(SHOWN).cloned().collect();
        let judged = all.iter().map(|tag| (tag.clone(), deploys.judge(shape, tag, running, &[])));
        let mut history: BTreeMap<String, Deployed> = judged.collect();
        // Only for those that are shown: each is a request.
        let pulls = join_all(tags.iter().map(|tag| bumps_of(readers, runbook, tag))).await;
        for (tag, pulls) in tags.iter().zip(&pulls) {
            history.insert(tag.clone(), deploys.judge(shape, tag, running, pulls));
        }
        let stable = running.and_then(|running| release::latest_stable(&history, &running.tag)).map(str::to_owned);
        tags.extend(stable.clone().filter(|stable| !tags.contains(stable)));
        Ok(Self { shape, tags, stable, history, deploys, registry })
    }

    /// One line per tag: its age, and whether it was ever deployed.
    pub fn lines(&self, now: Timestamp) -> Vec<String> {
        let mut lines = release::suggest(self.shape, &self.tags, &self.history, now);
        for (tag, line) in self.tags.iter().zip(&mut lines) {
            // Before the rest, which a narrow terminal may cut off.
            if self.registry.as_ref().is_ok_and(|there| !there.contains(tag)) {
                line.insert_str(tag.len(), "  no image on the registry,");
            } else if self.stable.as_ref() == Some(tag) {
                line.insert_str(tag.len(), "  the latest stable one,");
            }
        }
        lines
    }

    pub fn history(&self, tag: &str) -> &Deployed {
        self.history.get(tag).unwrap_or(&Deployed::NotKnown)
    }

    pub fn deploys(&self, tag: &str) -> Vec<Deploy> {
        self.deploys.of(tag)
    }

    /// Why the registry's tags are not known.
    pub fn unseen(&self) -> Option<&ServiceError> {
        self.registry.as_ref().err()
    }

    /// The images of all tags, side by side. Their Airflow version is best effort, from a run of this machine where the
    /// registry does not tell.
    pub async fn images(&self, readers: &Readers, runbook: &Runbook, past: &[PastRun]) -> Vec<Image> {
        let image = async |tag: &String| {
            let there = self.registry.as_ref().ok().map(|tags| tags.contains(tag));
            let known = past.iter().rev().filter_map(|run| run.image.as_ref()).find(|image| image.tag == *tag);
            let airflow_version = match (there, &runbook.registry) {
                (Some(true), Some(registry)) => version_of(readers, &registry.image, tag).await,
                _ => None,
            };
            Image { there, airflow_version: airflow_version.or_else(|| known?.airflow_version.clone()) }
        };
        join_all(self.tags.iter().map(image)).await
    }
}

async fn version_of(readers: &Readers, image: &str, tag: &str) -> Option<String> {
    let manifest = readers.registry.manifest(image, tag).await.ok()??;
    airflow_version(&readers.registry.environment(image, &manifest.digest).await.ok()?)
}
