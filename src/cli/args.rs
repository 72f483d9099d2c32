//! The words of the command line. Parsed once; `settings.rs` joins them with environment and files.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

/// Carries out deployment runbooks: checks first, asks at the gates, and gives back whatever it changed for the time of
/// the deploy. `catalog-deploy rehearse prod` shows a whole deploy without any credentials.
#[derive(Debug, Parser)]
#[command(name = "catalog-deploy", version, max_term_width = 110, subcommand_negates_reqs = true)]
#[command(after_help = "Exit codes: 0 done · 1 a step failed (resumable) · 2 usage, runbook or configuration · \
3 refused, nothing was changed · 4 credentials · 5 a gate was declined or needs an answer · 6 somebody else deploys · \
7 deployed, but unhealthy, inconclusive or unfinished · 8 still waiting at the deadline (resumable) · \
9 something held could not be given back · 129/130/143 interrupted")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Name or file of the runbook to run, e.g. `prod`.
    #[arg(required = true)]
    pub runbook: Option<String>,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub shared: SharedArgs,
}

/// Options of a run.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Look at everything, show what would happen, change nothing.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Deploy this image tag and skip the release steps: the rollback. Without a value, choose from a list.
    #[arg(short, long, value_name = "TAG", num_args = 0..=1)]
    pub tag: Option<Option<String>>,
    /// Answer a gate beforehand; with @DIGEST, only exactly what that digest stands for.
    #[arg(long, value_name = "GATE[@DIGEST]")]
    pub approve: Vec<String>,
    /// Continue without an answer to this check (airflow, registry, github, lock, latest) or over this running DAG, and
    /// why; recorded. An override replaces a missing answer, never an answer.
    #[arg(long = "override", value_name = "CHECK=REASON")]
    pub overrides: Vec<String>,
    /// Let running DAGs finish, at most this long, e.g. 30m.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub wait: Option<std::time::Duration>,
    /// Wait for somebody else's deploy to end, at most this long.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub lock_wait: Option<std::time::Duration>,
    /// Publish a release whose notes hold no change.
    #[arg(long)]
    pub allow_empty_release: bool,
}

/// Options that every command knows.
#[derive(Debug, Clone, Default, Args)]
pub struct SharedArgs {
    /// Never ask; a gate that is not answered beforehand ends the run with 5.
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Events as JSON, one object a line, on stdout.
    #[arg(long, global = true)]
    pub json: bool,
    /// Where the infrastructure repository is checked out.
    #[arg(short = 'C', long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub checkout: Option<PathBuf>,
    /// Configuration to use instead of the one in the home directory.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Tell more.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Tell only what matters.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The same run, same code, against an embedded world: nothing outside this machine is touched.
    Rehearse(RehearseArgs),
    /// Go on with an interrupted run (the newest one if none is named).
    Resume(ResumeArgs),
    /// Give back what a run still holds, close it, and do nothing else.
    Restore(RestoreArgs),
    /// What is deployed, who holds the lock, what is still open.
    Status { runbook: Option<String> },
    /// Image tags that --tag can name: when each was deployed, by whom, and how that ended.
    Tags { runbook: Option<String> },
    /// Past runs.
    History,
    /// One run's report.
    Show {
        run: String,
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: ShowFormat,
    },
    /// Tools, credentials, reachability and checkout: pass, warn, fail or unknown.
    Doctor { runbook: Option<String> },
    /// The runbooks themselves.
    #[command(subcommand)]
    Runbook(RunbookCommand),
    /// Break a dead holder's lock; the exact run id is required.
    Unlock {
        runbook: String,
        #[arg(long, value_name = "ID")]
        run: String,
    },
    /// Completions for a shell.
    Completions { shell: clap_complete::Shell },
    /// The manual page.
    Man,
}

#[derive(Debug, Args)]
pub struct RehearseArgs {
    /// Runbook to rehearse.
    #[arg(default_value = "prod")]
    pub runbook: String,
    #[command(flatten)]
    pub run: RunArgs,
    /// Play this fault (see --list-faults); repeatable.
    #[arg(long, value_name = "NAME")]
    pub fault: Vec<String>,
    /// List the faults that can be played.
    #[arg(long)]
    pub list_faults: bool,
    /// Answer every gate with yes; exists only here.
    #[arg(long)]
    pub yes: bool,
    /// Airflow's major version in the embedded world.
    #[arg(long, value_name = "MAJOR", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=3))]
    pub airflow: u8,
    /// Leave the world behind in DIR, to look at.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub keep: Option<PathBuf>,
    /// Only the world: it runs until Ctrl-C and writes DIR/config.toml to use it with.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["keep", "yes"], value_hint = ValueHint::DirPath)]
    pub serve: Option<PathBuf>,
    /// Milliseconds added to every answer of the world, for benchmarks.
    #[arg(long, value_name = "MS", default_value_t = 0, hide = true)]
    pub delay: u64,
}

#[derive(Debug, Args)]
pub struct ResumeArgs {
    pub run: Option<String>,
    /// Answer a gate beforehand.
    #[arg(long, value_name = "GATE[@DIGEST]")]
    pub approve: Vec<String>,
    /// Continue without an answer to this check, and why; recorded.
    #[arg(long = "override", value_name = "CHECK=REASON")]
    pub overrides: Vec<String>,
}

#[derive(Debug, Args)]
pub struct RestoreArgs {
    pub run: Option<String>,
    /// Restore without an answer to this check (`lock`, where the remote does not answer), and why; recorded.
    #[arg(long = "override", value_name = "CHECK=REASON")]
    pub overrides: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum RunbookCommand {
    /// The runbooks that can be run, and where each comes from.
    List,
    /// A runbook as the document people read.
    Show { runbook: String },
    /// Every problem of a runbook, with its place.
    Check { runbook: String },
    /// The JSON Schema of the format.
    Schema,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShowFormat {
    Text,
    Markdown,
    Json,
    /// What whoever takes over has to know, as Markdown.
    Incident,
}
