//! A scratch copy: an own repository that borrows the checkout's objects, the working files laid over it.
//!
//! Nothing done in it reaches the original: its refs, index and configuration are its own, links into the original lead
//! into the copy, remotes cannot be pushed to, no hook runs. It vanishes when dropped; what a killed process left is
//! swept at the next start.

mod copy;
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::client::CheckoutOptions;
use super::git::Git;
use super::tree::{WorkTree, names};
use super::{Attribute, Location, Planned, Result, Tree};
use crate::adapters::process::LineSink;
use crate::adapters::{Cause, ServiceError};
pub use place::{Place, sweep};

/// Where a push from the copy would go: no transport of that name exists.
const NOWHERE: &str = "no-push-from-a-scratch-copy://";

/// A copy of the checkout, removed when dropped.
pub(super) struct Scratch {
    tree: WorkTree,
    _place: Place,
}

impl Scratch {
    pub(super) async fn new(git: &Git, root: &Path, options: &CheckoutOptions) -> Result<Self> {
        let parent = options.scratch_parent.clone();
        let place = blocking(move || Place::new(&parent)).await?;
        let target = place.directory().join("tree");
        let hooks = place.directory().join("hooks");
        std::fs::create_dir(&hooks).map_err(trouble)?;
        let environment = environment(&options.environment, &options.root, root, &target);
        let own = Git::new(options.commands.clone(), &target, &environment);
        let gitlinks = repository(git, root, &target, &hooks, &options.commands, &environment).await?;
        let (from, to, skip) = (root.to_owned(), target.clone(), options.scratch_parent.clone());
        let moved = blocking(move || copy::lay_over(&from, &to, &skip, &gitlinks)).await?;
        take_for_unchanged(&own, &moved).await?;
        let tree = WorkTree {
            root: target,
            directory: options.directory.clone(),
            environment,
            commands: options.commands.clone(),
            git: own,
            private: options.scratch_parent.clone(),
            lock_state: false,
            untracked_before: OnceCell::new(),
        };
        tree.note_untracked().await?;
        Ok(Self { tree, _place: place })
    }
}

#[async_trait]
impl Tree for Scratch {
    fn root(&self) -> PathBuf {
        self.tree.root()
    }
    async fn attribute(&self, at: &Location) -> Result<Attribute> {
        self.tree.attribute(at).await
    }
    async fn read(&self, file: &str) -> Result<Vec<u8>> {
        self.tree.read(file).await
    }
    async fn restore(&self, file: &str, bytes: Option<&[u8]>) -> Result<()> {
        self.tree.restore(file, bytes).await
    }
    async fn set_attribute(&self, at: &Location, literal: &str) -> Result<String> {
        self.tree.set_attribute(at, literal).await
    }
    async fn run(&self, argv: &[String], lines: LineSink) -> Result<(Option<i32>, String)> {
        self.tree.run(argv, lines).await
    }
    async fn plan(&self, argv: &[String], plan_file: &Path, lines: LineSink) -> Result<Planned> {
        self.tree.plan(argv, plan_file, lines).await
    }
    async fn diff(&self) -> Result<String> {
        self.tree.diff().await
    }
    async fn changed(&self) -> Result<Vec<String>> {
        self.tree.changed().await
    }
}

/// Variables that name the original (`JUST_JUSTFILE`, `TF_DATA_DIR`, a `PATH` with its `bin`) name the copy instead.
fn environment(
    given: &BTreeMap<String, String>,
    as_given: &Path,
    root: &Path,
    target: &Path,
) -> BTreeMap<String, String> {
    let mut environment = crate::adapters::process::all_inherited();
    environment.extend(given.clone());
    environment.retain(|name, value| {
        let moved = retarget(&retarget(value, root, target), as_given, target);
        let keep = moved != *value || given.contains_key(name);
        *value = moved;
        keep
    });
    environment
}

/// Every mention of the directory `from`, or of something in it, becomes one of `to`.
fn retarget(text: &str, from: &Path, to: &Path) -> String {
    let (Some(from), Some(to)) = (from.to_str().filter(|from| from.len() > 1), to.to_str()) else { return text.into() };
    let mut moved = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let after = &rest[at + from.len()..];
        let whole = !after.starts_with(|next: char| next.is_alphanumeric() || matches!(next, '-' | '_' | '.'));
        let starts =
            !rest[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '-' | '_' | '.' | '/'));
        moved.push_str(&rest[..at]);
        moved.push_str(if whole && starts { to } else { from });
        rest = after;
    }
    moved + rest
}

/// Makes the copy's own `.git`. Returns the paths of submodules.
async fn repository(
    git: &Git,
    root: &Path,
    target: &Path,
    hooks: &Path,
    commands: &Arc<crate::adapters::process::Commands>,
    environment: &BTreeMap<String, String>,
) -> Result<BTreeSet<PathBuf>> {
    let path = |name: &'static str| async move {
        git.line(&["rev-parse", "--path-format=absolute", "--git-path", name]).await.map(PathBuf::from)
    };
    let head = async {
        let branch = git.attempt(&["symbolic-ref", "-q", "HEAD"]).await?;
        if branch.success() {
            return Ok(format!("ref: {}", String::from_utf8_lossy(&branch.stdout)));
        }
        Ok(format!("{}\n", git.line(&["rev-parse", "--verify", "HEAD"]).await?))
    };
    let (head, format, refs, index, config, worktree_config, objects, info, shallow, staged) = tokio::try_join!(
        head,
        git.line(&["rev-parse", "--show-object-format"]),
        git.output(&["for-each-ref", "--format=%(objectname) %(refname)"]),
        path("index"),
        path("config"),
        path("config.worktree"),
        path("objects"),
        path("info"),
        path("shallow"),
        git.output(&["ls-files", "--stage", "-z"]),
    )?;
    let outside = Git::new(commands.clone(), hooks, environment);
    let format = format!("--object-format={format}");
    outside
        .output(&[
            "-c",
            "init.defaultRefFormat=files",
            "init",
            "--quiet",
            "--template=",
            &format,
            &target.to_string_lossy(),
        ])
        .await?;
    let own = target.join(".git");
    let mut settings = std::fs::read_to_string(&config).map_err(trouble)?;
    settings.push('\n');
    settings.push_str(&std::fs::read_to_string(&worktree_config).unwrap_or_default());
    settings.push_str("\n[core]\n\tbare = false\n\tfsmonitor = false\n\tuntrackedCache = false\n[gc]\n\tauto = 0\n");
    (|| {
        std::fs::write(own.join("HEAD"), &head)?;
        std::fs::write(own.join("packed-refs"), &refs)?;
        std::fs::write(own.join("config"), &settings)?;
        std::fs::create_dir_all(own.join("objects/info"))?;
        std::fs::write(own.join("objects/info/alternates"), format!("{}\n", objects.display()))?;
        std::fs::create_dir_all(own.join("info"))?;
        for name in ["exclude", "attributes", "sparse-checkout"] {
            copy_if_there(&info.join(name), &own.join("info").join(name))?;
        }
        copy_if_there(&shallow, &own.join("shallow"))?;
        copy_if_there(&index, &own.join("index"))?;
        for entry in index.parent().map(std::fs::read_dir).transpose()?.into_iter().flatten() {
            let name = entry?.file_name();
            if name.to_string_lossy().starts_with("sharedindex.") {
                copy_if_there(&index.with_file_name(&name), &own.join(&name))?;
            }
        }
        Ok(())
    })()
    .map_err(trouble)?;
    neutralise(&outside, root, &own.join("config").to_string_lossy(), &hooks.to_string_lossy()).await?;
    Ok(names(&staged)
        .filter_map(|entry| {
            entry.strip_prefix("160000 ").and_then(|rest| Some(PathBuf::from(rest.split_once('\t')?.1)))
        })
        .collect())
}

/// A tracked link that was turned into the copy is no change that anybody made.
async fn take_for_unchanged(git: &Git, moved: &[PathBuf]) -> Result<()> {
    if moved.is_empty() {
        return Ok(());
    }
    let tracked = git.output(&["ls-files", "-z"]).await?;
    let moved: BTreeSet<_> = moved.iter().map(|path| path.to_string_lossy().into_owned()).collect();
    let list: String = names(&tracked).filter(|name| moved.contains(name)).map(|name| name + "\0").collect();
    git.fed(&["update-index", "-z", "--skip-worktree", "--stdin"], list.as_bytes()).await.map(|_| ())
}

/// The copied settings, made harmless.
async fn neutralise(git: &Git, root: &Path, config: &str, hooks: &str) -> Result<()> {
    for gone in ["core.worktree", "extensions.worktreeConfig", "extensions.refStorage"] {
        git.attempt(&["config", "--file", config, "--unset-all", gone]).await?;
    }
    git.output(&["config", "--file", config, "--replace-all", "core.hooksPath", hooks]).await?;
    let urls = git.attempt(&["config", "--file", config, "-z", "--get-regexp", r"^remote\..*\.url$"]).await?;
    for entry in names(&urls.stdout) {
        let Some((key, url)) = entry.split_once('\n') else { continue };
        let Some(remote) = key.strip_suffix(".url") else { continue };
        git.output(&["config", "--file", config, "--replace-all", &format!("{remote}.pushurl"), NOWHERE]).await?;
        let relative = url.starts_with("./") || url.starts_with("../");
        if relative {
            let absolute = root.join(url);
            git.output(&["config", "--file", config, key, &absolute.to_string_lossy()]).await?;
        }
    }
    // A URL given on the command line is not a remote: the empty prefix catches every one.
    git.output(&["config", "--file", config, &format!("url.{NOWHERE}.pushInsteadOf"), ""]).await?;
    Ok(())
}

fn copy_if_there(from: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::copy(from, to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn trouble(error: std::io::Error) -> ServiceError {
    let why = format!("could not make a scratch copy: {error}; free some space or correct the permissions");
    ServiceError::new("checkout", "scratch copy", Cause::Failed(why))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other).and_then(|done| done).map_err(trouble)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_mentions_are_moved() {
        let moved = |text| retarget(text, Path::new("/a/infra"), Path::new("/tmp/s"));
        assert_eq!(moved("/a/infra/bin:/usr/bin:/a/infra"), "/tmp/s/bin:/usr/bin:/tmp/s");
        assert_eq!(moved("/a/infra-old:/x/a/infra"), "/a/infra-old:/x/a/infra");
        assert_eq!(moved("-state=/a/infra/x"), "-state=/tmp/s/x");
    }
}
