//! The listeners, one per service, on a thread of their own: whoever blocks the caller's runtime does not stop the world.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpSocket;
use tokio::sync::oneshot;

use super::connection::{Cut, CuttingListener};
use super::log::{Logged, record};
use super::shared::{Shared, Urls};
use super::{Fault, airflow, github, registry, sentry, slack};

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
    let mut sockets = Vec::new();
    for _ in 0..6 {
        // Bound and not listening yet: the port is ours, and whoever connects is refused.
        let socket = TcpSocket::new_v4().context("could not make a socket")?;
        socket.bind(([127, 0, 0, 1], 0).into()).context("could not bind on loopback")?;
        addresses.push(format!("http://{}", socket.local_addr()?));
        sockets.push(socket);
    }
    let [github, airflow, registry, sentry, slack, nowhere] = <[String; 6]>::try_from(addresses).unwrap_or_default();
    // Set once, here, before anything is served.
    let _ = shared.urls.set(Urls { github, airflow, registry, sentry, slack, nowhere });
    let services: [(&'static str, Router, Listens); 6] = [
        ("github", github::router(shared.clone()), Listens::unless(shared.has(Fault::GithubDown))),
        ("airflow", airflow::router(shared.clone()), airflow_listens(shared)),
        ("registry", registry::router(shared.clone()), Listens::unless(shared.has(Fault::RegistryDown))),
        ("sentry", sentry::router(shared.clone()), Listens::Now),
        ("slack", slack::router(shared.clone()), Listens::Now),
        ("nowhere", Router::new(), Listens::Never),
    ];
    for (socket, (service, router, listens)) in sockets.into_iter().zip(services) {
        let logged = Logged { shared: shared.clone(), service };
        let router = router.layer(from_fn_with_state(logged, record));
        match listens {
            Listens::Now => serve_on(socket, router)?,
            Listens::OnceReplaced => {
                let shared = shared.clone();
                tokio::spawn(async move {
                    while !airflow::replaced(&shared) {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    serve_on(socket, router)
                });
            }
            // Kept, so that nothing else gets the port.
            Listens::Never => drop(tokio::spawn(async move {
                std::future::pending::<()>().await;
                drop(socket);
            })),
        }
    }
    Ok(())
}

/// From when on a service can be reached.
enum Listens {
    Now,
    /// Once Terraform has replaced the instance, and that has booted.
    OnceReplaced,
    Never,
}

impl Listens {
    fn unless(down: bool) -> Self {
        if down { Self::Never } else { Self::Now }
    }
}

fn airflow_listens(shared: &Shared) -> Listens {
    match shared.has(Fault::AirflowDeadBootsAfterApply) {
        true => Listens::OnceReplaced,
        false => Listens::unless(shared.has(Fault::AirflowDead)),
    }
}

fn serve_on(socket: TcpSocket, router: Router) -> Result<()> {
    let listener = socket.listen(1024).context("could not listen on loopback")?;
    let serving = axum::serve(CuttingListener(listener), router.into_make_service_with_connect_info::<Cut>());
    tokio::spawn(serving.into_future());
    Ok(())
}
