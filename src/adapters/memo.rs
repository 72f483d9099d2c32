//! Readers of one moment: every question is asked once, and whoever asks it again is told the same.
//!
//! For a preview only. It describes the world at one moment, so its steps may share a reading, and must: two readings
//! could contradict each other in one report. A run that changes things reads afresh before every decision, so it never
//! gets these.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::airflow::{self, Activity, AirflowRead, Dag, Health, ImportError, PauseEntry};
use super::checkout::{self, Arguments, Attribute, CheckoutRead, Landed, Location, Planned, Standing, Tree};
use super::kept::Kept;
use super::process::LineSink;
use super::registry::{self, Manifest, RegistryRead};
use super::{Readers, ServiceError};

/// Different questions of one kind; a preview asks far fewer.
const MOST: usize = 1024;

/// An answer or its failure: within one moment both stay what they are.
type Answers<K, V> = Kept<K, Result<V, ServiceError>>;

/// `readers`, with one reading of registry, Airflow and the runbook's reading commands for all who ask.
pub fn of_one_moment(readers: Readers) -> Readers {
    Readers {
        registry: Arc::new(Registry {
            digests: Kept::new(MOST),
            manifests: Kept::new(MOST),
            environments: Kept::new(MOST),
            tags: Kept::new(MOST),
            inner: readers.registry,
        }),
        airflow: Arc::new(Airflow {
            version: Kept::new(1),
            health: Kept::new(1),
            activity: Kept::new(1),
            dags: Kept::new(MOST),
            import_errors: Kept::new(1),
            inner: readers.airflow,
        }),
        checkout: Arc::new(Checkout { histories: Kept::new(MOST), outputs: Kept::new(MOST), inner: readers.checkout }),
        ..readers
    }
}

async fn once<K: Eq + std::hash::Hash, V: Clone>(
    answers: &Answers<K, V>,
    question: K,
    ask: impl Future<Output = Result<V, ServiceError>>,
) -> Result<V, ServiceError> {
    // Never an error outside: a failure is an answer here.
    answers.get(question, async { Ok::<_, ServiceError>(ask.await) }).await?
}

struct Registry {
    inner: Arc<dyn RegistryRead>,
    digests: Answers<(String, String), Option<String>>,
    manifests: Answers<(String, String), Option<Manifest>>,
    environments: Answers<(String, String), Vec<(String, String)>>,
    tags: Answers<String, Vec<String>>,
}

#[async_trait]
impl RegistryRead for Registry {
    async fn digest(&self, image: &str, reference: &str) -> registry::Result<Option<String>> {
        once(&self.digests, (image.into(), reference.into()), self.inner.digest(image, reference)).await
    }
    async fn manifest(&self, image: &str, reference: &str) -> registry::Result<Option<Manifest>> {
        once(&self.manifests, (image.into(), reference.into()), self.inner.manifest(image, reference)).await
    }
    async fn environment(&self, image: &str, digest: &str) -> registry::Result<Vec<(String, String)>> {
        once(&self.environments, (image.into(), digest.into()), self.inner.environment(image, digest)).await
    }
    async fn tags(&self, image: &str) -> registry::Result<Vec<String>> {
        once(&self.tags, image.into(), self.inner.tags(image)).await
    }
}

struct Airflow {
    inner: Arc<dyn AirflowRead>,
    version: Answers<(), String>,
    health: Answers<(), Health>,
    activity: Answers<(), Activity>,
    dags: Answers<String, Dag>,
    import_errors: Answers<(), Vec<ImportError>>,
}

#[async_trait]
impl AirflowRead for Airflow {
    async fn version(&self) -> airflow::Result<String> {
        once(&self.version, (), self.inner.version()).await
    }
    async fn health(&self) -> airflow::Result<Health> {
        once(&self.health, (), self.inner.health()).await
    }
    async fn activity(&self) -> airflow::Result<Activity> {
        once(&self.activity, (), self.inner.activity()).await
    }
    async fn dag(&self, dag_id: &str) -> airflow::Result<Dag> {
        once(&self.dags, dag_id.into(), self.inner.dag(dag_id)).await
    }
    async fn pause_log(&self, dag_id: &str) -> airflow::Result<Vec<PauseEntry>> {
        // No preview asks for it.
        self.inner.pause_log(dag_id).await
    }
    async fn import_errors(&self) -> airflow::Result<Vec<ImportError>> {
        once(&self.import_errors, (), self.inner.import_errors()).await
    }
}

/// The runbook's reading commands (Terraform's state) and a history take seconds; all else of a checkout is read as often
/// as asked.
struct Checkout {
    inner: Arc<dyn CheckoutRead>,
    histories: Answers<(String, Location, usize), Vec<Landed>>,
    outputs: Answers<Vec<String>, Vec<u8>>,
}

#[async_trait]
impl CheckoutRead for Checkout {
    async fn output(&self, argv: &[String]) -> checkout::Result<Vec<u8>> {
        once(&self.outputs, argv.to_vec(), self.inner.output(argv)).await
    }
    fn root(&self) -> PathBuf {
        self.inner.root()
    }
    async fn standing(&self) -> checkout::Result<Standing> {
        self.inner.standing().await
    }
    async fn read(&self, file: &str) -> checkout::Result<Vec<u8>> {
        self.inner.read(file).await
    }
    async fn read_at(&self, commit: &str, file: &str) -> checkout::Result<Vec<u8>> {
        self.inner.read_at(commit, file).await
    }
    async fn attribute(&self, at: &Location) -> checkout::Result<Attribute> {
        self.inner.attribute(at).await
    }
    async fn fingerprint(&self, except: &[Location]) -> checkout::Result<String> {
        self.inner.fingerprint(except).await
    }
    async fn arguments(&self, argv: &[String]) -> checkout::Result<Arguments> {
        self.inner.arguments(argv).await
    }
    async fn remote_branch(&self, branch: &str) -> checkout::Result<Option<String>> {
        self.inner.remote_branch(branch).await
    }
    async fn remote_file(&self, branch: &str, file: &str) -> checkout::Result<Option<Vec<u8>>> {
        self.inner.remote_file(branch, file).await
    }
    async fn remote_attribute(&self, branch: &str, at: &Location) -> checkout::Result<Option<Attribute>> {
        self.inner.remote_attribute(branch, at).await
    }
    async fn literals_in_history(&self, branch: &str, at: &Location, limit: usize) -> checkout::Result<Vec<Landed>> {
        let question = (branch.to_owned(), at.clone(), limit);
        once(&self.histories, question, self.inner.literals_in_history(branch, at, limit)).await
    }
    async fn scratch(&self) -> checkout::Result<Arc<dyn Tree>> {
        self.inner.scratch().await
    }
    async fn plan(&self, argv: &[String], plan_file: &Path, lines: LineSink) -> checkout::Result<Planned> {
        self.inner.plan(argv, plan_file, lines).await
    }
}
