//! The laptop's configuration file.

use std::os::unix::fs::PermissionsExt;

use super::alone::Alone;

#[test]
fn without_any_it_says_how_to_begin() {
    let alone = Alone::new();
    let done = alone.run(&["prod"]);
    assert_eq!(done.code, 2);
    alone.nothing_was_written();
    insta::assert_snapshot!(done.stderr, @"");
}

#[test]
fn an_unknown_key_is_shown_where_it_stands() {
    let (code, stderr) =
        Alone::new().configured("[github]\napi_url = \"http://127.0.0.1:1\"\n\n[airflow]\nusrname = \"ada\"\n");
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @"");
}

#[test]
fn a_secret_is_never_written_into_the_file() {
    let (code, stderr) = Alone::new().configured("[github]\ntoken = \"ghp_sentinel\"\n");
    assert_eq!(code, 2);
    assert!(!stderr.contains("ghp_sentinel"), "{stderr}");
    insta::assert_snapshot!(stderr, @"");
}

#[test]
fn what_is_no_text_is_refused_and_named() {
    let alone = Alone::new();
    insta::assert_snapshot!(alone.configured(b"[github]\n# caf\xe9\n").1, @"");
    let huge = vec![b'#'; 3 << 20];
    insta::assert_snapshot!(alone.configured(huge).1, @"");
    let directory = alone.home.to_str().unwrap();
    let done = alone.run(&["prod", "-n", "--config", directory]);
    assert_eq!(done.code, 2);
    insta::assert_snapshot!(done.stderr, @"");
    let done = alone.run(&["prod", "-n", "--config", "/nowhere/config.toml"]);
    assert_eq!(done.code, 2);
    insta::assert_snapshot!(done.stderr, @"");
}

#[test]
fn a_byte_order_mark_is_no_mistake() {
    let (code, stderr) = Alone::new().configured("\u{feff}[airflow]\nusername = \"ada\"\n");
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @"");
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let alone = Alone::new();
    let path = alone.file("config.toml", "");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read(&path).is_ok() {
        // Root may read everything.
        return;
    }
    let done = alone.run(&["prod", "-n", "--config", path.to_str().unwrap()]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("could not read PLACE/config.toml: Permission denied"), "{}", done.stderr);
}

#[test]
fn services_on_the_network_want_https() {
    let (code, stderr) = Alone::new().configured("[github]\napi_url = \"http://github.example.com\"\n");
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @"");
}

#[test]
fn a_checkout_that_is_none_is_named() {
    let alone = Alone::new();
    let github = "[github]\ntoken = { command = [\"printf\", \"x-sentinel\"] }\napi_url = \"http://127.0.0.1:1\"\n[airflow]\nurl = \"http://127.0.0.1:1\"\n[registry]\nurl = \"http://127.0.0.1:1\"\n";
    let missing = format!("[infrastructure]\ncheckout = \"/nowhere/infrastructure\"\n{github}");
    let (_, stderr) = alone.configured(&missing);
    assert!(stderr.contains("/nowhere/infrastructure"), "{stderr}");
    let plain = format!("[infrastructure]\ncheckout = {:?}\n{github}", alone.home.display().to_string());
    let (_, stderr) = alone.configured(&plain);
    assert!(stderr.contains("PLACE/home"), "{stderr}");
    assert!(stderr.contains("not a git repository"), "{stderr}");
}
