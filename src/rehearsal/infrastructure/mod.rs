//! The infrastructure repository: a clone with its bare remote, applied once so that Terraform's state says what runs.

mod files;
mod mishaps;
mod tools;

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::shared::INFRASTRUCTURE;
use super::state::Pull;
use super::{Fault, Options, seed};
pub(super) use tools::Tools;

/// Runs git in `directory`, free of the person's own configuration, and returns its standard output.
pub(super) fn git(directory: &Path, arguments: &[&str]) -> Result<String> {
    #[expect(clippy::disallowed_methods, reason = "the world builds its own repository, outside every run")]
    let mut command = Command::new("git");
    command.arg("-C").arg(directory).args(arguments);
    sealed(&mut command);
    output(command)
}

/// No person's configuration, no questions, English messages.
fn sealed(command: &mut Command) {
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .env("GIT_AUTHOR_DATE", "2024-09-30T09:00:00Z")
        .env("GIT_COMMITTER_DATE", "2024-09-30T09:00:00Z")
        .stdin(Stdio::null());
}

fn output(mut command: Command) -> Result<String> {
    let finished = command.output().with_context(|| format!("could not run {command:?}"))?;
    if !finished.status.success() {
        let said = String::from_utf8_lossy(&finished.stderr);
        bail!("{command:?} failed ({}): {}", finished.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&finished.stdout).into_owned())
}

/// Writes `infrastructure/` and `infrastructure.git/`, applies what is deployed, and plays what a fault has in store.
pub(super) fn create(options: &Options, tools: &Tools) -> Result<()> {
    let checkout = options.directory.join("infrastructure");
    let remote = options.directory.join("infrastructure.git");
    std::fs::create_dir_all(&remote)?;
    std::fs::create_dir_all(&checkout)?;
    git(&remote, &["init", "--quiet", "--bare", "--initial-branch=main"])?;
    git(&checkout, &["init", "--quiet", "--initial-branch=main"])?;
    for (key, value) in [
        ("user.name", "A Maintainer"),
        ("user.email", "maintainer@users.noreply.github.com"),
        ("commit.gpgsign", "false"),
        ("core.autocrlf", "false"),
    ] {
        git(&checkout, &["config", key, value])?;
    }
    let remote_url = remote.to_str().context("the world's directory must be UTF-8")?;
    git(&checkout, &["remote", "add", "origin", remote_url])?;

    // What runs was applied with the flag true, as every deploy is.
    files::write(&checkout, options, files::Moment::Deployed)?;
    let environment = checkout.join("environments/prod");
    tools.terraform(&environment, &["init", "-input=false", "-no-color"])?;
    tools.terraform(&environment, &["apply", "-input=false", "-auto-approve", "-no-color"])?;
    commit_deploys(&checkout, options)?;
    git(&checkout, &["push", "--quiet", "--set-upstream", "origin", "main"])?;
    mishaps::play(&checkout, &remote, options)?;
    let first_apply = [Fault::ApplyDoesNothing, Fault::DeployFailsWhilePaused];
    if options.faults.iter().any(|fault| first_apply.contains(fault)) {
        std::fs::write(files::failure_marker(options), "the next apply does not work, and removes this file\n")?;
    }
    Ok(())
}

/// Main's history, as deploys have left it: one commit each.
fn commit_deploys(checkout: &Path, options: &Options) -> Result<()> {
    for (tag, at, author) in seed::DEPLOYS {
        files::write(checkout, options, files::Moment::Before(tag))?;
        git(checkout, &["add", "--all"])?;
        #[expect(clippy::disallowed_methods, reason = "the world builds its own repository, outside every run")]
        let mut command = Command::new("git");
        command.arg("-C").arg(checkout).args(["commit", "--quiet", "-m", &format!("Deploy catalog {tag}")]);
        sealed(&mut command);
        command.envs([("GIT_AUTHOR_NAME", author), ("GIT_AUTHOR_DATE", at), ("GIT_COMMITTER_DATE", at)]);
        output(command)?;
    }
    files::write(checkout, options, files::Moment::Now)?;
    if !git(checkout, &["status", "--porcelain"])?.is_empty() {
        git(checkout, &["commit", "--quiet", "--all", "-m", "Clear the way for a deploy"])?;
    }
    Ok(())
}

/// The pull request of a bump that nobody has merged.
pub(super) fn old_bump() -> Pull {
    let at = seed::moment("2024.09.10.08.00.00");
    Pull {
        repository: INFRASTRUCTURE.into(),
        number: 811,
        title: "Deploy catalog rel-2024.09.09.23.00.57 to production".into(),
        body: String::new(),
        state: "open".into(),
        merged: false,
        head_owner: "WordPress".into(),
        head_ref: mishaps::OLD_BUMP_BRANCH.into(),
        head_sha: String::new(),
        base_ref: "main".into(),
        author: "colleague".into(),
        labels: Vec::new(),
        created_at: at,
        updated_at: at,
        files: Vec::new(),
        reviews: Vec::new(),
        checks: Vec::new(),
    }
}
