//! The same reads as a person would script them: one curl after the other.

use std::process::{Command, Stdio};
use std::time::Instant;

use catalog_deploy::rehearsal::RequestLogEntry;

use crate::support::Stage;

/// Makes the reads one after another, with the credentials of the stage, and returns how long that took in ms.
///
/// # Panics
/// Where an answer has another status than the product got: then it was not the same read.
pub fn run(stage: &Stage, requests: &[RequestLogEntry]) -> f64 {
    let script = text(stage, requests);
    let started = Instant::now();
    let output = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().unwrap();
    let took = started.elapsed().as_secs_f64() * 1000.0;
    assert!(output.status.success(), "the script failed: {}", String::from_utf8_lossy(&output.stderr));
    let answered: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    let expected: Vec<String> = requests.iter().map(|it| it.status.to_string()).collect();
    assert_eq!(answered, expected, "curl was answered otherwise than the product");
    took
}

fn text(stage: &Stage, requests: &[RequestLogEntry]) -> String {
    let config: toml::Table = std::fs::read_to_string(&stage.config).unwrap().parse().unwrap();
    let text = |table: &str, key: &str| config[table][key].as_str().unwrap().to_owned();
    let secret = |table: &str, key: &str| {
        std::fs::read_to_string(config[table][key]["file"].as_str().unwrap()).unwrap().trim().to_owned()
    };
    let manifests = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";
    let mut script = "set -e\n".to_owned();
    for request in requests {
        let base = match request.service.as_str() {
            "github" => text("github", "api_url"),
            service => text(service, "url"),
        };
        let show = match request.service.as_str() {
            "github" => format!("-H 'Authorization: Bearer {}'", secret("github", "token")),
            "sentry" => format!("-H 'Authorization: Bearer {}'", secret("sentry", "token")),
            "airflow" => format!("-u '{}:{}'", text("airflow", "username"), secret("airflow", "password")),
            _ if request.status == 401 || request.path.starts_with("/token") => String::new(),
            _ => "-H \"Authorization: Bearer $token\"".to_owned(),
        };
        let accept = if request.path.contains("/manifests/") { manifests } else { "application/json" };
        let method = match (request.method.as_str(), &request.body) {
            ("HEAD", _) => "-I".to_owned(),
            (_, Some(body)) => format!("-H 'Content-Type: application/json' -d '{body}'"),
            _ => String::new(),
        };
        let url = format!("{base}{}", request.path);
        let curl = format!("curl -sS -H 'Accept: {accept}' -w '%{{http_code}}\\n' {show} {method} '{url}'");
        if request.path.starts_with("/token") {
            script.push_str(&format!("answer=$({curl})\n"));
            script.push_str("token=$(printf %s \"$answer\" | sed -n 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/p')\n");
            script.push_str("printf '%s\\n' \"$answer\" | sed 's/.*}//' | tail -n 1\n");
        } else {
            script.push_str(&format!("{curl} -o /dev/null\n"));
        }
    }
    script
}
