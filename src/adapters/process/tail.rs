//! Following a file that a child writes, line by line.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::LineSink;

/// Hands over whole lines as they appear: invalid UTF-8 replaced, colours taken out.
pub(super) struct Tail {
    path: PathBuf,
    file: Option<File>,
    partial: Vec<u8>,
    lines: LineSink,
}

impl Tail {
    pub(super) fn new(path: &Path, lines: LineSink) -> Self {
        Self { path: path.to_owned(), file: None, partial: Vec::new(), lines }
    }

    /// Whatever was written since the last call. A file that is not there yet has no lines; one that cannot be read is
    /// no reason to stop waiting for its writer.
    pub(super) fn pump(&mut self) {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let Some(file) = &mut self.file else { return };
        let mut fresh = Vec::new();
        let _ = file.read_to_end(&mut fresh);
        for byte in fresh {
            if byte == b'\n' {
                emit(&self.lines, &std::mem::take(&mut self.partial));
            } else {
                self.partial.push(byte);
            }
        }
    }

    /// The rest, with a last line that has no newline.
    pub(super) fn finish(mut self) {
        self.pump();
        if !self.partial.is_empty() {
            emit(&self.lines, &self.partial);
        }
    }
}

fn emit(lines: &LineSink, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    lines(console::strip_ansi_codes(text.trim_end_matches('\r')).as_ref());
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn whole_lines_only_and_plain() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let mut tail = Tail::new(file.path(), Arc::new(move |line: &str| sink.lock().unwrap().push(line.to_owned())));
        file.write_all(b"one\r\n\x1b[31mtw").unwrap();
        tail.pump();
        assert_eq!(*seen.lock().unwrap(), ["one"]);
        file.write_all(b"o\x1b[0m\n\xff bad\nrest").unwrap();
        tail.pump();
        assert_eq!(*seen.lock().unwrap(), ["one", "two", "\u{fffd} bad"]);
        tail.finish();
        assert_eq!(seen.lock().unwrap().last().unwrap(), "rest");
    }
}
