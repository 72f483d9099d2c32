//! Somebody who sits at a pseudo terminal: sees what is printed, types, resizes the window.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use nix::sys::termios::{Termios, tcgetattr};

pub const CTRL_C: &str = "\u{3}";
pub const ARROW_UP: &str = "\u{1b}[A";

pub struct Person {
    session: OsSession,
    terminal: File,
    seen: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
    /// How much of what was printed has been looked at.
    read: usize,
    modes: Termios,
}

/// What is left when the command has ended.
pub struct Left {
    /// The exit code; 128 and more where a signal ended it.
    pub code: i32,
    /// Everything that was printed, without escape sequences.
    pub text: String,
    pub raw: String,
    modes: (Termios, Termios),
}

impl Person {
    /// `rows` and `columns` as the terminal tells them.
    pub fn at(mut command: Command, (rows, columns): (u16, u16)) -> Self {
        command.stdin(Stdio::inherit());
        Self::with_streams_of(command, (rows, columns))
    }

    /// Streams that the command redirects stay redirected.
    pub fn with_streams_of(mut command: Command, (rows, columns): (u16, u16)) -> Self {
        if !command.get_envs().any(|(name, _)| name == "TERM") {
            command.env("TERM", "xterm-256color");
        }
        let mut session = OsSession::spawn(command).unwrap();
        session.get_process_mut().set_window_size(columns, rows).unwrap();
        let terminal = session.get_process().get_raw_handle().unwrap();
        let modes = fresh_modes();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut from, into) = (terminal.try_clone().unwrap(), seen.clone());
        let reader = std::thread::spawn(move || {
            let mut part = [0; 4096];
            loop {
                match from.read(&mut part) {
                    // The last process at the terminal is gone.
                    Ok(0) => break,
                    Ok(read) => into.lock().unwrap().extend_from_slice(&part[..read]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        });
        Self { session, terminal, seen, reader: Some(reader), read: 0, modes }
    }

    /// Waits for `text`, however its lines are broken.
    pub fn sees(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            // In this order: what is said last, and the end right after it, must not fall between the two.
            let over = self.reader.as_ref().is_none_or(|it| it.is_finished());
            let words = words(&self.raw());
            let from = self.read.min(words.len());
            if let Some(at) = words.get(from..).and_then(|new| new.find(text)) {
                self.read = from + at + text.len();
                return;
            }
            assert!(!over && Instant::now() < deadline, "never saw {text:?} after {:?}", end(&words[from..]));
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn types(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the gate's question and types a line.
    pub fn answers(&mut self, gate: &str, line: &str) {
        self.sees(&format!(" {gate}: "));
        self.sees("anything else declines:");
        self.types(&format!("{line}\n"));
    }

    /// Waits for the question about alerts and says that all is well.
    pub fn finds_no_alerts(&mut self) {
        self.sees("is all well?");
        self.sees("I have not looked");
        self.types(&format!("{ARROW_UP}{ARROW_UP}\r"));
    }

    pub fn resizes(&mut self, (rows, columns): (u16, u16)) {
        self.session.get_process_mut().set_window_size(columns, rows).unwrap();
    }

    fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    /// Waits for the command to end.
    pub fn leaves(mut self) -> Left {
        let deadline = Instant::now() + Duration::from_secs(60);
        let code = loop {
            match self.session.get_process().status().unwrap() {
                WaitStatus::Exited(_, code) => break code,
                WaitStatus::Signaled(_, signal, _) => break 128 + signal as i32,
                _ if Instant::now() > deadline => panic!("did not end; printed {}", end(&words(&self.raw()))),
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        self.reader.take().unwrap().join().unwrap();
        let after = tcgetattr(&self.terminal).unwrap();
        let raw = self.raw();
        let text = console::strip_ansi_codes(&raw).replace('\r', "");
        Left { code, text, raw, modes: (self.modes, after) }
    }
}

/// The modes of a terminal that nobody has touched. Read from one of its own: the command may change its terminal's before
/// they could be read there.
fn fresh_modes() -> Termios {
    let mut idle = Command::new("sleep");
    idle.arg("1");
    let session = OsSession::spawn(idle).unwrap();
    tcgetattr(session.get_process().get_raw_handle().unwrap()).unwrap()
}

impl Left {
    /// The terminal is as it was, its cursor visible.
    #[track_caller]
    pub fn terminal_is_restored(&self) {
        let plain = |modes: &Termios| (modes.input_flags, modes.output_flags, modes.control_flags, modes.local_flags);
        assert_eq!(plain(&self.modes.0), plain(&self.modes.1), "terminal modes");
        let (hidden, shown) = (self.raw.rfind("\u{1b}[?25l"), self.raw.rfind("\u{1b}[?25h"));
        assert!(hidden.is_none() || hidden < shown, "the cursor stays hidden");
    }

    /// No line is as wide as the terminal, but for those with a command or a digest to copy.
    #[track_caller]
    pub fn fits(&self, (_, columns): (u16, u16)) {
        // What is typed is not echoed here, so the line after a question stands beside it.
        for line in self.raw.split(['\n', '\r']).flat_map(|line| line.split_inclusive("declines: ")) {
            let line = console::strip_ansi_codes(line);
            let copied = ["catalog-deploy ", "--approve ", "/incident.md"].iter().any(|command| line.contains(command));
            let wide = console::measure_text_width(&line);
            assert!(copied || wide < usize::from(columns), "{wide} of {columns} columns: {line}");
        }
    }

    /// `text`, however its lines are broken.
    #[track_caller]
    pub fn says(&self, text: &str) {
        assert!(words(&self.raw).contains(text), "nothing says {text:?} in:\n{}", self.text);
    }
}

/// `command` through a shell that redirects its streams as `how` says.
pub fn through_shell(command: &Command, how: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(how).arg(command.get_program()).args(command.get_args());
    shell.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(command.get_current_dir().unwrap());
    shell
}

/// What was printed, without escape sequences and with all white space alike.
fn words(raw: &str) -> String {
    let plain = console::strip_ansi_codes(raw);
    format!(" {}", plain.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// As much of it as tells why: each redrawn picture is in it.
fn end(text: &str) -> &str {
    let from = text.char_indices().rev().nth(3000).map_or(0, |(at, _)| at);
    &text[from..]
}

/// The screen as it stands after all of this was written to it.
pub fn screen(raw: &str, (rows, columns): (u16, u16)) -> String {
    let mut terminal = vt100::Parser::new(rows, columns, 0);
    terminal.process(raw.as_bytes());
    terminal.screen().contents()
}
