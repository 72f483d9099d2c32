use std::path::PathBuf;

use super::*;

mod drawn;
mod properties;
mod shapes;

const PROD: &str = include_str!("../../../runbooks/prod.toml");

/// The smallest runbook that runs.
const LITTLE: &str = r#"format = 1
title = "Little"
environment = "test"
alone = true

[[step]]
id = "look"
kind = "manual"
title = "Look"
instructions = "Look."
"#;

fn file() -> Source {
    Source::File(PathBuf::from("runbooks/x.toml"))
}

/// What a person would be shown.
fn drawn(text: &str) -> String {
    match load("x", file(), text) {
        Ok(_) => "no problem".into(),
        Err(problems) => problems.render(false),
    }
}

#[test]
fn prod_loads() {
    let loaded = load("prod", Source::BuiltIn, PROD).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert_eq!(loaded.runbook.steps.len(), 18);
    assert_eq!(loaded.text, PROD);
    assert_eq!(loaded.hash.len(), 64);
    // The other way of reading it agrees.
    assert_eq!(loaded.runbook, toml::from_str(PROD).unwrap());
}

#[test]
fn the_hash_is_sha_256_of_the_bytes() {
    assert_eq!(content_hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let marked = format!("\u{feff}{LITTLE}");
    let with = load("x", file(), &marked).unwrap();
    assert_eq!(with.text, marked);
    assert_ne!(with.hash, content_hash(LITTLE));
}

#[test]
fn line_ends_and_a_byte_order_mark_change_nothing() {
    let plain = load("x", file(), LITTLE).unwrap().runbook;
    assert_eq!(load("x", file(), &LITTLE.replace('\n', "\r\n")).unwrap().runbook, plain);
    assert_eq!(load("x", file(), &format!("\u{feff}{LITTLE}")).unwrap().runbook, plain);
}

#[test]
fn a_byte_order_mark_takes_no_column() {
    let problems = load("x", file(), &format!("\u{feff}zebra = 1\n{LITTLE}")).unwrap_err();
    assert_eq!((problems.list()[0].line, problems.list()[0].column), (1, 1));
}

#[test]
fn problems_are_data_too() {
    let problems = load("x", file(), &LITTLE.replace("alone = true", "alone = true\n\"ñäme\" = 1")).unwrap_err();
    let json = serde_json::to_string(problems.list()).unwrap();
    insta::assert_snapshot!(json, @r#"[{"message":"the runbook has no key `ñäme`","line":5,"column":1,"help":"known here: `format`, `title`, `environment`, `summary`, `incident`, `lock`, `alone`, `release`, `github`, `registry`, `airflow`, `sentry`, `slack`, `infrastructure`, `inferred`, `step`"}]"#);
    assert_eq!(problems.to_string(), "could not use the runbook runbooks/x.toml: 1 problem");
    assert!(problems.render(true).contains("\u{1b}["));
    assert!(!problems.render(false).contains('\u{1b}'));
}

#[test]
fn more_problems_than_anybody_reads_are_counted() {
    let many: String = (0..80).map(|number| format!("zz{number} = 1\n")).collect();
    let text = drawn(&format!("{many}{LITTLE}"));
    assert!(text.contains("… and 30 more\n"), "{text}");
    assert!(text.contains("80 problems"), "{text}");
}

#[test]
fn a_secret_in_an_address_is_not_drawn() {
    let github = "[github]\nrepository = \"a/b\"\napi_url = \"https://me:geheim@api.github.com\"\n";
    for text in [format!("{LITTLE}{github}"), format!("{LITTLE}{}", github.replace(" = \"https", " \"https"))] {
        let text = drawn(&text);
        assert!(text.contains("api_url") && !text.contains("geheim"), "{text}");
    }
}

#[test]
fn a_file_of_nothing_but_problems_is_answered_soon() {
    let keys: String = (0..10_000).map(|number| format!("z{number} = 1\n")).collect();
    let line = format!("step = [{}]", "1,".repeat(100_000));
    let steps = "[[step]]\nkind='give-back'\nof='x'\n".repeat(20_000);
    let started = std::time::Instant::now();
    for text in [keys, line, steps] {
        let problems = load("x", file(), &text).unwrap_err();
        assert!(problems.render(false).len() < 100_000);
    }
    // Seconds in a debug build; squared effort would take hours.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
