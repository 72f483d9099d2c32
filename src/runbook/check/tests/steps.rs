//! Each step by itself.

use super::*;

#[test]
fn ids_are_unique() {
    insta::assert_snapshot!(broken(&[("id = \"dags\"", "id = \"checkout\"")]), @r#"
    error: two steps are called `checkout`
       --> x.toml:118:6
        |
    113 | id = "checkout"
        |      ---------- first used here
    ...
    118 | id = "checkout"
        |      ^^^^^^^^^^ used again
        |
        = help: a step's id names its gate and its place in the journal: give each its own
    "#);
}

#[test]
fn a_runbook_has_steps_and_not_too_many() {
    let head = &PROD[..PROD.find("[[step]]").unwrap()];
    insta::assert_snapshot!(said(&head.replacen("lock =", "step = []\nlock =", 1)), @r#"
    error: the runbook has no step
     --> x.toml:5:8
      |
    5 | step = []
      |        ^^
      |
      = help: add a `[[step]]`

    error: `alerts` is neither a key of this runbook nor one of its steps
       --> x.toml:109:9
        |
    109 | about = "alerts"
        |         ^^^^^^^^
        |
        = help: write it as `table.key`, or as the id of a step
    "#);
    let many: String = (0..201).map(|number| step("dags").replace("\"dags\"", &format!("\"dags-{number}\""))).collect();
    insta::assert_snapshot!(said(&format!("{head}{many}")), @"
    error: a runbook has at most 200 steps
       --> x.toml:112:1
        |
    112 | [[step]]
        | ^^^^^^^^
        |
        = help: split it into several runbooks
    ");
}

#[test]
fn what_cannot_be_taken_back_has_a_gate() {
    insta::assert_snapshot!(broken(&[("title = \"Plan and apply with Terraform\"\ngate = true", "title = \"Apply\"")]), @"
    error: step `apply` cannot be taken back, so it needs `gate = true`
       --> x.toml:180:1
        |
    180 | [[step]]
        | ^^^^^^^^ an applied plan is undone only by applying another one
        |
        = help: add `gate = true`: it asks before it acts
    ");
    for id in ["publish", "apply", "changelog", "pull-request"] {
        let text = broken(&[(step(id), &step(id).replace("gate = true", "gate = false"))]);
        assert!(text.contains("cannot be taken back, so it needs `gate = true`"), "{id}: {text}");
    }
    let shell = "kind = \"shell\"\nrun = [\"a\"]\ntitle = \"Adjust";
    let manual = ("kind = \"manual\"\ntitle = \"Adjust", shell);
    let (without, _) = step("monitoring").split_once("instructions").unwrap();
    let text = broken(&[(step("monitoring"), &format!("{without}\n")), manual]);
    insta::assert_snapshot!(text, @"
    error: step `monitoring` cannot be taken back, so it needs `gate = true`
       --> x.toml:143:1
        |
    143 | [[step]]
        | ^^^^^^^^ it has no `undo` command
        |
        = help: add `gate = true`: it asks before it acts
    ");
    insta::assert_snapshot!(broken(&[("kind = \"baseline\"", "kind = \"baseline\"\ngate = true")]), @"
    error: step `baseline` changes nothing, so its gate would never ask
       --> x.toml:168:8
        |
    168 | gate = true
        |        ^^^^
        |
        = help: remove `gate`; for a question to a person use a `manual` step
    ");
}

#[test]
fn release_steps_are_skipped_by_a_rollback_and_no_others() {
    insta::assert_snapshot!(broken(&[("gate = true\nrelease_only = true\ntag_workflow", "gate = true\ntag_workflow")]), @"
    error: step `publish` belongs to a release, so it needs `release_only = true`
       --> x.toml:123:1
        |
    123 | [[step]]
        | ^^^^^^^^ a rollback would do it as well
        |
        = help: add `release_only = true`: a run with `--tag` skips it
    ");
    insta::assert_snapshot!(broken(&[("kind = \"set-flag\"", "kind = \"set-flag\"\nrelease_only = true")]), @"
    error: step `flag` cannot be `release_only`
       --> x.toml:178:16
        |
    178 | release_only = true
        |                ^^^^ a rollback deploys by it too
        |
        = help: remove `release_only`
    ");
}

#[test]
fn steps_need_their_services() {
    let infrastructure = &PROD[PROD.find("[infrastructure]").unwrap()..PROD.find("[[step]]").unwrap()];
    insta::assert_snapshot!(broken(&[(infrastructure, "")]), @r#"
    error: `lock` needs `[infrastructure]`: the lock lives on that repository's remote
     --> x.toml:5:8
      |
    5 | lock = "openverse-catalog-prod"
      |        ^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: add `[infrastructure]`, or say `alone = true`

    error: step `checkout` needs `[infrastructure]`, which the runbook does not have
      --> x.toml:50:8
       |
    50 | kind = "checkout-ready"
       |        ^^^^^^^^^^^^^^^^ `checkout-ready` needs it
       |
       = help: add `[infrastructure]`, or remove the step

    error: step `bump` needs `[infrastructure]`, which the runbook does not have
      --> x.toml:96:8
       |
    96 | kind = "bump"
       |        ^^^^^^ `bump` needs it
       |
       = help: add `[infrastructure]`, or remove the step

    error: step `flag` needs `[infrastructure]`, which the runbook does not have
       --> x.toml:113:8
        |
    113 | kind = "set-flag"
        |        ^^^^^^^^^^ `set-flag` needs it
        |
        = help: add `[infrastructure]`, or remove the step

    error: step `apply` needs `[infrastructure]`, which the runbook does not have
       --> x.toml:118:8
        |
    118 | kind = "apply"
        |        ^^^^^^^ `apply` needs it
        |
        = help: add `[infrastructure]`, or remove the step

    error: step `pull-request` needs `[infrastructure]`, which the runbook does not have
       --> x.toml:160:8
        |
    160 | kind = "infrastructure-pull-request"
        |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `infrastructure-pull-request` needs it
        |
        = help: add `[infrastructure]`, or remove the step
    "#);
    let github = &PROD[PROD.find("[github]").unwrap()..PROD.find("[registry]").unwrap()];
    let release = &PROD[PROD.find("[release]").unwrap()..PROD.find("[github]").unwrap()];
    insta::assert_snapshot!(broken(&[(github, ""), (release, "")]), @r#"
    error: step `publish` needs `[github]`, which the runbook does not have
       --> x.toml:117:8
        |
    117 | kind = "publish-release"
        |        ^^^^^^^^^^^^^^^^^ `publish-release` needs it
        |
        = help: add `[github]`, or remove the step

    error: step `publish` needs `[release]`, which the runbook does not have
       --> x.toml:117:8
        |
    117 | kind = "publish-release"
        |        ^^^^^^^^^^^^^^^^^ `publish-release` needs it
        |
        = help: add `[release]`, or remove the step

    error: step `image` needs `[release]`, which the runbook does not have
       --> x.toml:145:8
        |
    145 | kind = "image-ready"
        |        ^^^^^^^^^^^^^ `image-ready` needs it
        |
        = help: add `[release]`, or remove the step

    error: step `image` needs `[github]`, which the runbook does not have
       --> x.toml:145:8
        |
    145 | kind = "image-ready"
        |        ^^^^^^^^^^^^^ `image-ready` needs it
        |
        = help: add `[github]`, or remove the step

    error: step `changelog` needs `[github]`, which the runbook does not have
       --> x.toml:208:8
        |
    208 | kind = "approve-changelog"
        |        ^^^^^^^^^^^^^^^^^^^ `approve-changelog` needs it
        |
        = help: add `[github]`, or remove the step

    error: step `changelog` needs `[release]`, which the runbook does not have
       --> x.toml:208:8
        |
    208 | kind = "approve-changelog"
        |        ^^^^^^^^^^^^^^^^^^^ `approve-changelog` needs it
        |
        = help: add `[release]`, or remove the step

    error: step `pull-request` needs `[github]`, which the runbook does not have
       --> x.toml:216:8
        |
    216 | kind = "infrastructure-pull-request"
        |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `infrastructure-pull-request` needs it
        |
        = help: add `[github]`, or remove the step
    "#);
    let flag =
        &PROD[PROD.find("[infrastructure.flag]").unwrap()..PROD.find("# Inferred, 2022-2024: the instance").unwrap()];
    insta::assert_snapshot!(broken(&[(flag, "")]), @r#"
    error: `infrastructure.flag` is neither a key of this runbook nor one of its steps
      --> x.toml:78:9
       |
    78 | about = "infrastructure.flag"
       |         ^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write it as `table.key`, or as the id of a step

    error: step `flag` needs `[infrastructure.flag]`, which the runbook does not have
       --> x.toml:172:8
        |
    172 | kind = "set-flag"
        |        ^^^^^^^^^^ `set-flag` needs it
        |
        = help: add `[infrastructure.flag]`, or remove the step
    "#);
    insta::assert_snapshot!(broken(&[("bump = [\"just\", \"bump\", \"prod\", \"catalog-airflow\"]\n", "")]), @r#"
    error: step `bump` needs `bump` in `[infrastructure]`, which the runbook does not have
       --> x.toml:159:8
        |
    159 | kind = "bump"
        |        ^^^^^^ `bump` needs it
        |
        = help: add the recipe, e.g. `bump = ["just", "bump", "prod", "catalog-airflow"]`, or say `tag = "pin"`
    "#);
    let pin = ("kind = \"bump\"", "kind = \"bump\"\ntag = \"pin\"");
    assert_eq!(broken(&[("bump = [\"just\", \"bump\", \"prod\", \"catalog-airflow\"]\n", ""), pin]), "no problem");
    let airflow = &PROD[PROD.find("[airflow]").unwrap()..PROD.find("[slack]").unwrap()];
    let text = broken(&[(airflow, "")]);
    for id in ["dags", "hold-dags", "baseline", "unpause", "health"] {
        assert!(text.contains(&format!("step `{id}` needs `[airflow]`")), "{id}: {text}");
    }
    let registry = &PROD[PROD.find("[registry]").unwrap()..PROD.find("[airflow]").unwrap()];
    let text = broken(&[(registry, "")]);
    for id in ["publish", "image"] {
        assert!(text.contains(&format!("step `{id}` needs `[registry]`")), "{id}: {text}");
    }
}

#[test]
fn placeholders_and_branches() {
    insta::assert_snapshot!(broken(&[("changelog/{git_tag}", "changelog/{git-tag}")]), @r#"
    error: `branch` has an unknown placeholder `{git-tag}`
       --> x.toml:220:10
        |
    220 | branch = "changelog/{git-tag}"
        |          ^^^^^^^^^^^^^^^^^^^^^
        |
        = help: did you mean `{git_tag}`?
    "#);
    insta::assert_snapshot!(broken(&[("Deploy catalog {tag}", "Deploy {app} {tag")]), @r#"
    error: `pull_title` has an unknown placeholder `{app}`
       --> x.toml:229:14
        |
    229 | pull_title = "Deploy {app} {tag to production"
        |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        |
        = help: the one placeholder here is `{tag}`

    error: `pull_title` has a brace without its other half
       --> x.toml:229:14
        |
    229 | pull_title = "Deploy {app} {tag to production"
        |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        |
        = help: the one placeholder here is `{tag}`
    "#);
    insta::assert_snapshot!(broken(&[("catalog-deploy/{tag}", "deploy {tag}")]), @r#"
    error: git takes no branch called `deploy {tag}`
       --> x.toml:228:10
        |
    228 | branch = "deploy {tag}"
        |          ^^^^^^^^^^^^^^ it holds ` `
        |
        = help: use letters, digits, `-`, `_`, `.` and `/`
    "#);
    insta::assert_snapshot!(broken(&[("catalog-deploy/{tag}", "main")]), @r#"
    error: step `pull-request` would push to `main` itself
       --> x.toml:228:10
        |
    228 | branch = "main"
        |          ^^^^^^
        |
        = help: name a branch of its own, e.g. `catalog-deploy/{tag}`
    "#);
    for bad in ["a..b", "-a", "a/", "a//b", "a/.b", "a.lock/b", "a~1", "a:b"] {
        let text = broken(&[("catalog-deploy/{tag}", bad)]);
        assert!(text.contains("git takes no branch called"), "{bad}: {text}");
    }
}
