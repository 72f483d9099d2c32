//! `just` and `terraform`: the real ones where they are installed, stand-ins where not.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::rehearsal::stand_in;

/// Which tools are real, and a `PATH` on which both are found.
#[derive(Debug, Clone)]
pub(in crate::rehearsal) struct Tools {
    pub(in crate::rehearsal) stand_ins: Vec<&'static str>,
    /// `None` where nothing had to be added.
    pub(in crate::rehearsal) path: Option<OsString>,
}

impl Tools {
    /// Looks along `path` and writes a stand-in under `directory/bin` for what is missing.
    pub(in crate::rehearsal) fn find(directory: &Path, path: Option<OsString>) -> Result<Self> {
        let path = path.unwrap_or_default();
        let missing = |tool: &&str| !std::env::split_paths(&path).any(|folder| is_executable(&folder.join(tool)));
        let stand_ins: Vec<&'static str> = ["just", "terraform"].into_iter().filter(missing).collect();
        if stand_ins.is_empty() {
            return Ok(Self { stand_ins, path: None });
        }
        let bin = directory.join("bin");
        std::fs::create_dir_all(&bin)?;
        let own = program(std::env::current_exe().context("could not find the running program")?);
        for tool in &stand_ins {
            let file = bin.join(tool);
            let script = format!("#!/bin/sh\nexec '{}' __stand-in {tool} \"$@\"\n", quoted(&own));
            std::fs::write(&file, script)?;
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
        }
        let folders = std::iter::once(bin).chain(std::env::split_paths(&path));
        let path = Some(std::env::join_paths(folders).context("a folder of PATH holds a colon")?);
        Ok(Self { stand_ins, path })
    }

    /// Runs `terraform` in `directory`; without the real one, in this process.
    pub(super) fn terraform(&self, directory: &Path, arguments: &[&str]) -> Result<()> {
        if self.stand_ins.contains(&"terraform") {
            let mut all = vec![format!("-chdir={}", directory.display())];
            all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
            return match stand_in::run_silently("terraform", &all) {
                0 => Ok(()),
                code => bail!("the stand-in for terraform failed with {code} in {}", directory.display()),
            };
        }
        #[expect(clippy::disallowed_methods, reason = "the world builds its own repository, outside every run")]
        let mut command = Command::new("terraform");
        command.current_dir(directory).args(arguments).env("TF_IN_AUTOMATION", "1").env("CHECKPOINT_DISABLE", "1");
        for variable in ["TF_CLI_ARGS", "TF_CLI_ARGS_apply", "TF_CLI_ARGS_init", "TF_WORKSPACE", "TF_DATA_DIR"] {
            command.env_remove(variable);
        }
        super::output(command).map(drop)
    }
}

/// The program that plays a stand-in: the running one, or, where that is a test, the one that cargo built beside it.
fn program(running: PathBuf) -> PathBuf {
    let beside = running.parent().filter(|folder| folder.ends_with("deps")).and_then(Path::parent);
    beside.map(|folder| folder.join("catalog-deploy")).filter(is_executable).unwrap_or(running)
}

fn quoted(path: &Path) -> String {
    path.display().to_string().replace('\'', r"'\''")
}

fn is_executable(file: &PathBuf) -> bool {
    std::fs::metadata(file).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}
