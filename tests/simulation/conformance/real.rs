//! The real adapters on a bench, against the embedded world.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog_deploy::adapters::airflow::{AirflowAuth, AirflowClient};
use catalog_deploy::adapters::checkout::{Checkout, CheckoutOptions};
use catalog_deploy::adapters::github::GithubClient;
use catalog_deploy::adapters::lock::GitRefLock;
use catalog_deploy::adapters::process::Commands;
use catalog_deploy::adapters::registry::RegistryClient;
use catalog_deploy::rehearsal::{Fault, Options, World};

use super::{Bench, Case, Trouble};

pub fn play(trouble: Trouble, cases: &[(&str, Case)]) {
    let place = tempfile::tempdir().unwrap();
    let mut options = Options::new(place.path().join("world"));
    options.faults = match trouble {
        Trouble::None => vec![],
        Trouble::PublishAnswerLost => vec![Fault::PublishAnswerLost],
        Trouble::ApplyFails => vec![Fault::DeployFailsWhilePaused],
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::start(options).await.unwrap();
        let bench = bench(&world, place.path());
        for (name, case) in cases {
            eprintln!("real, {trouble:?}: {name}");
            case(&bench).await;
        }
    });
}

fn bench(world: &World, place: &std::path::Path) -> Bench {
    let config: toml::Table = world.config_toml().parse().unwrap();
    let setting = |section: &str, key: &str| {
        let value = &config[section][key];
        let file = value.get("file").map(|file| std::fs::read_to_string(file.as_str().unwrap()).unwrap());
        file.unwrap_or_else(|| value.as_str().unwrap().to_owned())
    };
    let environment: BTreeMap<String, String> =
        world.path_with_tools().map(|path| ("PATH".to_owned(), path.into_string().unwrap())).into_iter().collect();
    let own = env!("CARGO_BIN_EXE_catalog-deploy").into();
    let commands = Arc::new(Commands::new(own).with_environment(environment.clone()));
    let options = CheckoutOptions {
        root: world.infrastructure().to_owned(),
        remote: "origin".into(),
        main: "main".into(),
        directory: "environments/prod".into(),
        environment,
        scratch_parent: place.join("scratch"),
        commands: commands.clone(),
        host: "laptop".into(),
    };
    let auth = AirflowAuth::Password {
        username: setting("airflow", "username"),
        password: setting("airflow", "password").into(),
    };
    let workspace = place.join("run");
    std::fs::create_dir_all(&workspace).unwrap();
    let world = world.clone();
    Bench {
        github: Arc::new(
            GithubClient::new(&setting("github", "api_url"), Some(setting("github", "token").into())).unwrap(),
        ),
        registry: Arc::new(RegistryClient::new(&setting("registry", "url"), None, None).unwrap()),
        airflow: Arc::new(AirflowClient::new(&setting("airflow", "url"), auth, Vec::new()).unwrap()),
        checkout: Arc::new(Checkout::new(options.clone())),
        lock: Arc::new(GitRefLock::new(options, Some("openverse-catalog-prod".into()))),
        commands,
        workspace,
        start_refresh: Box::new(move || {
            let task = ("data_refresh.wait_for_completion", "HttpSensor", "up_for_reschedule");
            world.start_dag_run("image_data_refresh", "running", &[task]);
        }),
    }
}
