//! Secrets gone by value: whatever leaves the process for a person, a file or a message is cleaned of every secret that
//! was read, however a service or a child echoes it (as it is, base64, URL-encoded, escaped as in JSON).

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use crate::event::{Ended, Event, Question, Refusal, StepResult};

/// What stands where a secret stood.
pub const PUT: &str = "[secret]";

/// Shorter secrets are replaced only where they stand alone: a password like `airflow` is a part of many names.
const PART_OF_A_WORD: usize = 8;

/// Shorter ones are no secrets, and replacing them would make everything unreadable.
const SHORTEST: usize = 4;

/// All secrets read so far. Clones share them: one that is read late is gone from everything told afterwards.
#[derive(Debug, Clone, Default)]
pub struct Redactor(Arc<RwLock<Forms>>);

/// Longest first, so that a secret that begins another one leaves no rest of it. Never printed.
#[derive(Default)]
struct Forms(Vec<String>);

impl std::fmt::Debug for Forms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} forms of secrets", self.0.len())
    }
}

impl Redactor {
    /// From now on `secret` is gone from everything, in all its usual forms; of one with several lines, each line.
    pub fn learn(&self, secret: &str) {
        let mut forms = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let lines = secret.lines().map(str::trim).filter(|line| line.len() >= SHORTEST);
        let new: Vec<String> = lines.flat_map(forms_of).filter(|form| form.len() >= SHORTEST).collect();
        forms.0.extend(new);
        forms.0.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        forms.0.dedup();
    }

    /// `text` without secrets.
    pub fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let forms = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut clean = Cow::Borrowed(text);
        for form in &forms.0 {
            if let Some(without) = without(&clean, form) {
                clean = Cow::Owned(without);
            }
        }
        clean
    }

    fn own(&self, text: &mut String) {
        if let Cow::Owned(clean) = self.clean(text) {
            *text = clean;
        }
    }

    fn all(&self, texts: &mut [String]) {
        texts.iter_mut().for_each(|text| self.own(text));
    }

    /// The event with every sentence in it cleaned. What a run goes by (ids, digests, paths, facts, obligations) stays as
    /// it is: those come from the runbook and from parsed answers, and a changed one could not be given back.
    pub fn event(&self, mut event: Event) -> Event {
        match &mut event {
            Event::RunStarted { parameters, .. } => {
                parameters.overrides.iter_mut().for_each(|given| self.own(&mut given.reason));
            }
            Event::Overridden { given, .. } => self.own(&mut given.reason),
            Event::Saw { evidence, .. } => self.own(&mut evidence.text),
            Event::Waiting { on, .. } => self.own(on),
            Event::PollFailed { why, .. } | Event::NotGivenBack { why, .. } | Event::RunClosed { why } => self.own(why),
            Event::Output { line, .. } => self.own(line),
            Event::GateAsked { question, .. } => self.question(question),
            Event::Intent { what, .. } => self.own(what),
            Event::Outcome { ended: Ended::Refused { why } | Ended::InDoubt { why }, .. } => self.own(why),
            Event::GivenBack { how, .. } => self.own(how),
            Event::StepFinished { result, .. } => self.result(result),
            Event::Learned { fact, .. } => fact.sentences().into_iter().for_each(|text| self.own(text)),
            Event::Warned { text } | Event::Said { text } => self.own(text),
            Event::RunFinished { message, next, findings, .. } => {
                self.own(message);
                self.all(next);
                findings.iter_mut().for_each(|finding| self.own(&mut finding.message));
            }
            // Named, so that a new kind of event has to be thought about here.
            Event::RunResumed { .. }
            | Event::TookOver { .. }
            | Event::StepStarted { .. }
            | Event::GateAnswered { .. }
            | Event::DoubtAnswered { .. }
            | Event::Outcome { ended: Ended::Done | Ended::NotSeen, .. } => {}
        }
        event
    }

    /// A question as it may be shown; its digest is what is approved, and stays.
    pub fn question(&self, question: &mut Question) {
        self.own(&mut question.title);
        self.all(&mut question.summary);
    }

    fn result(&self, result: &mut StepResult) {
        match result {
            StepResult::Blocked { refusals } => {
                for Refusal { what, next } in refusals {
                    self.own(what);
                    self.own(next);
                }
            }
            StepResult::Skipped { why }
            | StepResult::Unhealthy { why }
            | StepResult::Inconclusive { why }
            | StepResult::Unfinished { why }
            | StepResult::Left { what: why }
            | StepResult::Failed { why }
            | StepResult::Stopped { why } => self.own(why),
            StepResult::Satisfied | StepResult::Changed | StepResult::WouldChange => {}
        }
    }

    /// Cleans what children left in a run's directory: a child writes its file itself, so that it outlives us. Files that
    /// are no text (a saved plan) stay as they are, and so does one that somebody still writes.
    ///
    /// # Errors
    /// The directory or a file could not be read or written.
    pub fn traces(&self, directory: &Path) -> std::io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let kind = path.extension().and_then(std::ffi::OsStr::to_str);
            if matches!(kind, Some("output" | "txt")) {
                self.trace(&path)?;
            }
        }
        Ok(())
    }

    fn trace(&self, path: &Path) -> std::io::Result<()> {
        use std::io::Write;
        let file = std::fs::File::open(path)?;
        // Whoever writes holds its lock.
        if file.try_lock_shared().is_err() {
            return Ok(());
        }
        let bytes = std::fs::read(path)?;
        let text = String::from_utf8_lossy(&bytes);
        let Cow::Owned(clean) = self.clean(&text) else { return Ok(()) };
        let beside = path.parent().unwrap_or(Path::new("."));
        let mut new = tempfile::NamedTempFile::new_in(beside)?;
        new.write_all(clean.as_bytes())?;
        new.persist(path).map(drop).map_err(|error| error.error)
    }
}

/// `text` without `form`; `None` where it is not in there.
fn without(text: &str, form: &str) -> Option<String> {
    let alone = form.len() < PART_OF_A_WORD;
    let mut clean = String::new();
    let mut rest = 0;
    for (at, found) in text.match_indices(form) {
        let end = at + found.len();
        if alone && (text[..at].ends_with(in_a_word) || text[end..].starts_with(in_a_word)) {
            continue;
        }
        clean.push_str(&text[rest..at]);
        clean.push_str(PUT);
        rest = end;
    }
    if rest == 0 {
        return None;
    }
    clean.push_str(&text[rest..]);
    Some(clean)
}

fn in_a_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_')
}

/// How a secret may be met: as it is, percent-encoded, escaped as in JSON, and as base64, where the three places it can
/// have within groups of three bytes (`user:password`) look different.
fn forms_of(secret: &str) -> Vec<String> {
    let upper = percent(secret, false);
    let mut forms = vec![secret.to_owned(), upper.clone(), percent(secret, true), upper.replace("%20", "+")];
    let quoted = serde_json::Value::from(secret).to_string();
    forms.push(quoted.trim_matches('"').to_owned());
    for before in 0..3 {
        let coded = base64(secret.as_bytes(), before);
        // Parts of few letters would be found everywhere.
        if coded.len() >= PART_OF_A_WORD {
            forms.push(coded.replace('+', "-").replace('/', "_"));
            forms.push(coded);
        }
    }
    forms
}

fn percent(text: &str, lower: bool) -> String {
    let code = |byte: u8| if lower { format!("%{byte:02x}") } else { format!("%{byte:02X}") };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { code(byte) }).collect()
}

/// The letters of base64 that depend on `bytes` alone, where `before` bytes of a group stand in front of them.
fn base64(bytes: &[u8], before: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = |bit: usize| -> Option<usize> {
        let byte = (bit / 8).checked_sub(before)?;
        bytes.get(byte).map(|byte| usize::from(byte >> (7 - bit % 8) & 1))
    };
    let last = (before + bytes.len()) * 8 / 6;
    let letter = |index: usize| {
        let value = (0..6).try_fold(0, |value, bit| bits(index * 6 + bit).map(|it| value << 1 | it))?;
        LETTERS.get(value).copied().map(char::from)
    };
    (0..last).filter_map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "gh p_\"Q/+7&ü-sentinel";

    fn knowing(secrets: &[&str]) -> Redactor {
        let redactor = Redactor::default();
        secrets.iter().for_each(|secret| redactor.learn(secret));
        redactor
    }

    #[test]
    fn in_every_form_it_is_gone() {
        let redactor = knowing(&[SECRET]);
        let json = serde_json::json!({ "token": SECRET }).to_string();
        // From other implementations: `base64`, `jq @uri`.
        let coded = [
            "Z2ggcF8iUS8rNybDvC1zZW50aW5lbA==",
            "YWRhOmdoIHBfIlEvKzcmw7wtc2VudGluZWw=",
            "eDpnaCBwXyJRLys3JsO8LXNlbnRpbmVs",
        ];
        for text in [SECRET, &json, "a=gh%20p_%22Q%2F%2B7%26%C3%BC-sentinel&b"].into_iter().chain(coded) {
            let clean = redactor.clean(text);
            assert!(clean.contains(PUT), "{text} -> {clean}");
            for part in ["sentinel", "Q/+7", "Q%2F", "Z2ggcF8", "c2VudGlu", "LXNlbnR"] {
                assert!(!clean.contains(part), "{text} -> {clean}");
            }
        }
    }

    #[test]
    fn a_short_one_is_replaced_only_where_it_stands_alone() {
        let redactor = knowing(&["airflow", "abc"]);
        let text = "environments/prod/catalog-airflow.tf: airflow:airflow@host, abc";
        assert_eq!(redactor.clean(text), "environments/prod/catalog-airflow.tf: [secret]:[secret]@host, abc");
    }

    #[test]
    fn the_longer_one_goes_first_and_each_line_by_itself() {
        let redactor = knowing(&["sentinel-a", "sentinel-a-and-more", "-----BEGIN KEY\nMIIEsentinel\n"]);
        assert_eq!(redactor.clean("x sentinel-a-and-more y"), "x [secret] y");
        assert_eq!(redactor.clean("key MIIEsentinel"), "key [secret]");
    }

    #[test]
    fn sentences_are_cleaned_and_what_a_run_goes_by_stays() {
        let redactor = knowing(&["catalog-airflow"]);
        let held = crate::facts::Held {
            id: "flag/1".into(),
            step: "flag".into(),
            place: crate::facts::Place::World,
            thing: crate::facts::Thing::PausedDag { dag: "catalog-airflow".into() },
        };
        let event = Event::Intent {
            step: "flag".into(),
            effect: "flag/1".into(),
            what: "set it in catalog-airflow".into(),
            holds: vec![held.clone()],
            keeps: vec![],
            returns: None,
            forever: false,
        };
        let Event::Intent { what, holds, .. } = redactor.event(event) else { panic!("another event") };
        assert_eq!((what.as_str(), holds), ("set it in [secret]", vec![held]));
    }

    #[test]
    fn what_children_wrote_is_cleaned_and_stays_private() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for name in ["apply.1.output", "apply.plan.tfplan", "busy.output"] {
            std::fs::write(path(name), "TOKEN=sentinel-a\n").unwrap();
        }
        let writer = std::fs::File::open(path("busy.output")).unwrap();
        writer.lock().unwrap();
        knowing(&["sentinel-a"]).traces(place.path()).unwrap();
        let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        assert_eq!(read("apply.1.output"), "TOKEN=[secret]\n");
        assert_eq!(std::fs::metadata(path("apply.1.output")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read("apply.plan.tfplan"), "TOKEN=sentinel-a\n");
        assert_eq!(read("busy.output"), "TOKEN=sentinel-a\n");
    }
}
