//! The laptop's configuration file.

use std::os::unix::fs::PermissionsExt;

use super::alone::Alone;

#[test]
fn without_any_it_says_how_to_begin() {
    let alone = Alone::new();
    let done = alone.run(&["prod"]);
    assert_eq!(done.code, 2);
    alone.nothing_was_written();
    insta::assert_snapshot!(done.stderr, @r###"
error: it is not known where WordPress/openverse-infrastructure is checked out
  next: the same command with `-C DIR`, DIR being that checkout
  next: or, once and for all, in PLACE/home/.config/catalog-deploy/config.toml: [infrastructure] checkout = "/path/to/it"
  next: or try it without any of this: catalog-deploy rehearse prod
"###);
}

#[test]
fn an_unknown_key_is_shown_where_it_stands() {
    let (code, stderr) =
        Alone::new().configured("[github]\napi_url = \"http://127.0.0.1:1\"\n\n[airflow]\nusrname = \"ada\"\n");
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @r###"
error: PLACE/config.toml:5: unknown field `usrname`, expected one of `url`, `username`, `password`, `token`, `headers`
  |
5 | usrname = …
  | ^
  next: did you mean `username`?
"###);
}

#[test]
fn a_secret_is_never_written_into_the_file() {
    let (code, stderr) = Alone::new().configured("[github]\ntoken = \"ghp_sentinel\"\n");
    assert_eq!(code, 2);
    assert!(!stderr.contains("ghp_sentinel"), "{stderr}");
    insta::assert_snapshot!(stderr, @r###"
error: PLACE/config.toml:2: a secret is { env = "NAME" }, { command = ["program", "argument"] } or { file = "path" }, never the value itself
  |
2 | token = …
  |         ^
"###);
}

#[test]
fn what_is_no_text_is_refused_and_named() {
    let alone = Alone::new();
    insta::assert_snapshot!(alone.configured(b"[github]\n# caf\xe9\n").1, @r###"
error: could not read PLACE/config.toml: line 2 is not UTF-8
  next: name another with --config FILE, or mend this one
"###);
    let huge = vec![b'#'; 3 << 20];
    insta::assert_snapshot!(alone.configured(huge).1, @r###"
error: could not read PLACE/config.toml: it is larger than 1 MiB, so it is no configuration
  next: name another with --config FILE, or mend this one
"###);
    let directory = alone.home.to_str().unwrap();
    let done = alone.run(&["prod", "-n", "--config", directory]);
    assert_eq!(done.code, 2);
    insta::assert_snapshot!(done.stderr, @r###"
error: could not read PLACE/home: Is a directory (os error 21)
  next: name another with --config FILE, or mend this one
"###);
    let done = alone.run(&["prod", "-n", "--config", "/nowhere/config.toml"]);
    assert_eq!(done.code, 2);
    insta::assert_snapshot!(done.stderr, @r###"
error: could not read /nowhere/config.toml: No such file or directory (os error 2)
  next: name another with --config FILE, or mend this one
"###);
}

#[test]
fn a_byte_order_mark_is_no_mistake() {
    let (code, stderr) = Alone::new().configured("\u{feff}[airflow]\nusername = \"ada\"\n");
    assert_eq!(code, 2);
    insta::assert_snapshot!(stderr, @r###"
error: [airflow] has a username but no password
  next: add password = { env = "AIRFLOW_PASSWORD" } to PLACE/config.toml
"###);
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let alone = Alone::new();
    let path = alone.file("config.toml", "");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o0)).unwrap();
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
    insta::assert_snapshot!(stderr, @r###"
error: GitHub: the configuration: the API's URL is plain http, which is accepted for loopback only; use https; correct [github] api_url
"###);
}

#[test]
fn a_checkout_that_is_none_is_named() {
    let alone = Alone::new();
    let github = "[github]\ntoken = { command = [\"printf\", \"x-sentinel\"] }\napi_url = \"http://127.0.0.1:1\"\n[airflow]\nurl = \"http://127.0.0.1:1\"\n[registry]\nurl = \"http://127.0.0.1:1\"\n";
    for (checkout, why) in [("/nowhere", "does not exist"), (alone.home.to_str().unwrap(), "git repository")] {
        let path = alone.file("config.toml", format!("[infrastructure]\ncheckout = {checkout:?}\n{github}"));
        let done = alone.run(&["prod", "--config", path.to_str().unwrap()]);
        assert!(matches!(done.code, 1..=3), "{}", done.stderr);
        assert!(done.stderr.contains(why), "{}", done.stderr);
        assert!(done.stderr.contains("next: "), "{}", done.stderr);
    }
}
