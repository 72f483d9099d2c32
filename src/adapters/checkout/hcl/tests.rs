use proptest::prelude::*;

use super::*;

const FILE: &str = "environments/prod/catalog-airflow.tf";

fn block() -> Vec<String> {
    vec!["module".into(), "catalog-airflow".into()]
}

/// CRLF, tabs, comments of all kinds, a heredoc and an interpolation around the two attributes.
const TEXT: &str = "# running_dags_cleared = true\r\nlocals {\r\n  docker_image_tag = \"elsewhere\"\r\n}\r\n\
module \"catalog-airflow\" {\r\n\tsource = \"../../modules/${local.x}\" /* a */\r\n  docker_image_tag     = \"rel-1\" # tag\r\n\
  running_dags_cleared=false // \u{fc}ber\r\n  notes = <<-EOT\r\n    running_dags_cleared = true\r\n  EOT\r\n\
  nested {\r\n    running_dags_cleared = true\r\n  }\r\n  deep = { running_dags_cleared = true }\r\n}\r\n\
module \"other\" {\r\n  running_dags_cleared = true\r\n}\r\n";

#[test]
fn finds_the_literal_and_its_line() {
    let found = find_attribute(TEXT.as_bytes(), FILE, &block(), "running_dags_cleared").unwrap();
    assert_eq!(found, Attribute { literal: "false".into(), line: 8 });
    let found = find_attribute(TEXT.as_bytes(), FILE, &block(), "docker_image_tag").unwrap();
    assert_eq!(found, Attribute { literal: "\"rel-1\"".into(), line: 7 });
    let found = find_attribute(TEXT.as_bytes(), FILE, &["locals".into()], "docker_image_tag").unwrap();
    assert_eq!(found.literal, "\"elsewhere\"");
    assert_eq!(find_attribute(b"tag = \"x\"\n", "a.tfvars", &[], "tag").unwrap().literal, "\"x\"");
}

#[test]
fn replaces_only_the_literal_and_keeps_a_bom() {
    let bytes = [b"\xef\xbb\xbf", TEXT.as_bytes()].concat();
    let replaced = replace_attribute(&bytes, FILE, &block(), "running_dags_cleared", "true").unwrap();
    let wanted = String::from_utf8(bytes.clone()).unwrap().replace("cleared=false", "cleared=true");
    assert_eq!(String::from_utf8(replaced.clone()).unwrap(), wanted);
    assert_eq!(replace_attribute(&replaced, FILE, &block(), "running_dags_cleared", "false").unwrap(), bytes);
}

#[test]
fn errors_name_file_and_line_and_help() {
    let say = |text: &str, block: &[String], name: &str| {
        find_attribute(text.as_bytes(), FILE, block, name).unwrap_err().to_string()
    };
    assert!(say(TEXT, &block(), "running_dag_cleared").contains("did you mean `running_dags_cleared`?"));
    let other = ["module".to_owned(), "catalog-airflw".to_owned()];
    assert!(say(TEXT, &other, "x").contains("did you mean `module catalog-airflow`?"));
    assert!(say("a = 1\nb = {\n", &[], "a").contains(&format!("{FILE}:")), "{}", say("a = 1\nb = {\n", &[], "a"));
    let twice = "locals {\n  a = true\n}\n\nlocals {\n  a = false\n}\n";
    assert!(say(twice, &["locals".into()], "a").contains("lines 2 and 6"));
    for value in ["\"${x}\"", "var.x", "(true)", "!true", "<<A\nx\nA\n", "1", "\"%{ if a }b%{ endif }\""] {
        let error = say(&format!("\na = {value}\n"), &[], "a");
        assert!(error.contains(&format!("{FILE}:2:")) && error.contains("plain"), "{value}: {error}");
    }
    let error = find_attribute(b"a = true\nb = \"\xff\"\n", FILE, &[], "a").unwrap_err().to_string();
    assert!(error.contains(&format!("{FILE}:2: not UTF-8")), "{error}");
}

#[test]
fn a_repeated_attribute_in_one_body_is_an_error() {
    let error = find_attribute(b"a = true\na = false\n", FILE, &[], "a").unwrap_err().to_string();
    assert!(error.contains(FILE) && error.contains('2'), "{error}");
}

#[test]
fn only_plain_literals_are_written() {
    for literal in ["\"${x}\"", "var.x", "1", "true # x", "\"a\" \"b\"", "\"a\nb\"", "", "\"", "\"\\\"", "true\n"] {
        let error = replace_attribute(TEXT.as_bytes(), FILE, &block(), "docker_image_tag", literal).unwrap_err();
        assert!(matches!(error, HclError::NotWritable { .. }), "{literal}: {error}");
    }
    for literal in ["\"\"", "\"a\\\"b\"", "\"$${x}\"", "\"\u{fc}\"", "true"] {
        replace_attribute(TEXT.as_bytes(), FILE, &block(), "docker_image_tag", literal).unwrap();
    }
}

proptest! {
    // A failure prints its input; nothing is written beside the sources.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_splice_changes_only_its_own_bytes(
        value in "[ -~\u{e4}-\u{ff}]{0,24}", before in "[ \t]{0,4}", comment in "[ -~]{0,20}", crlf: bool, bom: bool,
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let literal =
            format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$ {").replace("%{", "% {"));
        let head = format!("{}# {comment}{end}module \"catalog-airflow\" {{{end}{before}tag ={before}",
            if bom { "\u{feff}" } else { "" });
        let tail = format!("{before}# {comment}{end}  other = \"${{var.x}}\"{end}}}{end}");
        let text = format!("{head}\"old\"{tail}");
        let replaced = replace_attribute(text.as_bytes(), FILE, &block(), "tag", &literal).unwrap();
        prop_assert_eq!(String::from_utf8(replaced.clone()).unwrap(), format!("{head}{literal}{tail}"));
        prop_assert_eq!(find_attribute(&replaced, FILE, &block(), "tag").unwrap().literal, literal);
    }

    #[test]
    fn no_input_makes_it_panic(text in "(?s).{0,80}") {
        let _ = replace_attribute(text.as_bytes(), FILE, &[], "a", "true");
    }
}
