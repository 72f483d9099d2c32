//! `--json`: each event as one JSON object a line; the first line carries the version of the format.
//!
//! A reader skips events and keys that it does not know; so does [`Line::read`], which keeps them to hand on.

use std::io::{self, Write};

use serde_json::Value;

use super::Sink;
use crate::event::{FORMAT, Stamped};

/// Writes each event as it happens. A reader that went away ends the telling, never the run.
pub struct Json<W> {
    out: W,
    first: bool,
    broken: Option<io::Error>,
}

impl<W: Write + Send> Json<W> {
    pub fn new(out: W) -> Self {
        Self { out, first: true, broken: None }
    }

    /// Why nothing is written any more.
    pub fn broken(&self) -> Option<&io::Error> {
        self.broken.as_ref()
    }

    fn write(&mut self, stamped: &Stamped) -> io::Result<()> {
        let mut value = serde_json::to_value(stamped)?;
        // `run-started` says it by itself; a stream may also begin with another event (resume, restore).
        if std::mem::take(&mut self.first)
            && let Value::Object(object) = &mut value
        {
            object.entry("format").or_insert_with(|| FORMAT.into());
        }
        // In one write, so that lines of two writers never mix.
        let mut line = serde_json::to_vec(&value)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }
}

impl<W: Write + Send> Sink for Json<W> {
    fn event(&mut self, stamped: &Stamped) {
        if self.broken.is_none() {
            self.broken = self.write(stamped).err();
        }
    }
}

/// Writes the events of a past run, for `show --format json`.
///
/// # Errors
/// Those of `out`.
pub fn write_all<W: Write + Send>(events: &[Stamped], out: W) -> io::Result<()> {
    let mut json = Json::new(out);
    events.iter().try_for_each(|stamped| json.write(stamped))
}

/// One line of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    Event(Box<Stamped>),
    /// From a newer version: kept as it is.
    Unknown(Value),
}

impl Line {
    /// # Errors
    /// The line is not JSON.
    pub fn read(line: &str) -> serde_json::Result<Self> {
        let value: Value = serde_json::from_str(line)?;
        Ok(match serde_json::from_value(value.clone()) {
            Ok(stamped) => Line::Event(Box::new(stamped)),
            Err(_) => Line::Unknown(value),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::report::samples::*;

    fn told(events: &[Stamped]) -> String {
        let mut out = Vec::new();
        let mut json = Json::new(&mut out);
        events.iter().for_each(|event| json.event(event));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_event_is_one_line_and_comes_back_as_it_was() {
        let events = failing();
        let text = told(&events);
        let back: Vec<_> = text.lines().map(|line| Line::read(line).unwrap()).collect();
        assert_eq!(back, events.into_iter().map(|event| Line::Event(Box::new(event))).collect::<Vec<_>>());
        assert!(text.lines().next().unwrap().contains(r#""format":1"#), "{text}");
        assert!(!text.lines().nth(1).unwrap().contains("format"), "{text}");
    }

    #[test]
    fn a_few_lines_as_they_are() {
        let events = [
            stamped(0, Event::RunResumed { who: "ada".into(), host: "laptop".into() }),
            stamped(59, waiting("image", 43, 1843)),
            stamped(60, Event::GateAsked { question: question("apply"), waits: true }),
            stamped(61, refused("dags", "DAG „日本語“ is running\nnow", "wait")),
        ];
        insta::assert_snapshot!(told(&events), @r#"
        {"at":"2024-09-09T23:00:57Z","event":"run-resumed","who":"ada","host":"laptop","format":1}
        {"at":"2024-09-09T23:01:56Z","event":"waiting","step":"image","on":"ghcr.io to have rel-2024.09.09.23.00.57","since":"2024-09-09T23:01:40Z","deadline":"2024-09-09T23:31:40Z"}
        {"at":"2024-09-09T23:01:57Z","event":"gate-asked","question":{"gate":"apply","title":"Apply the plan to production","summary":["replace module.catalog-airflow.aws_instance.instance (its user data changed)","Airflow stops for some minutes"],"digest":"sha256:0123456789abcdef0123456789abcdef","expected":true,"strength":"yes","details":null},"waits":true}
        {"at":"2024-09-09T23:01:58Z","event":"step-finished","step":"dags","result":{"result":"blocked","refusals":[{"what":"DAG „日本語“ is running\nnow","next":"wait"}]}}
        "#);
    }

    #[test]
    fn events_of_a_newer_version_survive() {
        let line = r#"{"at":"2030-01-01T00:00:00Z","event":"beamed-up","by":"scotty"}"#;
        let Line::Unknown(value) = Line::read(line).unwrap() else { panic!("known?") };
        assert_eq!(value.to_string(), line);
        assert!(Line::read("{torn").is_err());
    }

    #[test]
    fn a_closed_pipe_ends_the_telling_only() {
        struct Closed(usize);
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut closed = Closed(0);
        let mut json = Json::new(&mut closed);
        failing().iter().for_each(|event| json.event(event));
        assert_eq!(json.broken().map(io::Error::kind), Some(io::ErrorKind::BrokenPipe));
        assert_eq!(closed.0, 1);
    }
}
