//! A row of a table for people, appended to the file that `TRAPS_TABLE` names; nothing where it is not set.

use std::io::Write;
use std::time::Duration;

use catalog_deploy::rehearsal::Fault;
use serde_json::Value;

use super::{Before, changed_lines};
use crate::support::Stage;

pub fn row(fault: Fault, finish: &Value, stage: &Stage, before: &Before, took: Duration) {
    let Some(path) = std::env::var_os("TRAPS_TABLE") else { return };
    let said: String = finish["message"].as_str().unwrap().replace('|', "\\|");
    let dags = if stage.world.paused_dags() == before.paused { "as before" } else { "CHANGED" };
    let difference = stage.git(&["diff", "HEAD"]);
    let checkout = if difference == before.difference {
        "as before".to_owned()
    } else {
        changed_lines(&difference).join(" → ").replace("docker_image_tag = ", "")
    };
    let lock = if stage.locked() { "held" } else { "free" };
    let flag = stage.attribute("running_dags_cleared");
    let row = format!(
        "| {fault} | {said} | {} {} | {flag} | {dags} | {checkout} | {lock} | {:.1} |\n",
        finish["exit"],
        finish["reason"].as_str().unwrap(),
        took.as_secs_f64()
    );
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(row.as_bytes()).unwrap();
}
