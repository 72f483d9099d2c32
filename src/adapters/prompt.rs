//! Asking people. An answer is only an [`Answer`]; whether it is a yes is judged in `plan::approval`.
//!
//! Flags answer first, then the terminal. Nothing here ever answers yes by itself, but for a rehearsal's `--yes`.

mod flags;
pub mod menu;
mod terminal;

use async_trait::async_trait;

use super::ServiceError;
use crate::event::{AnsweredBy, Question};
use crate::plan::approval::{Answer, Consent};
use crate::report::words::needed;

pub use flags::FlagAnswers;
pub use terminal::TerminalPrompt;

#[async_trait]
pub trait Prompt: Send + Sync {
    /// Whether there is anybody to ask. Where not, an unanswered gate ends the run with exit 5.
    fn can_ask(&self) -> bool;

    /// Whether a person is there, for what nothing may answer beforehand.
    fn attended(&self) -> bool {
        false
    }

    /// Whether a person is waited for if this is asked.
    fn waits(&self, _question: &Question) -> bool {
        self.attended()
    }

    /// As [`Prompt::ask`], by a person alone: no flag and no rehearsal answers this.
    ///
    /// # Errors
    /// As for [`Prompt::ask`].
    async fn ask_person(&self, question: &Question) -> Result<Option<Answer>, ServiceError> {
        if self.attended() { self.ask(question).await } else { Ok(None) }
    }

    /// The answer, a declining one included. `None`: nobody answered, because nobody can be asked or because a signal
    /// (Ctrl-C) asked the run to stop.
    ///
    /// # Errors
    /// The terminal could not be read or written.
    async fn ask(&self, question: &Question) -> Result<Option<Answer>, ServiceError>;

    /// The index of the chosen option; `None` as for [`Prompt::ask`], or because the person wants none.
    ///
    /// # Errors
    /// As for [`Prompt::ask`].
    async fn choose(&self, text: &str, options: &[&str]) -> Result<Option<usize>, ServiceError>;
}

/// `--no-input`: nobody is asked.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

#[async_trait]
impl Prompt for Nobody {
    fn can_ask(&self) -> bool {
        false
    }
    async fn ask(&self, _: &Question) -> Result<Option<Answer>, ServiceError> {
        Ok(None)
    }
    async fn choose(&self, _: &str, _: &[&str]) -> Result<Option<usize>, ServiceError> {
        Ok(None)
    }
}

/// `rehearse --yes`: answers every gate. Made only by the rehearsal, whose world is not the real one.
#[derive(Debug, Clone, Copy)]
pub struct RehearsalYes;

#[async_trait]
impl Prompt for RehearsalYes {
    fn can_ask(&self) -> bool {
        true
    }
    async fn ask(&self, question: &Question) -> Result<Option<Answer>, ServiceError> {
        Ok(Some(Answer {
            gate: question.gate.clone(),
            text: needed(question).to_owned(),
            digest: Some(question.digest.clone()),
            by: AnsweredBy::Rehearsal,
        }))
    }
    async fn choose(&self, _: &str, _: &[&str]) -> Result<Option<usize>, ServiceError> {
        Ok(None)
    }
}

#[async_trait]
impl Prompt for Box<dyn Prompt> {
    fn can_ask(&self) -> bool {
        self.as_ref().can_ask()
    }
    fn attended(&self) -> bool {
        self.as_ref().attended()
    }
    fn waits(&self, question: &Question) -> bool {
        self.as_ref().waits(question)
    }
    async fn ask_person(&self, question: &Question) -> Result<Option<Answer>, ServiceError> {
        self.as_ref().ask_person(question).await
    }
    async fn ask(&self, question: &Question) -> Result<Option<Answer>, ServiceError> {
        self.as_ref().ask(question).await
    }
    async fn choose(&self, text: &str, options: &[&str]) -> Result<Option<usize>, ServiceError> {
        self.as_ref().choose(text, options).await
    }
}

/// Flags first, then whoever can be asked.
pub struct FlagsThen<P> {
    flags: FlagAnswers,
    then: P,
}

impl<P: Prompt> FlagsThen<P> {
    pub fn new(flags: FlagAnswers, then: P) -> Self {
        Self { flags, then }
    }

    pub fn flags(&self) -> &FlagAnswers {
        &self.flags
    }
}

#[async_trait]
impl<P: Prompt> Prompt for FlagsThen<P> {
    fn can_ask(&self) -> bool {
        self.then.can_ask()
    }

    fn attended(&self) -> bool {
        self.then.attended()
    }

    fn waits(&self, question: &Question) -> bool {
        self.then.waits(question)
            && self.flags.given(question).is_none_or(|it| Consent::answered(question, &it).is_err())
    }

    async fn ask_person(&self, question: &Question) -> Result<Option<Answer>, ServiceError> {
        self.then.ask_person(question).await
    }

    async fn ask(&self, question: &Question) -> Result<Option<Answer>, ServiceError> {
        let Some(answer) = self.flags.take(question) else {
            return self.then.ask(question).await;
        };
        match Consent::answered(question, &answer) {
            // A flag for something else (an older plan, fewer changes) is no answer to this: the person at the
            // terminal is told and asked. Without one it goes back, for the caller to say why it does not hold.
            Err(why) if self.then.can_ask() => {
                let mut told = question.clone();
                told.summary.push(format!("--approve did not answer this: {why}"));
                self.then.ask(&told).await
            }
            _ => Ok(Some(answer)),
        }
    }

    async fn choose(&self, text: &str, options: &[&str]) -> Result<Option<usize>, ServiceError> {
        self.then.choose(text, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Strength;
    use std::sync::Mutex;

    pub fn question() -> Question {
        Question {
            gate: "apply".into(),
            title: "Apply the plan to production".into(),
            summary: vec!["replace module.catalog-airflow.aws_instance.instance".into()],
            digest: "sha256:0123456789abcdef0123".into(),
            expected: true,
            strength: Strength::Yes,
            details: None,
        }
    }

    /// Remembers what it was asked, and declines.
    #[derive(Default)]
    struct Declines(Mutex<Vec<Question>>);

    #[async_trait]
    impl Prompt for Declines {
        fn can_ask(&self) -> bool {
            true
        }
        fn attended(&self) -> bool {
            true
        }
        async fn ask(&self, question: &Question) -> Result<Option<Answer>, ServiceError> {
            self.0.lock().unwrap().push(question.clone());
            let (gate, by) = (question.gate.clone(), AnsweredBy::Terminal);
            Ok(Some(Answer { gate, text: "no".into(), digest: None, by }))
        }
        async fn choose(&self, _: &str, _: &[&str]) -> Result<Option<usize>, ServiceError> {
            Ok(Some(1))
        }
    }

    fn flags(list: &[&str]) -> FlagAnswers {
        FlagAnswers::parse(list).unwrap()
    }

    #[tokio::test]
    async fn a_flag_answers_once_then_the_person_is_asked() {
        let prompt = FlagsThen::new(flags(&["apply"]), Declines::default());
        assert!(!prompt.waits(&question()), "answered beforehand");
        assert_eq!(prompt.ask(&question()).await.unwrap().unwrap().by, AnsweredBy::Flag);
        assert_eq!(prompt.ask(&question()).await.unwrap().unwrap().by, AnsweredBy::Terminal);
        assert!(prompt.waits(&question()));
        assert_eq!(prompt.choose("", &[]).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn a_flag_for_an_older_plan_leads_to_the_person_who_is_told() {
        let prompt = FlagsThen::new(flags(&["apply@sha256:ffffffffffffffff"]), Declines::default());
        assert_eq!(prompt.ask(&question()).await.unwrap().unwrap().by, AnsweredBy::Terminal);
        let asked = prompt.then.0.lock().unwrap();
        assert!(asked[0].summary[1].starts_with("--approve did not answer this: approved sha256:ff"), "{asked:?}");
        assert_eq!(asked[0].digest, question().digest);
    }

    #[tokio::test]
    async fn without_anybody_a_stale_flag_comes_back_to_be_refused_with_its_reason() {
        let prompt = FlagsThen::new(flags(&["apply@sha256:ffffffffffffffff"]), Nobody);
        let answer = prompt.ask(&question()).await.unwrap().unwrap();
        assert!(Consent::answered(&question(), &answer).is_err());
        assert_eq!(prompt.ask(&question()).await.unwrap(), None);
        assert!(!prompt.can_ask());
    }

    #[tokio::test]
    async fn a_rehearsal_types_what_is_needed() {
        let typed = Question { strength: Strength::Typed { text: "prod".into() }, expected: false, ..question() };
        let answer = RehearsalYes.ask(&typed).await.unwrap().unwrap();
        assert_eq!(answer.text, "prod");
        assert!(Consent::answered(&typed, &answer).is_ok());
    }
}
