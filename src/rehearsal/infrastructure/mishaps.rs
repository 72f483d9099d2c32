//! Faults that stand in the repository and its remote before the deploy begins.

use std::fs;
use std::path::Path;

use anyhow::Result;
use jiff::{Timestamp, ToSpan};

use super::{files, git};
use crate::adapters::lock::LockRecord;
use crate::rehearsal::{Fault, Options};

/// The lock of the built-in `prod` runbook.
const LOCK: &str = "refs/catalog-deploy/lock/openverse-catalog-prod";
/// The branch of the bump that nobody has merged.
pub(in crate::rehearsal) const OLD_BUMP_BRANCH: &str = "catalog-deploy/rel-2024.09.09.23.00.57";

pub(super) fn play(checkout: &Path, remote: &Path, options: &Options) -> Result<()> {
    for fault in &options.faults {
        match fault {
            Fault::LockHeld => hold_lock(remote)?,
            Fault::CheckoutBehind => {
                // Made on the remote, so that the clone has never seen the commit.
                let commit = commit(remote, &["main^{tree}", "-p", "main"], "Rotate the API's certificate")?;
                git(remote, &["update-ref", "refs/heads/main", &commit])?;
            }
            Fault::CheckoutDirty => {
                let file = checkout.join("environments/prod/ingestion-server.tf");
                let text = fs::read_to_string(&file)?;
                fs::write(&file, text + "\n# tried something\n")?;
            }
            Fault::BumpPrOpen => push_old_bump(checkout)?,
            _ => {}
        }
    }
    Ok(())
}

/// A colleague's run holds the lock since four minutes, and its heart beats.
fn hold_lock(remote: &Path) -> Result<()> {
    let record = LockRecord {
        run: "20240930-095612-7c1d".into(),
        runbook: "prod".into(),
        who: "colleague".into(),
        host: "colleagues-laptop".into(),
        step: Some("apply".into()),
        taken_at: Timestamp::now() - 4.minutes(),
        heartbeat_at: Timestamp::now() - 8.seconds(),
        nonce: "5f0c6a1e9b3d4c7f8a2b1d0e6c9f3a71".into(),
    };
    let tree = git(remote, &["hash-object", "-t", "tree", "-w", "/dev/null"])?;
    let message = serde_json::to_string(&record)?;
    let commit = commit(remote, &[tree.trim()], &message)?;
    git(remote, &["update-ref", LOCK, &commit])?;
    Ok(())
}

fn push_old_bump(checkout: &Path) -> Result<()> {
    let file = checkout.join("environments/prod/catalog-airflow.tf");
    let before = fs::read_to_string(&file)?;
    git(checkout, &["checkout", "--quiet", "-b", OLD_BUMP_BRANCH])?;
    fs::write(&file, files::catalog("rel-2024.09.09.23.00.57", false))?;
    git(checkout, &["commit", "--quiet", "--all", "-m", "Deploy catalog rel-2024.09.09.23.00.57 to production"])?;
    git(checkout, &["push", "--quiet", "origin", OLD_BUMP_BRANCH])?;
    git(checkout, &["checkout", "--quiet", "main"])?;
    git(checkout, &["branch", "--quiet", "-D", OLD_BUMP_BRANCH])?;
    fs::write(&file, before)?;
    Ok(())
}

/// A colleague's commit, made in the bare remote, which has no committer of its own.
fn commit(remote: &Path, what: &[&str], message: &str) -> Result<String> {
    let who = ["-c", "user.name=A Colleague", "-c", "user.email=colleague@users.noreply.github.com", "commit-tree"];
    let arguments = [&who[..], what, &["-m", message]].concat();
    Ok(git(remote, &arguments)?.trim().to_owned())
}
