//! The listeners, one per service, on a thread of their own: whoever blocks the caller's runtime does not stop the world.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::connection::{Cut, CuttingListener};
use super::log::{Logged, record};
use super::shared::{Shared, Urls};
use super::{airflow, github, registry, sentry, slack};

/// Keeps the services up until it is dropped.
pub(super) struct Running {
    _stop: oneshot::Sender<()>,
}

/// Binds and serves; returns once every service can be reached.
pub(super) async fn serve(shared: Arc<Shared>) -> Result<Running> {
    let (ready, bound) = oneshot::channel();
    let (stop, stopped) = oneshot::channel();
    std::thread::Builder::new().name("rehearsal".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let outcome = start(&shared).await;
            if ready.send(outcome).is_ok() {
                // Resolves as an error when `Running` is dropped, which is the signal.
                let _ = stopped.await;
            }
        });
    })?;
    bound.await.context("could not start the rehearsal's services")??;
    Ok(Running { _stop: stop })
}

async fn start(shared: &Arc<Shared>) -> Result<()> {
    let mut addresses = Vec::new();
    let mut listeners = Vec::new();
    for _ in 0..5 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("could not listen on loopback")?;
        addresses.push(format!("http://{}", listener.local_addr()?));
        listeners.push(listener);
    }
    let [github, airflow, registry, sentry, slack] = <[String; 5]>::try_from(addresses).unwrap_or_default();
    // Set once, here, before anything is served.
    let _ = shared.urls.set(Urls { github, airflow, registry, sentry, slack });
    let services: [(&'static str, Router); 5] = [
        ("github", github::router(shared.clone())),
        ("airflow", airflow::router(shared.clone())),
        ("registry", registry::router(shared.clone())),
        ("sentry", sentry::router(shared.clone())),
        ("slack", slack::router(shared.clone())),
    ];
    for (listener, (service, router)) in listeners.into_iter().zip(services) {
        let logged = Logged { shared: shared.clone(), service };
        let router = router.layer(from_fn_with_state(logged, record));
        let serving = axum::serve(CuttingListener(listener), router.into_make_service_with_connect_info::<Cut>());
        tokio::spawn(serving.into_future());
    }
    Ok(())
}
