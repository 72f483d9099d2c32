//! A real infrastructure repository with a bare remote, for tests: a justfile, a module with a precondition, Terraform's
//! built-in resource.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::CheckoutOptions;
use crate::adapters::process::Commands;

pub(crate) const FILE: &str = "environments/prod/catalog-airflow.tf";

const JUSTFILE: &str = r#"
plan env module:
    cd environments/{{env}} && terraform plan

apply env module *args:
    cd environments/{{env}} && terraform apply {{args}}

bump env module tag="rel-2":
    sed -i.bak 's/rel-1/{{tag}}/' environments/{{env}}/{{module}}.tf && rm environments/{{env}}/{{module}}.tf.bak

push:
    git push origin HEAD:refs/heads/escaped

commit:
    git -c user.name=a -c user.email=a@b commit -qam "in the copy"
"#;

const MODULE: &str = r#"# The catalog.
module "catalog-airflow" {
  source               = "../../modules/catalog"
  docker_image_tag     = "rel-1" # bumped
  running_dags_cleared = false
}
"#;

const RESOURCE: &str = r#"variable "docker_image_tag" { type = string }
variable "running_dags_cleared" { type = bool }
resource "terraform_data" "instance" {
  input = var.docker_image_tag
  lifecycle {
    precondition {
      condition     = var.running_dags_cleared
      error_message = "DAGs may be running: set running_dags_cleared to true."
    }
  }
}
"#;

/// Whether the real tools are here: these tests prove nothing with others. A machine that lacks them says so and goes on;
/// CI must have them.
pub(crate) fn installed(tools: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = |tool: &&&str| !std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
    let Some(tool) = tools.iter().find(missing) else { return true };
    assert!(std::env::var_os("CI").is_none(), "CI needs {tool}");
    eprintln!("left out: {tool} is not installed");
    false
}

pub(crate) struct Fixture {
    pub home: TempDir,
    pub root: PathBuf,
    pub remote: PathBuf,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().canonicalize().unwrap();
        let (root, remote) = (real.join("infra"), real.join("remote.git"));
        git(&real, &["init", "-q", "--bare", "-b", "main", "remote.git"]);
        git(&real, &["init", "-q", "-b", "main", "infra"]);
        for (name, text) in [
            ("justfile", JUSTFILE),
            (FILE, MODULE),
            ("modules/catalog/main.tf", RESOURCE),
            (".gitignore", ".terraform\n*.tfstate*\nignored\n"),
        ] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        git(&root, &["remote", "add", "origin", remote.to_str().unwrap()]);
        let fixture = Self { home, root, remote };
        fixture.commit("start");
        git(&fixture.root, &["push", "-q", "-u", "origin", "main"]);
        fixture
    }

    pub(crate) fn options(&self) -> CheckoutOptions {
        CheckoutOptions {
            root: self.root.clone(),
            remote: "origin".into(),
            main: "main".into(),
            directory: "environments/prod".into(),
            environment: BTreeMap::from([
                ("GIT_CONFIG_GLOBAL".into(), "/dev/null".into()),
                ("GIT_CONFIG_SYSTEM".into(), "/dev/null".into()),
                ("GIT_CONFIG_COUNT".into(), "1".into()),
                ("GIT_CONFIG_KEY_0".into(), "protocol.file.allow".into()),
                ("GIT_CONFIG_VALUE_0".into(), "always".into()),
                ("TF_CLI_CONFIG_FILE".into(), "/dev/null".into()),
                ("CHECKPOINT_DISABLE".into(), "1".into()),
            ]),
            scratch_parent: self.home.path().join("state/scratch"),
            commands: Arc::new(Commands::new("unused".into())),
            host: "laptop".into(),
        }
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        git(&self.root, &["add", "-A"]);
        git(&self.root, &["commit", "-q", "-m", message]);
        git(&self.root, &["rev-parse", "HEAD"])
    }

    /// A colleague pushes a change of `file` to main.
    pub(crate) fn colleague(&self, file: &str, text: &str) -> String {
        let other = self.home.path().join("colleague");
        if !other.exists() {
            git(self.home.path(), &["clone", "-q", self.remote.to_str().unwrap(), "colleague"]);
        }
        std::fs::write(other.join(file), text).unwrap();
        git(&other, &["add", "-A"]);
        git(&other, &["commit", "-q", "-m", "by a colleague"]);
        git(&other, &["push", "-q", "origin", "HEAD:main"]);
        git(&other, &["rev-parse", "HEAD"])
    }

    pub(crate) fn git_remote(&self, arguments: &[&str]) -> String {
        git(&self.remote, arguments)
    }

    pub(crate) fn refuse_pushes(&self) {
        use std::os::unix::fs::PermissionsExt;
        let hook = self.remote.join("hooks/pre-receive");
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, "#!/bin/sh\necho no >&2\nexit 1\n").unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn remove_remote(&self) {
        std::fs::rename(&self.remote, self.home.path().join("gone")).unwrap();
    }

    /// Every byte, link, mode and name of the checkout, `.git` included.
    pub(crate) fn hash(&self) -> Vec<String> {
        hash(&self.root)
    }

    pub(crate) fn init_terraform(&self) {
        let mut command = Command::new("terraform");
        command.args(["init", "-no-color", "-input=false"]).current_dir(self.root.join("environments/prod"));
        command.envs(self.options().environment);
        let done = command.output().expect("these tests need `terraform` 1.5 or newer on PATH");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

pub(crate) fn hash(root: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let mut lines = Vec::new();
    let mut entries: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let data = std::fs::symlink_metadata(&path).unwrap();
        let content = if data.is_symlink() {
            std::fs::read_link(&path).unwrap().to_string_lossy().into_owned()
        } else if data.is_file() {
            Sha256::digest(std::fs::read(&path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
        } else {
            String::new()
        };
        // The inode tells a file that was replaced by an equal one.
        lines.push(format!("{} {:o} {} {content}", path.display(), data.mode(), data.ino()));
        if data.is_dir() {
            lines.extend(hash(&path));
        }
    }
    lines
}

pub(crate) fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(directory).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "protocol.file.allow"),
        ("GIT_CONFIG_VALUE_0", "always"),
        ("GIT_AUTHOR_NAME", "Ada"),
        ("GIT_AUTHOR_EMAIL", "ada@example.org"),
        ("GIT_COMMITTER_NAME", "Ada"),
        ("GIT_COMMITTER_EMAIL", "ada@example.org"),
    ] {
        command.env(name, value);
    }
    let done = command.output().expect("these tests need `git` on PATH");
    assert!(done.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
}
