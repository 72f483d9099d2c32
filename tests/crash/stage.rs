//! One world with the real binary in a sealed environment, everything it does reported to a director. It can be put back
//! to how it was at any moment.

use std::fs::File;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use catalog_deploy::rehearsal::{Fault, Memory, Options, World};
use tokio::sync::oneshot;

use crate::director::{Director, run_of};
use crate::facts::Facts;
use crate::history::{Deed, Ended};

/// Waits are this many times shorter than in a real run, and what the world does by itself [`PACE`] times shorter than in
/// a rehearsal, which hurries 150 times.
const HURRY: u32 = 1200;
const PACE: u32 = 8;
/// No command takes this long; one that does hangs.
const LONGEST: Duration = Duration::from_secs(90);
/// What a case changes, below the world's directory.
const PARTS: [&str; 4] = ["infrastructure", "infrastructure.git", "state", "next-apply-fails"];

/// The binary under test; `CRASH_PRODUCT` names another one, such as a mutant.
fn product() -> PathBuf {
    std::env::var_os("CRASH_PRODUCT").map_or_else(|| env!("CARGO_BIN_EXE_catalog-deploy").into(), PathBuf::from)
}

/// Shim and wrappers, built once.
struct Tools {
    shim: PathBuf,
    /// Wrappers under the names of the tools.
    bin: PathBuf,
    /// What the wrappers start.
    real: PathBuf,
}

fn tools() -> &'static Tools {
    static TOOLS: OnceLock<Tools> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{}", std::process::id()));
        let _absent = std::fs::remove_dir_all(&place);
        let (bin, real) = (place.join("bin"), place.join("real"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&real).unwrap();
        let (shim, wrap) = (place.join("shim.so"), place.join("wrap"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/shim");
        compile(&["-shared", "-fPIC"], &source.join("shim.c"), &shim);
        compile(&[], &source.join("wrap.c"), &wrap);
        for tool in ["git", "just", "terraform", "reference-transaction"] {
            symlink(&wrap, bin.join(tool)).unwrap();
        }
        symlink(find("git"), real.join("git")).unwrap();
        // Stand-ins are ten times as fast; `CRASH_REAL=1` plays with the real Terraform.
        let with_real = std::env::var_os("CRASH_REAL").is_some();
        if with_real {
            symlink(find("terraform"), real.join("terraform")).unwrap();
        }
        for tool in ["just", "terraform"].into_iter().filter(|tool| !with_real || *tool == "just") {
            let script = real.join(tool);
            std::fs::write(&script, format!("#!/bin/sh\nexec '{}' __stand-in {tool} \"$@\"\n", product().display()))
                .unwrap();
            std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        }
        Tools { shim, bin, real }
    })
}

fn compile(options: &[&str], source: &Path, to: &Path) {
    let mut cc = Command::new("cc");
    let built = cc.args(["-O1", "-Wall", "-Werror"]).args(options).arg("-o").arg(to).arg(source).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

fn find(tool: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.is_file()).unwrap()
}

/// A moment to go back to.
pub struct Kept {
    files: PathBuf,
    memory: Memory,
    deeds: Vec<Deed>,
}

pub struct Stage {
    pub world: World,
    pub director: Arc<Director>,
    pub place: tempfile::TempDir,
    directory: PathBuf,
    config: PathBuf,
    _end: oneshot::Sender<()>,
}

impl Stage {
    pub fn new(faults: &[Fault]) -> Self {
        let _built = tools();
        // In memory where that can be: what is tested is the order of things, not the disk's speed.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let directory = place.path().join("world");
        let mut options = Options::new(&directory);
        (options.faults, options.pace) = (faults.to_vec(), PACE);
        let (started, world) = std::sync::mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                started.send(World::start(options).await.unwrap()).unwrap();
                let _ended = ended.await;
            });
        });
        let world = world.recv().unwrap();
        let directory = directory.canonicalize().unwrap();
        std::fs::create_dir_all(place.path().join("home")).unwrap();
        std::fs::create_dir_all(directory.join("state")).unwrap();
        let hooks = world.remote().join("hooks");
        std::fs::remove_dir_all(&hooks).unwrap();
        std::fs::create_dir(&hooks).unwrap();
        symlink(tools().bin.join("reference-transaction"), hooks.join("reference-transaction")).unwrap();
        let config = directory.join("config.toml");
        let more = format!("\n[rehearsal]\nhurry = {HURRY}\nstate = \"state\"\npath = {:?}\n", Self::path());
        std::fs::write(&config, world.config_toml() + &more).unwrap();
        let director = Director::start(
            &place.path().join("director"),
            &directory.join("state"),
            world.infrastructure(),
            world.remote(),
        );
        world.watched_by(director.clone());
        assert!(director.world.set(world.clone()).is_ok());
        Self { world, director, place, directory, config, _end: end }
    }

    fn path() -> String {
        format!("{}:/usr/bin:/bin", tools().bin.display())
    }

    pub fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// The binary, watched, with nothing of this machine's environment.
    fn command(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(product());
        command.args(arguments).arg("--config").arg(&self.config).env_clear();
        command.env("PATH", Self::path()).env("LC_ALL", "C.UTF-8").env("USER", "ada");
        command.env("HOME", self.place.path().join("home")).current_dir(self.place.path().join("home"));
        command.env("LD_PRELOAD", &tools().shim).env("CRASH_SOCKET", self.director.socket());
        command.env("CRASH_TOOLS", &tools().real);
        let under = format!("{}:{}", self.state().display(), self.world.infrastructure().display());
        command.env("CRASH_UNDER", under).stdin(Stdio::null());
        command
    }

    /// Runs it to its end, whoever brings that about. What it says goes to files, so that no orphan holds a pipe.
    pub fn run(&self, arguments: &[String]) -> Ended {
        let said = |name: &str| self.place.path().join(name);
        let (out, err) = (File::create(said("stdout")).unwrap(), File::create(said("stderr")).unwrap());
        let mut child = self.command(arguments).stdout(out).stderr(err).spawn().unwrap();
        let deadline = Instant::now() + LONGEST;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let text = |name: &str| String::from_utf8_lossy(&std::fs::read(said(name)).unwrap()).into_owned();
        let hung = if Instant::now() > deadline { "\nIT HUNG" } else { "" };
        Ended {
            command: arguments.join(" "),
            code: status.code().filter(|_| status.signal().is_none()),
            stdout: text("stdout"),
            stderr: text("stderr") + hung,
        }
    }

    /// Remembers everything under this name.
    pub fn keep(&self, name: &str) -> Kept {
        let files = self.place.path().join(format!("kept-{name}"));
        let _absent = std::fs::remove_dir_all(&files);
        std::fs::create_dir(&files).unwrap();
        self.copy(&self.directory, &files);
        Kept { files, memory: self.world.remember(), deeds: self.director.lock().deeds.clone() }
    }

    /// Everything as it was then.
    pub fn back_to(&self, kept: &Kept) {
        for part in PARTS {
            let path = self.directory.join(part);
            if path.is_dir() {
                std::fs::remove_dir_all(&path).unwrap();
            } else if path.exists() {
                std::fs::remove_file(&path).unwrap();
            }
        }
        self.copy(&kept.files, &self.directory);
        self.world.recall(&kept.memory);
        self.director.lock().deeds.clone_from(&kept.deeds);
    }

    fn copy(&self, from: &Path, to: &Path) {
        let parts = PARTS.iter().map(|part| from.join(part)).filter(|path| path.exists());
        let copied = Command::new("cp").arg("-a").args(parts).arg(to).status().unwrap();
        assert!(copied.success());
    }

    pub fn facts(&self) -> Facts {
        Facts::of(&self.world)
    }

    /// The id of the newest run.
    pub fn newest_run(&self) -> Option<String> {
        run_of(&self.director.journal()?)
    }
}
