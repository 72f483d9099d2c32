//! Every rule, by breaking prod in one place and looking at all that is said about it.

use std::path::PathBuf;

use super::order::{ONCE, ORDER};
use crate::runbook::load::{Source, load};
use crate::runbook::schema::Runbook;

const PROD: &str = include_str!("../../../runbooks/prod.toml");

/// What is said about prod after these replacements; each must change something.
fn broken(changes: &[(&str, &str)]) -> String {
    let mut text = PROD.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "prod has no {from}");
        text = text.replacen(from, to, 1);
    }
    said(&text)
}

fn said(text: &str) -> String {
    match load("x", Source::File(PathBuf::from("x.toml")), text) {
        Ok(_) => "no problem".into(),
        // The closing line is the same for all.
        Err(problems) => problems.render(false).rsplit_once("error: could not use").unwrap().0.trim_end().to_owned(),
    }
}

/// A step of prod, as text.
fn step(id: &str) -> &'static str {
    let start = PROD.find(&format!("[[step]]\nid = \"{id}\"")).unwrap();
    let end = PROD[start + 1..].find("[[step]]").map_or(PROD.len(), |end| start + 1 + end);
    &PROD[start..end]
}

#[test]
fn ids_are_unique() {
    insta::assert_snapshot!(broken(&[("id = \"dags\"", "id = \"checkout\"")]), @r#"
    error: two steps are called `checkout`
      --> x.toml:81:6
       |
    76 | id = "checkout"
       |      ---------- first used here
    ...
    81 | id = "checkout"
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
    "#);
    let many: String = (0..201).map(|number| step("dags").replace("\"dags\"", &format!("\"dags-{number}\""))).collect();
    insta::assert_snapshot!(said(&format!("{head}{many}")), @r#"
    error: a runbook has at most 200 steps
      --> x.toml:75:1
       |
    75 | [[step]]
       | ^^^^^^^^
       |
       = help: split it into several runbooks
    "#);
}

#[test]
fn lock_or_alone() {
    insta::assert_snapshot!(broken(&[("lock = \"openverse-catalog-prod\"\n", "")]), @r#"
    error: the runbook has neither `lock` nor `alone = true`
    --> x.toml
     = help: add `lock = "NAME"`, the same in all runbooks of this environment, or `alone = true` if nobody else deploys it
    "#);
    insta::assert_snapshot!(broken(&[("lock = ", "alone = true\nlock = ")]), @r#"
    error: the runbook has a `lock` and says `alone = true`
     --> x.toml:5:9
      |
    5 | alone = true
      |         ^^^^ nobody else deploys
    6 | lock = "openverse-catalog-prod"
      |        ------------------------ others do
      |
      = help: keep one of the two
    "#);
    insta::assert_snapshot!(broken(&[("lock = \"openverse-catalog-prod\"", "lock = \"prod.lock\"")]), @r#"
    error: the lock cannot be called `prod.lock`: it becomes part of a git ref
     --> x.toml:5:8
      |
    5 | lock = "prod.lock"
      |        ^^^^^^^^^^^
      |
      = help: use letters, digits, `-` and `_`
    "#);
}

#[test]
fn give_back_names_an_earlier_step_that_holds() {
    insta::assert_snapshot!(broken(&[("of = \"flag\"", "of = \"flga\"")]), @r#"
    error: step `flag-back` gives back `flga`, and there is no such step
       --> x.toml:146:6
        |
    146 | of = "flga"
        |      ^^^^^^ unknown step
        |
        = help: did you mean `flag`?
    "#);
    insta::assert_snapshot!(broken(&[("of = \"flag\"", "of = \"image\"")]), @r#"
    error: step `flag-back` gives back step `image`, which holds nothing
       --> x.toml:146:6
        |
    107 | kind = "image-ready"
        |        ------------- `image-ready` holds nothing
    ...
    146 | of = "image"
        |      ^^^^^^^
        |
        = help: steps that hold something: `set-flag`, `dags-hold`, `bump`, and `shell` with `undo`
    "#);
    let moved = broken(&[(step("flag-back"), ""), (step("flag"), &format!("{}{}", step("flag-back"), step("flag")))]);
    insta::assert_snapshot!(moved, @r#"
    error: step `flag-back` gives back step `flag`, which comes later
       --> x.toml:133:6
        |
    133 | of = "flag"
        |      ^^^^^^
    134 |
    135 | [[step]]
        | -------- it comes here
        |
        = help: move step `flag-back` below step `flag`
    "#);
    let early = broken(&[(step("flag-back"), ""), (step("apply"), &format!("{}{}", step("flag-back"), step("apply")))]);
    insta::assert_snapshot!(early, @r#"
    error: step `flag-back` gives back step `flag` before the apply that needs it
       --> x.toml:138:6
        |
    138 | of = "flag"
        |      ^^^^^^
    ...
    142 | kind = "apply"
        |        ------- the apply comes later
        |
        = help: move step `flag-back` below step `apply`
    "#);
    // The bump may be put back by a step of its own.
    let bump =
        "[[step]]\nid = \"b\"\nkind = \"give-back\"\ntitle = \"b\"\nof = \"bump\"\n\n[[step]]\nid = \"changelog\"";
    assert_eq!(broken(&[("[[step]]\nid = \"changelog\"", bump)]), "no problem");
}

#[test]
fn what_is_held_is_given_back() {
    insta::assert_snapshot!(broken(&[(step("flag-back"), "")]), @r#"
    error: nothing gives back what step `flag` holds
       --> x.toml:131:8
        |
    131 | kind = "set-flag"
        |        ^^^^^^^^^^ the flag stays true
        |
        = help: add a step after the apply with `kind = "give-back"` and `of = "flag"`
    "#);
    insta::assert_snapshot!(broken(&[(step("unpause"), "")]), @r#"
    error: nothing gives back what step `hold-dags` holds
       --> x.toml:126:8
        |
    126 | kind = "dags-hold"
        |        ^^^^^^^^^^^ the DAGs stay paused
        |
        = help: add a step after the apply with `kind = "give-back"` and `of = "hold-dags"`
    "#);
}

#[test]
fn a_heartbeat_comes_after_an_apply() {
    let wait = "[[step]]\nid = \"s\"\nkind = \"shell\"\ntitle = \"s\"\nrun = [\"a\"]\nundo = [\"b\"]\n\n\
                [[step]]\nid = \"t\"\nkind = \"give-back\"\ntitle = \"t\"\nof = \"s\"\nafter_heartbeat = true\n\n";
    insta::assert_snapshot!(broken(&[(step("bump"), &format!("{wait}{}", step("bump")))]), @r#"
    error: step `t` waits for a new scheduler, and no earlier step starts one
       --> x.toml:124:19
        |
    124 | after_heartbeat = true
        |                   ^^^^
        |
        = help: put it after the `apply` step, or remove `after_heartbeat`
    "#);
}

#[test]
fn order_and_number_of_steps() {
    insta::assert_snapshot!(broken(&[(step("bump"), ""), (step("flag-back"), &format!("{}{}", step("bump"), step("flag-back")))]), @r#"
    error: step `bump` must come before step `apply`
       --> x.toml:137:8
        |
    129 | kind = "apply"
        |        ------- `apply`: it would apply the earlier version
    ...
    137 | kind = "bump"
        |        ^^^^^^ `bump`
        |
        = help: move step `bump` up
    "#);
    let again = step("apply").replace("\"apply\"\nkind", "\"again\"\nkind");
    insta::assert_snapshot!(broken(&[(step("apply"), &format!("{}{again}", step("apply")))]), @r#"
    error: a runbook can have one `apply` step
       --> x.toml:144:8
        |
    136 | kind = "apply"
        |        ------- the first one
    ...
    144 | kind = "apply"
        |        ^^^^^^^ the second one
        |
        = help: make a runbook of its own of the second part
    "#);
}

#[test]
fn every_rule_of_order_bites() {
    let runbook: Runbook = toml::from_str(PROD).unwrap();
    let id = |kind: &str| runbook.steps.iter().find(|it| it.kind.name() == kind).map(|it| it.id.clone());
    for (earlier, later, why) in ORDER {
        let (first, second) = (step(&id(earlier).unwrap()), step(&id(later).unwrap()));
        assert_eq!(broken(&[(first, first)]), "no problem");
        let second = format!("{}\n", second.trim_end());
        let text = PROD.replacen(first, "", 1).replacen(second.as_str(), &format!("{second}\n{first}"), 1);
        let said = said(&text);
        assert!(said.contains("must come before") && said.contains(why), "{earlier} before {later}: {said}");
    }
    for kind in ONCE {
        let once = step(&id(kind).unwrap());
        let again = once.replacen("id = \"", "id = \"x-", 1);
        let said = broken(&[(once, &format!("{}\n{again}", once.trim_end()))]);
        assert!(said.contains(&format!("a runbook can have one `{kind}` step")), "{said}");
    }
}

#[test]
fn what_cannot_be_taken_back_has_a_gate() {
    insta::assert_snapshot!(broken(&[("title = \"Plan and apply with Terraform\"\ngate = true", "title = \"Apply\"")]), @r#"
    error: step `apply` cannot be taken back, so it needs `gate = true`
       --> x.toml:134:1
        |
    134 | [[step]]
        | ^^^^^^^^ an applied plan is undone only by applying another one
        |
        = help: add `gate = true`: it asks before it acts
    "#);
    for id in ["publish", "apply", "changelog", "pull-request"] {
        let text = broken(&[(step(id), &step(id).replace("gate = true", "gate = false"))]);
        assert!(text.contains("cannot be taken back, so it needs `gate = true`"), "{id}: {text}");
    }
    let shell = "kind = \"shell\"\nrun = [\"a\"]\ntitle = \"Adjust";
    let manual = ("kind = \"manual\"\ntitle = \"Adjust", shell);
    let (without, _) = step("monitoring").split_once("instructions").unwrap();
    let text = broken(&[(step("monitoring"), &format!("{without}\n")), manual]);
    insta::assert_snapshot!(text, @r#"
    error: step `monitoring` cannot be taken back, so it needs `gate = true`
      --> x.toml:86:1
       |
    86 | [[step]]
       | ^^^^^^^^ it has no `undo` command
       |
       = help: add `gate = true`: it asks before it acts
    "#);
    insta::assert_snapshot!(broken(&[("kind = \"baseline\"", "kind = \"baseline\"\ngate = true")]), @r#"
    error: step `baseline` changes nothing, so its gate would never ask
       --> x.toml:122:8
        |
    122 | gate = true
        |        ^^^^
        |
        = help: remove `gate`; for a question to a person use a `manual` step
    "#);
}

#[test]
fn release_steps_are_skipped_by_a_rollback_and_no_others() {
    insta::assert_snapshot!(broken(&[("gate = true\nrelease_only = true\ntag_workflow", "gate = true\ntag_workflow")]), @r#"
    error: step `publish` belongs to a release, so it needs `release_only = true`
      --> x.toml:95:1
       |
    95 | [[step]]
       | ^^^^^^^^ a rollback would do it as well
       |
       = help: add `release_only = true`: a run with `--tag` skips it
    "#);
    insta::assert_snapshot!(broken(&[("kind = \"set-flag\"", "kind = \"set-flag\"\nrelease_only = true")]), @r#"
    error: step `flag` cannot be `release_only`
       --> x.toml:132:16
        |
    132 | release_only = true
        |                ^^^^ a rollback deploys by it too
        |
        = help: remove `release_only`
    "#);
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
      --> x.toml:49:8
       |
    49 | kind = "checkout-ready"
       |        ^^^^^^^^^^^^^^^^ `checkout-ready` needs it
       |
       = help: add `[infrastructure]`, or remove the step

    error: step `bump` needs `[infrastructure]`, which the runbook does not have
      --> x.toml:86:8
       |
    86 | kind = "bump"
       |        ^^^^^^ `bump` needs it
       |
       = help: add `[infrastructure]`, or remove the step

    error: step `flag` needs `[infrastructure]`, which the runbook does not have
       --> x.toml:103:8
        |
    103 | kind = "set-flag"
        |        ^^^^^^^^^^ `set-flag` needs it
        |
        = help: add `[infrastructure]`, or remove the step

    error: step `apply` needs `[infrastructure]`, which the runbook does not have
       --> x.toml:108:8
        |
    108 | kind = "apply"
        |        ^^^^^^^ `apply` needs it
        |
        = help: add `[infrastructure]`, or remove the step

    error: step `pull-request` needs `[infrastructure]`, which the runbook does not have
       --> x.toml:137:8
        |
    137 | kind = "infrastructure-pull-request"
        |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `infrastructure-pull-request` needs it
        |
        = help: add `[infrastructure]`, or remove the step
    "#);
    let github = &PROD[PROD.find("[github]").unwrap()..PROD.find("[registry]").unwrap()];
    let release = &PROD[PROD.find("[release]").unwrap()..PROD.find("[github]").unwrap()];
    insta::assert_snapshot!(broken(&[(github, ""), (release, "")]), @r#"
    error: step `publish` needs `[github]`, which the runbook does not have
      --> x.toml:90:8
       |
    90 | kind = "publish-release"
       |        ^^^^^^^^^^^^^^^^^ `publish-release` needs it
       |
       = help: add `[github]`, or remove the step

    error: step `publish` needs `[release]`, which the runbook does not have
      --> x.toml:90:8
       |
    90 | kind = "publish-release"
       |        ^^^^^^^^^^^^^^^^^ `publish-release` needs it
       |
       = help: add `[release]`, or remove the step

    error: step `image` needs `[release]`, which the runbook does not have
       --> x.toml:100:8
        |
    100 | kind = "image-ready"
        |        ^^^^^^^^^^^^^ `image-ready` needs it
        |
        = help: add `[release]`, or remove the step

    error: step `image` needs `[github]`, which the runbook does not have
       --> x.toml:100:8
        |
    100 | kind = "image-ready"
        |        ^^^^^^^^^^^^^ `image-ready` needs it
        |
        = help: add `[github]`, or remove the step

    error: step `changelog` needs `[github]`, which the runbook does not have
       --> x.toml:150:8
        |
    150 | kind = "approve-changelog"
        |        ^^^^^^^^^^^^^^^^^^^ `approve-changelog` needs it
        |
        = help: add `[github]`, or remove the step

    error: step `changelog` needs `[release]`, which the runbook does not have
       --> x.toml:150:8
        |
    150 | kind = "approve-changelog"
        |        ^^^^^^^^^^^^^^^^^^^ `approve-changelog` needs it
        |
        = help: add `[release]`, or remove the step

    error: step `pull-request` needs `[github]`, which the runbook does not have
       --> x.toml:158:8
        |
    158 | kind = "infrastructure-pull-request"
        |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ `infrastructure-pull-request` needs it
        |
        = help: add `[github]`, or remove the step
    "#);
    let flag = &PROD[PROD.find("[infrastructure.flag]").unwrap()..PROD.find("# The instance is").unwrap()];
    insta::assert_snapshot!(broken(&[(flag, "")]), @r#"
    error: step `flag` needs `[infrastructure.flag]`, which the runbook does not have
       --> x.toml:126:8
        |
    126 | kind = "set-flag"
        |        ^^^^^^^^^^ `set-flag` needs it
        |
        = help: add `[infrastructure.flag]`, or remove the step
    "#);
    insta::assert_snapshot!(broken(&[("bump = [\"just\", \"bump\", \"prod\", \"catalog-airflow\"]\n", "")]), @r#"
    error: step `bump` needs `bump` in `[infrastructure]`, which the runbook does not have
       --> x.toml:113:8
        |
    113 | kind = "bump"
        |        ^^^^^^ `bump` needs it
        |
        = help: add the recipe, e.g. `bump = ["just", "bump", "prod", "catalog-airflow"]`, or say `tag = "pin"`
    "#);
    let pin = ("kind = \"bump\"", "kind = \"bump\"\ntag = \"pin\"");
    assert_eq!(broken(&[("bump = [\"just\", \"bump\", \"prod\", \"catalog-airflow\"]\n", ""), pin]), "no problem");
    let airflow = &PROD[PROD.find("[airflow]").unwrap()..PROD.find("[sentry]").unwrap()];
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
fn addresses() {
    insta::assert_snapshot!(broken(&[("https://airflow.openverse", "http://airflow.openverse")]), @r#"
    error: `airflow.url` is no address that can be used
      --> x.toml:24:7
       |
    24 | url = "http://airflow.openverse.engineering"
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ plain http beyond this machine
       |
       = help: use https: http is accepted for loopback only
    "#);
    insta::assert_snapshot!(broken(&[("https://ghcr.io", "https://me:secret@ghcr.io")]), @r#"
    error: `registry.url` is no address that can be used
      --> x.toml:20:7
       |
    20 | url = "https://*********@ghcr.io"
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^ it holds a user name or a password
       |
       = help: put user and password into the laptop's configuration, where they stay secret
    "#);
    for good in [
        "https://a.b",
        "HTTPS://a.b:8443/path",
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://[::1]:80/x",
        "http://127.1.2.3:1",
    ] {
        assert_eq!(super::text::address(good), None, "{good}");
    }
    for bad in [
        "",
        "a.b",
        "ftp://a.b",
        "https://",
        "https:///x",
        "https://a b",
        "https://a?x=1",
        "https://a#x",
        "https://a:99999",
        "https://a:b",
        "http://a.b",
        "http://localhost.evil.org",
        "http://127.0.0.1.evil.org",
        "http://127.0.0.1@evil.org",
        "http://localhost\\@evil.org",
        "http://[::2]",
        "http://0.0.0.0",
    ] {
        assert!(super::text::address(bad).is_some(), "{bad}");
    }
}

#[test]
fn commands() {
    insta::assert_snapshot!(broken(&[("plan = [\"just\", \"plan\", \"prod\", \"catalog-airflow\"]", "plan = []")]), @r#"
    error: `infrastructure.plan` is an empty command
      --> x.toml:51:8
       |
    51 | plan = []
       |        ^^
       |
       = help: write program and arguments
    "#);
    insta::assert_snapshot!(broken(&[("plan = [\"just\", \"plan\", \"prod\", \"catalog-airflow\"]", "plan = [\"just plan\"]")]), @r#"
    error: `infrastructure.plan` is one word with spaces, and nothing goes through a shell
      --> x.toml:51:9
       |
    51 | plan = ["just plan"]
       |         ^^^^^^^^^^^
       |
       = help: write ["just", "plan"]
    "#);
    insta::assert_snapshot!(broken(&[("apply = [\"just\"", "apply = [\"\"")]), @r#"
    error: `infrastructure.apply` has an empty program
      --> x.toml:52:10
       |
    52 | apply = ["", "apply", "prod", "catalog-airflow"]
       |          ^^
       |
       = help: write program and arguments
    "#);
}

#[test]
fn paths_stay_inside_the_repository() {
    insta::assert_snapshot!(broken(&[("directory = \"environments/prod\"", "directory = \"/srv/infra\"")]), @r#"
    error: `infrastructure.directory` must lie inside the repository
      --> x.toml:49:13
       |
    49 | directory = "/srv/infra"
       |             ^^^^^^^^^^^^ it is not relative
       |
       = help: write it relative to the repository's root, without `..`
    "#);
    insta::assert_snapshot!(broken(&[("file = \"environments/prod", "file = \"environments/../../prod")]), @r#"
    error: `infrastructure.version.file` must lie inside the repository
      --> x.toml:57:8
       |
    57 | file = "environments/../../prod/catalog-airflow.tf"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ it leads upwards
       |
       = help: write it relative to the repository's root, without `..`
    "#);
    insta::assert_snapshot!(broken(&[("build_paths = [\"catalog\"]", "build_paths = [\"\", \"~/x\", \"..x\", \"C:/x\", \"日\"]")]), @r#"
    error: a path in `build_paths` must lie inside the repository
       --> x.toml:103:16
        |
    103 | build_paths = ["", "~/x", "..x", "C:/x", "日"]
        |                ^^ it is empty
        |
        = help: write it relative to the repository's root, without `..`

    error: a path in `build_paths` must lie inside the repository
       --> x.toml:103:20
        |
    103 | build_paths = ["", "~/x", "..x", "C:/x", "日"]
        |                    ^^^^^ it is not relative
        |
        = help: write it relative to the repository's root, without `..`

    error: a path in `build_paths` must lie inside the repository
       --> x.toml:103:34
        |
    103 | build_paths = ["", "~/x", "..x", "C:/x", "日"]
        |                                  ^^^^^^ it is not relative
        |
        = help: write it relative to the repository's root, without `..`
    "#);
}

#[test]
fn placeholders_and_branches() {
    insta::assert_snapshot!(broken(&[("changelog/{git_tag}", "changelog/{git-tag}")]), @r#"
    error: `branch` has an unknown placeholder `{git-tag}`
       --> x.toml:161:10
        |
    161 | branch = "changelog/{git-tag}"
        |          ^^^^^^^^^^^^^^^^^^^^^
        |
        = help: did you mean `{git_tag}`?
    "#);
    insta::assert_snapshot!(broken(&[("Deploy catalog {tag}", "Deploy {app} {tag")]), @r#"
    error: `pull_title` has an unknown placeholder `{app}`
       --> x.toml:170:14
        |
    170 | pull_title = "Deploy {app} {tag to production"
        |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        |
        = help: the one placeholder here is `{tag}`

    error: `pull_title` has a brace without its other half
       --> x.toml:170:14
        |
    170 | pull_title = "Deploy {app} {tag to production"
        |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        |
        = help: the one placeholder here is `{tag}`
    "#);
    insta::assert_snapshot!(broken(&[("catalog-deploy/{tag}", "deploy {tag}")]), @r#"
    error: git takes no branch called `deploy {tag}`
       --> x.toml:169:10
        |
    169 | branch = "deploy {tag}"
        |          ^^^^^^^^^^^^^^ it holds ` `
        |
        = help: use letters, digits, `-`, `_`, `.` and `/`
    "#);
    insta::assert_snapshot!(broken(&[("catalog-deploy/{tag}", "main")]), @r#"
    error: step `pull-request` would push to `main` itself
       --> x.toml:169:10
        |
    169 | branch = "main"
        |          ^^^^^^
        |
        = help: name a branch of its own, e.g. `catalog-deploy/{tag}`
    "#);
    for bad in ["a..b", "-a", "a/", "a//b", "a/.b", "a.lock/b", "a~1", "a:b"] {
        let text = broken(&[("catalog-deploy/{tag}", bad)]);
        assert!(text.contains("git takes no branch called"), "{bad}: {text}");
    }
}

#[test]
fn expected_changes() {
    insta::assert_snapshot!(broken(&[("[\"delete/create\", \"create/delete\"]", "[\"replace\", \"updaet\", \"x\"]")]), @r#"
    error: Terraform has no action `replace`
      --> x.toml:69:12
       |
    69 | actions = ["replace", "updaet", "x"]
       |            ^^^^^^^^^
       |
       = help: Terraform plans a replacement as `delete/create` or `create/delete`

    error: Terraform has no action `updaet`
      --> x.toml:69:23
       |
    69 | actions = ["replace", "updaet", "x"]
       |                       ^^^^^^^^
       |
       = help: did you mean `update`?

    error: Terraform has no action `x`
      --> x.toml:69:33
       |
    69 | actions = ["replace", "updaet", "x"]
       |                                 ^^^
       |
       = help: one of update, delete/create, create/delete, create, delete
    "#);
    insta::assert_snapshot!(broken(&[("[\"delete/create\", \"create/delete\"]", "[]"), ("module.catalog-airflow.*.instance", "*.*")]), @r#"
    error: the address `*.*` would expect every change
      --> x.toml:68:11
       |
    68 | address = "*.*"
       |           ^^^^^
       |
       = help: name the module and the resource, e.g. `module.catalog-airflow.aws_instance.*`

    error: an expected change with no actions
      --> x.toml:69:11
       |
    69 | actions = []
       |           ^^
       |
       = help: list what may happen to it: update, delete/create, create/delete, create, delete
    "#);
}

#[test]
fn one_attribute_cannot_be_flag_and_version() {
    insta::assert_snapshot!(broken(&[("\"running_dags_cleared\"", "\"docker_image_tag\"")]), @r#"
    error: `infrastructure.flag` and `infrastructure.version` are the same attribute
      --> x.toml:64:13
       |
    64 | attribute = "docker_image_tag"
       |             ^^^^^^^^^^^^^^^^^^
       |
       = help: the flag is the one that is true for a deploy only
    "#);
}

#[test]
fn values_that_would_fail_in_a_run() {
    insta::assert_snapshot!(broken(&[("image = \"wordpress/openverse-catalog\"", "image = \"WordPress/openverse-catalog\"")]), @r#"
    error: no registry has an image called `WordPress/openverse-catalog`
      --> x.toml:21:9
       |
    21 | image = "WordPress/openverse-catalog"
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write `wordpress/openverse-catalog`
    "#);
    insta::assert_snapshot!(broken(&[("image = \"wordpress/openverse-catalog\"", "image = \"ghcr.io/x:latest\"")]), @r#"
    error: no registry has an image called `ghcr.io/x:latest`
      --> x.toml:21:9
       |
    21 | image = "ghcr.io/x:latest"
       |         ^^^^^^^^^^^^^^^^^^
       |
       = help: write the repository alone, e.g. `wordpress/openverse-catalog`: no host, no tag
    "#);
    insta::assert_snapshot!(broken(&[("\"ci_cd.yml\"", "\".github/workflows/ci_cd.yml\"")]), @r#"
    error: `build_workflow` of step `publish` must be a workflow's file name, without a folder
       --> x.toml:102:18
        |
    102 | build_workflow = ".github/workflows/ci_cd.yml"
        |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        |
        = help: write `ci_cd.yml`
    "#);
    insta::assert_snapshot!(broken(&[("wait = \"30m\"", "wait = \"30months\"\npoll = \"500ms\"")]), @r#"
    error: `wait` is longer than seven days
       --> x.toml:110:8
        |
    110 | wait = "30months"
        |        ^^^^^^^^^^
        |
        = help: no step waits that long: check the unit

    error: `poll` of step `image` is shorter than a second
       --> x.toml:111:8
        |
    111 | poll = "500ms"
        |        ^^^^^^^
        |
        = help: write at least `1s`: the registry limits how often it is asked
    "#);
    insta::assert_snapshot!(broken(&[("environment = \"prod\"", "environment = \" \""), ("title = \"Production is healthy\"", "title = \"\"")]), @r#"
    error: `environment` is empty
     --> x.toml:4:15
      |
    4 | environment = " "
      |               ^^^
      |
      = help: write it, or remove the line

    error: `title` of step `health` is empty
       --> x.toml:175:9
        |
    175 | title = ""
        |         ^^
        |
        = help: write a `title`
    "#);
}
