//! A remote over smart HTTP: `git http-backend` as a CGI program, behind basic auth, with mishaps on order.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::http::{Answer, Request, serve};

pub const USER: &str = "deploy";
pub const PASSWORD: &str = "hunter2-over-http";
/// Of both, as basic auth sends them.
pub const BASIC: &str = "ZGVwbG95Omh1bnRlcjItb3Zlci1odHRw";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mishap {
    /// Once: a push of a ref with this in its name takes effect, and the connection is cut before the answer.
    CutAfterPush(String),
    /// Once: the connection is cut before a push is read.
    CutBeforePush(String),
    /// Every request is cut.
    CutAlways,
    /// Every request gets this status.
    Status(u16),
    /// Reading is allowed, pushing is not.
    ReadOnly,
    /// Once: between a look and its push, somebody else sets this ref to this commit.
    TakenMeanwhile(&'static str, String),
    /// Pushes wait until there are so many of them.
    Gather(usize),
}

#[derive(Default)]
struct Shared {
    mishap: Mutex<Option<Mishap>>,
    pushes: Mutex<usize>,
    gathered: Mutex<usize>,
    all_here: Condvar,
}

pub struct SmartHttp {
    /// Of the repository, without credentials.
    pub url: String,
    shared: Arc<Shared>,
}

impl SmartHttp {
    pub fn start(remote: &Path) -> Self {
        let shared = Arc::new(Shared::default());
        let (root, name) = (remote.parent().unwrap().to_owned(), remote.file_name().unwrap().to_str().unwrap());
        let served = shared.clone();
        let url = serve(move |request| answer(&request, &root, &served));
        Self { url: format!("{url}/{name}"), shared }
    }

    pub fn set(&self, mishap: Option<Mishap>) {
        *self.shared.mishap.lock().unwrap() = mishap;
    }

    /// Whether a mishap that happens once is still to come.
    pub fn awaits(&self) -> bool {
        self.shared.mishap.lock().unwrap().is_some()
    }

    /// Pushes that reached `git receive-pack`.
    pub fn pushes(&self) -> usize {
        *self.shared.pushes.lock().unwrap()
    }
}

fn answer(request: &Request, root: &PathBuf, shared: &Shared) -> Answer {
    let mishap = shared.mishap.lock().unwrap().clone();
    let pushes = request.path.ends_with("/git-receive-pack") || request.query == "service=git-receive-pack";
    match &mishap {
        Some(Mishap::CutAlways) => return Answer::Cut,
        Some(Mishap::Status(status)) => return Answer::status(*status),
        _ => {}
    }
    if request.header("authorization") != Some(&format!("Basic {BASIC}")) {
        let headers = vec![("WWW-Authenticate".to_owned(), "Basic realm=\"infrastructure\"".to_owned())];
        return Answer::Full { status: 401, headers, body: Vec::new() };
    }
    if pushes && mishap == Some(Mishap::ReadOnly) {
        return Answer::status(403);
    }
    let push = request.method == "POST" && request.path.ends_with("/git-receive-pack");
    let text = String::from_utf8_lossy(&request.body);
    let meant = |name: &str| push && text.contains(name);
    if matches!(&mishap, Some(Mishap::CutBeforePush(name)) if meant(name)) {
        *shared.mishap.lock().unwrap() = None;
        return Answer::Cut;
    }
    if let (true, Some(Mishap::TakenMeanwhile(name, commit))) = (pushes, &mishap) {
        let repository = root.join(request.path.trim_matches('/').split('/').next().unwrap());
        super::bench::git(&repository, &["update-ref", name, commit]);
        *shared.mishap.lock().unwrap() = None;
    }
    let answer = backend(request, root);
    if let (true, "GET", Some(Mishap::Gather(all))) = (pushes, request.method.as_str(), &mishap) {
        let mut gathered = shared.gathered.lock().unwrap();
        *gathered += 1;
        shared.all_here.notify_all();
        // Beyond that the test itself says what did not come.
        let patience = Duration::from_secs(30);
        drop(shared.all_here.wait_timeout_while(gathered, patience, |gathered| *gathered < *all).unwrap());
    }
    if push {
        *shared.pushes.lock().unwrap() += 1;
    }
    if matches!(&mishap, Some(Mishap::CutAfterPush(name)) if meant(name)) {
        *shared.mishap.lock().unwrap() = None;
        return Answer::Cut;
    }
    answer
}

/// git-http-backend(1), by RFC 3875.
fn backend(request: &Request, root: &PathBuf) -> Answer {
    let mut command = Command::new("git");
    command.arg("http-backend").env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command.env("REQUEST_METHOD", &request.method).env("PATH_INFO", &request.path).env("QUERY_STRING", &request.query);
    command
        .env("REMOTE_USER", USER)
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("CONTENT_LENGTH", request.body.len().to_string());
    for (header, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = request.header(header) {
            command.env(variable, value);
        }
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = request.body.clone();
    // Dropped at its end, so that the program sees the end of the body.
    let feeding = std::thread::spawn(move || stdin.write_all(&body));
    let output = child.wait_with_output().unwrap().stdout;
    let _ended_early = feeding.join();
    let end = output.windows(4).position(|part| part == b"\r\n\r\n").expect("a CGI answer");
    let mut status = 200;
    let mut headers = Vec::new();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            status = value.split(' ').next().unwrap().parse().unwrap();
        } else {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    Answer::Full { status, headers, body: output[end + 4..].to_vec() }
}
