//! Airflow over the simulated world: away while its instance is replaced.

use async_trait::async_trait;
use catalog_deploy::adapters::Cause;
use catalog_deploy::adapters::airflow::{
    Activity, AirflowRead, AirflowWrite, Component, Dag, Health, ImportError, PauseEntry, Result,
};

use super::Hands;
use crate::sim::Answer;
use crate::world::history::{Actor, Change};
use crate::world::{World, infra};

impl Hands {
    async fn airflow<T>(&self, what: String, writes: bool, effect: impl FnOnce(&mut World) -> Answer<T>) -> Result<T> {
        let up = |world: &mut World| {
            if world.airflow.up(world.now) {
                return effect(world);
            }
            Err(Cause::Unreachable("connection refused: it boots".into()))
        };
        self.0.request("Airflow", what, writes, up).await
    }
}

fn dag(world: &World, dag_id: &str) -> Answer<Dag> {
    let paused = world.airflow.dags.get(dag_id);
    let is_paused = *paused.ok_or_else(|| Cause::NotFound(format!("no DAG {dag_id}")))?;
    Ok(Dag { dag_id: dag_id.into(), is_paused })
}

#[async_trait]
impl AirflowRead for Hands {
    async fn version(&self) -> Result<String> {
        self.airflow("GET version".into(), false, |world| Ok(world.airflow.version.clone())).await
    }
    async fn health(&self) -> Result<Health> {
        self.airflow("GET health".into(), false, |world| {
            let own = world.now + world.airflow.skew;
            let healthy = Some("healthy".to_owned());
            // A scheduler beats every five seconds, the first time when it is up.
            let up_from = world.airflow.up_from.unwrap_or_default();
            let beat = infra::moment(own - (world.now - up_from) % 5_000);
            let scheduler = Component { status: healthy.clone(), heartbeat: Some(beat) };
            let metadatabase = Component { status: healthy, heartbeat: None };
            Ok(Health {
                components: [("scheduler".into(), scheduler), ("metadatabase".into(), metadatabase)].into(),
                server_time: Some(infra::moment(own)),
            })
        })
        .await
    }
    async fn activity(&self) -> Result<Activity> {
        self.airflow("GET activity".into(), false, |world| Ok(world.airflow.activity())).await
    }
    async fn dag(&self, dag_id: &str) -> Result<Dag> {
        self.airflow(format!("GET DAG {dag_id}"), false, |world| dag(world, dag_id)).await
    }
    async fn pause_log(&self, dag_id: &str) -> Result<Vec<PauseEntry>> {
        let log = self.airflow(format!("GET event logs of {dag_id}"), false, |world| {
            if !world.airflow.audit {
                return Err(Cause::Forbidden("can read on Audit Logs".into()));
            }
            Ok(world.airflow.pauses.get(dag_id).into_iter().flatten().rev().cloned().collect())
        });
        let told = log.await;
        self.0.state().world.airflow.untold |= told.is_err();
        told
    }
    async fn import_errors(&self) -> Result<Vec<ImportError>> {
        self.airflow("GET import errors".into(), false, |_| Ok(Vec::new())).await
    }
}

#[async_trait]
impl AirflowWrite for Hands {
    async fn set_paused(&self, dag_id: &str, paused: bool) -> Result<Dag> {
        self.airflow(format!("PATCH DAG {dag_id}: is_paused {paused}"), true, |world| {
            let was = dag(world, dag_id)?.is_paused;
            let by = Actor::Run(world.process);
            world.record(by, Change::Paused { dag: dag_id.into(), paused, was });
            world.airflow.set_paused(dag_id, paused, true, world.now);
            dag(world, dag_id)
        })
        .await
    }
}
