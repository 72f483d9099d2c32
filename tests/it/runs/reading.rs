//! What can be read of a run, while it runs and afterwards: `--json`, `-q`, `-v`, `status`, `history`, `show`.

use serde_json::Value;

use super::{NEW, OLD, run};
use crate::deploy::approved;
use crate::support::Stage;

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn a_deploy_can_be_followed_and_read_afterwards() {
    let stage = Stage::new(&[]);
    let status = stage.run(&["status"]);
    assert!(status.stdout.contains(OLD) && status.stdout.contains("open       nothing"), "{}", status.stdout);
    assert!(stage.run(&["history"]).stdout.is_empty());

    let done = stage.run(&approved(&["--json", "-q"]));
    assert_eq!(done.code, 0, "{}", done.stderr);
    let events = lines(&done.stdout);
    assert_eq!((&events[0]["event"], &events[0]["format"]), (&"run-started".into(), &1.into()));
    assert!(events[0]["steps"].as_array().unwrap().len() > 10);
    let last = events.last().unwrap();
    assert_eq!(
        (&last["event"], &last["exit"], &last["reason"]),
        (&"run-finished".into(), &0.into(), &"done".into()),
        "{last}"
    );
    // Questions, warnings and the end are told however quiet; progress and the children's output are not.
    for words in ["Apply complete!", "nothing to do", "is free", "given back"] {
        assert!(!done.stderr.contains(words), "{words:?} in\n{}", done.stderr);
    }
    assert!(done.stderr.contains(&format!("{NEW} is deployed")), "{}", done.stderr);

    let run = &run(&stage);
    let status = stage.run(&["status"]);
    assert!(status.stdout.contains(NEW) && status.stdout.contains("lock       free"), "{}", status.stdout);
    let status = lines(&stage.run(&["status", "--json"]).stdout);
    assert_eq!((&status[0]["format"], &status[0]["open"]), (&1.into(), &Value::Array(vec![])));

    let history = stage.run(&["history"]).stdout;
    assert!(history.contains(run) && history.contains("done (0)") && history.contains(NEW), "{history}");
    let history = lines(&stage.run(&["history", "--json"]).stdout);
    assert_eq!((&history[0]["run"], &history[0]["exit"]), (&run.as_str().into(), &0.into()));

    let text = stage.run(&["show", run]).stdout;
    assert!(text.contains(NEW) && text.contains("Plan and apply with Terraform"), "{text}");
    let markdown = stage.run(&["show", run, "--format", "markdown"]).stdout;
    assert!(markdown.starts_with('#') && markdown.contains(NEW), "{markdown}");
    let stored = lines(&stage.run(&["show", run, "--format", "json"]).stdout);
    assert_eq!((&stored[0]["event"], &stored[0]["format"]), (&"run-started".into(), &1.into()));
    assert_eq!(stored.last().unwrap()["event"], "run-finished");
}

#[test]
fn a_refusal_is_told_in_json_too() {
    let stage = Stage::new(&[]);
    let done = stage.run(&["prod", "--json", "-v"]);
    assert_eq!(done.code, 5);
    let last = lines(&done.stdout).pop().unwrap();
    assert_eq!(
        (&last["event"], &last["exit"], &last["reason"]),
        (&"run-finished".into(), &5.into(), &"gate-needs-answer".into())
    );
    assert!(last["next"][0].as_str().unwrap().contains("--approve publish"), "{last}");

    let run = run(&stage);
    let events = lines(&stage.run(&["restore", &run, "--json"]).stdout);
    assert_eq!(events[0]["format"], 1, "a stream that begins with another event says its format as well");
    assert_eq!(events.last().unwrap()["reason"], "restored");
    let closed = lines(&stage.run(&["resume", &run, "--json"]).stdout);
    assert_eq!(
        (&closed[0]["exit"], &closed[0]["reason"], &closed[0]["format"]),
        (&3.into(), &"refused".into(), &1.into())
    );
}
