//! Lines on disk: written once, synced, checked when read.
//!
//! One line per event: `{"n":NUMBER,"crc":"CRC32","record":{…}}`, the checksum over number and record. A last line
//! without its newline was torn by a crash and is dropped; any other damage is refused with its place, for a journal
//! that is guessed at is worse than none. After a failed write or fsync the journal stays closed: what the disk then
//! holds is unknown, and a second fsync may lie.

use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskFile, RealDisk};
use crate::event::{Event, FORMAT, Stamped};

pub const JOURNAL: &str = "journal.ndjson";
const PROCESS_LOCK: &str = "process.lock";
const RECORD: &str = ",\"record\":";

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("could not {what} {}: {source}", path.display())]
    Disk { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{}:{line}: {why}", path.display())]
    Damaged { path: PathBuf, line: usize, why: String },
    #[error("{} was written by a newer version of catalog-deploy (format {found}, this one reads {FORMAT})", path.display())]
    Newer { path: PathBuf, found: u32 },
    #[error("another process of catalog-deploy is at work on this run ({})", path.display())]
    Busy { path: PathBuf },
    #[error("the journal was closed by an earlier failure: {0}")]
    Closed(String),
}

/// Proof that an intent is on disk. Only [`Journal::intend`] makes one, after its fsync.
#[derive(Debug)]
#[must_use = "an intent without an outcome leaves the effect in doubt"]
pub struct DurableIntent {
    step: String,
    effect: String,
}

impl DurableIntent {
    pub fn step(&self) -> &str {
        &self.step
    }
    /// The effect's id, e.g. `publish/1`.
    pub fn effect(&self) -> &str {
        &self.effect
    }
}

/// The journal of one run, open for appending. Holds the process lock of the run's directory, which the kernel frees
/// when this process dies, however it dies.
pub struct Journal {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    next: u64,
    /// Why nothing is written any more.
    closed: Option<String>,
    _process: Box<dyn Send + Sync>,
}

impl Journal {
    /// A new, empty journal in `directory` (which must exist).
    pub fn create(directory: &Path) -> Result<Self, JournalError> {
        Self::create_on(&RealDisk, directory)
    }

    /// As [`Journal::create`], on another disk.
    pub fn create_on(on: &dyn Disk, directory: &Path) -> Result<Self, JournalError> {
        let process = lock_process(on, directory)?;
        let path = directory.join(JOURNAL);
        let file = on.create(&path).map_err(disk("create", &path))?;
        on.sync_directory(directory).map_err(disk("sync", directory))?;
        Ok(Self { file, path, next: 1, closed: None, _process: process })
    }

    /// Opens an existing journal to go on with it: drops a torn last line and returns what stands before it.
    pub fn open(directory: &Path) -> Result<(Self, Vec<Stamped>), JournalError> {
        Self::open_on(&RealDisk, directory)
    }

    /// As [`Journal::open`], on another disk.
    pub fn open_on(on: &dyn Disk, directory: &Path) -> Result<(Self, Vec<Stamped>), JournalError> {
        Self::open_as(on, directory, Newer::Refuse)
    }

    /// As [`Journal::open_on`], also where a newer version wrote it: what this one knows of it, to give back what is owed.
    pub fn open_to_give_back(on: &dyn Disk, directory: &Path) -> Result<(Self, Vec<Stamped>), JournalError> {
        Self::open_as(on, directory, Newer::PassOver)
    }

    fn open_as(on: &dyn Disk, directory: &Path, newer: Newer) -> Result<(Self, Vec<Stamped>), JournalError> {
        let process = lock_process(on, directory)?;
        let path = directory.join(JOURNAL);
        let mut file = on.open(&path).map_err(disk("open", &path))?;
        let bytes = on.read(&path).map_err(disk("read", &path))?;
        let parsed = parse(&path, &bytes, newer)?;
        if parsed.bytes < bytes.len() {
            file.truncate(parsed.bytes as u64).map_err(disk("truncate", &path))?;
            file.sync().map_err(disk("sync", &path))?;
        }
        Ok((Self { file, path, next: parsed.lines + 1, closed: None, _process: process }, parsed.events))
    }

    /// Writes one event and waits until it is on disk.
    pub fn append(&mut self, stamped: &Stamped) -> Result<(), JournalError> {
        if let Some(why) = &self.closed {
            return Err(JournalError::Closed(why.clone()));
        }
        let line = line(self.next, stamped);
        let written = self.file.append(line.as_bytes()).and_then(|()| self.file.sync());
        if let Err(source) = written {
            self.closed = Some(source.to_string());
            return Err(JournalError::Disk { what: "write", path: self.path.clone(), source });
        }
        self.next += 1;
        Ok(())
    }

    /// As after a failed write, for tests of what follows.
    #[cfg(test)]
    pub(crate) fn break_off(&mut self) {
        self.closed = Some("broken off".into());
    }

    /// Writes an [`Event::Intent`]; the returned proof is what an authority is granted against.
    ///
    /// # Errors
    /// The disk's; `Closed` for an event that is no intent.
    pub fn intend(&mut self, stamped: &Stamped) -> Result<DurableIntent, JournalError> {
        let Event::Intent { step, effect, .. } = &stamped.event else {
            return Err(JournalError::Closed("this is no intent".into()));
        };
        self.append(stamped)?;
        Ok(DurableIntent { step: step.clone(), effect: effect.clone() })
    }
}

/// Reads a journal without locking or changing it, for `status`, `history` and `show`.
pub fn read(directory: &Path) -> Result<Vec<Stamped>, JournalError> {
    read_on(&RealDisk, directory)
}

/// As [`read`], from another disk.
pub fn read_on(on: &dyn Disk, directory: &Path) -> Result<Vec<Stamped>, JournalError> {
    let path = directory.join(JOURNAL);
    let bytes = on.read(&path).map_err(disk("read", &path))?;
    decode(&path, &bytes)
}

/// The events of a journal's bytes; `path` is for the errors alone.
pub fn decode(path: &Path, bytes: &[u8]) -> Result<Vec<Stamped>, JournalError> {
    Ok(parse(path, bytes, Newer::Refuse)?.events)
}

/// As [`read_on`], also where a newer version wrote it: what this one knows of it.
pub fn read_known(on: &dyn Disk, directory: &Path) -> Result<Vec<Stamped>, JournalError> {
    let path = directory.join(JOURNAL);
    let bytes = on.read(&path).map_err(disk("read", &path))?;
    decode_known(&path, &bytes)
}

/// As [`decode`], also where a newer version wrote it.
pub fn decode_known(path: &Path, bytes: &[u8]) -> Result<Vec<Stamped>, JournalError> {
    Ok(parse(path, bytes, Newer::PassOver)?.events)
}

/// Whether a living process is at work on the run in `directory`.
pub(super) fn in_use(on: &dyn Disk, directory: &Path) -> bool {
    on.locked(&directory.join(PROCESS_LOCK))
}

fn lock_process(on: &dyn Disk, directory: &Path) -> Result<Box<dyn Send + Sync>, JournalError> {
    let path = directory.join(PROCESS_LOCK);
    on.lock(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::WouldBlock => JournalError::Busy { path },
        _ => JournalError::Disk { what: "lock", path, source },
    })
}

fn line(number: u64, stamped: &Stamped) -> String {
    // Plain data with string keys: serialising it cannot fail.
    let record = serde_json::to_string(stamped).unwrap_or_default();
    format!("{{\"n\":{number},\"crc\":\"{:08x}\"{RECORD}{record}}}\n", checksum(number, &record))
}

fn checksum(number: u64, record: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(record.as_bytes());
    hasher.finalize()
}

/// What stands in a journal.
#[derive(Default)]
struct Parsed {
    events: Vec<Stamped>,
    /// Whole lines, those that were passed over included.
    lines: u64,
    /// How many bytes these lines take.
    bytes: usize,
}

/// What to do with lines that a newer version wrote.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Newer {
    Refuse,
    /// Keep what can be read of them. Enough to know what is owed, not to go on.
    PassOver,
}

/// All whole lines.
fn parse(path: &Path, bytes: &[u8], newer: Newer) -> Result<Parsed, JournalError> {
    let mut parsed = Parsed::default();
    for (index, raw) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if raw.last() != Some(&b'\n') {
            break;
        }
        let damaged = |why: String| JournalError::Damaged { path: path.to_owned(), line: index + 1, why };
        let text = std::str::from_utf8(raw).map_err(|error| damaged(error.to_string()))?;
        let record = checked(index as u64 + 1, text.trim_end_matches('\n')).map_err(damaged)?;
        let format = record.get("format").and_then(serde_json::Value::as_u64);
        if let Some(found) = format.filter(|it| *it > u64::from(FORMAT) && newer == Newer::Refuse) {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            return Err(JournalError::Newer { path: path.to_owned(), found });
        }
        match serde_json::from_value(record) {
            Ok(event) => parsed.events.push(event),
            Err(_) if newer == Newer::PassOver && index > 0 => {}
            Err(error) => return Err(damaged(error.to_string())),
        }
        parsed.lines += 1;
        parsed.bytes += raw.len();
    }
    Ok(parsed)
}

/// The record of a line whose number and checksum fit.
fn checked(number: u64, text: &str) -> Result<serde_json::Value, String> {
    let (head, record) = text.split_once(RECORD).ok_or("not a journal line")?;
    let record = record.strip_suffix('}').ok_or("the line is cut")?;
    let expected = format!("{{\"n\":{number},\"crc\":\"{:08x}\"", checksum(number, record));
    if head != expected {
        return Err("number or checksum does not fit the line".into());
    }
    serde_json::from_str(record).map_err(|error| error.to_string())
}

fn disk(what: &'static str, path: &Path) -> impl Fn(std::io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Disk { what, path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Stamped {
        Stamped { at: jiff::Timestamp::UNIX_EPOCH, event: Event::Said { text: text.into() } }
    }

    fn written(count: usize) -> (tempfile::TempDir, Vec<u8>) {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(directory.path()).unwrap();
        for index in 0..count {
            journal.append(&said(&format!("line {index} – ü"))).unwrap();
        }
        let bytes = std::fs::read(directory.path().join(JOURNAL)).unwrap();
        (directory, bytes)
    }

    #[test]
    fn a_journal_cut_at_any_byte_keeps_its_whole_lines() {
        let (directory, bytes) = written(4);
        for cut in 0..=bytes.len() {
            std::fs::write(directory.path().join(JOURNAL), &bytes[..cut]).unwrap();
            let whole = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
            let (mut journal, events) = Journal::open(directory.path()).unwrap();
            assert_eq!(events.len(), whole, "cut at {cut}");
            journal.append(&said("after")).unwrap();
            drop(journal);
            assert_eq!(read(directory.path()).unwrap().len(), whole + 1, "cut at {cut}");
        }
    }

    #[test]
    fn one_flipped_byte_in_a_line_is_refused_with_its_place() {
        let (directory, bytes) = written(3);
        let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let end = second + bytes[second..].iter().position(|byte| *byte == b'\n').unwrap();
        for at in second..end {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x01;
            if damaged[at] == b'\n' {
                continue;
            }
            std::fs::write(directory.path().join(JOURNAL), &damaged).unwrap();
            let error = read(directory.path()).unwrap_err();
            assert!(matches!(error, JournalError::Damaged { line: 2, .. }), "byte {at}: {error}");
        }
    }

    #[test]
    fn a_second_process_is_kept_out() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::create(directory.path()).unwrap();
        assert!(in_use(&RealDisk, directory.path()));
        assert!(matches!(Journal::open(directory.path()), Err(JournalError::Busy { .. })));
        drop(journal);
        assert!(!in_use(&RealDisk, directory.path()));
    }

    #[test]
    fn a_newer_format_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let record = r#"{"at":"1970-01-01T00:00:00Z","event":"from-the-future","format":99}"#;
        let line = format!("{{\"n\":1,\"crc\":\"{:08x}\"{RECORD}{record}}}\n", checksum(1, record));
        std::fs::write(directory.path().join(JOURNAL), line).unwrap();
        assert!(matches!(read(directory.path()), Err(JournalError::Newer { found: 99, .. })));
    }
}
