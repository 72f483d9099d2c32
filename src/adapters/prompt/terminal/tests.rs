//! A person at a pseudo terminal, answering.

use std::collections::VecDeque;

use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::{Signal as Sent, raise};

use super::super::tests::question;
use super::*;
use crate::event::Strength;
use crate::plan::approval::Consent;

/// What happens once the prompt is on the screen.
enum Then {
    Type(&'static str),
    Raise(Sent),
}

/// The person's side of a pseudo terminal: sees what is printed, and answers each prompt.
struct Person {
    master: File,
    seen: Arc<Mutex<String>>,
    script: VecDeque<Then>,
}

impl Write for Person {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).unwrap();
        self.seen.lock().unwrap().push_str(text);
        if text.ends_with(": ") {
            match self.script.pop_front().expect("asked more often than expected") {
                Then::Type(keys) => self.master.write_all(keys.as_bytes())?,
                Then::Raise(signal) => raise(signal)?,
            }
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn seated(script: impl IntoIterator<Item = Then>) -> (TerminalPrompt, Arc<Mutex<String>>, File) {
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    let master = File::from(master);
    let seen = Arc::new(Mutex::new(String::new()));
    let script = script.into_iter().collect();
    let person = Person { master: master.try_clone().unwrap(), seen: seen.clone(), script };
    let prompt = TerminalPrompt {
        terminal: slave.is_terminal(),
        menus: true,
        input: File::from(slave),
        output: Mutex::new(Box::new(person)),
        columns: Box::new(|| 60),
        screen: Arc::new(crate::report::NoScreen),
        pager: None,
        redactor: Redactor::default(),
        stops: vec![SignalKind::user_defined1()],
    };
    (prompt, seen, master)
}

async fn answered(question: &Question, keys: &'static str) -> (bool, String) {
    let (prompt, seen, _master) = seated([Then::Type(keys)]);
    let answer = prompt.ask(question).await.unwrap().unwrap();
    let yes = Consent::answered(question, &answer).is_ok();
    let seen = seen.lock().unwrap().clone();
    (yes, seen)
}

#[tokio::test]
async fn only_the_word_itself_is_a_yes() {
    assert!(answered(&question(), "yes\n").await.0);
    for keys in ["y\n", "Yes\n", "\n", "no\n", "yes please\n", "\u{4}"] {
        let (yes, seen) = answered(&question(), keys).await;
        assert!(!yes, "{keys:?}");
        assert!(seen.ends_with("declined apply: only `yes` goes on\n"), "{seen}");
    }
}

#[tokio::test]
async fn asking_for_details_that_there_are_none_of_declines_nothing() {
    let (prompt, seen, _master) = seated([Then::Type("d\n"), Then::Type("yes\n")]);
    let answer = prompt.ask(&question()).await.unwrap().unwrap();
    assert!(Consent::answered(&question(), &answer).is_ok());
    assert!(seen.lock().unwrap().contains("there are no further details"));
}

#[tokio::test]
async fn what_was_not_expected_wants_the_environment_typed() {
    let typed = Question { strength: Strength::Typed { text: "prod".into() }, expected: false, ..question() };
    for (second, goes_on) in [("prod\n", true), ("yes\n", false), ("\n", false)] {
        let (prompt, seen, _master) = seated([Then::Type("yes\n"), Then::Type(second)]);
        let answer = prompt.ask(&typed).await.unwrap().unwrap();
        assert_eq!(Consent::answered(&typed, &answer).is_ok(), goes_on, "{second:?}");
        assert!(seen.lock().unwrap().contains("`yes` is not enough for this: type `prod`"), "{seen:?}");
    }
    let (yes, seen) = answered(&typed, "prod\n").await;
    assert!(yes);
    insta::assert_snapshot!(seen, @r###"
apply: Apply the plan to production
  - replace module.catalog-airflow.aws_instance.instance
  warning: this holds more than the runbook expects; read
  it line by line
  digest 0123456789ab
Type `prod` to go on; anything else declines:
"###);
}

#[tokio::test]
async fn details_are_shown_and_asked_about_again() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "the \u{1b}[1mwhole\u{1b}[0m plan\n").unwrap();
    let asked = Question { details: Some(file.path().display().to_string()), ..question() };
    let (prompt, seen, _master) = seated([Then::Type("d\n"), Then::Type("yes\n")]);
    assert_eq!(prompt.ask(&asked).await.unwrap().unwrap().text, "yes");
    assert!(seen.lock().unwrap().contains("`d` for the details"));
    assert!(seen.lock().unwrap().contains("the whole plan\n"), "{seen:?}");
}

#[tokio::test]
async fn a_signal_ends_the_question_without_an_answer() {
    let (mut prompt, _, _master) = seated([Then::Raise(Sent::SIGUSR2)]);
    // One that no other test of this process listens to.
    prompt.stops = vec![SignalKind::user_defined2()];
    assert_eq!(prompt.ask(&question()).await.unwrap(), None);
}

#[tokio::test]
async fn what_was_typed_before_the_question_is_no_answer() {
    let (prompt, _, mut master) = seated([Then::Type("no\n")]);
    master.write_all(b"yes\n").unwrap();
    assert_eq!(prompt.ask(&question()).await.unwrap().unwrap().text, "no");
}

#[tokio::test]
async fn where_there_are_no_menus_a_number_is_typed() {
    let cases =
        [("1\n", Some(0)), ("2\n", Some(1)), ("\n", Some(1)), ("0\n", Some(1)), ("3\n", Some(1)), ("\u{4}", None)];
    for (keys, chosen) in cases {
        let (mut prompt, seen, _master) = seated([Then::Type(keys)]);
        prompt.menus = false;
        assert_eq!(prompt.choose("what now?", &["resume", "leave"]).await.unwrap(), chosen, "{keys:?}");
        let seen = seen.lock().unwrap().clone();
        let asked = "what now?\n  1 resume\n  2 leave\nType a number; anything else means 2: ";
        assert!(seen.starts_with(asked) && !seen.contains('\u{1b}'), "{seen:?}");
    }
}

#[tokio::test]
async fn without_a_terminal_nobody_is_asked() {
    let (mut prompt, seen, _master) = seated([]);
    prompt.terminal = false;
    assert_eq!(prompt.ask(&question()).await.unwrap(), None);
    assert_eq!(prompt.choose("what now?", &["resume", "leave"]).await.unwrap(), None);
    assert!(seen.lock().unwrap().is_empty());
}
