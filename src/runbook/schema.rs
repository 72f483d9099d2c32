//! The format of a runbook, and the only definition of it: `load.rs` checks files against the JSON Schema that these
//! types generate, and `runbook schema` prints the same.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A deployment procedure: the services it talks to, the infrastructure repository, and ordered steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Runbook {
    /// Version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub format: u32,
    /// What the procedure is for, in the words of the people who run it.
    pub title: String,
    /// Name of the environment, typed by a person where something unexpected would be destroyed.
    pub environment: String,
    /// A paragraph for `runbook show`.
    pub summary: Option<String>,
    /// Said at a failure: whom to tell.
    pub incident: Option<String>,
    /// Name of the run lock, shared by all runbooks of one environment. Required unless `alone = true`.
    pub lock: Option<String>,
    /// Nobody else deploys this environment, so no lock is taken.
    #[serde(default)]
    pub alone: bool,
    pub release: Option<ReleaseShape>,
    pub github: Option<GithubService>,
    pub registry: Option<RegistryService>,
    pub airflow: Option<AirflowService>,
    pub sentry: Option<SentryService>,
    pub slack: Option<SlackService>,
    pub infrastructure: Option<Infrastructure>,
    /// What no document says: whoever knows better corrects it.
    #[serde(default)]
    pub inferred: Vec<Inferred>,
    /// The steps, in order.
    #[serde(rename = "step")]
    pub steps: Vec<StepSpec>,
}

/// A value that follows from public sources only indirectly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inferred {
    /// Which value: a key such as `infrastructure.directory`, or the id of a step.
    pub about: String,
    /// The years for which it is believed to hold, e.g. `2023-2024`.
    pub era: String,
    /// What it follows from.
    pub why: String,
}

/// How versions are written: a git tag `PREFIX + version` becomes the image tag `IMAGE_PREFIX + version`, where version
/// is `YYYY.MM.DD.HH.MM.SS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseShape {
    /// e.g. `catalog-`
    pub git_prefix: String,
    /// e.g. `rel-`
    pub image_prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GithubService {
    /// `owner/name` of the application's repository.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$"))]
    pub repository: String,
    #[serde(default = "default_main")]
    pub main: String,
    #[serde(default = "default_github_api")]
    pub api_url: String,
    /// Where the changelog of a version is read; `{version}` stands for it.
    pub changelog: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistryService {
    #[serde(default = "default_registry")]
    pub url: String,
    /// Repository on the registry, e.g. `wordpress/openverse-catalog`.
    pub image: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AirflowService {
    pub url: String,
    /// DAGs that should exist; if none of them can be seen, this account's "nothing runs" means nothing.
    pub known_dag: Vec<String>,
    /// DAGs that may be paused and deployed over while all their active tasks are waiting sensors.
    #[serde(default)]
    pub refresh_dags: Vec<String>,
    /// Operator classes that count as waiting, e.g. `HttpSensor`.
    #[serde(default)]
    pub waiting_operators: Vec<String>,
    /// DAGs whose runs take seconds: waited for, up to `short_wait`, before refusing.
    #[serde(default)]
    pub short_dags: Vec<String>,
    #[serde(default = "two_minutes")]
    pub short_wait: Span,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SentryService {
    #[serde(default = "default_sentry")]
    pub url: String,
    pub organization: String,
    pub project: String,
    pub environment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlackService {
    /// For people: where the messages go, e.g. `#openverse-alerts`. The webhook itself is the laptop's secret.
    pub channel: String,
}

/// The Terraform repository and the commands people run in it. Every command is a list: program, then arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Infrastructure {
    /// `owner/name`, for the pull request.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$"))]
    pub repository: String,
    #[serde(default = "default_main")]
    pub main: String,
    #[serde(default = "default_remote")]
    pub remote: String,
    /// Where Terraform runs, relative to the repository: its `errored.tfstate` and plans are looked for here.
    pub directory: String,
    /// The attribute that holds the image tag.
    pub version: AttributePath,
    /// The attribute that must be true for a deploy and false otherwise.
    pub flag: Option<AttributePath>,
    /// e.g. `["just", "bump", "prod", "catalog-airflow"]`
    pub bump: Option<Vec<String>>,
    pub plan: Vec<String>,
    pub apply: Vec<String>,
    /// Prints Terraform's state as JSON, e.g. `["terraform", "-chdir=environments/prod", "show", "-json"]`: what runs now.
    pub state: Option<Vec<String>>,
    /// Where that state names the image tag that runs. Without it, tags are searched for in the version's module, which
    /// finds none where the state holds user data only as a hash.
    pub running: Option<StateSource>,
    /// The recipe targets one module, so Terraform says `complete: false` of every plan.
    #[serde(default)]
    pub targets: bool,
    /// How apply gets the approved plan.
    #[serde(default)]
    pub apply_with: ApplyWith,
    /// Addresses and actions that a deploy is expected to have, and no other.
    #[serde(default, rename = "expect")]
    pub expected: Vec<ExpectedChange>,
    /// Terraform workspace that must be selected, where the repository uses them.
    pub workspace: Option<String>,
}

/// A place in Terraform's state: either `output`, or `address` and `attribute`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateSource {
    /// Name of an output of the root module.
    pub output: Option<String>,
    /// Address of a resource, e.g. `module.catalog-airflow.aws_instance.instance`
    pub address: Option<String>,
    /// Attribute of that resource, e.g. `tags.version`
    pub attribute: Option<String>,
}

impl std::fmt::Display for StateSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.output, &self.attribute, &self.address) {
            (Some(output), ..) => write!(f, "output {output}"),
            (None, attribute, address) => {
                let (attribute, address) = (attribute.as_deref(), address.as_deref());
                write!(f, "attribute {} of {}", attribute.unwrap_or_default(), address.unwrap_or_default())
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttributePath {
    /// Relative to the repository's root.
    pub file: String,
    /// Block type and labels, e.g. `["module", "catalog-airflow"]`; empty for the top level (a `.tfvars`) .
    #[serde(default)]
    pub block: Vec<String>,
    pub attribute: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ApplyWith {
    /// The saved plan where the recipe takes an argument, else attached to the terminal.
    #[default]
    Auto,
    /// The saved plan file as the recipe's last argument.
    PlanFile,
    /// Attached: Terraform's own prompt decides. Not bound to what was approved.
    Terminal,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedChange {
    /// A resource's address; `*` stands for any run of characters, e.g. `module.catalog-airflow.aws_instance.*`
    pub address: String,
    /// Allowed actions, each a list as Terraform plans them joined by `/`: `update`, `delete/create`, `create/delete`, `create`, `delete`
    pub actions: Vec<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepSpec {
    /// Name of the step and of its gate: lower case letters, digits and dashes.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9-]*$"))]
    pub id: String,
    /// What a maintainer calls it.
    pub title: String,
    /// Asks before it changes anything. Kinds that cannot be taken back insist on it.
    #[serde(default)]
    pub gate: bool,
    /// 🔒 Needs infrastructure access.
    #[serde(default)]
    pub locked: bool,
    /// Belongs to releasing a new version, so `--tag` skips it.
    #[serde(default)]
    pub release_only: bool,
    /// For `runbook show`: why, and what to look at.
    pub note: Option<String>,
    #[serde(flatten)]
    pub kind: Kind,
}

/// What a step does. Each kind is one file under `src/steps`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// The checkout is clean, on main, not behind; the flag is false; unmerged bump pull requests are told.
    CheckoutReady {},
    /// A command whose output names the account that would be changed.
    Identity {
        command: Vec<String>,
        /// Text that must occur in its output.
        expect: String,
    },
    /// No DAG runs, but for the exception of waiting refreshes and overrides.
    DagsClear {},
    /// Judged again; refreshes that wait are paused and read again.
    DagsHold {},
    /// Reads how production looks before the apply.
    Baseline {},
    /// Publishes the drafted release.
    PublishRelease {
        /// Workflow that tags the image when a release is published.
        tag_workflow: String,
        /// Workflow that builds `latest` on main.
        build_workflow: String,
        /// Paths whose change makes a new image, to find the newest build's commit.
        #[serde(default)]
        build_paths: Vec<String>,
        /// The job of `build_workflow` that pushes `latest`: once it is over, the rest of a run cannot move the image.
        publish_job: Option<String>,
        /// Files that the image itself is made of, to say whether it changed since what runs.
        #[serde(default)]
        image_files: Vec<String>,
        /// Workflow that rewrites the drafted releases.
        draft_workflow: Option<String>,
        #[serde(default = "thirty_minutes")]
        build_wait: Span,
    },
    /// Waits until the image tag exists, and resolves its digest.
    ImageReady {
        tag_workflow: Option<String>,
        #[serde(default = "thirty_minutes")]
        wait: Span,
        #[serde(default = "fifteen_seconds")]
        poll: Span,
    },
    /// Bumps the version in the infrastructure repository.
    Bump {
        #[serde(default)]
        tag: BumpTag,
    },
    /// Sets the flag for the time of the apply.
    SetFlag {},
    /// Plans, asks, applies.
    Apply {},
    /// Gives back what an earlier step holds.
    GiveBack {
        /// Id of that step.
        of: String,
        /// Wait first until Airflow's new scheduler beats.
        #[serde(default)]
        after_heartbeat: bool,
        #[serde(default = "fifteen_minutes")]
        wait: Span,
    },
    /// Reviews and approves the generated changelog pull request.
    ApproveChangelog {
        /// `{git_tag}` stands for the release's tag.
        branch: String,
        #[serde(default = "fifteen_minutes")]
        wait: Span,
    },
    /// Opens the infrastructure pull request: the version bump alone.
    InfrastructurePullRequest {
        /// `{tag}` stands for the image tag.
        branch: String,
        /// Title of the pull request; `{tag}` as above.
        pull_title: String,
        /// What its body begins with; from, to, release, plan, approval and health follow. `{tag}` as above.
        #[serde(default)]
        pull_body: String,
    },
    /// Airflow reachable and beating, version as expected, no new import errors, no new Sentry issues.
    PostChecks {
        #[serde(default = "fifteen_minutes")]
        boot: Span,
        #[serde(default = "ten_minutes")]
        soak: Span,
    },
    /// A person looks at something that only people can see and says whether all is well. Never answered beforehand; where
    /// no one is there, it is listed as left to do.
    PersonCheck {
        /// What to look for.
        instructions: String,
        /// Where to look.
        link: Option<String>,
    },
    /// A person does it and says so.
    Manual { instructions: String },
    /// Two commands: `check` reads (exit 0: nothing to do), `run` changes.
    Shell {
        check: Option<Vec<String>>,
        run: Vec<String>,
        /// Gives back what `run` did, if the deploy fails. It may be run again after an interruption. Without it, the step
        /// declares that it cannot be undone.
        undo: Option<Vec<String>>,
    },
}

impl Kind {
    /// Its name in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::CheckoutReady { .. } => "checkout-ready",
            Kind::Identity { .. } => "identity",
            Kind::DagsClear { .. } => "dags-clear",
            Kind::DagsHold { .. } => "dags-hold",
            Kind::Baseline { .. } => "baseline",
            Kind::PublishRelease { .. } => "publish-release",
            Kind::ImageReady { .. } => "image-ready",
            Kind::Bump { .. } => "bump",
            Kind::SetFlag { .. } => "set-flag",
            Kind::Apply { .. } => "apply",
            Kind::GiveBack { .. } => "give-back",
            Kind::ApproveChangelog { .. } => "approve-changelog",
            Kind::InfrastructurePullRequest { .. } => "infrastructure-pull-request",
            Kind::PostChecks { .. } => "post-checks",
            Kind::PersonCheck { .. } => "person-check",
            Kind::Manual { .. } => "manual",
            Kind::Shell { .. } => "shell",
        }
    }
}

/// How the wanted tag gets into the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BumpTag {
    /// Run the recipe as it is (it picks the newest) and check what it wrote; a rollback pins.
    #[default]
    Newest,
    /// Pass the tag as the recipe's last argument.
    Argument,
    /// Write the attribute directly, without the recipe.
    Pin,
}

/// A length of time as people write it: `90s`, `15m`, `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", humantime::format_duration(self.0))
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Span).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "duration",
            "description": "A length of time as people write it: `90s`, `15m`, `1h 30m`."
        })
    }
}

fn default_main() -> String {
    "main".into()
}
fn default_remote() -> String {
    "origin".into()
}
fn default_github_api() -> String {
    "https://api.github.com".into()
}
fn default_registry() -> String {
    "https://ghcr.io".into()
}
fn default_sentry() -> String {
    "https://sentry.io".into()
}
fn two_minutes() -> Span {
    Span(Duration::from_secs(120))
}
fn fifteen_seconds() -> Span {
    Span(Duration::from_secs(15))
}
fn ten_minutes() -> Span {
    Span(Duration::from_secs(600))
}
fn fifteen_minutes() -> Span {
    Span(Duration::from_secs(900))
}
fn thirty_minutes() -> Span {
    Span(Duration::from_secs(1800))
}
