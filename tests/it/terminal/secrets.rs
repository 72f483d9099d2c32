//! No secret in anything that is told or left behind, though children print their environment.

use std::path::{Path, PathBuf};

use crate::deploy::approved;
use crate::support::{Stage, finish};
use catalog_deploy::rehearsal::Fault;

const NAMES: [&str; 4] = ["github", "airflow", "sentry", "slack"];

#[test]
fn gone_from_everything_though_children_print_them() {
    let stage = Stage::new(&[Fault::SlackDown, Fault::PollHiccup]);
    let place = stage.config.parent().unwrap().to_owned();
    let mut config = std::fs::read_to_string(&stage.config).unwrap();
    let mut secrets = Vec::new();
    for name in NAMES {
        let file = place.join("secrets").join(name);
        secrets.push(std::fs::read_to_string(&file).unwrap());
        let from = format!("{{ file = {:?} }}", file.display().to_string());
        assert!(config.contains(&from), "{config}");
        config = config.replace(&from, &format!("{{ env = \"DEPLOY_{}\" }}", name.to_uppercase()));
    }
    config = config.replace(
        "[sentry]",
        "[airflow.headers]\nCF-Access-Client-Secret = { command = [\"printf\", \"sentinel/of+a header\"] }\n\n[sentry]",
    );
    secrets.push("sentinel/of+a header".into());
    std::fs::write(&stage.config, config).unwrap();
    talkative(&stage);

    let mut command = stage.command(&approved(&["--json", "-v"]));
    for (name, secret) in NAMES.iter().zip(&secrets) {
        command.env(format!("DEPLOY_{}", name.to_uppercase()), secret);
    }
    command.env("AWS_SESSION_TOKEN", "sentinel-of-the-cloud");
    secrets.push("sentinel-of-the-cloud".into());
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let done = finish(child);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("DEPLOY_GITHUB=[secret]"), "the child did not print it: {}", done.stderr);
    assert!(done.stderr.contains("AWS_SESSION_TOKEN=[secret]"), "{}", done.stderr);

    let run = stage.runs().pop().unwrap();
    let directory = place.join("state/runs").join(run);
    let log = directory.join("debug.log");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("DEBUG catalog_deploy::"), "{text}");
    assert_eq!(mode(&log), 0o600);
    assert_eq!(mode(&directory), 0o700);

    let urls: String = stage.world.requests().iter().map(|it| format!("{} {}\n", it.service, it.path)).collect();
    let mut told = vec![("stdout".into(), done.stdout), ("stderr".into(), done.stderr)];
    told.push(("requests".into(), urls.lines().filter(|line| !line.starts_with("slack")).collect()));
    for path in files(&place.join("state")) {
        told.push((path.display().to_string(), String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()));
    }
    assert!(told.len() > 8, "{told:?}");
    for (place, text) in &told {
        for secret in &secrets {
            let seen =
                [secret.clone(), base64(secret), secret.replace('/', "%2F").replace('+', "%2B").replace(' ', "%20")];
            for form in seen {
                assert!(!text.contains(&form), "{form} is in {place}");
            }
        }
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// As another program writes it, without the last letters, which depend on what follows.
fn base64(text: &str) -> String {
    use std::io::Write;
    let mut child = std::process::Command::new("base64")
        .arg("-w0")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let coded = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    coded[..coded.len() - 4].to_owned()
}

/// The recipes print their environment, plain and coded.
fn talkative(stage: &Stage) {
    let path = stage.infrastructure().join("justfile");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for recipe in ["\nplan env module *args:\n", "\napply env module *args:\n"] {
        assert!(text.contains(recipe), "{text}");
        text = text.replace(
            recipe,
            &format!("{recipe}    @env\n    @env | grep -a DEPLOY_ | cut -d= -f2- | base64 -w0; echo\n"),
        );
    }
    std::fs::write(&path, text).unwrap();
    stage.git(&["-c", "user.name=ada", "-c", "user.email=ada@example.com", "commit", "-qam", "Talk"]);
    stage.git(&["push", "-q", "origin", "HEAD"]);
}
