//! What a run knows: plain, serialisable data that steps learn, the journal keeps and later steps use.
//!
//! Nothing here talks to anybody. A fact is a dated reading; whoever acts on it looks again first.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the person asked for, beyond the runbook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameters {
    /// `--tag`: deploy this image tag and skip the release steps.
    pub tag: Option<String>,
    /// `--override CHECK=REASON`, and what was overridden at the terminal since.
    pub overrides: Vec<Override>,
    /// `--wait`: how long running DAGs may take to finish.
    pub wait: Option<Duration>,
    /// `--lock-wait`.
    pub lock_wait: Option<Duration>,
    pub allow_empty_release: bool,
}

impl Parameters {
    /// Why the deploy may continue without an answer to `check`; `None` where it may not.
    pub fn overridden(&self, check: Check) -> Option<&str> {
        self.reason(|subject| *subject == Subject::Check { check })
    }

    /// Why the tasks of `dag` may be killed; `None` where they may not.
    pub fn may_be_killed(&self, dag: &str) -> Option<&str> {
        self.reason(|subject| matches!(subject, Subject::Dag { dag: given } if given == dag))
    }

    fn reason(&self, is: impl Fn(&Subject) -> bool) -> Option<&str> {
        self.overrides.iter().find(|given| is(&given.subject)).map(|given| given.reason.as_str())
    }
}

/// What someone decided against a check, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    #[serde(flatten)]
    pub subject: Subject,
    pub reason: String,
}

/// What can be overridden. In a journal `{"dag": …}` or `{"check": …}`; until checks had names there were only DAGs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Subject {
    /// This DAG's tasks may be killed by the deploy.
    Dag { dag: String },
    /// The deploy continues without an answer to this check.
    Check { check: Check },
}

impl std::fmt::Display for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.subject {
            Subject::Dag { dag } => write!(f, "the tasks of DAG {dag} may be killed: {}", self.reason),
            Subject::Check { check } => write!(f, "{check}, {}: {}", check.without(), self.reason),
        }
    }
}

/// A check that can be overridden. An override replaces a missing answer, never an answer; the one exception is
/// [`Check::Latest`], where someone has looked and knows better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Which DAGs run, and how production looked before the deploy.
    Airflow,
    /// Whether the tag exists, and on which image.
    Registry,
    /// Whether the release is still published.
    Github,
    /// Who else is deploying, and whether main has moved.
    Lock,
    /// Whether `latest` is the newest build's image.
    Latest,
}

impl Check {
    pub const ALL: [Self; 5] = [Self::Airflow, Self::Registry, Self::Github, Self::Lock, Self::Latest];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Airflow => "airflow",
            Self::Registry => "registry",
            Self::Github => "github",
            Self::Lock => "lock",
            Self::Latest => "latest",
        }
    }

    /// What the deploy continues without, for reports.
    fn without(self) -> &'static str {
        match self {
            Self::Airflow => "running DAGs were not checked",
            Self::Registry => "the image was not checked",
            Self::Github => "the release was not checked again",
            Self::Lock => "the run lock and main were not checked",
            Self::Latest => "`latest` was published as it was",
        }
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Check {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|check| check.name() == name).ok_or(())
    }
}

/// The release that is or will be deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseFact {
    pub id: u64,
    /// e.g. `catalog-2024.08.22.20.53.01`
    pub git_tag: String,
    pub url: String,
}

/// The image tag that the run deploys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFact {
    /// e.g. `rel-2024.08.22.20.53.01`
    pub tag: String,
    /// The tag does not exist yet: it follows from the draft release.
    pub predicted: bool,
}

/// An image, resolved once and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFact {
    pub tag: String,
    /// `sha256:…` of the manifest or index the tag points to.
    pub digest: String,
    /// `AIRFLOW_VERSION` of the image's environment.
    pub airflow_version: Option<String>,
}

/// What runs in production before this deploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningFact {
    pub tag: String,
    /// Read from Terraform's state (true) or only inferred from earlier runs, main and open pull requests (false).
    pub certain: bool,
    /// Where it was read, and when and by whom it was deployed where that is known.
    pub source: String,
}

/// A gate that was answered with yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub gate: String,
    /// e.g. `ada on laptop, at the terminal`
    pub by: String,
    pub digest: String,
    /// What was approved, line by line as it was shown.
    pub summary: Vec<String>,
}

/// An earlier run of the same runbook on this machine, as its journal tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRun {
    pub run: String,
    /// e.g. `ada on laptop`
    pub by: String,
    pub tag: String,
    pub began: Timestamp,
    pub deploy: PastDeploy,
    /// How the run ended, e.g. `done` or `unhealthy`; `open` where it has not.
    pub ended: String,
    pub image: Option<ImageFact>,
    /// What ran before it.
    pub running: Option<RunningFact>,
    /// It wrote its tag into the checkout.
    pub bumped: bool,
}

/// How far the deploy of an earlier run got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PastDeploy {
    /// Its apply took effect; when it ended.
    Done(Timestamp),
    /// It was begun, and is not known to have taken effect as a whole.
    Unsure,
    Never,
}

impl PastRun {
    /// When its tag was deployed; `None` where it was not, or not surely.
    pub fn deployed_at(&self) -> Option<Timestamp> {
        match self.deploy {
            PastDeploy::Done(at) => Some(at),
            PastDeploy::Unsure | PastDeploy::Never => None,
        }
    }
}

/// How production looked before the apply; post-checks compare against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselineFact {
    pub taken_at: Timestamp,
    pub airflow_version: Option<String>,
    /// File names with their error's first line, sorted; `None` where Airflow could not be asked.
    pub import_errors: Option<Vec<String>>,
    /// Ids of unresolved Sentry issues; `None` where Sentry could not be asked.
    pub sentry_issues: Option<Vec<String>>,
    /// The run whose deploy it was taken before, where that is one that this run has taken over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_run: Option<String>,
}

/// The apply, seen from the clocks of both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedFact {
    pub ended_at: Timestamp,
    /// Airflow's clock minus ours, in milliseconds, from its `Date` header.
    pub airflow_clock_skew_ms: i64,
    /// The plan held changes, so an instance restarts.
    pub changed: bool,
    /// Why it could not be verified that the apply took effect; Terraform itself reported success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unverified: Option<String>,
}

/// A pull request of ours or for us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestFact {
    pub number: u64,
    pub url: String,
}

/// One thing learned. Its variants' names are also what a step says it needs and gives ([`FactKind`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fact", content = "value")]
pub enum Fact {
    Release(ReleaseFact),
    Target(TargetFact),
    Image(ImageFact),
    Running(RunningFact),
    Baseline(BaselineFact),
    /// Digest of the last image that was deployed, to tell a new name on an old image.
    RunningImage(ImageFact),
    /// The version attribute now holds the wanted tag.
    Bumped(TargetFact),
    /// The flag is set, so a plan can succeed.
    FlagSet(bool),
    /// DAGs that ran at this reading, and why each was allowed.
    DagsCleared(Vec<String>),
    Applied(AppliedFact),
    /// An apply ended, and did some of what was approved: production may be without its instance.
    AppliedInPart,
    Changelog(PullRequestFact),
    PullRequest(PullRequestFact),
    /// All was well with production for the first time after the deploy.
    HealthySince(Timestamp),
    /// What the last look at production's health could not tell.
    HealthUntold(Vec<String>),
}

impl Fact {
    /// What it says in sentences, which may quote a service.
    pub fn sentences(&mut self) -> Vec<&mut String> {
        match self {
            Self::DagsCleared(texts) | Self::HealthUntold(texts) => texts.iter_mut().collect(),
            Self::Applied(applied) => applied.unverified.iter_mut().collect(),
            Self::Running(running) => vec![&mut running.source],
            // Named, so that a new kind of fact has to be thought about here.
            Self::Release(_)
            | Self::Target(_)
            | Self::Image(_)
            | Self::RunningImage(_)
            | Self::Baseline(_)
            | Self::Bumped(_)
            | Self::FlagSet(_)
            | Self::AppliedInPart
            | Self::Changelog(_)
            | Self::PullRequest(_)
            | Self::HealthySince(_) => Vec::new(),
        }
    }
}

/// Names of facts, for a step's needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FactKind {
    Release,
    Target,
    Image,
    Running,
    RunningImage,
    Baseline,
    Bumped,
    FlagSet,
    DagsCleared,
    Applied,
    AppliedInPart,
    Changelog,
    PullRequest,
    HealthySince,
    HealthUntold,
}

/// All that a run has learned so far: a fold over [`Fact`], the latest of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub release: Option<ReleaseFact>,
    pub target: Option<TargetFact>,
    pub image: Option<ImageFact>,
    pub running: Option<RunningFact>,
    pub running_image: Option<ImageFact>,
    pub baseline: Option<BaselineFact>,
    pub bumped: Option<TargetFact>,
    pub flag_set: Option<bool>,
    pub dags_cleared: Option<Vec<String>>,
    pub applied: Option<AppliedFact>,
    #[serde(default)]
    pub applied_in_part: bool,
    pub changelog: Option<PullRequestFact>,
    pub pull_request: Option<PullRequestFact>,
    #[serde(default)]
    pub healthy_since: Option<Timestamp>,
    #[serde(default)]
    pub health_untold: Vec<String>,
}

impl Facts {
    /// Whether anything of this kind was learned.
    pub fn knows(&self, kind: FactKind) -> bool {
        match kind {
            FactKind::Release => self.release.is_some(),
            FactKind::Target => self.target.is_some(),
            FactKind::Image => self.image.is_some(),
            FactKind::Running => self.running.is_some(),
            FactKind::RunningImage => self.running_image.is_some(),
            FactKind::Baseline => self.baseline.is_some(),
            FactKind::Bumped => self.bumped.is_some(),
            FactKind::FlagSet => self.flag_set.is_some(),
            FactKind::DagsCleared => self.dags_cleared.is_some(),
            FactKind::Applied => self.applied.is_some(),
            FactKind::AppliedInPart => self.applied_in_part,
            FactKind::Changelog => self.changelog.is_some(),
            FactKind::PullRequest => self.pull_request.is_some(),
            FactKind::HealthySince => self.healthy_since.is_some(),
            FactKind::HealthUntold => !self.health_untold.is_empty(),
        }
    }

    pub fn learn(&mut self, fact: Fact) {
        match fact {
            Fact::Release(it) => self.release = Some(it),
            Fact::Target(it) => self.target = Some(it),
            Fact::Image(it) => self.image = Some(it),
            Fact::Running(it) => self.running = Some(it),
            Fact::RunningImage(it) => self.running_image = Some(it),
            Fact::Baseline(it) => self.baseline = Some(it),
            Fact::Bumped(it) => self.bumped = Some(it),
            Fact::FlagSet(it) => self.flag_set = Some(it),
            Fact::DagsCleared(it) => self.dags_cleared = Some(it),
            Fact::Applied(it) => self.applied = Some(it),
            Fact::AppliedInPart => self.applied_in_part = true,
            Fact::Changelog(it) => self.changelog = Some(it),
            Fact::PullRequest(it) => self.pull_request = Some(it),
            Fact::HealthySince(it) => self.healthy_since = Some(it),
            Fact::HealthUntold(it) => self.health_untold = it,
        }
    }
}

/// An obligation: changed only for the time of the deploy, with what is needed to give it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Unique within the run, e.g. `hold-dags/image_data_refresh`.
    pub id: String,
    /// The step that took it and knows how to give it back.
    pub step: String,
    pub thing: Thing,
    pub place: Place,
}

/// What is held, with its exact earlier value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "thing")]
pub enum Thing {
    /// The run lock: a ref on the infrastructure remote and the commit that is ours.
    Lock { reference: String, commit: String },
    /// A DAG that was not paused before.
    PausedDag { dag: String },
    /// An attribute of a file in the checkout; `prior` and `ours` are HCL literals as they stand in the file.
    Attribute { file: String, block: Vec<String>, attribute: String, prior: String, ours: String },
    /// Whatever a `shell` step's `undo` command gives back.
    Shell { undo: Vec<String> },
}

/// Where an obligation can be given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "place")]
pub enum Place {
    World,
    Checkout { host: String, path: String },
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.thing {
            Thing::Lock { reference, .. } => write!(f, "the run lock {reference}"),
            Thing::PausedDag { dag } => write!(f, "DAG {dag}, paused by this run"),
            Thing::Attribute { file, attribute, prior, ours, .. } => {
                write!(f, "{attribute} in {file}, now {ours}, before {prior}")
            }
            Thing::Shell { undo } => write!(f, "what `{}` gives back", undo.join(" ")),
        }
    }
}
