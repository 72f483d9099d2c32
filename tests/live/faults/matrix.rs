//! Every route times every fault, through the real adapters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog_deploy::adapters::ServiceError;
use catalog_deploy::rehearsal::AirflowEdition;
use futures::StreamExt;

use super::calls::{self, Row};
use super::fault::Fault;
use super::services::{Behind, Services};
use super::shim::{Seen, Shim};
use super::table::{self, Line};
use super::want::{Want, want};

const SIDE_BY_SIDE: usize = 16;
/// Two tries of two and a half seconds, Slack's five, and a machine with other things to do.
const LONGEST: Duration = Duration::from_secs(20);

#[tokio::test]
async fn every_route_of_all_services_and_airflow_2() {
    let rows = calls::common().into_iter().chain(calls::airflow(AirflowEdition::V2)).collect();
    play("Airflow 2", AirflowEdition::V2, rows).await;
}

#[tokio::test]
async fn every_route_of_airflow_3() {
    play("Airflow 3", AirflowEdition::V3, calls::airflow(AirflowEdition::V3)).await;
}

/// What a cell came to, and what is wrong with that.
struct Played {
    row: usize,
    fault: Fault,
    word: String,
    wrong: Vec<String>,
}

async fn play(title: &str, edition: AirflowEdition, rows: Vec<Row>) {
    let begin = Instant::now();
    let services = Arc::new(Services::start(edition).await);
    // Cells of a change follow each other, since each takes the last one's effect back; those of a read do not mind.
    let mut lanes: Vec<Vec<(usize, Fault)>> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let cells = Fault::ALL.map(|fault| (index, fault));
        if row.effect.is_some() {
            lanes.push(cells.to_vec());
        } else {
            lanes.extend(cells.map(|cell| vec![cell]));
        }
    }
    // The longest first.
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane.len()));
    let rows = &rows;
    let clean: Vec<String> = futures::stream::iter(rows).then(|row| undisturbed(&services, row)).collect().await;
    let (services, clean) = (&services, &clean);
    let played = futures::stream::iter(lanes).map(|lane| async move {
        let mut played = Vec::new();
        for (index, fault) in lane {
            played.push(cell(services, index, &rows[index], fault, &clean[index]).await);
        }
        played
    });
    let played: Vec<Vec<Played>> = played.buffer_unordered(SIDE_BY_SIDE).collect().await;
    let played: Vec<Played> = played.into_iter().flatten().collect();
    let lines: Vec<Line> = rows.iter().enumerate().map(|(index, row)| line(index, row, &played)).collect();
    let legend = format!(
        "{} cells in {:.0} s; the cause, and how often a change took effect",
        played.len(),
        begin.elapsed().as_secs_f64()
    );
    table::print(&format!("Routes and faults, {title}"), &legend, &lines);
    let wrong: Vec<String> = played.into_iter().flat_map(|cell| cell.wrong).collect();
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn line(index: usize, row: &Row, played: &[Played]) -> Line {
    let what = row.effect.map(|effect| format!(" ({effect:?})").to_lowercase()).unwrap_or_default();
    let cells = played.iter().filter(|cell| cell.row == index).map(|cell| (cell.fault, cell.word.clone()));
    Line {
        about: format!("{} {} {}{what}", row.route.service, row.route.method, row.route.path),
        cells: cells.collect(),
    }
}

/// The answer without a fault. The shim stands in between, to see that nothing but faults makes a difference, and that
/// the requests before this one are as many as the row says.
async fn undisturbed(services: &Arc<Services>, row: &Row) -> String {
    let shim = Shim::start(&services.origin(row.route.service));
    if let Some(effect) = row.effect {
        effect.take_back(services);
    }
    let behind = Behind { services: services.clone(), service: row.route.service, url: shim.url.clone() };
    let answer = (row.call)(behind).await.unwrap_or_else(|error| panic!("{:?}: {error}", row.route));
    let seen = shim.seen();
    let first = seen.iter().position(|seen| row.route.is(&seen.method, &seen.path));
    let first = first.unwrap_or_else(|| panic!("{:?} is not what this call asks: {seen:?}", row.route));
    assert!((row.before..row.before + 2).contains(&first), "{:?} comes after {first}: {seen:?}", row.route);
    answer
}

async fn cell(services: &Arc<Services>, index: usize, row: &Row, fault: Fault, clean: &str) -> Played {
    let shim = Shim::start(&services.origin(row.route.service));
    if let Some(effect) = row.effect {
        effect.take_back(services);
    }
    let before = row.effect.map(|effect| effect.count(services));
    let route = row.route;
    let hits = move |seen: &Seen| route.is(&seen.method, &seen.path);
    if fault == Fault::Refused {
        let before = row.before;
        shim.refuse_once(move |seen| seen.len() >= before, hits);
    } else {
        shim.spoil(fault, None, hits);
    }
    let behind = Behind { services: services.clone(), service: row.route.service, url: shim.url.clone() };
    let begin = Instant::now();
    let answer = tokio::time::timeout(LONGEST, (row.call)(behind)).await;
    let took = begin.elapsed();
    let mut wrong = Vec::new();
    let mut word = match &answer {
        Err(_) => {
            wrong.push(format!("it hangs for longer than {took:?}"));
            "HANGS".to_owned()
        }
        Ok(Ok(_)) => "ok".to_owned(),
        Ok(Err(error)) => cause(error),
    };
    match (want(row, fault), &answer) {
        (_, Err(_)) | (Want::Answer, Ok(Ok(_))) => {}
        (Want::Same, Ok(Ok(same))) if same == clean => {}
        (Want::Cause(wanted), Ok(Err(error))) if cause(error) == wanted => {
            wrong.extend(misnamed(services, row, fault, error))
        }
        (wanted, Ok(got)) => wrong.push(format!("wanted {wanted:?}, got {got:?}")),
    }
    if let (Some(effect), Some(before)) = (row.effect, before) {
        let sent = shim.seen().iter().filter(|seen| row.route.is(&seen.method, &seen.path)).count();
        let wanted = usize::from(fault != Fault::Refused);
        if sent != wanted {
            wrong.push(format!("sent {sent} times instead of {wanted}"));
        }
        let took_effect = effect.count(services) - before;
        word.push_str(&format!("·{took_effect}"));
        if took_effect != usize::from(fault.reaches()) {
            wrong.push(format!("took effect {took_effect} times"));
        }
    }
    let wrong = wrong.into_iter().map(|what| format!("{} {} × {}: {what}", route.method, route.path, fault.name()));
    Played { row: index, fault, word, wrong: wrong.collect() }
}

/// Its name, e.g. `NoAnswer`.
fn cause(error: &ServiceError) -> String {
    let text = format!("{:?}", error.cause);
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned()
}

/// Routes that are asked side by side: where both fail, either may be the one that is told.
const COMPANIONS: [[&str; 2]; 3] =
    [["/v1/version", "/v2/version"], ["dagRuns", "taskInstances"], ["/check-runs", "/status"]];

/// A message must name the service and the request, and no secret.
fn misnamed(services: &Services, row: &Row, fault: Fault, error: &ServiceError) -> Vec<String> {
    let mut wrong = Vec::new();
    let text = error.to_string();
    let service = match row.route.service {
        "github" => "GitHub: ",
        "registry" => "registry 127.0.0.1:",
        "airflow" => "Airflow: ",
        "sentry" => "Sentry: ",
        _ => "Slack: ",
    };
    if fault == Fault::Huge && !text.contains("more than 16 MiB") {
        wrong.push(format!("does not say that it is too much: {text}"));
    }
    if !text.starts_with(service) {
        wrong.push(format!("does not name the service: {text}"));
    }
    let mut words = error.request.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // A webhook's path is a secret.
    let together =
        COMPANIONS.iter().any(|pair| pair.iter().all(|part| [row.route.path, path].iter().any(|it| it.contains(part))));
    let named = row.route.is(method, path) || error.request == "POST to the webhook" || together;
    if !named {
        wrong.push(format!("does not name the request: {text}"));
    }
    if services.secrets().iter().any(|secret| text.contains(secret)) {
        wrong.push(format!("holds a secret: {text}"));
    }
    wrong
}
