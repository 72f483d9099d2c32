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
        &["--override", "airflow"],
        &["--override", "Airflow=why"],
        &["--tag"],
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
    insta::assert_snapshot!(told, @r#"
    $ --override batched_update
    error: --override "batched_update" has no reason
      next: --override batched_update="agreed with Ada: it restarts from its last batch"
    $ --override =why
    error: --override "=why" has no name: give a check or a DAG
      next: --override batched_update="agreed with Ada: it restarts from its last batch"
    $ --override airflow
    error: --override "airflow" has no reason
      next: --override batched_update="agreed with Ada: it restarts from its last batch"
    $ --override Airflow=why
    error: --override Airflow: did you mean the check `airflow`?
      next: for a DAG of that name, use --override dag:Airflow="reason"
    $ --tag
    error: --tag names no image tag
      next: --tag rel-YYYY.MM.DD.HH.MM.SS, as on the registry
      next: see the tags to choose from: catalog-deploy tags --config PLACE/config.toml
    $ --wait soon
    error: invalid value 'soon' for '--wait <DURATION>': expected number at 0

    For more information, try '--help'.
    $ --lock-wait -1s
    error: unexpected argument '-1' found

      tip: to pass '-1' as a value, use '-- -1'

    Usage: catalog-deploy [OPTIONS] <RUNBOOK>
           catalog-deploy [OPTIONS] [RUNBOOK] <COMMAND>

    For more information, try '--help'.
    $ --approve Apply!
    error: could not understand --approve Apply!: it is GATE or GATE@DIGEST, the digest with at least 12 digits
    $ --approve apply@12
    error: could not understand --approve apply@12: it is GATE or GATE@DIGEST, the digest with at least 12 digits
    $ --approve aply
    error: --approve aply: prod has no such gate; did you mean `apply`?
      next: its gates are: publish, bump, apply, changelog, pull-request
    "#);
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
