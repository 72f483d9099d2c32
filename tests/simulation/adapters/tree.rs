//! The checkout's files, or those of a scratch copy.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use catalog_deploy::adapters::Cause;
use catalog_deploy::adapters::checkout::{
    Attribute, Location, Planned, Result, Tree, find_attribute, replace_attribute,
};
use catalog_deploy::adapters::process::LineSink;

use super::Hands;
use crate::sim::{Answer, Sim};
use crate::world::history::Actor;
use crate::world::infra::FILE;
use crate::world::{World, infra};

/// The real checkout, or a copy of its own.
pub struct SimTree {
    pub sim: Arc<Sim>,
    pub copy: Option<Arc<Mutex<Vec<u8>>>>,
}

pub fn attribute(bytes: &[u8], at: &Location) -> Answer<Attribute> {
    find_attribute(bytes, &at.file, &at.block, &at.attribute).map_err(|error| Cause::Malformed(error.to_string()))
}

impl SimTree {
    async fn request<T>(
        &self,
        what: &str,
        writes: bool,
        effect: impl FnOnce(&mut World, Vec<u8>) -> Answer<(T, Option<Vec<u8>>)>,
    ) -> Result<T> {
        let copy = self.copy.clone();
        let what = format!("{what}{}", if copy.is_some() { " (copy)" } else { "" });
        // What happens to a copy changes nothing in the world.
        let writes = writes && copy.is_none();
        self.sim
            .request("checkout", what, writes, |world| {
                let bytes = copy.as_ref().map_or_else(|| world.repo.working.clone(), |it| it.lock().unwrap().clone());
                let (value, changed) = effect(world, bytes)?;
                match (changed, &copy) {
                    (None, _) => {}
                    (Some(bytes), Some(copy)) => *copy.lock().unwrap() = bytes,
                    (Some(bytes), None) => world.write(Actor::Run(world.process), bytes),
                }
                Ok(value)
            })
            .await
    }
}

/// A plan takes its time, and the state lock where it is not made in a copy.
pub async fn plan(sim: &Arc<Sim>, copy: Option<Vec<u8>>, plan_file: &Path, lines: &LineSink) -> Result<Planned> {
    sim.pause(Duration::from_secs(8)).await;
    let what = format!("terraform plan{}", if copy.is_some() { " (copy)" } else { "" });
    let planned = sim
        .request("terraform", what, false, |world| {
            let bytes = copy.clone().unwrap_or_else(|| world.repo.working.clone());
            Ok(world.plan_of(&bytes, copy.is_none()).map(|tag| {
                let (plan, saved) = world.terraform.plan(&tag);
                world.terraform.plans.insert(plan_file.to_owned(), saved);
                plan
            }))
        })
        .await?;
    Ok(match planned {
        Ok(plan) => Planned::Ready(plan),
        Err(words) => {
            lines(words);
            Planned::Failed { code: Some(1), tail: vec![words.to_owned()] }
        }
    })
}

#[async_trait]
impl Tree for SimTree {
    fn root(&self) -> PathBuf {
        "/checkout".into()
    }
    async fn attribute(&self, at: &Location) -> Result<Attribute> {
        self.request("read the file", false, |_, bytes| Ok((attribute(&bytes, at)?, None))).await
    }
    async fn read(&self, file: &str) -> Result<Vec<u8>> {
        self.request(&format!("read {file}"), false, |_, bytes| match file {
            FILE => Ok((bytes, None)),
            other => Err(Cause::NotFound(other.into())),
        })
        .await
    }
    async fn restore(&self, file: &str, bytes: Option<&[u8]>) -> Result<()> {
        self.request(&format!("put {file} back"), true, |_, _| Ok(((), bytes.map(<[u8]>::to_vec)))).await
    }
    async fn set_attribute(&self, at: &Location, literal: &str) -> Result<String> {
        self.request(&format!("set {} to {literal}", at.attribute), true, |_, bytes| {
            let before = attribute(&bytes, at)?.literal;
            let after = replace_attribute(&bytes, &at.file, &at.block, &at.attribute, literal);
            Ok((before, Some(after.map_err(|error| Cause::Malformed(error.to_string()))?)))
        })
        .await
    }
    async fn run(&self, argv: &[String], _: LineSink) -> Result<(Option<i32>, String)> {
        let location = Location {
            file: FILE.into(),
            block: vec!["module".into(), "catalog-airflow".into()],
            attribute: "docker_image_tag".into(),
        };
        self.request(&format!("run {}", argv.join(" ")), true, |world, bytes| {
            let tags = world.registry.keys().filter(|tag| tag.starts_with("rel-"));
            let newest = format!("\"{}\"", tags.max().unwrap());
            let after = replace_attribute(&bytes, FILE, &location.block, &location.attribute, &newest);
            Ok(((Some(0), String::new()), Some(after.unwrap())))
        })
        .await
    }
    async fn plan(&self, _: &[String], plan_file: &Path, lines: LineSink) -> Result<Planned> {
        let copy = self.copy.as_ref().map(|copy| copy.lock().unwrap().clone());
        plan(&self.sim, copy, plan_file, &lines).await
    }
    async fn diff(&self) -> Result<String> {
        Ok(String::new())
    }
    async fn changed(&self) -> Result<Vec<String>> {
        self.request("git status", false, |world, bytes| {
            let differs = world.repo.main[world.repo.head] != bytes;
            Ok((if differs { vec![infra::FILE.to_owned()] } else { Vec::new() }, None))
        })
        .await
    }
}

impl Hands {
    pub fn tree(&self) -> Arc<dyn Tree> {
        Arc::new(SimTree { sim: self.0.clone(), copy: None })
    }
}
