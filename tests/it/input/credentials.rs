//! Secrets that cannot be read, and credentials that are not accepted: exit 4, who refused, what to do.

use super::alone::Alone;
use crate::support::Stage;
use catalog_deploy::rehearsal::Fault;

/// Other services may do without it, so it is missed only where it is needed; nothing is changed before that.
#[test]
fn a_secret_that_cannot_be_read_is_named_with_its_source() {
    let stage = Stage::new(&[]);
    let text = std::fs::read_to_string(&stage.config).unwrap();
    let line = text.lines().skip_while(|line| *line != "[github]").find(|line| line.starts_with("token")).unwrap();
    let place = stage.config.parent().unwrap();
    std::fs::write(place.join("empty"), "\n").unwrap();
    let mut told = String::new();
    for token in [
        "{ env = \"NO_SUCH_VARIABLE\" }",
        "{ command = [\"sh\", \"-c\", \"echo not logged in >&2; exit 3\"] }",
        "{ command = [\"no-such-program\"] }",
        "{ command = [] }",
        "{ command = [\"true\"] }",
        "{ file = \"empty\" }",
        "{ file = \"absent\" }",
    ] {
        std::fs::write(&stage.config, text.replacen(line, &format!("token = {token}"), 1)).unwrap();
        let done = stage.run(&crate::deploy::approved(&[]));
        assert_eq!(done.code, 4, "{token}: {}", done.stderr);
        let last = done.stderr.lines().rfind(|line| line.contains("could not read the secret")).unwrap();
        told.push_str(&(last[9..].replace(&place.display().to_string(), "PLACE") + "\n"));
    }
    assert_eq!(stage.mutations(), [] as [&str; 0]);
    insta::assert_snapshot!(told, @"
    publish: GitHub: GET /repos/WordPress/openverse/releases: could not read the secret [github] token: the variable NO_SUCH_VARIABLE is not set; look at [github] token in PLACE/config.toml
    publish: GitHub: GET /repos/WordPress/openverse/releases: could not read the secret [github] token: `sh` failed (exit status: 3): not logged in; look at [github] token in PLACE/config.toml
    publish: GitHub: GET /repos/WordPress/openverse/releases: could not read the secret [github] token: could not run `no-such-program`: No such file or directory (os error 2); look at [github] token in PLACE/config.toml
    publish: GitHub: GET /repos/WordPress/openverse/releases: could not read the secret [github] token: the command is empty; look at [github] token in PLACE/config.toml
    publish: GitHub: GET /repos/WordPress/openverse/releases: could not read the secret [github] token: it is empty; look at [github] token in PLACE/config.toml
    publish: GitHub: GET /repos/WordPress/openverse/releases: could not read the secret [github] token: it is empty; look at [github] token in PLACE/config.toml
    publish: GitHub: GET /repos/WordPress/openverse/releases: could not read the secret [github] token: PLACE/absent: No such file or directory (os error 2); look at [github] token in PLACE/config.toml
    ");
}

#[test]
fn a_user_needs_a_password() {
    let (code, stderr) =
        Alone::new().configured("[github]\ntoken = { command = [\"printf\", \"x\"] }\n[airflow]\nusername = \"ada\"\n");
    assert_eq!(code, 2);
    assert!(stderr.contains("[airflow] has a username but no password"), "{stderr}");
}

/// The stage with another value of a secret.
fn with_secret(stage: &Stage, name: &str, value: &str) {
    let path = stage.config.parent().unwrap().join("secrets").join(name);
    std::fs::write(path, value).unwrap();
}

#[test]
fn a_refused_credential_ends_the_run_before_anything_is_changed() {
    let cases: [(&[Fault], &str, &str); 3] =
        [(&[], "github", "GitHub"), (&[], "airflow", "Airflow"), (&[Fault::WeakToken], "", "push")];
    for (faults, secret, named) in cases {
        let stage = Stage::new(faults);
        if !secret.is_empty() {
            with_secret(&stage, secret, "sentinel-that-is-wrong");
        }
        let head = stage.git(&["rev-parse", "HEAD"]);
        let done = stage.run(&crate::deploy::approved(&[]));
        assert_eq!(done.code, 4, "{secret}: {}", done.stderr);
        assert!(done.stderr.to_lowercase().contains(&named.to_lowercase()), "{}", done.stderr);
        assert!(done.stderr.contains("next: "), "{}", done.stderr);
        assert!(!done.stderr.contains("sentinel-that-is-wrong"), "{}", done.stderr);
        assert_eq!(stage.mutations(), [] as [&str; 0]);
        assert!(!stage.locked());
        assert_eq!((stage.git(&["rev-parse", "HEAD"]), stage.git(&["status", "--porcelain"])), (head, String::new()));
    }
}
