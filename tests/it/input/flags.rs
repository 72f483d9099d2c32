//! Flags that cannot be meant.

use super::alone::Alone;

#[test]
fn malformed_values_are_usage_and_say_how_it_is_meant() {
    let alone = Alone::new();
    let config = alone.file("config.toml", "[infrastructure]\ncheckout = \".\"\n");
    let mut told = String::new();
    for flags in [
        &["--override", "batched_update"][..],
        &["--override", "=why"],
        &["--wait", "soon"],
        &["--lock-wait", "-1s"],
        &["--approve", "Apply!"],
        &["--approve", "apply@12"],
        &["--approve", "aply"],
    ] {
        let arguments = [&["prod", "--config", config.to_str().unwrap()], flags].concat();
        let done = alone.run(&arguments);
        assert_eq!(done.code, 2, "{flags:?}: {}", done.stderr);
        alone.nothing_was_written();
        told.push_str(&format!("$ {}\n{}", flags.join(" "), done.stderr));
    }
    insta::assert_snapshot!(told, @"");
}

#[test]
fn json_says_the_same_as_the_words() {
    let alone = Alone::new();
    let done = alone.run(&["prod", "--json"]);
    assert_eq!(done.code, 2);
    let line: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((line["format"].as_u64(), line["exit"].as_u64()), (Some(1), Some(2)));
    assert!(done.stderr.contains(line["message"].as_str().unwrap().lines().next().unwrap()), "{}", done.stderr);
}
