//! `debug.log` in a run's directory: what the program itself thought, for the day somebody asks why. Clean of secrets,
//! readable by its owner only.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::adapters::redact::Redactor;

const FILE: &str = "debug.log";

/// From now on everything this process traces goes to the run's log. One process works on one run; a second call
/// changes nothing.
///
/// # Errors
/// The file could not be opened.
pub fn keep(directory: &Path, redactor: &Redactor) -> std::io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(directory.join(FILE))?;
    let log = Log { file: Arc::new(Mutex::new(file)), redactor: redactor.clone() };
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || log.clone());
    // Our own crate in detail; of the others (HTTP, TLS) only what they think worth telling.
    let wanted = Targets::new().with_default(Level::INFO).with_target(env!("CARGO_CRATE_NAME"), Level::DEBUG);
    // Fails only where a log is kept already.
    let _kept = tracing_subscriber::registry().with(wanted).with(layer).try_init();
    Ok(())
}

#[derive(Clone)]
struct Log {
    file: Arc<Mutex<File>>,
    redactor: Redactor,
}

impl Write for Log {
    /// One whole entry at a time: that is how the layer writes.
    fn write(&mut self, entry: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(entry);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(self.redactor.clean(&text).as_bytes())?;
        Ok(entry.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}
