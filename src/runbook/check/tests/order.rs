//! The steps among each other.

use super::*;
use crate::runbook::check::order::{ONCE, ORDER};
use crate::runbook::schema::Runbook;

#[test]
fn give_back_names_an_earlier_step_that_holds() {
    insta::assert_snapshot!(broken(&[("of = \"flag\"", "of = \"flga\"")]), @r#"
    error: step `flag-back` gives back `flga`, and there is no such step
       --> x.toml:192:6
        |
    192 | of = "flga"
        |      ^^^^^^ unknown step
        |
        = help: did you mean `flag`?
    "#);
    insta::assert_snapshot!(broken(&[("of = \"flag\"", "of = \"image\"")]), @r#"
    error: step `flag-back` gives back step `image`, which holds nothing
       --> x.toml:192:6
        |
    153 | kind = "image-ready"
        |        ------------- `image-ready` holds nothing
    ...
    192 | of = "image"
        |      ^^^^^^^
        |
        = help: steps that hold something: `set-flag`, `dags-hold`, `bump`, and `shell` with `undo`
    "#);
    let moved = broken(&[(step("flag-back"), ""), (step("flag"), &format!("{}{}", step("flag-back"), step("flag")))]);
    insta::assert_snapshot!(moved, @r#"
    error: step `flag-back` gives back step `flag`, which comes later
       --> x.toml:179:6
        |
    179 | of = "flag"
        |      ^^^^^^
    180 |
    181 | [[step]]
        | -------- it comes here
        |
        = help: move step `flag-back` below step `flag`
    "#);
    let early = broken(&[(step("flag-back"), ""), (step("apply"), &format!("{}{}", step("flag-back"), step("apply")))]);
    insta::assert_snapshot!(early, @r#"
    error: step `flag-back` gives back step `flag` before the apply that needs it
       --> x.toml:184:6
        |
    184 | of = "flag"
        |      ^^^^^^
    ...
    188 | kind = "apply"
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
       --> x.toml:177:8
        |
    177 | kind = "set-flag"
        |        ^^^^^^^^^^ the flag stays true
        |
        = help: add a step after the apply with `kind = "give-back"` and `of = "flag"`
    "#);
    insta::assert_snapshot!(broken(&[(step("unpause"), "")]), @r#"
    error: nothing gives back what step `hold-dags` holds
       --> x.toml:172:8
        |
    172 | kind = "dags-hold"
        |        ^^^^^^^^^^^ the DAGs stay paused
        |
        = help: add a step after the apply with `kind = "give-back"` and `of = "hold-dags"`
    "#);
}

#[test]
fn a_heartbeat_comes_after_an_apply() {
    let wait = "[[step]]\nid = \"s\"\nkind = \"shell\"\ntitle = \"s\"\nrun = [\"a\"]\nundo = [\"b\"]\n\n\
                [[step]]\nid = \"t\"\nkind = \"give-back\"\ntitle = \"t\"\nof = \"s\"\nafter_heartbeat = true\n\n";
    insta::assert_snapshot!(broken(&[(step("bump"), &format!("{wait}{}", step("bump")))]), @"
    error: step `t` waits for a new scheduler, and no earlier step starts one
       --> x.toml:170:19
        |
    170 | after_heartbeat = true
        |                   ^^^^
        |
        = help: put it after the `apply` step, or remove `after_heartbeat`
    ");
}

#[test]
fn order_and_number_of_steps() {
    insta::assert_snapshot!(broken(&[(step("bump"), ""), (step("flag-back"), &format!("{}{}", step("bump"), step("flag-back")))]), @r#"
    error: step `bump` must come before step `apply`
       --> x.toml:183:8
        |
    175 | kind = "apply"
        |        ------- `apply`: it would apply the earlier version
    ...
    183 | kind = "bump"
        |        ^^^^^^ `bump`
        |
        = help: move step `bump` up
    "#);
    let again = step("apply").replace("\"apply\"\nkind", "\"again\"\nkind");
    insta::assert_snapshot!(broken(&[(step("apply"), &format!("{}{again}", step("apply")))]), @r#"
    error: a runbook can have one `apply` step
       --> x.toml:190:8
        |
    182 | kind = "apply"
        |        ------- the first one
    ...
    190 | kind = "apply"
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
