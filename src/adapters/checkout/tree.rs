//! A directory whose files may be changed: what the checkout itself and a scratch copy have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::git::Git;
use super::terraform::{cli_arguments, explain, parse_plan};
use super::{Attribute, HclError, Location, Planned, Result, Tree, files, hcl};
use crate::adapters::process::{Capture, Command, Commands, Exit, LineSink, inherited, last_lines};
use crate::adapters::{Cause, ServiceError};

/// Where Terraform's arguments for `plan` are added, so recipes without parameters can be told as well.
const PLAN_ARGUMENTS: &str = "TF_CLI_ARGS_plan";

pub(super) struct WorkTree {
    pub root: PathBuf,
    /// Where Terraform runs, relative to the root.
    pub directory: String,
    pub environment: BTreeMap<String, String>,
    pub commands: Arc<Commands>,
    pub git: Git,
    /// Where files are written that are not to be seen half, and swept.
    pub private: PathBuf,
    /// Terraform's state is locked while planning.
    pub lock_state: bool,
    /// Untracked files from before anything was changed here.
    pub untracked_before: OnceCell<BTreeSet<String>>,
}

impl WorkTree {
    pub(super) fn command(&self, argv: &[String]) -> Command {
        Command { argv: argv.to_vec(), directory: Some(self.root.clone()), environment: self.environment.clone() }
    }

    pub(super) async fn note_untracked(&self) -> Result<&BTreeSet<String>> {
        self.untracked_before.get_or_try_init(|| self.untracked()).await
    }

    async fn untracked(&self) -> Result<BTreeSet<String>> {
        Ok(names(&self.git.output(&["ls-files", "--others", "--exclude-standard", "-z"]).await?).collect())
    }

    fn file_trouble(&self, file: &str, error: &std::io::Error) -> ServiceError {
        let cause = match error.kind() {
            std::io::ErrorKind::NotFound => Cause::NotFound(format!("there is no {file} in {}", self.root.display())),
            _ => Cause::Refused(format!("could not use {file} in {}: {error}", self.root.display())),
        };
        ServiceError::new("checkout", file, cause)
    }

    /// The variable as a child of ours would get it.
    fn variable(&self, name: &str) -> Option<String> {
        self.environment.get(name).cloned().or_else(|| inherited(name)?.into_string().ok())
    }

    async fn show_plan(&self, plan_file: &Path) -> Result<super::Plan> {
        let argv = ["terraform", &format!("-chdir={}", self.directory), "show", "-json"];
        let mut command = self.command(&argv.map(Into::into));
        command.argv.push(plan_file.to_string_lossy().into_owned());
        command.environment.insert("TF_IN_AUTOMATION".into(), "1".into());
        let trouble = |cause| ServiceError::new("terraform", "terraform show -json PLAN", cause);
        let shown = self.commands.capture(&command, &Capture { bound: 256 << 20, ..Capture::default() }).await?;
        if !shown.success() {
            let why = explain(&String::from_utf8_lossy(&shown.stderr), 8).join("; ");
            let directory = &self.directory;
            return Err(trouble(Cause::Failed(format!("could not read the plan from {directory}: {why}"))));
        }
        parse_plan(&shown.stdout).map_err(|why| trouble(Cause::Malformed(why)))
    }
}

#[async_trait]
impl Tree for WorkTree {
    fn root(&self) -> PathBuf {
        self.root.clone()
    }

    async fn attribute(&self, at: &Location) -> Result<Attribute> {
        let bytes = self.read(&at.file).await?;
        hcl::find_attribute(&bytes, &at.file, &at.block, &at.attribute).map_err(malformed)
    }

    async fn read(&self, file: &str) -> Result<Vec<u8>> {
        files::inside(&self.root, file).and_then(std::fs::read).map_err(|error| self.file_trouble(file, &error))
    }

    async fn restore(&self, file: &str, bytes: Option<&[u8]>) -> Result<()> {
        self.note_untracked().await?;
        files::restore(&self.root, file, bytes, &self.private).map_err(|error| self.file_trouble(file, &error))
    }

    async fn set_attribute(&self, at: &Location, literal: &str) -> Result<String> {
        self.note_untracked().await?;
        let path = files::inside(&self.root, &at.file).map_err(|error| self.file_trouble(&at.file, &error))?;
        let before = std::fs::read(&path).map_err(|error| self.file_trouble(&at.file, &error))?;
        let prior = hcl::find_attribute(&before, &at.file, &at.block, &at.attribute).map_err(refused)?;
        let after = hcl::replace_attribute(&before, &at.file, &at.block, &at.attribute, literal).map_err(refused)?;
        if after != before {
            files::replace(&path, &before, &after, &self.private).map_err(|error| {
                // Replaced, but perhaps not for good (the directory's fsync failed): that is no refusal.
                if std::fs::read(&path).is_ok_and(|now| now == after) {
                    let why = format!("{} was changed, but may not survive a power cut: {error}", at.file);
                    return ServiceError::new("checkout", &at.file, Cause::Failed(why));
                }
                self.file_trouble(&at.file, &error)
            })?;
        }
        Ok(prior.literal)
    }

    async fn run(&self, argv: &[String], lines: LineSink) -> Result<(Option<i32>, String)> {
        self.note_untracked().await?;
        let output = tempfile::NamedTempFile::new().map_err(|error| self.file_trouble("its output", &error))?;
        let exit = self.commands.follow(&self.command(argv), output.path(), lines).await?;
        let bytes = std::fs::read(output.path()).map_err(|error| self.file_trouble("its output", &error))?;
        Ok((code(exit), console::strip_ansi_codes(&String::from_utf8_lossy(&bytes)).into_owned()))
    }

    async fn plan(&self, argv: &[String], plan_file: &Path, lines: LineSink) -> Result<Planned> {
        let refuse = |why: String| ServiceError::new("terraform", argv.join(" "), Cause::Refused(why));
        let plan_file = std::path::absolute(plan_file).map_err(|error| refuse(error.to_string()))?;
        let said = plan_text(&plan_file);
        for old in [&plan_file, &said] {
            match std::fs::remove_file(old) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(refuse(format!("could not remove the old {}: {error}", old.display())));
                }
                _ => {}
            }
        }
        let mut ours = vec![format!("-out={}", plan_file.display()), "-input=false".to_owned(), "-no-color".to_owned()];
        if !self.lock_state {
            ours.push("-lock=false".to_owned());
        }
        let mut command = self.command(argv);
        let existing = self.variable(PLAN_ARGUMENTS);
        command.environment.insert(PLAN_ARGUMENTS.into(), cli_arguments(existing.as_deref(), &ours));
        command.environment.insert("TF_IN_AUTOMATION".into(), "1".into());
        let exit = self.commands.follow(&command, &said, lines).await?;
        if exit != Exit::Code(0) {
            // Terraform writes one even when a precondition fails: nobody may apply it.
            let _ = std::fs::remove_file(&plan_file);
            let output = std::fs::read(&said).unwrap_or_default();
            return Ok(Planned::Failed { code: code(exit), tail: explain(&String::from_utf8_lossy(&output), 20) });
        }
        if !plan_file.is_file() {
            let why = format!(
                "`{}` ended well but wrote no plan to {}: the recipe does not let Terraform see {PLAN_ARGUMENTS}, or has \
                 an -out of its own; let it call `terraform plan` with the environment it is given",
                argv.join(" "),
                plan_file.display()
            );
            return Err(ServiceError::new("terraform", argv.join(" "), Cause::Failed(why)));
        }
        std::fs::set_permissions(&plan_file, std::fs::Permissions::from_mode(0o600))
            .map_err(|error| refuse(format!("could not make {} private: {error}", plan_file.display())))?;
        Ok(Planned::Ready(self.show_plan(&plan_file).await?))
    }

    async fn diff(&self) -> Result<String> {
        let bytes = self.git.output(&["diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD"]).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    async fn changed(&self) -> Result<Vec<String>> {
        let before = self.note_untracked().await?;
        let tracked = ["diff", "--no-ext-diff", "--no-renames", "--name-only", "-z", "HEAD"];
        let (tracked, untracked) = tokio::try_join!(self.git.output(&tracked), self.untracked())?;
        let fresh = untracked.into_iter().filter(|name| !before.contains(name));
        Ok(names(&tracked).chain(fresh).collect::<BTreeSet<_>>().into_iter().collect())
    }
}

/// Where the words of a plan are kept, beside its file: what a person reads for the full story. Sensitive values are
/// left out by Terraform.
pub fn plan_text(plan_file: &Path) -> PathBuf {
    let mut name = OsString::from(plan_file);
    name.push(".txt");
    name.into()
}

/// Fields ended by NUL.
pub(super) fn names(bytes: &[u8]) -> impl Iterator<Item = String> + '_ {
    bytes
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
}

pub(super) fn malformed(error: HclError) -> ServiceError {
    ServiceError::new("checkout", "HCL", Cause::Malformed(error.to_string()))
}

/// For a change: nothing was written.
pub(super) fn refused(error: HclError) -> ServiceError {
    ServiceError::new("checkout", "HCL", Cause::Refused(error.to_string()))
}

fn code(exit: Exit) -> Option<i32> {
    match exit {
        Exit::Code(code) => Some(code),
        Exit::Signal(_) => None,
    }
}

/// A failed reading command, in its own last words.
pub(super) fn command_failed(argv: &[String], finished: &crate::adapters::process::Finished) -> ServiceError {
    let mut said = last_lines(&finished.stderr, 4);
    if said.is_empty() {
        said = last_lines(&finished.stdout, 4);
    }
    let ended = finished.code.map_or("ended by a signal".to_owned(), |code| format!("exit code {code}"));
    ServiceError::new("command", argv.join(" "), Cause::Failed(format!("{ended}: {said}")))
}
