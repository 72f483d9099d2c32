//! Who asks: wrong passwords, accounts without permission, tokens that run out.

use catalog_deploy::adapters::Cause;
use catalog_deploy::adapters::airflow::{AirflowAuth, AirflowClient, AirflowRead};
use catalog_deploy::step::Decision;
use catalog_deploy::steps::baseline::Baseline;
use catalog_deploy::steps::dags_clear::DagsClear;
use catalog_deploy::steps::dags_hold::DagsHold;

use super::Cases;
use super::bench::{Bench, credentials};
use super::front::{Front, Manner};
use super::server::{Airflow, PASSWORD, Version};

pub async fn cases(airflow: &Airflow, cases: &mut Cases) {
    let wrong = airflow.client_at(&airflow.url, "admin", "not the password");
    for error in [
        wrong.activity().await.map(drop).unwrap_err(),
        wrong.dag("image_data_refresh").await.map(drop).unwrap_err(),
        wrong.import_errors().await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(error.cause, Cause::Unauthorized(_)), "{error}");
        assert!(!error.to_string().contains("not the password"), "{error}");
    }
    credentials(Bench::new(wrong).observe(&DagsClear::new()).await.unwrap_err());
    cases.passed("a wrong password");

    let anonymous = AirflowClient::new(&airflow.url, AirflowAuth::Anonymous, vec![]).unwrap();
    assert!(anonymous.version().await.is_ok() && anonymous.health().await.is_ok(), "these are public");
    let error = anonymous.activity().await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unauthorized(_)), "{error}");
    cases.passed("no account: the version and the health, nothing else");

    let viewer = Bench::new(airflow.client("viewer"));
    assert_eq!(viewer.observe(&DagsClear::new()).await.unwrap().decision, Decision::Satisfied);
    assert_eq!(viewer.observe(&Baseline::new()).await.unwrap().decision, Decision::Satisfied);
    cases.passed("an account that may only read is enough to look");

    let nobody = airflow.client("nobody");
    for error in [
        nobody.activity().await.map(drop).unwrap_err(),
        nobody.dag("image_data_refresh").await.map(drop).unwrap_err(),
        nobody.import_errors().await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(error.cause, Cause::Forbidden(_)), "{error}");
    }
    let nobody = Bench::new(nobody);
    credentials(nobody.observe(&DagsClear::new()).await.unwrap_err());
    credentials(nobody.observe(&DagsHold::new()).await.unwrap_err());
    cases.passed("an account without permission");

    if airflow.version == Version::Three {
        other_instance(airflow, cases).await;
    }
}

/// An instance that signs with another key says 403 to an older token, where one that ran out is a 401.
async fn other_instance(airflow: &Airflow, cases: &mut Cases) {
    let front = Front::start(&airflow.url).await;
    front.set(Manner::SpoilFirstToken);
    let client = airflow.client_at(&front.url, "admin", PASSWORD);
    assert!(!client.dag("image_data_refresh").await.unwrap().is_paused);
    assert_eq!(front.count("POST /auth/token"), 2);
    cases.passed("a token that another instance gave is renewed");

    front.set(Manner::Pass);
    let nobody = airflow.client_at(&front.url, "nobody", PASSWORD);
    nobody.dag("image_data_refresh").await.unwrap_err();
    assert_eq!(front.count("POST /auth/token"), 1);
    cases.passed("an account without permission is not asked to log in again");
}

/// While everything runs, an account of 2.x that may read DAG runs in general and no DAG in particular.
pub async fn unseen(airflow: &Airflow, cases: &mut Cases) {
    if airflow.version != Version::Two {
        return;
    }
    let blind = airflow.client("blind");
    assert_eq!(blind.activity().await.unwrap().runs, [], "the false \"nothing runs\"");
    assert_eq!(blind.import_errors().await.unwrap(), []);
    let blind = Bench::new(blind);
    let told = credentials(blind.observe(&DagsClear::new()).await.unwrap_err());
    assert!(told.contains("image_data_refresh"), "{told}");
    credentials(blind.observe(&DagsHold::new()).await.unwrap_err());
    cases.passed("an account that sees a false \"nothing runs\" is refused");
}

/// A token fetched at the start, and a client that holds one as old.
pub struct Old {
    given: AirflowClient,
    renews: AirflowClient,
}

pub async fn old_token(airflow: &Airflow) -> Option<Old> {
    if airflow.version != Version::Three {
        return None;
    }
    let token = airflow.token().await.unwrap();
    let given = AirflowClient::new(&airflow.url, AirflowAuth::Token(token.into()), vec![]).unwrap();
    let renews = airflow.client("admin");
    for client in [&given, &renews] {
        client.dag("image_data_refresh").await.unwrap();
    }
    Some(Old { given, renews })
}

pub async fn token_runs_out(airflow: &Airflow, old: Option<Old>, cases: &mut Cases) {
    let Some(old) = old else { return };
    airflow.until("a token to run out", async || Some(old.given.dag("image_data_refresh").await.is_err())).await;
    let error = old.given.dag("image_data_refresh").await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unauthorized(_)), "{error}");
    assert!(old.renews.dag("image_data_refresh").await.is_ok(), "where the password is known, a new one is fetched");
    cases.passed("a token runs out: renewed where the password is known, refused where it is not");
}
