//! Deploys whose remote is reached over smart HTTP: credentials from git's own places, never asked for, never shown.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::bench::{ALL_GATES, Bench, git};
use super::shape::{NEW, Shape};
use super::smart_http::{BASIC, Mishap, PASSWORD, SmartHttp, USER};

/// Where git finds the credentials.
#[derive(Clone, Copy)]
enum Credentials {
    Helper,
    ExtraHeader,
    InUrl,
    Wrong,
    None,
}

fn over_http(credentials: Credentials) -> (Bench, SmartHttp) {
    let bench = Bench::new(Shape::module("prod"));
    let server = SmartHttp::start(&bench.remote);
    let url = match credentials {
        Credentials::InUrl => server.url.replace("http://", &format!("http://{USER}:{PASSWORD}@")),
        _ => server.url.clone(),
    };
    bench.git(&["remote", "set-url", "origin", &url]);
    // Helpers of this machine have no place here: an empty one clears the list.
    bench.git(&["config", "credential.helper", ""]);
    let helper = |password| format!("!f() {{ echo username={USER}; echo password={password}; }}; f");
    match credentials {
        Credentials::Helper => {
            bench.git(&["config", "--add", "credential.helper", &helper(PASSWORD)]);
        }
        Credentials::Wrong => {
            bench.git(&["config", "--add", "credential.helper", &helper("wrong")]);
        }
        Credentials::ExtraHeader => {
            bench.git(&["config", "http.extraHeader", &format!("Authorization: Basic {BASIC}")]);
        }
        Credentials::InUrl | Credentials::None => {}
    }
    (bench, server)
}

/// Neither in what was printed nor in anything that the run wrote down.
#[track_caller]
fn keeps_its_secret(bench: &Bench, said: &str) {
    let state = bench.stage.config.parent().unwrap().join("state");
    let mut all = vec![("printed".to_owned(), said.as_bytes().to_vec())];
    collect(&state, &mut all);
    for (name, bytes) in all {
        for secret in [PASSWORD, BASIC] {
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{secret} is in {name}: {}", String::from_utf8_lossy(&bytes));
        }
    }
}

fn collect(directory: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

/// At a terminal, so that a prompt would be seen; `-v`, so that everything is said.
fn deployed_at_a_terminal(credentials: Credentials) {
    let (bench, _server) = over_http(credentials);
    let preview = bench.run(&bench.arguments(&[], &["-n", "-v"]));
    assert_eq!(preview.code, 0, "{}", preview.stdout);
    keeps_its_secret(&bench, &format!("{}{}", preview.stdout, preview.stderr));
    let left = bench.person(&bench.arguments(ALL_GATES, &["-v"])).leaves();
    assert_eq!(left.code, 0, "{}", left.text);
    for prompt in ["Username for", "Password for"] {
        assert!(!left.text.contains(prompt), "{}", left.text);
    }
    keeps_its_secret(&bench, &left.raw);
    let done = super::stage::Done { code: left.code, stdout: String::new(), stderr: left.text };
    bench.is_deployed(&done);
}

#[test]
fn credentials_from_a_helper() {
    deployed_at_a_terminal(Credentials::Helper);
}

#[test]
fn credentials_in_a_header() {
    deployed_at_a_terminal(Credentials::ExtraHeader);
}

#[test]
fn credentials_in_the_url() {
    deployed_at_a_terminal(Credentials::InUrl);
}

/// A program that the shell names for git is a source like any other: an editor's terminal and CI servers have one.
#[test]
fn credentials_from_a_program() {
    let (bench, _server) = over_http(Credentials::None);
    let program = bench.stage.config.with_file_name("answers");
    script(&program, &format!("case \"$1\" in Username*) echo {USER};; *) echo {PASSWORD};; esac"));
    let mut command = bench.command(&bench.arguments(ALL_GATES, &["-v"]));
    let done = command.env("GIT_ASKPASS", &program).output().unwrap();
    let stderr = String::from_utf8(done.stderr).unwrap();
    keeps_its_secret(&bench, &stderr);
    bench.is_deployed(&super::stage::Done { code: done.status.code().unwrap(), stdout: String::new(), stderr });
}

fn script(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Exit 4 and nothing changed; nobody is asked for a password, although there is a terminal, and a program that would open
/// a window. To continue without the lock a person would have to type the environment.
#[test]
fn without_credentials_nobody_is_asked() {
    for credentials in [Credentials::None, Credentials::Wrong] {
        let (bench, _server) = over_http(credentials);
        let asked = bench.stage.config.parent().unwrap().join("asked");
        let program = asked.with_file_name("ask");
        script(&program, &format!("echo \"$1\" >> '{}'; sleep 600", asked.display()));
        bench.git(&["config", "core.askPass", program.to_str().unwrap()]);
        let mut command = bench.command(&bench.arguments(ALL_GATES, &[]));
        command.env("SSH_ASKPASS", &program).env("DISPLAY", ":0");
        let mut person = super::person::Person::at(command, (50, 160));
        person.sees("Continue without the check `lock`?");
        person.sees("Type `prod`");
        person.types("no\n");
        let left = person.leaves();
        assert_eq!(left.code, 4, "{}", left.text);
        left.says("the credentials were not accepted");
        for prompt in ["Username for 'http://127.0.0.1", "Password for 'http"] {
            let asked = left.text.lines().any(|line| line.contains(prompt) && !line.contains("could not read"));
            assert!(!asked, "{}", left.text);
        }
        assert!(!asked.exists(), "asked: {}", std::fs::read_to_string(&asked).unwrap());
        assert!(bench.stage.mutations().is_empty());
        bench.is_untouched();
    }
}

/// What a broken server says decides what the run says: exit code, and words that name the cause.
#[test]
fn a_server_in_trouble() {
    let (bench, server) = over_http(Credentials::Helper);
    for (mishap, code, words) in [
        (Mishap::Status(403), 4, "not allowed (403)"),
        (Mishap::Status(404), 3, "not found (404), or not visible to these credentials"),
        (Mishap::Status(500), 3, "broken (500)"),
        (Mishap::Status(503), 3, "broken (503)"),
        (Mishap::Status(429), 3, "rate limited"),
        (Mishap::CutAlways, 3, "no complete answer"),
        (Mishap::ReadOnly, 4, "not allowed (403)"),
    ] {
        server.set(Some(mishap.clone()));
        let done = bench.run(&bench.arguments(ALL_GATES, &[]));
        assert_eq!(done.code, code, "{mishap:?}: {}", done.stderr);
        assert!(done.stderr.contains(words), "{mishap:?}: {}", done.stderr);
        assert!(bench.stage.mutations().is_empty(), "{mishap:?}");
        server.set(None);
        let closed = bench.run(&["restore".into()]);
        assert!(matches!(closed.code, 0 | 3), "{mishap:?}: {}", closed.stderr);
        bench.is_untouched();
    }
}

/// The branch of the pull request is pushed, the answer is lost: looked up, and pushed once.
#[test]
fn a_push_whose_answer_is_lost() {
    let (bench, server) = over_http(Credentials::Helper);
    server.set(Some(Mishap::CutAfterPush(format!("refs/heads/catalog-deploy/{NEW}"))));
    let done = bench.deploy();
    assert!(!server.awaits(), "the cut never happened");
    bench.is_deployed(&done);
    let count = git(&bench.remote, &["rev-list", "--count", &format!("main..catalog-deploy/{NEW}")]);
    assert_eq!(count.trim(), "1");
    // The lock, the branch, the lock again.
    assert_eq!(server.pushes(), 3);
}

/// Cut before it was read: the branch is looked for, is not there, and is pushed once.
#[test]
fn a_push_that_never_arrived() {
    let (bench, server) = over_http(Credentials::Helper);
    server.set(Some(Mishap::CutBeforePush(format!("refs/heads/catalog-deploy/{NEW}"))));
    let done = bench.deploy();
    assert!(!server.awaits(), "the cut never happened");
    bench.is_deployed(&done);
    assert!(done.stderr.contains("looked up: it took no effect: push"), "{}", done.stderr);
    assert_eq!(server.pushes(), 3);
}
