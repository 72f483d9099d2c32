//! A stage for whole runs: the real binary in a sealed environment, against the embedded world over real HTTP, with real
//! git, `just` and Terraform.

pub mod slow;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use catalog_deploy::cli::rehearse::configure;
use catalog_deploy::rehearsal::{Fault, Options, World};
use tokio::sync::oneshot;

/// Every gate of `prod`, answered beforehand.
pub const GATES: [&str; 10] = [
    "--approve",
    "publish",
    "--approve",
    "bump",
    "--approve",
    "apply",
    "--approve",
    "changelog",
    "--approve",
    "pull-request",
];

/// `prod` with every gate answered.
pub fn approved<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["prod"];
    arguments.extend(GATES);
    arguments.extend(more);
    arguments
}

/// A world that serves until it is dropped, and a home of its own.
pub struct Stage {
    pub world: World,
    pub config: PathBuf,
    place: tempfile::TempDir,
    end: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Stage {
    pub fn new(faults: &[Fault]) -> Self {
        Self::with(|options| options.faults = faults.to_vec())
    }

    pub fn with(change: impl FnOnce(&mut Options)) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut options = Options::new(place.path().join("world"));
        change(&mut options);
        std::fs::create_dir_all(&options.directory).unwrap();
        std::fs::create_dir_all(place.path().join("home")).unwrap();
        let directory = options.directory.clone();
        let (started, world) = std::sync::mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                started.send(World::start(options).await.unwrap()).unwrap();
                let _ended = ended.await;
            });
        });
        let world = world.recv().unwrap();
        let config = configure(&world, &directory).unwrap();
        Self { world, config, place, end: Some(end), thread: Some(thread) }
    }

    /// The binary with nothing of this machine's environment but the tools.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_catalog-deploy"));
        command.args(arguments).arg("--config").arg(&self.config);
        command.env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap());
        // `just` may be a shim that looks for its version here.
        for name in ["PYENV_ROOT", "PYENV_VERSION"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("HOME", self.place.path().join("home")).env("USER", "ada").env("LC_ALL", "C.UTF-8");
        command.current_dir(self.place.path().join("home"));
        command.stdin(Stdio::null());
        command
    }

    /// Runs to the end, at most a minute.
    pub fn run(&self, arguments: &[&str]) -> Done {
        let child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        finish(child)
    }

    /// Starts and leaves it to the test.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub fn infrastructure(&self) -> &Path {
        self.world.infrastructure()
    }

    /// A file of the checkout.
    pub fn file(&self, path: &str) -> String {
        std::fs::read_to_string(self.infrastructure().join(path)).unwrap()
    }

    /// The literal of an attribute in the catalog's module, e.g. `false`.
    pub fn attribute(&self, name: &str) -> String {
        let find = || {
            let text = self.file("environments/prod/catalog-airflow.tf");
            let line = text.lines().find(|line| line.trim_start().starts_with(name))?;
            Some(line.split_once('=')?.1.trim().to_owned())
        };
        // The recipe of `just bump` writes in place: whoever looks meanwhile sees an empty file.
        let found = std::cell::OnceCell::new();
        until(name, || find().is_some_and(|literal| found.set(literal).is_ok()));
        found.into_inner().unwrap()
    }

    /// Ids of all runs in the state directory, oldest first.
    pub fn runs(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.config.parent().unwrap().join("state/runs")) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Git in the checkout.
    pub fn git(&self, arguments: &[&str]) -> String {
        Self::git_in(self.infrastructure(), arguments)
    }

    /// Git in the bare remote itself, which the checkout may not reach.
    pub fn on_remote(&self, arguments: &[&str]) -> String {
        Self::git_in(self.world.remote(), arguments)
    }

    fn git_in(directory: &Path, arguments: &[&str]) -> String {
        let output = Command::new("git").current_dir(directory).args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Whether somebody holds the run lock.
    pub fn locked(&self) -> bool {
        !self.on_remote(&["for-each-ref", "refs/catalog-deploy/lock"]).trim().is_empty()
    }

    /// Mutating requests the world saw, as `METHOD path`.
    pub fn mutations(&self) -> Vec<String> {
        let requests = self.world.requests().into_iter();
        let reads = |method: &str, path: &str| {
            matches!(method, "GET" | "HEAD") || (method == "POST" && (path.ends_with("/list") || path == "/auth/token"))
        };
        let mutating = requests.filter(|it| it.service != "slack" && !reads(&it.method, &it.path));
        mutating.map(|it| format!("{} {}", it.method, it.path.split('?').next().unwrap())).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            let _gone = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// Waits for a child, at most a minute.
pub fn finish(child: Child) -> Done {
    finish_within(child, Duration::from_secs(60))
}

/// Waits for a child, and kills it when its time is over.
pub fn finish_within(mut child: Child, longest: Duration) -> Done {
    use std::io::Read;
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let stdout = std::thread::spawn(move || {
        let mut text = Vec::new();
        out.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    });
    let stderr = std::thread::spawn(move || {
        let mut text = Vec::new();
        err.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    });
    let deadline = Instant::now() + longest;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    Done { code: status.code().unwrap_or(-1), stdout, stderr }
}

/// Polls `holds` until it is true; a test that waits for ever says what for.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
