//! Services that answer with what they were asked, credentials included, as careless proxies and debug pages do.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::{Told, files};
use crate::support::Stage;

/// Answers every request with `status`, and everything that it was sent as the body.
fn echo(status: &'static str, kind: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream, status, kind));
        }
    });
    url
}

fn answer(mut stream: TcpStream, status: &str, kind: &str) -> Option<()> {
    let mut asked = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part).ok()?;
        asked.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&asked).into_owned();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            body.len() >= length.unwrap_or(0)
        });
        if whole || read == 0 {
            break;
        }
    }
    let asked = String::from_utf8_lossy(&asked).into_owned();
    let body = match kind {
        "text/html" => format!("<html><h1>{}</h1></html>", asked.replace("\r\n", "<br>")),
        _ => serde_json::json!({"message": asked, "detail": asked, "title": asked, "errors": [{"code": "E", "message": asked}]})
            .to_string(),
    };
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n", body.len());
    write!(head, "connection: close\r\nwww-authenticate: Bearer realm=\"{kind}\"\r\n\r\n").ok()?;
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()
}

/// The configuration with a sentinel for every credential, and one service that echoes.
fn configured(stage: &Stage, service: &str, url: &str, secrets: &[String]) {
    let text = std::fs::read_to_string(&stage.config).unwrap();
    let mut table = text.parse::<toml::Table>().unwrap();
    let place = stage.config.parent().unwrap().join("sentinels");
    std::fs::create_dir_all(&place).unwrap();
    let secret = |name: &str, value: &str| {
        let path = place.join(name);
        std::fs::write(&path, value).unwrap();
        toml::Value::Table([("file".to_owned(), path.display().to_string().into())].into_iter().collect())
    };
    let [github, airflow, header, registry, sentry, slack] = secrets else { panic!("six secrets") };
    let mut set = |section: &str, key: &str, value: toml::Value| {
        table[section].as_table_mut().unwrap().insert(key.to_owned(), value);
    };
    set(service, if service == "github" { "api_url" } else { "url" }, url.into());
    match service {
        "github" => set("github", "token", secret("github", github)),
        "airflow" => {
            set("airflow", "password", secret("airflow", airflow));
            let headers = [("X-Access".to_owned(), secret("header", header))].into_iter().collect();
            set("airflow", "headers", toml::Value::Table(headers));
        }
        "registry" => {
            set("registry", "username", "ada".into());
            set("registry", "password", secret("registry", registry));
        }
        "sentry" => set("sentry", "token", secret("sentry", sentry)),
        _ => {}
    }
    set("slack", "webhook_url", secret("slack", &format!("{}/{slack}", echo("500 Broken", "text/html"))));
    std::fs::write(&stage.config, table.to_string()).unwrap();
}

#[test]
fn an_answer_that_echoes_the_request_is_told_without_its_credentials() {
    // What a header can hold as it is, and a URL or base64 cannot.
    let secrets: Vec<String> = ["github", "airflow", "header", "registry", "sentry", "slack"]
        .map(|name| format!("Sentinel/of+{name}=~all"))
        .into();
    let answers = [
        ("401 Unauthorized", "application/json"),
        ("403 Forbidden", "application/json"),
        ("422 Unprocessable", "application/json"),
        ("500 Broken", "text/html"),
        ("200 OK", "text/html"),
        ("200 OK", "application/json"),
    ];
    for service in ["github", "airflow", "registry", "sentry"] {
        let stage = Stage::new(&[]);
        let mut told = Told::default();
        for (status, kind) in answers {
            configured(&stage, service, &echo(status, kind), &secrets);
            for arguments in
                [&crate::deploy::approved(&["-v"])[..], &["prod", "-n", "--json"], &["doctor"], &["status"]]
            {
                let done = stage.run(arguments);
                assert!(!done.stderr.contains("catalog-deploy broke"), "{service} {status}: {}", done.stderr);
                told.add(&format!("{service} {status} {kind}: {}", arguments.join(" ")), done.stdout + &done.stderr);
            }
        }
        for path in files(&stage.config.parent().unwrap().join("state")) {
            told.add(&path.display().to_string(), String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
        told.holds_none_of(&secrets);
    }
}
