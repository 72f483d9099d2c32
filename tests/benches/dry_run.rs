//! How long the reads of `prod --dry-run` take when every answer takes 100 ms, beside the longest chain of requests that
//! truly depend on each other, and beside a script of curl calls that makes the same reads one after another.
//!
//! ```text
//! cargo bench --bench dry_run
//! ```
//!
//! **The span** is from the first request's start to the last one's end, as the embedded world recorded them; nothing is
//! subtracted from it. **The chain** is the longest path through what the data itself demands (`depend.rs`: a token needs
//! the challenge, a manifest the token, a config the manifest that names it, …), each request counting with its own
//! recorded time; it knows nothing of the order in which the product asks. Should a request ever start before one that it
//! is said to depend on has ended, that is no dependency, and the benchmark fails.
//!
//! **Child processes are left out**: one read waits for one, the image that runs now, whose tag `terraform show -json`
//! tells. That command is answered from a recording made right before; every other child is the real one.

#![expect(clippy::disallowed_methods, reason = "a benchmark starts the programs it measures")]
#![expect(clippy::print_stdout, reason = "a benchmark's figures are its output")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

#[path = "common/depend.rs"]
mod depend;
#[path = "common/median.rs"]
mod median;
#[path = "common/script.rs"]
mod script;
#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod support;
#[path = "common/verdict.rs"]
mod verdict;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use catalog_deploy::rehearsal::RequestLogEntry;
use median::median;
use support::{Stage, finish};
use verdict::verdict;

const DELAY: Duration = Duration::from_millis(100);
const RUNS: usize = 5;
const MOST: f64 = 1.3;

/// One dry run, measured.
struct Measured {
    requests: Vec<RequestLogEntry>,
    chain: Vec<usize>,
    longest: f64,
    span: f64,
}

impl Measured {
    fn ratio(&self) -> f64 {
        self.span / self.longest
    }
}

fn main() -> ExitCode {
    let stage = Stage::with(|options| options.answer_delay = DELAY);
    let path = recorded_state(&stage);
    let mut runs: Vec<Measured> = (0..RUNS).map(|_| measure(&stage, path.as_deref())).collect();
    let ratios: Vec<f64> = runs.iter().map(Measured::ratio).collect();
    let middle = median(ratios.clone());
    let at = ratios.iter().position(|ratio| *ratio == middle).unwrap();
    let run = runs.swap_remove(at);

    println!(
        "`prod --dry-run`, {} ms added to every answer; the run with the median ratio of {RUNS}\n",
        DELAY.as_millis()
    );
    println!("every request, in the order of their starts (ms; * = of the longest chain)");
    let zero = run.requests.iter().map(|it| it.started_ms).fold(f64::INFINITY, f64::min);
    for (index, request) in run.requests.iter().enumerate() {
        let (from, to) = (request.started_ms - zero, request.ended_ms - zero);
        let mark = if run.chain.contains(&index) { '*' } else { ' ' };
        println!("{mark} {from:>7.1} {to:>7.1}  {}", told(request));
    }
    println!("\nthe longest chain of requests that depend on each other");
    for &index in &run.chain {
        let request = &run.requests[index];
        println!("  {:>7.1}  {}", request.ended_ms - request.started_ms, told(request));
    }
    let sum: f64 = run.requests.iter().map(|it| it.ended_ms - it.started_ms).sum();
    let curl = script::run(&stage, &run.requests);
    println!("\nrequests                              {:>8}", run.requests.len());
    println!("sum of their times                    {sum:>8.0} ms");
    println!("longest chain ({} requests)            {:>8.0} ms", run.chain.len(), run.longest);
    println!("span of all reads, measured           {:>8.0} ms  = {:.2} × the chain", run.span, run.ratio());
    println!("the same reads by curl, one by one    {:>8.0} ms  = {:.2} × the chain", curl, curl / run.longest);
    let each: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    println!("span / chain of every run             {}", each.join(" "));
    verdict(&[(middle <= MOST, format!("the reads take at most {MOST} × the longest chain: {middle:.2} × (median)"))])
}

fn told(request: &RequestLogEntry) -> String {
    let path: String = request.path.chars().take(110).collect();
    format!("{} {:<8} {:<4} {path}", request.status, request.service, request.method)
}

fn measure(stage: &Stage, path: Option<&std::ffi::OsStr>) -> Measured {
    let before = stage.world.requests().len();
    let mut command = stage.command(&["prod", "--dry-run"]);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let done = finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(done.code, 0, "the dry run failed: {}{}", done.stdout, done.stderr);
    let mut requests = stage.world.requests().split_off(before);
    assert!(requests.iter().all(|it| !it.mutates()), "a dry run changed something");
    requests.sort_by(|one, other| one.started_ms.total_cmp(&other.started_ms));
    let needs = depend::needs(&requests, &stage.world.state().images);
    let (chain, longest) = depend::longest_chain(&requests, &needs);
    let start = requests.iter().map(|it| it.started_ms).fold(f64::INFINITY, f64::min);
    let end = requests.iter().map(|it| it.ended_ms).fold(0.0, f64::max);
    Measured { requests, chain, longest, span: end - start }
}

/// A PATH whose `terraform` answers the state command from a recording. `None` where a stand-in plays Terraform.
fn recorded_state(stage: &Stage) -> Option<OsString> {
    if stage.world.path_with_tools().is_some() {
        return None;
    }
    let state = ["-chdir=environments/prod", "show", "-json"];
    let shown = Command::new("terraform").args(state).current_dir(stage.infrastructure()).output().unwrap();
    assert!(shown.status.success(), "terraform show failed: {}", String::from_utf8_lossy(&shown.stderr));
    let bin = stage.world.directory().join("recorded");
    std::fs::create_dir_all(&bin).unwrap();
    let recording = bin.join("state.json");
    std::fs::write(&recording, &shown.stdout).unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let real = std::env::split_paths(&path).map(|part| part.join("terraform")).find(|file| file.is_file()).unwrap();
    let script = format!(
        "#!/bin/sh\nif [ \"$*\" = \"{}\" ]; then exec cat '{}'; fi\nexec '{}' \"$@\"\n",
        state.join(" "),
        recording.display(),
        real.display()
    );
    executable(&bin.join("terraform"), &script);
    std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path))).ok()
}

fn executable(file: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(file, text).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}
