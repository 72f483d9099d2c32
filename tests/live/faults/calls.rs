//! The rows of the matrix: every route with the call of an adapter that uses it.

use catalog_deploy::adapters::ServiceError;
use catalog_deploy::adapters::airflow::{AirflowRead, AirflowWrite};
use catalog_deploy::adapters::github::{GithubRead, GithubWrite, NewPullRequest, RunFilter};
use catalog_deploy::adapters::notify::Notifier;
use catalog_deploy::adapters::registry::RegistryRead;
use catalog_deploy::adapters::sentry::SentryRead;
use catalog_deploy::rehearsal::AirflowEdition;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::route::Route;
use super::services::{APPLICATION, BRANCH, Behind, CHANGELOG, DRAFT, INFRASTRUCTURE, Services};

const IMAGE: &str = "wordpress/openverse-catalog";
const CATALOG: &str = "image_data_refresh";
const OTHER: &str = "audio_data_refresh";

/// What the answer is, as far as it decides how a fault shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Json,
    /// Headers alone.
    Head,
    /// JSON whose bytes have a digest that is known.
    Manifest,
    /// Bytes whose digest is known, of no type.
    Blob,
    /// A list that may be null.
    Tags,
    /// One word, whatever its type.
    Word,
    /// Which of Airflow's two APIs there is: this is the one that is not.
    OtherApi,
}

/// What a change does to the world, and how it is taken back for the next cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Publish,
    Review,
    Open,
    Pause,
    Unpause,
    Message,
}

pub type Call = fn(Behind) -> BoxFuture<'static, Result<String, ServiceError>>;

#[derive(Clone, Copy)]
pub struct Row {
    pub route: Route,
    pub kind: Kind,
    /// Requests that the call sends before those that go out together with this one.
    pub before: usize,
    pub effect: Option<Effect>,
    pub call: Call,
}

impl Row {
    const fn new(service: &'static str, method: &'static str, path: &'static str, call: Call) -> Self {
        Self { route: Route::new(service, method, path), kind: Kind::Json, before: 0, effect: None, call }
    }
    const fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
    const fn after(mut self, before: usize) -> Self {
        self.before = before;
        self
    }
    const fn does(mut self, effect: Effect) -> Self {
        self.effect = Some(effect);
        self
    }
}

/// A call whose answer is compared by what it shows.
macro_rules! call {
    ($client:ident.$method:ident($($argument:expr),*)) => {
        |behind: Behind| async move { behind.$client().$method($($argument),*).await.map(|it| format!("{it:?}")) }.boxed()
    };
}

const GITHUB: &str = "github";
const REGISTRY: &str = "registry";
const AIRFLOW: &str = "airflow";

/// GitHub, the registry, Sentry and Slack.
pub fn common() -> Vec<Row> {
    let manifest = "/v2/wordpress/openverse-catalog/manifests/{}";
    // A release that another cell publishes makes a tag; the oldest one stays.
    let tags: Call =
        |behind| async move { behind.registry().tags(IMAGE).await.map(|it| format!("{:?}", it.first())) }.boxed();
    let sha: Call = |behind: Behind| {
        async move {
            let sha = "c".repeat(40);
            behind.github().checks(APPLICATION, &sha).await.map(|it| format!("{it:?}"))
        }
        .boxed()
    };
    vec![
        Row::new(GITHUB, "GET", "/user", call!(github.viewer())),
        Row::new(GITHUB, "GET", "/repos/{}/{}", call!(github.permissions(APPLICATION))),
        Row::new(GITHUB, "GET", "/repos/{}/{}/releases", |behind| {
            // Other cells publish and take back; what is read is the rest.
            async move { behind.github().releases(APPLICATION).await.map(|all| format!("{}", all.len())) }.boxed()
        }),
        Row::new(GITHUB, "GET", "/repos/{}/{}/releases/{}", |behind| {
            async move { behind.github().release(APPLICATION, DRAFT).await.map(|it| it.tag_name) }.boxed()
        }),
        Row::new(GITHUB, "GET", "/repos/{}/{}/actions/workflows/{}/runs", |behind| {
            let filter = RunFilter { branch: Some("main".into()), ..RunFilter::default() };
            async move {
                let found = behind.github().workflow_runs(APPLICATION, "ci_cd.yml", &filter).await;
                found.map(|it| format!("{it:?}"))
            }
            .boxed()
        }),
        Row::new(GITHUB, "GET", "/repos/{}/{}/actions/runs/{}/jobs", |behind| {
            async move {
                // Others come to an end while cells are played.
                let runs = behind.services.world.workflow_runs().into_iter();
                let run = runs.filter(|run| run.status == "completed").map(|run| run.id).min().unwrap();
                behind.github().jobs(APPLICATION, run).await.map(|it| format!("{it:?}"))
            }
            .boxed()
        }),
        Row::new(GITHUB, "GET", "/repos/{}/{}/commits", call!(github.commits_touching(APPLICATION, "main", "catalog"))),
        Row::new(GITHUB, "GET", "/repos/{}/{}/pulls", |behind| {
            async move {
                let found = behind.github().pull_requests_of_branch(APPLICATION, CHANGELOG).await;
                found.map(|it| format!("{}", it.iter().filter(|pull| pull.number == behind.services.pull).count()))
            }
            .boxed()
        }),
        Row::new(GITHUB, "GET", "/repos/{}/{}/pulls/{}/files", |behind| {
            let pull = behind.services.pull;
            async move { behind.github().pull_request_files(APPLICATION, pull).await.map(|it| format!("{it:?}")) }
                .boxed()
        }),
        Row::new(GITHUB, "GET", "/repos/{}/{}/pulls/{}/reviews", |behind| {
            let pull = behind.services.pull;
            async move { behind.github().reviews(APPLICATION, pull).await.map(|_| "reviews".into()) }.boxed()
        }),
        Row::new(GITHUB, "GET", "/repos/{}/{}/commits/{}/check-runs", sha),
        Row::new(GITHUB, "GET", "/repos/{}/{}/commits/{}/status", sha),
        Row::new(GITHUB, "PATCH", "/repos/{}/{}/releases/{}", |behind| {
            let tag = "catalog-2024.09.30.10.20.30";
            async move {
                behind.github().publish_release(APPLICATION, DRAFT, tag).await.map(|it| format!("{}", it.draft))
            }
            .boxed()
        })
        .does(Effect::Publish),
        Row::new(GITHUB, "POST", "/repos/{}/{}/pulls/{}/reviews", |behind| {
            let pull = behind.services.pull;
            async move {
                let sha = "c".repeat(40);
                behind.github().approve_pull_request(APPLICATION, pull, &sha, "").await.map(|()| "approved".into())
            }
            .boxed()
        })
        .does(Effect::Review),
        Row::new(GITHUB, "POST", "/repos/{}/{}/pulls", |behind| {
            let words = ("Deploy".to_owned(), String::new(), BRANCH.to_owned(), "main".to_owned());
            let new = NewPullRequest { title: words.0, body: words.1, head: words.2, base: words.3 };
            async move { behind.github().open_pull_request(INFRASTRUCTURE, &new).await.map(|it| it.head_ref) }.boxed()
        })
        .does(Effect::Open),
        Row::new(REGISTRY, "HEAD", manifest, call!(registry.digest(IMAGE, "latest"))).kind(Kind::Head),
        Row::new(REGISTRY, "GET", "/token", tags).after(1),
        Row::new(REGISTRY, "GET", manifest, call!(registry.manifest(IMAGE, "latest"))).kind(Kind::Manifest),
        Row::new(REGISTRY, "GET", "/v2/wordpress/openverse-catalog/blobs/{}", |behind| {
            let digest = behind.services.world.registry_tags()["latest"].clone();
            async move { behind.registry().environment(IMAGE, &digest).await.map(|it| format!("{it:?}")) }.boxed()
        })
        .kind(Kind::Blob)
        .after(4),
        Row::new(REGISTRY, "GET", "/v2/wordpress/openverse-catalog/tags/list", tags).kind(Kind::Tags),
        Row::new("sentry", "GET", "/api/0/organizations/openverse/issues/", call!(sentry.unresolved())),
        Row::new("slack", "POST", "/services/{}/{}/{}", call!(slack.notify("deploying")))
            .kind(Kind::Word)
            .does(Effect::Message),
    ]
}

/// Airflow, which says the same in two languages.
pub fn airflow(edition: AirflowEdition) -> Vec<Row> {
    let version: Call = call!(airflow.version());
    let health: Call = |behind| {
        async move { behind.airflow().health().await.map(|it| format!("{:?}", it.components["scheduler"].status)) }
            .boxed()
    };
    let activity: Call = call!(airflow.activity());
    let dag: Call = call!(airflow.dag("batched_update"));
    let log: Call = call!(airflow.pause_log("batched_update"));
    let errors: Call = call!(airflow.import_errors());
    let pause: Call = call!(airflow.set_paused(CATALOG, true));
    let unpause: Call = call!(airflow.set_paused(OTHER, false));
    match edition {
        AirflowEdition::V2 => vec![
            Row::new(AIRFLOW, "GET", "/api/v1/version", version),
            Row::new(AIRFLOW, "GET", "/api/v2/version", version).kind(Kind::OtherApi),
            Row::new(AIRFLOW, "GET", "/health", health).after(2),
            Row::new(AIRFLOW, "POST", "/api/v1/dags/~/dagRuns/list", activity).after(2),
            Row::new(AIRFLOW, "POST", "/api/v1/dags/~/dagRuns/~/taskInstances/list", activity).after(2),
            Row::new(AIRFLOW, "GET", "/api/v1/dags/{}", dag).after(2),
            Row::new(AIRFLOW, "GET", "/api/v1/eventLogs", log).after(2),
            Row::new(AIRFLOW, "GET", "/api/v1/importErrors", errors).after(2),
            Row::new(AIRFLOW, "PATCH", "/api/v1/dags/{}", pause).after(2).does(Effect::Pause),
            Row::new(AIRFLOW, "PATCH", "/api/v1/dags/{}", unpause).after(2).does(Effect::Unpause),
        ],
        AirflowEdition::V3 => vec![
            Row::new(AIRFLOW, "GET", "/api/v2/version", version),
            Row::new(AIRFLOW, "GET", "/api/v1/version", version).kind(Kind::OtherApi),
            Row::new(AIRFLOW, "POST", "/auth/token", dag).after(2),
            Row::new(AIRFLOW, "GET", "/api/v2/monitor/health", health).after(3),
            Row::new(AIRFLOW, "GET", "/api/v2/dags/~/dagRuns", activity).after(3),
            Row::new(AIRFLOW, "GET", "/api/v2/dags/~/dagRuns/~/taskInstances", activity).after(3),
            Row::new(AIRFLOW, "GET", "/api/v2/dags/{}", dag).after(3),
            Row::new(AIRFLOW, "GET", "/api/v2/eventLogs", log).after(3),
            Row::new(AIRFLOW, "GET", "/api/v2/importErrors", errors).after(3),
            Row::new(AIRFLOW, "PATCH", "/api/v2/dags/{}", pause).after(3).does(Effect::Pause),
            Row::new(AIRFLOW, "PATCH", "/api/v2/dags/{}", unpause).after(3).does(Effect::Unpause),
        ],
    }
}

impl Effect {
    /// As if it had never happened.
    pub fn take_back(self, services: &Services) {
        let world = &services.world;
        match self {
            Self::Publish => world.change(|state| {
                for release in state.releases.iter_mut().filter(|release| release.id == DRAFT) {
                    release.draft = true;
                    release.published_at = None;
                }
            }),
            Self::Review => world.change(|state| {
                state.pulls.iter_mut().filter(|pull| pull.number == services.pull).for_each(|it| it.reviews.clear());
            }),
            Self::Open => world.change(|state| state.pulls.retain(|pull| pull.head_ref != BRANCH)),
            Self::Pause => world.set_paused(CATALOG, false),
            Self::Unpause => world.set_paused(OTHER, true),
            Self::Message => world.change(|state| state.slack.clear()),
        }
    }

    /// How often the world was changed so, in all.
    pub fn count(self, services: &Services) -> usize {
        let dag = |name: &str| {
            let api = |version: &str| services.effects("PATCH", &format!("/api/{version}/dags/{name}"));
            api("v1") + api("v2")
        };
        match self {
            Self::Publish => services.effects("PATCH", &format!("/repos/{APPLICATION}/releases/{DRAFT}")),
            Self::Review => services.effects("POST", &format!("/repos/{APPLICATION}/pulls/{}/reviews", services.pull)),
            Self::Open => services.effects("POST", &format!("/repos/{INFRASTRUCTURE}/pulls")),
            Self::Pause => dag(CATALOG),
            Self::Unpause => dag(OTHER),
            Self::Message => services.effects("POST", "/services/T0REHEARS/B0REHEARS"),
        }
    }
}
