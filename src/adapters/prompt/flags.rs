//! Answers given beforehand: `--approve GATE[@DIGEST]`.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Prompt, ServiceError};
use crate::event::{AnsweredBy, Question};
use crate::plan::approval::Answer;

/// Fewest digits by which a digest may be given: as many as are shown.
const SHORTEST: usize = 12;

/// Each answers at most one question.
#[derive(Debug, Default)]
pub struct FlagAnswers(Mutex<Vec<Approval>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Approval {
    gate: String,
    digest: Option<String>,
}

/// A value of `--approve` that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not understand --approve {0}: it is GATE or GATE@DIGEST, the digest with at least {SHORTEST} digits")]
pub struct NotAnApproval(pub String);

impl FlagAnswers {
    /// From the values of all `--approve` flags.
    ///
    /// # Errors
    /// The first value that is neither `GATE` nor `GATE@DIGEST`.
    pub fn parse<S: AsRef<str>>(values: &[S]) -> Result<Self, NotAnApproval> {
        let parsed: Result<Vec<_>, _> = values.iter().map(|value| Approval::parse(value.as_ref())).collect();
        parsed.map(|approvals| Self(Mutex::new(approvals)))
    }

    /// Gates for which an answer is left, to tell that one was never asked for.
    pub fn left(&self) -> Vec<String> {
        self.lock().iter().map(|approval| approval.gate.clone()).collect()
    }

    /// The answer to this question, used up: first one that names this very digest, then one that names none, then one
    /// for another digest (which will not hold, and says so).
    pub fn take(&self, question: &Question) -> Option<Answer> {
        let mut approvals = self.lock();
        let index = best(&approvals, question)?;
        Some(approvals.remove(index).answer(question))
    }

    /// What [`FlagAnswers::take`] would give.
    pub fn given(&self, question: &Question) -> Option<Answer> {
        let approvals = self.lock();
        best(&approvals, question).map(|index| approvals[index].clone().answer(question))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Approval>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn best(approvals: &[Approval], question: &Question) -> Option<usize> {
    let rank = |approval: &Approval| match &approval.digest {
        Some(digest) if names(digest, &question.digest) => 0,
        None => 1,
        Some(_) => 2,
    };
    let mine = approvals.iter().enumerate().filter(|(_, approval)| approval.gate == question.gate);
    mine.min_by_key(|(_, approval)| rank(approval)).map(|(index, _)| index)
}

impl Approval {
    /// The short form stands for the whole digest, so that what is recorded is exact.
    fn answer(self, question: &Question) -> Answer {
        let digest = self.digest.map(|it| if names(&it, &question.digest) { question.digest.clone() } else { it });
        Answer { gate: self.gate, text: "yes".into(), digest, by: AnsweredBy::Flag }
    }

    fn parse(value: &str) -> Result<Self, NotAnApproval> {
        let wrong = || NotAnApproval(value.to_owned());
        let (gate, digest) = match value.split_once('@') {
            Some((gate, digest)) => (gate, Some(digest.to_owned())),
            None => (value, None),
        };
        let named = !gate.is_empty() && gate.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        let exact = digest.as_deref().is_none_or(|digest| {
            let hex = hex(digest);
            hex.len() >= SHORTEST && hex.chars().all(|c| c.is_ascii_hexdigit())
        });
        if named && exact { Ok(Self { gate: gate.to_owned(), digest }) } else { Err(wrong()) }
    }
}

fn hex(digest: &str) -> &str {
    digest.rsplit_once(':').map_or(digest, |(_, hex)| hex)
}

/// `given` is `digest`, or its beginning as it was shown.
fn names(given: &str, digest: &str) -> bool {
    given == digest || (hex(given).len() >= SHORTEST && hex(digest).starts_with(hex(given)))
}

#[async_trait]
impl Prompt for FlagAnswers {
    fn can_ask(&self) -> bool {
        false
    }
    async fn ask(&self, question: &Question) -> Result<Option<Answer>, ServiceError> {
        Ok(self.take(question))
    }
    async fn choose(&self, _: &str, _: &[&str]) -> Result<Option<usize>, ServiceError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::question;
    use super::*;

    #[test]
    fn only_gates_and_digests_are_understood() {
        for wrong in ["", "@abc", "apply@", "apply@12", "apply@sha256:0123456789xy", "Apply", "a b"] {
            assert_eq!(FlagAnswers::parse(&[wrong]).unwrap_err(), NotAnApproval(wrong.into()));
        }
        assert_eq!(FlagAnswers::parse(&["pull-request", "apply@0123456789ab"]).unwrap().left().len(), 2);
    }

    #[test]
    fn each_is_used_once_the_exact_one_first() {
        let flags = FlagAnswers::parse(&["apply", "apply@0123456789ab", "bump"]).unwrap();
        let taken: Vec<_> = std::iter::from_fn(|| flags.take(&question())).map(|answer| answer.digest).collect();
        assert_eq!(taken, [Some(question().digest), None]);
        assert_eq!(flags.left(), ["bump"]);
    }

    #[test]
    fn another_digest_stays_what_was_given() {
        let flags = FlagAnswers::parse(&["apply@sha256:0123456789abffff"]).unwrap();
        assert_eq!(flags.take(&question()).unwrap().digest.unwrap(), "sha256:0123456789abffff");
    }
}
