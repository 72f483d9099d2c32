//! Ten thousand active runs and three thousand task instances: how many pages are read at once, how long that takes
//! beside reading the same pages one after another, and what it does to the memory of `prod --dry-run`.
//!
//! ```text
//! cargo bench --bench paging
//! ```
//!
//! Times are the world's own record, first page asked to last page answered, with 50 ms added to every answer. The other
//! side is one curl process that keeps its connection. Memory is the peak resident set that the kernel shows for the
//! process itself (`VmHWM`), its children not counted; Linux only.

#![expect(clippy::disallowed_methods, reason = "a benchmark starts the programs it measures")]
#![expect(clippy::print_stdout, reason = "a benchmark's figures are its output")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

#[path = "../it/support/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod support;
#[path = "common/verdict.rs"]
mod verdict;

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use catalog_deploy::rehearsal::{DagRun, RequestLogEntry, Task};
use support::{Stage, finish};
use verdict::verdict;

const DELAY: Duration = Duration::from_millis(50);
const RUNS: usize = 10_000;
const TASKS: usize = 3_000;
/// The bound on pages of one list that are under way at once.
const BOUND: usize = 8;
const FASTER: f64 = 4.0;
/// Ten thousand runs and three thousand instances, held once with their names, and the pages on their way.
const MORE_MIB: f64 = 16.0;

const RUN_LIST: &str = "/api/v1/dags/~/dagRuns/list";
const TASK_LIST: &str = "/api/v1/dags/~/dagRuns/~/taskInstances/list";

fn main() -> ExitCode {
    let stage = Stage::with(|options| options.answer_delay = DELAY);
    let (_, few) = dry_run(&stage, 0);
    fill(&stage);
    let (requests, many) = dry_run(&stage, 3);
    let runs = of(&requests, RUN_LIST);
    let tasks = of(&requests, TASK_LIST);
    let one_by_one = one_after_another(&stage, &runs);
    let side_by_side = span(&runs);
    let at_once = [at_once(&runs), at_once(&tasks)];
    println!(
        "`prod --dry-run` with {RUNS} active runs, {TASKS} active task instances; {} ms an answer\n",
        DELAY.as_millis()
    );
    println!("pages of runs                         {:>8}  at most {} at once", runs.len(), at_once[0]);
    println!("pages of task instances               {:>8}  at most {} at once", tasks.len(), at_once[1]);
    println!("pages of runs, side by side           {side_by_side:>8.0} ms");
    println!("the same pages one after another      {one_by_one:>8.0} ms  = {:.1} ×", one_by_one / side_by_side);
    println!("peak memory with nothing running      {few:>8.1} MiB");
    println!("peak memory with all that             {many:>8.1} MiB");
    let faster = one_by_one / side_by_side;
    let more = many - few;
    verdict(&[
        (runs.len() == RUNS / 100 && tasks.len() == TASKS / 100, "every page is read exactly once".to_owned()),
        (
            at_once.iter().all(|most| (2..=BOUND).contains(most)),
            format!("at most {BOUND} pages of a list are under way"),
        ),
        (faster >= FASTER, format!("at least {FASTER} × as fast as one after another: {faster:.1} ×")),
        (more <= MORE_MIB, format!("memory stays flat, at most {MORE_MIB} MiB more: {more:.1} MiB")),
    ])
}

/// Runs of fifty DAGs that are in a deploy's way.
fn fill(stage: &Stage) {
    let at = jiff::Timestamp::now();
    stage.world.change(|state| {
        let dag = |number: usize| format!("provider_{:02}_workflow", number % 50);
        let run = |number: usize| format!("scheduled__2024-09-01T{:02}:00:00.{number:06}+00:00", number % 24);
        let runs =
            (0..RUNS).map(|number| DagRun { dag_id: dag(number), run_id: run(number), state: "running".into(), at });
        let tasks = (0..TASKS).map(|number| Task {
            dag_id: dag(number),
            run_id: run(number),
            task_id: "ingest_data.pull_data".into(),
            map_index: -1,
            state: "running".into(),
            operator: "PythonOperator".into(),
        });
        state.airflow.runs = runs.collect();
        state.airflow.tasks = tasks.collect();
    });
}

/// The requests of one dry run, and the peak of its memory in MiB.
fn dry_run(stage: &Stage, exit: i32) -> (Vec<RequestLogEntry>, f64) {
    let before = stage.world.requests().len();
    let child = stage.start(&["prod", "--dry-run"]);
    let status = format!("/proc/{}/status", child.id());
    let watched = std::thread::spawn(move || {
        let mut peak = 0.0;
        // A process that has ended has no memory any more, so the file's line ends this.
        while let Some(now) = std::fs::read_to_string(&status).ok().and_then(|text| high_water(&text)) {
            peak = f64::max(peak, now);
            std::thread::sleep(Duration::from_millis(2));
        }
        peak
    });
    let done = finish(child);
    assert_eq!(done.code, exit, "{}{}", done.stdout, done.stderr);
    (stage.world.requests().split_off(before), watched.join().unwrap())
}

fn high_water(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kib| kib / 1024.0)
}

fn of(requests: &[RequestLogEntry], path: &str) -> Vec<RequestLogEntry> {
    requests.iter().filter(|it| it.path == path).cloned().collect()
}

fn span(requests: &[RequestLogEntry]) -> f64 {
    let start = requests.iter().map(|it| it.started_ms).fold(f64::INFINITY, f64::min);
    requests.iter().map(|it| it.ended_ms).fold(0.0, f64::max) - start
}

/// Most requests that were under way at one moment.
fn at_once(requests: &[RequestLogEntry]) -> usize {
    let during = |at: f64| requests.iter().filter(|it| it.started_ms <= at && at < it.ended_ms).count();
    requests.iter().map(|it| during(it.started_ms)).max().unwrap_or(0)
}

/// The same pages by one curl that keeps its connection: how long, in ms.
fn one_after_another(stage: &Stage, pages: &[RequestLogEntry]) -> f64 {
    let config: toml::Table = std::fs::read_to_string(&stage.config).unwrap().parse().unwrap();
    let airflow = &config["airflow"];
    let password = std::fs::read_to_string(airflow["password"]["file"].as_str().unwrap()).unwrap();
    let user = format!("{}:{}", airflow["username"].as_str().unwrap(), password.trim());
    let url = format!("{}{RUN_LIST}", airflow["url"].as_str().unwrap());
    let mut curl = Command::new("curl");
    for (index, page) in pages.iter().enumerate() {
        if index > 0 {
            curl.arg("--next");
        }
        let body = page.body.as_ref().unwrap().to_string();
        curl.args(["-sSf", "-o", "/dev/null", "-u", &user, "-H", "Content-Type: application/json", "-d", &body, &url]);
    }
    let started = Instant::now();
    let status = curl.stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "curl failed");
    started.elapsed().as_secs_f64() * 1000.0
}
