//! A case's own repository beside the embedded world, and the real binary.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use catalog_deploy::rehearsal::Elsewhere;

use super::person::Person;
use super::shape::{At, NEW, Shape};
use super::stage::{Done, Stage, finish};
use crate::support::installed;

pub const ALL_GATES: &[&str] = &["publish", "bump", "apply", "pull-request"];

pub struct Bench {
    pub stage: Stage,
    pub shape: Shape,
    /// The clone that Terraform's state is in.
    pub checkout: PathBuf,
    /// The bare repository.
    pub remote: PathBuf,
    runbook: PathBuf,
}

impl Bench {
    pub fn new(shape: Shape) -> Self {
        Self::with_state(shape, None)
    }

    /// `state`: where Terraform's state is, if it is not in the checkout.
    pub fn with_state(shape: Shape, state: Option<PathBuf>) -> Self {
        let mut made = None;
        let stage = Stage::with(|options| {
            let at = |name: &str| options.directory.join(name);
            let (checkout, remote, tags) = (at("ours"), at("ours.git"), at("registry-tags"));
            std::fs::create_dir_all(&checkout).unwrap();
            std::fs::create_dir_all(&remote).unwrap();
            create(&shape, &checkout, &remote, &tags);
            let state = state.unwrap_or_else(|| checkout.join(shape.directory()).join("terraform.tfstate"));
            options.infrastructure = Some(Elsewhere { checkout: checkout.clone(), remote: remote.clone(), state });
            made = Some((checkout, remote));
        });
        let (checkout, remote) = made.unwrap();
        let runbook = stage.config.parent().unwrap().join("live.toml");
        std::fs::write(&runbook, shape.runbook()).unwrap();
        // A stand-in has no place here, even if `just` is nowhere but in the cache.
        let config = std::fs::read_to_string(&stage.config).unwrap();
        let config: Vec<&str> = config.lines().filter(|line| !line.starts_with("path = ")).collect();
        std::fs::write(&stage.config, config.join("\n")).unwrap();
        Self { stage, shape, checkout, remote, runbook }
    }

    /// A run of the case's runbook with these gates answered.
    pub fn arguments(&self, gates: &[&str], more: &[&str]) -> Vec<String> {
        let mut arguments = vec![self.runbook.display().to_string()];
        arguments.extend(gates.iter().flat_map(|gate| ["--approve".to_owned(), (*gate).to_owned()]));
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        arguments
    }

    pub fn command(&self, arguments: &[String]) -> Command {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = self.stage.command(&words);
        command.env("PATH", path());
        command
    }

    pub fn start(&self, arguments: &[String]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn run(&self, arguments: &[String]) -> Done {
        finish(self.start(arguments))
    }

    /// A whole run with every gate answered beforehand.
    pub fn deploy(&self) -> Done {
        self.run(&self.arguments(ALL_GATES, &[]))
    }

    /// The open run gone on with, these gates answered.
    pub fn resume(&self, gates: &[&str]) -> Done {
        let mut arguments = self.arguments(gates, &[]);
        arguments[0] = "resume".into();
        self.run(&arguments)
    }

    /// Somebody at a terminal.
    pub fn person(&self, arguments: &[String]) -> Person {
        Person::at(self.command(arguments), (50, 160))
    }

    pub fn bytes(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.checkout.join(file)).unwrap()
    }

    /// The text behind an attribute's `=`.
    pub fn value(&self, at: &At) -> String {
        let text = String::from_utf8(self.bytes(&at.file)).unwrap();
        let line = text.lines().find(|line| line.trim_start().starts_with(at.name)).unwrap();
        line.split_once('=').unwrap().1.split('#').next().unwrap().trim().to_owned()
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.checkout, arguments)
    }

    /// Refs of the remote, e.g. `refs/heads/main`.
    pub fn refs(&self) -> Vec<String> {
        git(&self.remote, &["for-each-ref", "--format=%(refname)"]).lines().map(str::to_owned).collect()
    }

    /// As a colleague does at the same checkout.
    pub fn terraform(&self, arguments: &[&str]) -> String {
        terraform(&self.checkout.join(self.shape.directory()), arguments)
    }

    pub fn deployed(&self) -> Option<String> {
        self.stage.world.deployed_tag()
    }

    /// Nobody holds the lock, the flag is as it was, and nothing but the version may differ from HEAD.
    #[track_caller]
    pub fn holds_nothing(&self) {
        assert_eq!(self.value(&self.shape.flag), "false", "the flag");
        let locks: Vec<String> = self.refs().into_iter().filter(|name| name.contains("/lock/")).collect();
        assert!(locks.is_empty(), "{locks:?}");
        let changed = self.git(&["diff", "--name-only", "HEAD"]);
        assert!(changed.is_empty() || changed.trim() == self.shape.version.file, "changed: {changed}");
        let untracked = self.git(&["ls-files", "--others", "--exclude-standard"]);
        assert_eq!(untracked, "", "untracked files");
    }

    /// Deployed, its pull request pushed with the one line changed, nothing held.
    #[track_caller]
    pub fn is_deployed(&self, done: &Done) {
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(self.deployed().as_deref(), Some(NEW));
        assert_eq!(self.value(&self.shape.version), format!("\"{NEW}\""));
        self.holds_nothing();
        let diff = git(&self.remote, &["diff", "--numstat", "main", &format!("catalog-deploy/{NEW}")]);
        assert_eq!(diff.trim(), format!("1\t1\t{}", self.shape.version.file));
        assert_eq!(self.stage.world.pull_requests().len(), 1);
    }

    /// Nothing applied, and nothing left in the checkout.
    #[track_caller]
    pub fn is_untouched(&self) {
        assert_ne!(self.deployed().as_deref(), Some(NEW));
        self.holds_nothing();
    }
}

fn create(shape: &Shape, checkout: &Path, remote: &Path, tags: &Path) {
    git(remote, &["init", "--quiet", "--bare", "--initial-branch=main"]);
    git(remote, &["config", "http.receivepack", "true"]);
    git(checkout, &["init", "--quiet", "--initial-branch=main"]);
    for (key, value) in [
        ("user.name", "Ada"),
        ("user.email", "ada@example.org"),
        ("commit.gpgsign", "false"),
        ("core.autocrlf", "false"),
    ] {
        git(checkout, &["config", key, value]);
    }
    git(checkout, &["remote", "add", "origin", remote.to_str().unwrap()]);
    shape.write(checkout, tags, true);
    let environment = checkout.join(shape.directory());
    terraform(&environment, &["init", "-input=false", "-no-color"]);
    terraform(&environment, &["apply", "-input=false", "-auto-approve", "-no-color"]);
    shape.write(checkout, tags, false);
    git(checkout, &["add", "--all"]);
    git(checkout, &["commit", "--quiet", "-m", "Deploy"]);
    git(checkout, &["push", "--quiet", "--set-upstream", "origin", "main"]);
}

/// PATH with PyPI's `just` first.
pub fn path() -> String {
    let just = installed("just/bin/just", "infrastructure");
    format!("{}:{}", just.parent().unwrap().display(), std::env::var("PATH").unwrap())
}

pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").env("GIT_TERMINAL_PROMPT", "0");
    output(command.arg("-C").arg(directory).args(arguments))
}

pub fn terraform(directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("terraform");
    output(command.current_dir(directory).env("TF_IN_AUTOMATION", "1").env("CHECKPOINT_DISABLE", "1").args(arguments))
}

#[track_caller]
fn output(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output();
    let done = done.unwrap_or_else(|error| panic!("{command:?}: {error}; run tests/live/install infrastructure"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}
