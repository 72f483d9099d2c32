//! Tables outside the steps, and single values.

use super::*;
use crate::runbook::check::text::address;

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
fn addresses() {
    insta::assert_snapshot!(broken(&[("https://airflow.openverse", "http://airflow.openverse")]), @r#"
    error: `airflow.url` is no address that can be used
      --> x.toml:25:7
       |
    25 | url = "http://airflow.openverse.engineering"
       |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ plain http beyond this machine
       |
       = help: use https: http is accepted for loopback only
    "#);
    insta::assert_snapshot!(broken(&[("https://ghcr.io", "https://me:secret@ghcr.io")]), @r#"
    error: `registry.url` is no address that can be used
      --> x.toml:21:7
       |
    21 | url = "https://*********@ghcr.io"
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
        assert_eq!(address(good), None, "{good}");
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
        assert!(address(bad).is_some(), "{bad}");
    }
}

#[test]
fn commands() {
    insta::assert_snapshot!(broken(&[("plan = [\"just\", \"plan\", \"prod\", \"catalog-airflow\"]", "plan = []")]), @"
    error: `infrastructure.plan` is an empty command
      --> x.toml:52:8
       |
    52 | plan = [] # inferred for 2023-2024
       |        ^^
       |
       = help: write program and arguments
    ");
    insta::assert_snapshot!(broken(&[("plan = [\"just\", \"plan\", \"prod\", \"catalog-airflow\"]", "plan = [\"just plan\"]")]), @r#"
    error: `infrastructure.plan` is one word with spaces, and nothing goes through a shell
      --> x.toml:52:9
       |
    52 | plan = ["just plan"] # inferred for 2023-2024
       |         ^^^^^^^^^^^
       |
       = help: write ["just", "plan"]
    "#);
    insta::assert_snapshot!(broken(&[("apply = [\"just\"", "apply = [\"\"")]), @r#"
    error: `infrastructure.apply` has an empty program
      --> x.toml:53:10
       |
    53 | apply = ["", "apply", "prod", "catalog-airflow"]
       |          ^^
       |
       = help: write program and arguments
    "#);
}

#[test]
fn paths_stay_inside_the_repository() {
    insta::assert_snapshot!(broken(&[("directory = \"environments/prod\"", "directory = \"/srv/infra\"")]), @r#"
    error: `infrastructure.directory` must lie inside the repository
      --> x.toml:50:13
       |
    50 | directory = "/srv/infra"
       |             ^^^^^^^^^^^^ it is not relative
       |
       = help: write it relative to the repository's root, without `..`
    "#);
    insta::assert_snapshot!(broken(&[("file = \"environments/prod", "file = \"environments/../../prod")]), @r#"
    error: `infrastructure.version.file` must lie inside the repository
      --> x.toml:58:8
       |
    58 | file = "environments/../../prod/catalog-airflow.tf"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ it leads upwards
       |
       = help: write it relative to the repository's root, without `..`
    "#);
    insta::assert_snapshot!(broken(&[("build_paths = [\"catalog\", \"docker/minio\", \"docker/upstream_db\", \"docker-compose.yml\"]", "build_paths = [\"\", \"~/x\", \"..x\", \"C:/x\", \"日\"]")]), @r#"
    error: a path in `build_paths` must lie inside the repository
       --> x.toml:133:16
        |
    133 | build_paths = ["", "~/x", "..x", "C:/x", "日"]
        |                ^^ it is empty
        |
        = help: write it relative to the repository's root, without `..`

    error: a path in `build_paths` must lie inside the repository
       --> x.toml:133:20
        |
    133 | build_paths = ["", "~/x", "..x", "C:/x", "日"]
        |                    ^^^^^ it is not relative
        |
        = help: write it relative to the repository's root, without `..`

    error: a path in `build_paths` must lie inside the repository
       --> x.toml:133:34
        |
    133 | build_paths = ["", "~/x", "..x", "C:/x", "日"]
        |                                  ^^^^^^ it is not relative
        |
        = help: write it relative to the repository's root, without `..`
    "#);
}

#[test]
fn expected_changes() {
    insta::assert_snapshot!(broken(&[("[\"delete/create\", \"create/delete\"]", "[\"replace\", \"updaet\", \"x\"]")]), @r#"
    error: Terraform has no action `replace`
      --> x.toml:70:12
       |
    70 | actions = ["replace", "updaet", "x"]
       |            ^^^^^^^^^
       |
       = help: Terraform plans a replacement as `delete/create` or `create/delete`

    error: Terraform has no action `updaet`
      --> x.toml:70:23
       |
    70 | actions = ["replace", "updaet", "x"]
       |                       ^^^^^^^^
       |
       = help: did you mean `update`?

    error: Terraform has no action `x`
      --> x.toml:70:33
       |
    70 | actions = ["replace", "updaet", "x"]
       |                                 ^^^
       |
       = help: one of update, delete/create, create/delete, create, delete
    "#);
    insta::assert_snapshot!(broken(&[("[\"delete/create\", \"create/delete\"]", "[]"), ("module.catalog-airflow.*.instance", "*.*")]), @r#"
    error: the address `*.*` would expect every change
      --> x.toml:69:11
       |
    69 | address = "*.*"
       |           ^^^^^
       |
       = help: name the module and the resource, e.g. `module.catalog-airflow.aws_instance.*`

    error: an expected change with no actions
      --> x.toml:70:11
       |
    70 | actions = []
       |           ^^
       |
       = help: list what may happen to it: update, delete/create, create/delete, create, delete
    "#);
}

#[test]
fn one_attribute_cannot_be_flag_and_version() {
    insta::assert_snapshot!(broken(&[("\"running_dags_cleared\"", "\"docker_image_tag\"")]), @r#"
    error: `infrastructure.flag` and `infrastructure.version` are the same attribute
      --> x.toml:65:13
       |
    65 | attribute = "docker_image_tag"
       |             ^^^^^^^^^^^^^^^^^^
       |
       = help: the flag is the one that is true for a deploy only
    "#);
}

#[test]
fn values_that_would_fail_in_a_run() {
    insta::assert_snapshot!(broken(&[("image = \"wordpress/openverse-catalog\"", "image = \"WordPress/openverse-catalog\"")]), @r#"
    error: no registry has an image called `WordPress/openverse-catalog`
      --> x.toml:22:9
       |
    22 | image = "WordPress/openverse-catalog"
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write `wordpress/openverse-catalog`
    "#);
    insta::assert_snapshot!(broken(&[("image = \"wordpress/openverse-catalog\"", "image = \"ghcr.io/x:latest\"")]), @r#"
    error: no registry has an image called `ghcr.io/x:latest`
      --> x.toml:22:9
       |
    22 | image = "ghcr.io/x:latest"
       |         ^^^^^^^^^^^^^^^^^^
       |
       = help: write the repository alone, e.g. `wordpress/openverse-catalog`: no host, no tag
    "#);
    insta::assert_snapshot!(broken(&[("\"ci_cd.yml\"", "\".github/workflows/ci_cd.yml\"")]), @r#"
    error: `build_workflow` of step `publish` must be a workflow's file name, without a folder
       --> x.toml:131:18
        |
    131 | build_workflow = ".github/workflows/ci_cd.yml"
        |                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        |
        = help: write `ci_cd.yml`
    "#);
    insta::assert_snapshot!(broken(&[("wait = \"30m\"", "wait = \"30months\"\npoll = \"500ms\"")]), @r#"
    error: `wait` is longer than seven days
       --> x.toml:156:8
        |
    156 | wait = "30months"
        |        ^^^^^^^^^^
        |
        = help: no step waits that long: check the unit

    error: `poll` of step `image` is shorter than a second
       --> x.toml:157:8
        |
    157 | poll = "500ms"
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
       --> x.toml:204:9
        |
    204 | title = ""
        |         ^^
        |
        = help: write a `title`
    "#);
}
