//! A preview's plan takes no state lock, so it cannot fail a colleague's apply.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::OLDER;
use crate::support::Stage;

/// Terraform's http backend, as a server sees it.
#[derive(Clone)]
struct Backend {
    url: String,
    methods: Arc<Mutex<Vec<String>>>,
}

impl Backend {
    fn start(state: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let methods: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, state) = (methods.clone(), Arc::new(Mutex::new(state)));
        // Ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &seen, &state);
            }
        });
        Self { url, methods }
    }

    fn take(&self) -> Vec<String> {
        let mut methods = std::mem::take(&mut *self.methods.lock().unwrap());
        methods.sort();
        methods.dedup();
        methods
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<String>>, state: &Mutex<Vec<u8>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        head.push(line);
    }
    let Some(method) = head.first().and_then(|line| line.split(' ').next()).map(str::to_owned) else { return };
    let length = head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    seen.lock().unwrap().push(method.clone());
    let mut state = state.lock().unwrap();
    if method == "POST" {
        *state = body;
    }
    let answer = if method == "GET" { state.clone() } else { Vec::new() };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
    let _gone = stream.write_all(&[head.into_bytes(), answer].concat());
}

#[test]
fn a_plan_over_the_http_backend_sends_no_lock() {
    let stage = Stage::new(&[]);
    if stage.world.stand_ins().contains(&"terraform") {
        // The stand-in knows no backend; machines with Terraform prove this.
        return;
    }
    let local = stage.infrastructure().join("environments/prod/terraform.tfstate");
    let backend = Backend::start(std::fs::read(&local).unwrap());
    std::fs::remove_file(local).unwrap();
    let url = &backend.url;
    let block = format!(
        "\n  backend \"http\" {{\n    address = \"{url}/state\"\n    lock_address = \"{url}/lock\"\n    \
         unlock_address = \"{url}/lock\"\n  }}\n}}"
    );
    stage.commit("environments/prod/main.tf", |text| text.replacen("\n}", &block, 1));
    let init = Command::new("terraform")
        .args(["-chdir=environments/prod", "init", "-input=false", "-reconfigure"])
        .current_dir(stage.infrastructure())
        .output()
        .unwrap();
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    backend.take();

    let done = stage.run(&["prod", "-n"]);
    assert_eq!(done.code, 0, "{}", done.stdout);
    assert!(done.stdout.contains("replace module.catalog-airflow.terraform_data.instance"), "{}", done.stdout);
    assert_eq!(backend.take(), ["GET"]);

    // A real run's plan does take it, so this backend would have seen one.
    let done = stage.run(&["prod", "--tag", OLDER, "--approve", "bump"]);
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert_eq!(backend.take(), ["GET", "LOCK", "UNLOCK"]);
}
