//! The checkout as people have it on their laptop. Looking changes no byte of it, `.git` included.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::git::Git;
use super::hcl::{blanked, find_attribute};
use super::objects::PrivateObjects;
use super::scratch::Scratch;
use super::terraform::hex;
use super::tree::{WorkTree, command_failed, malformed, names};
use super::{
    Arguments, Attribute, CheckoutRead, CheckoutWrite, Landed, Location, Planned, RemoteMain, Result, Standing, Tree,
    recipe,
};
use crate::adapters::process::{Command, CommandRead, CommandRun, Commands, LineSink, Recorded, Traces};
use crate::adapters::{Cause, ServiceError};

/// Which checkout, and how it is worked with.
#[derive(Debug, Clone)]
pub struct CheckoutOptions {
    pub root: PathBuf,
    /// e.g. `origin`
    pub remote: String,
    /// Its main branch.
    pub main: String,
    /// Where Terraform runs, relative to the root.
    pub directory: String,
    /// Variables for children, beyond those they inherit.
    pub environment: BTreeMap<String, String>,
    /// Private directory for scratch copies and objects; made if absent.
    pub scratch_parent: PathBuf,
    pub commands: Arc<Commands>,
    /// Name of this laptop.
    pub host: String,
}

/// The infrastructure checkout.
pub struct Checkout {
    pub(super) options: CheckoutOptions,
    pub(super) git: Git,
    tree: Arc<WorkTree>,
    /// The root without symlinks, once it is known to be a repository's.
    verified: OnceCell<PathBuf>,
}

impl Checkout {
    pub fn new(options: CheckoutOptions) -> Self {
        let git = Git::new(options.commands.clone(), &options.root, &options.environment);
        let tree = Arc::new(work_tree(&options, &git));
        Self { options, git, tree, verified: OnceCell::new() }
    }

    /// Terraform leaves this behind when it could not write its state after an apply: it must be pushed by hand
    /// (`terraform state push errored.tfstate`) before anybody plans again.
    pub fn errored_state(&self) -> Option<PathBuf> {
        let path = self.options.root.join(&self.options.directory).join("errored.tfstate");
        path.exists().then_some(path)
    }

    /// # Errors
    /// `Refused` where the root does not exist, or is not the root of a repository with working files.
    async fn verified(&self) -> Result<&PathBuf> {
        self.verified
            .get_or_try_init(|| async {
                let shown = self.options.root.display();
                let refuse = |why: String| {
                    let why = format!("{why}; correct `[infrastructure] checkout` in your config.toml, or pass -C DIR");
                    ServiceError::new("checkout", shown.to_string(), Cause::Refused(why))
                };
                let root = self.options.root.canonicalize().map_err(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => refuse(format!("the directory {shown} does not exist")),
                    _ => refuse(format!("could not open {shown}: {error}")),
                })?;
                if !root.is_dir() {
                    return Err(refuse(format!("{shown} is not a directory")));
                }
                let arguments = ["rev-parse", "--is-bare-repository", "--show-toplevel"];
                let said = self.git.attempt(&arguments).await?;
                let text = String::from_utf8_lossy(&said.stdout);
                let mut lines = text.lines();
                if lines.next() == Some("true") {
                    return Err(refuse(format!("{shown} is a bare repository: it has no files to work on")));
                }
                if !said.success() {
                    let cause = self.git.refused(&arguments, &said).cause;
                    return Err(refuse(format!("{shown} is not a git checkout: {cause}")));
                }
                let top = Path::new(lines.next().unwrap_or_default()).canonicalize().unwrap_or_default();
                if top == root {
                    Ok(root)
                } else {
                    Err(refuse(format!("{shown} is inside the repository {}: give that root", top.display())))
                }
            })
            .await
    }

    /// As git stores them: what a commit is made of.
    pub(super) async fn stored(&self, commit: &str, file: &str) -> Result<Vec<u8>> {
        self.verified().await?;
        blob(&self.git, commit, file).await?.ok_or_else(|| absent(commit, file))
    }

    async fn in_progress(&self) -> Result<Option<String>> {
        let directory = PathBuf::from(self.git.line(&["rev-parse", "--absolute-git-dir"]).await?);
        let signs = [
            ("MERGE_HEAD", "merge"),
            ("rebase-merge", "rebase"),
            ("rebase-apply", "rebase or am"),
            ("CHERRY_PICK_HEAD", "cherry-pick"),
            ("REVERT_HEAD", "revert"),
            ("BISECT_LOG", "bisect"),
        ];
        Ok(signs.iter().find(|(sign, _)| directory.join(sign).exists()).map(|(_, name)| (*name).to_owned()))
    }

    async fn contains(&self, commit: &str) -> Result<Option<bool>> {
        if !self.git.attempt(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).await?.success() {
            return Ok(None);
        }
        let arguments = ["merge-base", "--is-ancestor", commit, "HEAD"];
        let judged = self.git.attempt(&arguments).await?;
        match judged.code {
            Some(0) => Ok(Some(true)),
            Some(1) => Ok(Some(false)),
            _ => Err(self.git.refused(&arguments, &judged)),
        }
    }
}

fn absent(commit: &str, file: &str) -> ServiceError {
    ServiceError::new("git", file, Cause::NotFound(format!("{commit} has no file {file}")))
}

/// The file's bytes as git stores them; `None` where the commit has no such file.
async fn blob(git: &Git, commit: &str, file: &str) -> Result<Option<Vec<u8>>> {
    match object(git, commit, file).await? {
        Some(object) => Ok(Some(git.output(&["cat-file", "blob", &object]).await?)),
        None => Ok(None),
    }
}

async fn object(git: &Git, commit: &str, file: &str) -> Result<Option<String>> {
    let entry = git.output(&["ls-tree", "-z", "--full-tree", commit, "--", file]).await?;
    let entry = String::from_utf8_lossy(&entry).into_owned();
    Ok(entry.split(['\t', '\0']).next().and_then(|head| head.split(' ').nth(2)).map(str::to_owned))
}

fn work_tree(options: &CheckoutOptions, git: &Git) -> WorkTree {
    WorkTree {
        root: options.root.clone(),
        directory: options.directory.clone(),
        environment: options.environment.clone(),
        commands: options.commands.clone(),
        git: git.clone(),
        private: options.scratch_parent.clone(),
        lock_state: true,
        untracked_before: OnceCell::new(),
    }
}

/// Paths of `git status --porcelain=v2 -z`: changed tracked ones, then untracked ones.
fn status(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut dirty, mut untracked) = (Vec::new(), Vec::new());
    let mut entries = names(bytes);
    while let Some(entry) = entries.next() {
        // git-status(1): the path is the last of 9, 10 (with the original name in the next field) or 11 fields.
        let field = |count: usize| entry.splitn(count, ' ').nth(count - 1).unwrap_or_default().to_owned();
        match entry.as_bytes().first() {
            Some(b'1') => dirty.push(field(9)),
            Some(b'2') => {
                dirty.push(field(10));
                entries.next();
            }
            Some(b'u') => dirty.push(field(11)),
            Some(b'?') => untracked.push(field(2)),
            _ => {}
        }
    }
    (dirty, untracked)
}

#[async_trait]
impl CheckoutRead for Checkout {
    fn root(&self) -> PathBuf {
        self.options.root.clone()
    }

    async fn standing(&self) -> Result<Standing> {
        self.verified().await?;
        let main = format!("refs/heads/{}", self.options.main);
        let remote = async {
            let commit = self.git.remote_ref(&self.options.remote, &main).await?.ok_or_else(|| {
                let why = format!("the remote {} has no branch {}", self.options.remote, self.options.main);
                ServiceError::new("git", "ls-remote", Cause::NotFound(why))
            })?;
            let in_head = self.contains(&commit).await?;
            Ok(RemoteMain { commit, in_head })
        };
        let branch = async {
            let said = self.git.attempt(&["symbolic-ref", "-q", "--short", "HEAD"]).await?;
            Ok(said.success().then(|| String::from_utf8_lossy(&said.stdout).trim_end().to_owned()))
        };
        let listed = self.git.output(&["status", "--porcelain=v2", "-z", "--untracked-files=normal"]);
        let head = self.git.line(&["rev-parse", "--verify", "HEAD^{commit}"]);
        let remote = async { Ok(remote.await) };
        let (branch, head, remote, listed, in_progress) =
            tokio::try_join!(branch, head, remote, listed, self.in_progress())?;
        let (dirty, untracked) = status(&listed);
        Ok(Standing { branch, head, remote, dirty, untracked, in_progress })
    }

    async fn read(&self, file: &str) -> Result<Vec<u8>> {
        self.verified().await?;
        self.tree.read(file).await
    }

    async fn read_at(&self, commit: &str, file: &str) -> Result<Vec<u8>> {
        self.verified().await?;
        object(&self.git, commit, file).await?.ok_or_else(|| absent(commit, file))?;
        self.git.output(&["cat-file", "--filters", &format!("{commit}:{file}")]).await
    }

    async fn attribute(&self, at: &Location) -> Result<Attribute> {
        let bytes = self.read(&at.file).await?;
        find_attribute(&bytes, &at.file, &at.block, &at.attribute).map_err(malformed)
    }

    async fn fingerprint(&self, except: &[Location]) -> Result<String> {
        let root = self.verified().await?.clone();
        let (head, staged) = tokio::try_join!(
            self.git.line(&["rev-parse", "--verify", "HEAD^{commit}"]),
            self.git.output(&["ls-files", "--stage", "-z"])
        )?;
        let mut digest = Sha256::new();
        digest.update(format!("{head}\n"));
        for entry in names(&staged) {
            let Some((how, name)) = entry.split_once('\t') else { continue };
            let content = match how.split(' ').next() {
                Some("160000") => submodule(&self.git, name).await?,
                _ => content(&root.join(name), name, except)?,
            };
            digest.update(format!("{name:?} {}\n", content.len()));
            digest.update(content);
        }
        Ok(hex(&digest.finalize()))
    }

    async fn arguments(&self, argv: &[String]) -> Result<Arguments> {
        self.verified().await?;
        let Some(call) = recipe::call(argv) else { return Ok(Arguments::Unknown) };
        let mut dump = vec![argv[0].clone()];
        dump.extend(call.options.iter().cloned());
        dump.extend(["--dump", "--dump-format", "json"].map(str::to_owned));
        let finished = self.options.commands.read(&self.tree.command(&dump)).await?;
        Ok(if finished.success() { recipe::arguments(&finished.stdout, call.recipe) } else { Arguments::Unknown })
    }

    async fn remote_branch(&self, branch: &str) -> Result<Option<String>> {
        self.verified().await?;
        self.git.remote_ref(&self.options.remote, &format!("refs/heads/{branch}")).await
    }

    async fn remote_file(&self, branch: &str, file: &str) -> Result<Option<Vec<u8>>> {
        let Some(commit) = self.remote_branch(branch).await? else { return Ok(None) };
        if self.git.attempt(&["cat-file", "-e", &format!("{commit}^{{commit}}")]).await?.success() {
            return blob(&self.git, &commit, file).await;
        }
        let private = PrivateObjects::new(&self.git, &self.options.scratch_parent).await?;
        private.git.fetch_objects(&self.options.remote, &format!("refs/heads/{branch}")).await?;
        blob(&private.git, &commit, file).await
    }

    async fn remote_attribute(&self, branch: &str, at: &Location) -> Result<Option<Attribute>> {
        let Some(bytes) = self.remote_file(branch, &at.file).await? else { return Ok(None) };
        find_attribute(&bytes, &at.file, &at.block, &at.attribute).map(Some).map_err(malformed)
    }

    async fn literals_in_history(&self, branch: &str, at: &Location, limit: usize) -> Result<Vec<Landed>> {
        self.verified().await?;
        self.history(branch, at, limit).await
    }

    async fn output(&self, argv: &[String]) -> Result<Vec<u8>> {
        self.verified().await?;
        let finished = self.options.commands.read(&self.tree.command(argv)).await?;
        if finished.success() { Ok(finished.stdout) } else { Err(command_failed(argv, &finished)) }
    }

    async fn scratch(&self) -> Result<Arc<dyn Tree>> {
        let root = self.verified().await?;
        Ok(Arc::new(Scratch::new(&self.git, root, &self.options).await?))
    }

    async fn plan(&self, argv: &[String], plan_file: &Path, lines: LineSink) -> Result<Planned> {
        self.verified().await?;
        self.tree.plan(argv, plan_file, lines).await
    }
}

/// The commit a submodule's working files are at, and what is changed in them.
async fn submodule(git: &Git, name: &str) -> Result<Vec<u8>> {
    let head = git.attempt(&["-C", name, "rev-parse", "HEAD"]).await?;
    let changed = git.attempt(&["-C", name, "diff", "--no-ext-diff", "--no-textconv", "--binary", "HEAD"]).await?;
    Ok([head.stdout, changed.stdout].concat())
}

/// A tracked file as the fingerprint takes it: kind, whether it may be executed, bytes.
fn content(path: &Path, name: &str, except: &[Location]) -> Result<Vec<u8>> {
    use std::os::unix::fs::PermissionsExt;
    let unreadable = |error: std::io::Error| {
        ServiceError::new("checkout", name, Cause::Failed(format!("could not read {}: {error}", path.display())))
    };
    let data = match std::fs::symlink_metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(b"absent".to_vec()),
        Err(error) => return Err(unreadable(error)),
    };
    if data.is_symlink() {
        let to = std::fs::read_link(path).map_err(unreadable)?;
        return Ok(format!("link {}", to.display()).into_bytes());
    }
    if data.is_dir() {
        return Ok(b"directory".to_vec());
    }
    let mut bytes = std::fs::read(path).map_err(unreadable)?;
    for at in except.iter().filter(|at| at.file == name) {
        bytes = blanked(&bytes, &at.file, &at.block, &at.attribute).map_err(malformed)?;
    }
    let kind: &[u8] = if data.permissions().mode() & 0o100 == 0 { b"file " } else { b"program " };
    Ok([kind, &bytes].concat())
}

#[async_trait]
impl CheckoutWrite for Checkout {
    fn tree(&self) -> Arc<dyn Tree> {
        Arc::new(work_tree(&self.options, &self.git))
    }

    async fn apply(
        &self,
        argv: &[String],
        traces: &Traces,
        lines: LineSink,
        stop: tokio::sync::watch::Receiver<bool>,
    ) -> Result<Recorded> {
        self.verified().await?;
        let mut command: Command = self.tree.command(argv);
        // No arguments through TF_CLI_ARGS_apply: they do not reach Terraform where the recipe has flags of its own, and
        // colours are taken out of the lines anyway.
        command.environment.insert("TF_IN_AUTOMATION".into(), "1".into());
        command.environment.entry("TF_INPUT".into()).or_insert_with(|| "0".into());
        self.options.commands.run_recorded(&command, traces, lines, stop).await
    }

    async fn push_version(&self, branch: &str, at: &Location, literal: &str, message: &str) -> Result<String> {
        self.verified().await?;
        self.push_bump(branch, at, literal, message).await
    }
}

#[cfg(test)]
mod tests;
