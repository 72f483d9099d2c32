//! The checkout, its remote and the run lock over the simulated world.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use catalog_deploy::adapters::Cause;
use catalog_deploy::adapters::checkout::{
    Arguments, Attribute, CheckoutRead, CheckoutWrite, Landed, Location, Planned, RemoteMain, Result, Standing, Tree,
    replace_attribute,
};
use catalog_deploy::adapters::lock::{LockRead, LockRecord, LockState, LockWrite, Taken};
use catalog_deploy::adapters::process::{LineSink, Recorded, Traces};

use super::Hands;
use super::tree::{SimTree, attribute, plan};
use crate::sim::Answer;
use crate::world::history::{Actor, Change};
use crate::world::infra::{FILE, REFERENCE, Repo, literals, rest};
use crate::world::{World, infra};

impl Hands {
    /// Over the network, to the infrastructure remote.
    async fn remote<T>(&self, what: &str, writes: bool, effect: impl FnOnce(&mut World) -> Answer<T>) -> Result<T> {
        self.0.request("remote", what.to_owned(), writes, effect).await
    }

    async fn git<T>(&self, what: &str, writes: bool, effect: impl FnOnce(&mut World) -> Answer<T>) -> Result<T> {
        self.0.request("git", what.to_owned(), writes, effect).await
    }
}

fn of_branch(repo: &Repo, branch: &str) -> Option<Vec<u8>> {
    if branch == "main" { repo.main.last().cloned() } else { repo.branches.get(branch).cloned() }
}

#[async_trait]
impl CheckoutRead for Hands {
    fn root(&self) -> PathBuf {
        "/checkout".into()
    }
    async fn standing(&self) -> Result<Standing> {
        let remote = self.remote("the remote's main", false, |world| {
            let newest = world.repo.main.len() - 1;
            Ok(RemoteMain { commit: Repo::commit(newest), in_head: (world.repo.head == newest).then_some(true) })
        });
        let remote = remote.await;
        self.git("standing", false, |world| {
            let repo = &world.repo;
            let dirty = if repo.working == repo.main[repo.head] { vec![] } else { vec![FILE.to_owned()] };
            Ok(Standing {
                branch: Some("main".into()),
                head: Repo::commit(repo.head),
                remote,
                dirty,
                untracked: Vec::new(),
                in_progress: None,
            })
        })
        .await
    }
    async fn read(&self, file: &str) -> Result<Vec<u8>> {
        SimTree { sim: self.0.clone(), copy: None }.read(file).await
    }
    async fn read_at(&self, _: &str, file: &str) -> Result<Vec<u8>> {
        self.git("read at HEAD", false, |world| match file {
            FILE => Ok(world.repo.main[world.repo.head].clone()),
            other => Err(Cause::NotFound(other.into())),
        })
        .await
    }
    async fn attribute(&self, at: &Location) -> Result<Attribute> {
        SimTree { sim: self.0.clone(), copy: None }.attribute(at).await
    }
    async fn fingerprint(&self, _: &[Location]) -> Result<String> {
        self.git("fingerprint", false, |world| {
            let repo = &world.repo;
            Ok(format!("{} {}", repo.head, String::from_utf8_lossy(&rest(&repo.working))))
        })
        .await
    }
    async fn arguments(&self, _: &[String]) -> Result<Arguments> {
        Ok(Arguments::Takes)
    }
    async fn remote_branch(&self, branch: &str) -> Result<Option<String>> {
        self.remote(&format!("ls-remote {branch}"), false, |world| {
            Ok(match branch {
                "main" => Some(Repo::commit(world.repo.main.len() - 1)),
                branch => world.repo.branches.get(branch).map(|_| format!("head-of-{branch}")),
            })
        })
        .await
    }
    async fn remote_file(&self, branch: &str, _: &str) -> Result<Option<Vec<u8>>> {
        self.remote(&format!("fetch {branch}"), false, |world| Ok(of_branch(&world.repo, branch))).await
    }
    async fn remote_attribute(&self, branch: &str, at: &Location) -> Result<Option<Attribute>> {
        self.remote(&format!("fetch {branch}"), false, |world| {
            of_branch(&world.repo, branch).map(|bytes| attribute(&bytes, at)).transpose()
        })
        .await
    }
    async fn literals_in_history(&self, _: &str, _: &Location, _: usize) -> Result<Vec<Landed>> {
        self.git("log", false, |world| {
            let landed = |(index, file): (usize, &Vec<u8>)| Landed {
                at: infra::moment(-3_600_000 + i64::try_from(index).unwrap()),
                by: "grace".into(),
                literal: literals(file).0,
            };
            let older = Landed {
                at: infra::moment(-7_200_000),
                by: "grace".into(),
                literal: format!("\"{}\"", crate::world::OLDER),
            };
            Ok(world.repo.main.iter().enumerate().rev().map(landed).chain([older]).collect())
        })
        .await
    }
    async fn output(&self, argv: &[String]) -> Result<Vec<u8>> {
        let json = argv.iter().any(|word| word == "-json");
        let pull = argv.iter().any(|word| word == "pull");
        self.git(&argv.join(" "), false, |world| {
            if pull {
                return Ok(serde_json::json!({"version": 4, "serial": world.terraform.serial})
                    .to_string()
                    .into_bytes());
            }
            let tags: Vec<&String> = world.terraform.instance.iter().collect();
            let state = serde_json::json!({"values": {"root_module": {"child_modules": [{
                "address": "module.catalog-airflow",
                "resources": [{"mode": "managed", "values": {"tags": tags}}],
            }]}}});
            Ok(if json { state.to_string().into_bytes() } else { b"the whole plan".to_vec() })
        })
        .await
    }
    async fn scratch(&self) -> Result<Arc<dyn Tree>> {
        let bytes = self.git("clone", false, |world| Ok(world.repo.working.clone())).await?;
        Ok(Arc::new(SimTree { sim: self.0.clone(), copy: Some(Arc::new(Mutex::new(bytes))) }))
    }
    async fn plan(&self, _: &[String], plan_file: &Path, lines: LineSink) -> Result<Planned> {
        plan(&self.0, None, plan_file, &lines).await
    }
}

#[async_trait]
impl CheckoutWrite for Hands {
    fn tree(&self) -> Arc<dyn Tree> {
        Self::tree(self)
    }
    async fn apply(
        &self,
        argv: &[String],
        traces: &Traces,
        lines: LineSink,
        stop: tokio::sync::watch::Receiver<bool>,
    ) -> Result<Recorded> {
        let plan = PathBuf::from(argv.last().unwrap());
        self.child(&plan, traces, lines, stop).await
    }
    async fn push_version(&self, branch: &str, at: &Location, literal: &str, _: &str) -> Result<String> {
        self.remote(&format!("push {branch}"), true, |world| {
            let main = world.repo.main.last().unwrap();
            let bytes = replace_attribute(main, &at.file, &at.block, &at.attribute, literal).unwrap();
            if world.repo.branches.get(branch).is_some_and(|there| *there != bytes) {
                return Err(Cause::Rejected { status: 0, message: "the branch exists with another content".into() });
            }
            let (only_the_version, flag) = (rest(&bytes) == rest(main), literals(&bytes).1);
            world.repo.branches.insert(branch.to_owned(), bytes);
            let by = Actor::Run(world.process);
            world.record(by, Change::Pushed { branch: branch.into(), only_the_version, flag });
            Ok(format!("head-of-{branch}"))
        })
        .await
    }
}

#[async_trait]
impl LockRead for Hands {
    fn reference(&self) -> Option<String> {
        Some(REFERENCE.into())
    }
    async fn holder(&self) -> Result<Option<LockState>> {
        self.remote("read the lock", false, |world| Ok(world.lock.clone())).await
    }
}

#[async_trait]
impl LockWrite for Hands {
    async fn take(&self, record: &LockRecord) -> Result<Taken> {
        self.swap(None, record).await
    }
    async fn replace(&self, commit: &str, record: &LockRecord) -> Result<Taken> {
        self.swap(Some(commit), record).await
    }
    /// As the real one: a lost answer is resolved by looking once more.
    async fn free(&self, commit: &str) -> Result<bool> {
        let freed = self
            .remote("free the lock", true, |world| {
                let ours = world.lock.as_ref().is_some_and(|lock| lock.commit == commit);
                if ours {
                    world.set_lock(Actor::Run(world.process), None);
                }
                Ok(ours)
            })
            .await;
        let error = match freed {
            Err(error) if !error.surely_refused() => error,
            known => return known,
        };
        match self.holder().await {
            Ok(None) => Ok(true),
            Ok(Some(now)) if now.commit != commit => Ok(false),
            Ok(Some(_)) | Err(_) => Err(error),
        }
    }
}

impl Hands {
    /// As the real one: a lost answer is resolved by reading once more.
    async fn swap(&self, expected: Option<&str>, record: &LockRecord) -> Result<Taken> {
        let run = record.run.clone();
        let pushed = self
            .remote("push the lock", true, |world| {
                match (&world.lock, expected) {
                    (None, None) => {}
                    (Some(held), Some(expected)) if held.commit == expected => {}
                    (Some(held), _) => return Ok(Taken::Theirs(held.clone())),
                    (None, Some(_)) => return Err(Cause::Refused("the lock was freed meanwhile".into())),
                }
                let mut lock = infra::lock_of(&run, world.now, world.locks_made);
                lock.record = LockRecord { nonce: lock.commit.clone(), ..record.clone() };
                world.set_lock(Actor::Run(world.process), Some(lock.clone()));
                Ok(Taken::Ours(lock))
            })
            .await;
        let error = match pushed {
            Err(error) if !error.surely_refused() => error,
            known => return known,
        };
        match self.holder().await {
            Ok(Some(found)) if found.record.run == record.run => Ok(Taken::Ours(found)),
            Ok(Some(found)) => Ok(Taken::Theirs(found)),
            Ok(None) | Err(_) => Err(error),
        }
    }
}
