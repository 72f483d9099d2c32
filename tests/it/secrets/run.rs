//! No secret in anything that is told or left behind, though children print their environment.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use catalog_deploy::rehearsal::Fault;

use super::{Told, files};
use crate::deploy::approved;
use crate::support::{Stage, finish};

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
    secrets.push("sentinel-of-the-cloud".into());
    std::fs::write(&stage.config, config).unwrap();
    talkative(&stage);
    let (path, arguments) = listening(&place);

    let with_secrets = |arguments: &[&str]| {
        let mut command = stage.command(arguments);
        command.env("PATH", &path);
        for (name, secret) in NAMES.iter().zip(&secrets) {
            command.env(format!("DEPLOY_{}", name.to_uppercase()), secret);
        }
        command
    };
    let mut command = with_secrets(&approved(&["--json", "-v"]));
    command.env("AWS_SESSION_TOKEN", "sentinel-of-the-cloud");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let done = finish(child);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("DEPLOY_GITHUB=[secret]"), "the child did not print it: {}", done.stderr);
    assert!(done.stderr.contains("AWS_SESSION_TOKEN=[secret]"), "{}", done.stderr);

    let run = stage.runs().pop().unwrap();
    let directory = place.join("state/runs").join(&run);
    let log = directory.join("debug.log");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("DEBUG catalog_deploy::"), "{text}");
    assert_eq!(mode(&log), 0o600);
    assert_eq!(mode(&directory), 0o700);

    let mut told = Told::default();
    told.add("stdout", done.stdout);
    told.add("stderr", done.stderr);
    let urls: String = stage.world.requests().iter().map(|it| format!("{} {}\n", it.service, it.path)).collect();
    told.add("requests", urls.lines().filter(|line| !line.starts_with("slack")).collect::<String>());
    let arguments = std::fs::read_to_string(arguments).unwrap();
    for child in ["git ", "just ", "terraform "] {
        assert!(arguments.lines().any(|line| line.starts_with(child)), "{arguments}");
    }
    told.add("children's arguments", arguments);
    let run = stage.runs().pop().unwrap();
    for arguments in [
        &["show", &run][..],
        &["show", &run, "--format", "markdown"],
        &["show", &run, "--format", "json"],
        &["show", &run, "--format", "incident"],
        &["tags", "prod"],
        &["status"],
        &["history"],
        &["doctor"],
    ] {
        let child = with_secrets(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let done = finish(child);
        assert!(matches!(done.code, 0 | 1), "{arguments:?}: {}", done.stderr);
        told.add(&arguments.join(" "), done.stdout + &done.stderr);
    }
    for path in files(&place.join("state")) {
        told.add(&path.display().to_string(), String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
    }
    for path in files(&stage.infrastructure().join(".git")) {
        told.add(&path.display().to_string(), String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
    }
    told.holds_none_of(&secrets);
}

/// As every editor leaves it, and some of them with a carriage return.
#[test]
fn the_end_of_a_secrets_line_is_no_part_of_it() {
    let stage = Stage::new(&[]);
    let secrets = stage.config.parent().unwrap().join("secrets");
    for (name, end) in NAMES.iter().zip(["\n", "\r\n", "\n", "\n"]) {
        let file = secrets.join(name);
        let secret = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, secret + end).unwrap();
    }
    let done = stage.run(&approved(&[]));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!done.stderr.contains("warning: Slack"), "{}", done.stderr);
    assert!(!stage.world.slack_messages().is_empty());
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A `PATH` whose git, just and terraform write down what they are called with; and where.
fn listening(place: &Path) -> (String, PathBuf) {
    let (tools, log) = (place.join("listening"), place.join("arguments"));
    std::fs::create_dir(&tools).unwrap();
    let path = std::env::var("PATH").unwrap();
    for tool in ["git", "just", "terraform"] {
        let real = path.split(':').map(|it| Path::new(it).join(tool)).find(|it| it.is_file()).unwrap();
        let script =
            format!("#!/bin/sh\necho \"{tool} $*\" >> '{}'\nexec '{}' \"$@\"\n", log.display(), real.display());
        std::fs::write(tools.join(tool), script).unwrap();
        std::fs::set_permissions(tools.join(tool), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    (format!("{}:{path}", tools.display()), log)
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
