//! How long `--version` and `runbook check` take, beside `git --version`.
//!
//! ```text
//! cargo bench --bench startup
//! ```
//!
//! The three commands run by turns, so that a busy moment of the machine hits all of them alike. Process time is user +
//! system, as the kernel counted it for that one child; wall is from spawn to exit. That nothing touches the network or
//! the home directory is an ordinary test (`tests/it/startup.rs`).

#![expect(clippy::disallowed_methods, reason = "a benchmark starts the programs it measures")]
#![expect(clippy::print_stdout, reason = "a benchmark's figures are its output")]

#[path = "common/median.rs"]
mod median;
#[path = "common/verdict.rs"]
mod verdict;

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use median::median;
use nix::sys::resource::{UsageWho, getrusage};
use verdict::verdict;

const ROUNDS: usize = 300;
const WARM_UP: usize = 20;
const MOST: f64 = 2.0;

struct Side {
    name: &'static str,
    argv: Vec<&'static str>,
    process: Vec<f64>,
    wall: Vec<f64>,
}

impl Side {
    fn new(name: &'static str, argv: &[&'static str]) -> Self {
        Self { name, argv: argv.to_vec(), process: Vec::new(), wall: Vec::new() }
    }

    fn run(&mut self, counts: bool) {
        let before = used_by_children();
        let started = Instant::now();
        let status = Command::new(self.argv[0])
            .args(&self.argv[1..])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let wall = started.elapsed();
        let process = used_by_children() - before;
        assert!(status.is_ok_and(|status| status.success()), "`{}` failed", self.name);
        if counts {
            self.process.push(process.as_secs_f64() * 1000.0);
            self.wall.push(wall.as_secs_f64() * 1000.0);
        }
    }
}

fn used_by_children() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage never fails for children");
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() as u64 * 1_000_000 + time.tv_usec() as u64;
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

fn main() -> ExitCode {
    let program = env!("CARGO_BIN_EXE_catalog-deploy");
    let mut sides = [
        Side::new("git --version", &["git", "--version"]),
        Side::new("catalog-deploy --version", &[program, "--version"]),
        Side::new(
            "catalog-deploy runbook check runbooks/prod.toml",
            &[program, "runbook", "check", "runbooks/prod.toml"],
        ),
    ];
    for round in 0..WARM_UP + ROUNDS {
        sides.iter_mut().for_each(|side| side.run(round >= WARM_UP));
    }
    println!("medians of {ROUNDS} runs each, by turns; ms\n");
    println!("{:<50} {:>8} {:>7} {:>8} {:>7}", "", "process", "ratio", "wall", "ratio");
    let middle = |side: &Side| (median(side.process.clone()), median(side.wall.clone()));
    let git = middle(&sides[0]);
    let mut claims = Vec::new();
    for side in &sides {
        let (process, wall) = middle(side);
        let (ratio, wall_ratio) = (process / git.0, wall / git.1);
        println!("{:<50} {process:>8.2} {ratio:>6.2}× {wall:>8.2} {wall_ratio:>6.2}×", side.name);
        if side.argv[0] == program {
            let text =
                format!("`{}` takes at most {MOST}× the process time of `git --version`: {ratio:.2}×", side.name);
            claims.push((ratio <= MOST, text));
        }
    }
    verdict(&claims)
}
