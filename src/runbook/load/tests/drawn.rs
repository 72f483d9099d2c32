//! What a person is shown, whole.

use super::*;

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(drawn(""), @r#"
    error: the runbook has no `format`
    --> runbooks/x.toml
     = help: add `format`: Version of this format: 1.

    error: the runbook has no `title`
    --> runbooks/x.toml
     = help: add `title`: What the procedure is for, in the words of the people who run it.

    error: the runbook has no `environment`
    --> runbooks/x.toml
     = help: add `environment`: Name of the environment, typed by a person where something unexpected would be destroyed.

    error: the runbook has no `step`
    --> runbooks/x.toml
     = help: add `step`: The steps, in order.

    error: the runbook has neither `lock` nor `alone = true`
    --> runbooks/x.toml
     = help: add `lock = "NAME"`, the same in all runbooks of this environment, or `alone = true` if nobody else deploys it

    error: could not use the runbook runbooks/x.toml: 5 problems
    "#);
}

#[test]
fn syntax_errors_are_told_all_and_alone() {
    insta::assert_snapshot!(drawn("format = \ntitle = \"x\n[[step]\nid = 1\n"), @r#"
    error: string values must be quoted, expected literal string
     --> runbooks/x.toml:1:10
      |
    1 | format = 
      |          ^
      |
      = help: put text into quotes, numbers and true or false not

    error: invalid basic string, expected `"`
     --> runbooks/x.toml:2:11
      |
    2 | title = "x
      |           ^
      |
      = help: close the text with a quote on the same line, or begin it with three

    error: unclosed array table, expected `]`
     --> runbooks/x.toml:3:8
      |
    3 | [[step]
      |        ^

    error: could not use the runbook runbooks/x.toml: 3 problems
    "#);
}

#[test]
fn a_doubled_key_does_not_hide_the_rest() {
    insta::assert_snapshot!(drawn(&LITTLE.replace("alone = true", "alone = true\nalone = false\nslakc = 1")), @r#"
    error: duplicate key
     --> runbooks/x.toml:5:1
      |
    5 | alone = false
      | ^^^^^
      |
      = help: a key may be written once in a table: remove one of the two

    error: the runbook has no key `slakc`
     --> runbooks/x.toml:6:1
      |
    6 | slakc = 1
      | ^^^^^ unknown key
      |
      = help: did you mean `slack`?

    error: could not use the runbook runbooks/x.toml: 2 problems
    "#);
}

#[test]
fn a_file_of_a_newer_format_is_told_as_that_alone() {
    insta::assert_snapshot!(drawn("format = 2\nnew_thing = true\n"), @r#"
    error: this runbook has format 2; this catalog-deploy reads format 1
     --> runbooks/x.toml:1:10
      |
    1 | format = 2
      |          ^ newer than this program
      |
      = help: update catalog-deploy, or use the runbook's version from before the change of format

    error: could not use the runbook runbooks/x.toml: 1 problem
    "#);
    insta::assert_snapshot!(drawn(&LITTLE.replace("format = 1", "format = 0")), @r#"
    error: `format` is out of range
     --> runbooks/x.toml:1:10
      |
    1 | format = 0
      |          ^ it must be 1

    error: could not use the runbook runbooks/x.toml: 1 problem
    "#);
}

#[test]
fn a_huge_file_is_refused() {
    insta::assert_snapshot!(drawn(&" ".repeat(LARGEST + 1)), @r#"
    error: the file has 1025 KiB; a runbook has at most 1024 KiB
    --> runbooks/x.toml
     = help: is this the right file?

    error: could not use the runbook runbooks/x.toml: 1 problem
    "#);
    assert_eq!(drawn(&format!("{LITTLE}{}", " ".repeat(LARGEST - LITTLE.len()))), "no problem");
}

#[test]
fn bytes_that_are_no_text() {
    insta::assert_snapshot!(drawn("format = 1\ntitle\0 = \"x\"\n"), @r#"
    error: invalid unquoted key, expected letters, numbers, `-`, `_`
     --> runbooks/x.toml:2:6
      |
    2 | title␀ = "x"
      |      ^
      |
      = help: a key of other letters needs quotes

    error: could not use the runbook runbooks/x.toml: 1 problem
    "#);
}

#[test]
fn hidden_characters() {
    insta::assert_snapshot!(drawn(&LITTLE.replace("\"Look.\"", r#""Look.\u001b[8m""#)), @r#"
    error: this text holds the control character U+001B
      --> runbooks/x.toml:10:16
       |
    10 | instructions = "Look.\u001b[8m"
       |                ^^^^^^^^^^^^^^^^
       |
       = help: remove it: it would not be seen on a terminal

    error: could not use the runbook runbooks/x.toml: 1 problem
    "#);
}

#[test]
fn carets_stand_under_text_beyond_ascii() {
    let line = "slack = { channel = \"日本語 🔒 é\", chanel = \"x\" }";
    let text = LITTLE.replace("alone = true", &format!("alone = true\r\n{line}\r"));
    insta::assert_snapshot!(drawn(&text), @r#"
    error: `[slack]` has no key `chanel`
     --> runbooks/x.toml:5:32
      |
    5 | slack = { channel = "日本語 🔒 é", chanel = "x" }
      |                                    ^^^^^^ unknown key
      |
      = help: did you mean `channel`?

    error: could not use the runbook runbooks/x.toml: 1 problem
    "#);
}

#[test]
fn all_problems_at_once_of_shape_and_of_meaning() {
    let text = r#"format = 1
titel = "x"
environment = 3
lock = "a b"

[airflow]
url = "http://airflow.example.org"
short_wait = "2"

[[step]]
id = "go"
kind = "aply"
title = "Go"

[[step]]
id = "go"
kind = "set-flag"
title = "Flag"
"#;
    insta::assert_snapshot!(drawn(text), @r#"
    error: the runbook has no `title`
    --> runbooks/x.toml
     = help: add `title`: What the procedure is for, in the words of the people who run it.

    error: the runbook has no key `titel`
     --> runbooks/x.toml:2:1
      |
    2 | titel = "x"
      | ^^^^^ unknown key
      |
      = help: did you mean `title`?

    error: `environment` wants text in quotes
     --> runbooks/x.toml:3:15
      |
    3 | environment = 3
      |               ^ this is a whole number

    error: the lock cannot be called `a b`: it becomes part of a git ref
     --> runbooks/x.toml:4:8
      |
    4 | lock = "a b"
      |        ^^^^^
      |
      = help: use letters, digits, `-` and `_`

    error: `lock` needs `[infrastructure]`: the lock lives on that repository's remote
     --> runbooks/x.toml:4:8
      |
    4 | lock = "a b"
      |        ^^^^^
      |
      = help: add `[infrastructure]`, or say `alone = true`

    error: `[airflow]` has no `known_dag`
     --> runbooks/x.toml:6:1
      |
    6 | [airflow]
      | ^^^^^^^^^ `known_dag` is missing
      |
      = help: add `known_dag`: DAGs that should exist; if none of them can be seen, this account's "nothing runs" means nothing.

    error: `airflow.url` is no address that can be used
     --> runbooks/x.toml:7:7
      |
    7 | url = "http://airflow.example.org"
      |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^ plain http beyond this machine
      |
      = help: use https: http is accepted for loopback only

    error: `short_wait` is not a length of time: time unit needed, for example 2sec or 2ms
     --> runbooks/x.toml:8:14
      |
    8 | short_wait = "2"
      |              ^^^
      |
      = help: write it like `90s`, `15m` or `1h 30m`

    error: `kind` cannot be `aply`
      --> runbooks/x.toml:12:8
       |
    12 | kind = "aply"
       |        ^^^^^^ unknown value
       |
       = help: did you mean `apply`?

    error: two steps are called `go`
      --> runbooks/x.toml:16:6
       |
    11 | id = "go"
       |      ---- first used here
    ...
    16 | id = "go"
       |      ^^^^ used again
       |
       = help: a step's id names its gate and its place in the journal: give each its own

    error: step `go` needs `[infrastructure]`, which the runbook does not have
      --> runbooks/x.toml:17:8
       |
    17 | kind = "set-flag"
       |        ^^^^^^^^^^ `set-flag` needs it
       |
       = help: add `[infrastructure]`, or remove the step

    error: nothing gives back what step `go` holds
      --> runbooks/x.toml:17:8
       |
    17 | kind = "set-flag"
       |        ^^^^^^^^^^ the flag stays true
       |
       = help: add a step after the apply with `kind = "give-back"` and `of = "go"`

    error: could not use the runbook runbooks/x.toml: 12 problems
    "#);
}

#[test]
fn wrong_values_of_a_step() {
    let text = r#"
format = 1
title = "x"
environment = "x"
alone = true

[infrastructure]
repository = "https://github.com/WordPress/infra"
directory = "."
plan = "just plan"
apply = ["just", 1]
apply_with = "planfile"
expect = { address = "a", actions = ["update"] }
targets = "true"
slack = 1

[[infrastructure.version]]
file = "x"
attribute = "y"

[[step]]
id = "Two Words"
kind = "manual"
title = "x"
instructions = "x"
zebra = 1

[[step]]
id = "nothing"

[[step]]
id = "date"
kind = 1979-05-27
title = 1.5
"#;
    insta::assert_snapshot!(drawn(text), @r#"
    error: `repository` cannot be `https://github.com/WordPress/infra`
     --> runbooks/x.toml:8:14
      |
    8 | repository = "https://github.com/WordPress/infra"
      |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ does not match ^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$
      |
      = help: `owner/name`, for the pull request.

    error: `plan` wants a list
      --> runbooks/x.toml:10:8
       |
    10 | plan = "just plan"
       |        ^^^^^^^^^^^ this is text
       |
       = help: put it into brackets, each item in its own quotes

    error: item 2 of `apply` wants text in quotes
      --> runbooks/x.toml:11:18
       |
    11 | apply = ["just", 1]
       |                  ^ this is a whole number

    error: `apply_with` cannot be `planfile`
      --> runbooks/x.toml:12:14
       |
    12 | apply_with = "planfile"
       |              ^^^^^^^^^^ unknown value
       |
       = help: did you mean `plan-file`?

    error: `expect` wants a list
      --> runbooks/x.toml:13:10
       |
    13 | expect = { address = "a", actions = ["update"] }
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this is a table
       |
       = help: write it as `[[infrastructure.expect]]`, once for each

    error: `targets` wants `true` or `false`
      --> runbooks/x.toml:14:11
       |
    14 | targets = "true"
       |           ^^^^^^ this is text
       |
       = help: leave the quotes out

    error: `[infrastructure]` has no key `slack`
      --> runbooks/x.toml:15:1
       |
    15 | slack = 1
       | ^^^^^ unknown key
       |
       = help: `slack` is a table of the top level: write it as `[slack]`

    error: `version` wants a table
      --> runbooks/x.toml:17:1
       |
    17 | [[infrastructure.version]]
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^ this is a list
       |
       = help: write it as `[infrastructure.version]`, once

    error: `id` cannot be `Two Words`
      --> runbooks/x.toml:22:6
       |
    22 | id = "Two Words"
       |      ^^^^^^^^^^^ does not match ^[a-z][a-z0-9-]*$
       |
       = help: Name of the step and of its gate: lower case letters, digits and dashes.

    error: step `Two Words` has no key `zebra`
      --> runbooks/x.toml:26:1
       |
    26 | zebra = 1
       | ^^^^^ unknown key
       |
       = help: known here: `id`, `title`, `gate`, `locked`, `release_only`, `note`, `kind`, `instructions`

    error: step `nothing` has no `kind`
      --> runbooks/x.toml:28:1
       |
    28 | [[step]]
       | ^^^^^^^^ `kind` is missing
       |
       = help: add `kind`: one of `checkout-ready`, `identity`, `dags-clear`, `dags-hold`, `baseline`, `publish-release`, `image-ready`, `bump`, `set-flag`, `apply`, `give-back`, `approve-changelog`, `infrastructure-pull-request`, `post-checks`, `person-check`, `manual`, `shell`

    error: step `nothing` has no `title`
      --> runbooks/x.toml:28:1
       |
    28 | [[step]]
       | ^^^^^^^^ `title` is missing
       |
       = help: add `title`: What a maintainer calls it.

    error: `kind` wants text in quotes
      --> runbooks/x.toml:33:8
       |
    33 | kind = 1979-05-27
       |        ^^^^^^^^^^ this is a date

    error: `title` wants text in quotes
      --> runbooks/x.toml:34:9
       |
    34 | title = 1.5
       |         ^^^ this is a number with a fraction

    error: could not use the runbook runbooks/x.toml: 14 problems
    "#);
}
