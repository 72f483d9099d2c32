//! The matrix as people read it: past the capturing of tests, since it is what the whole is for.

use std::io::Write;

use super::fault::Fault;

/// One row: what it is about, and a word per fault.
pub struct Line {
    pub about: String,
    pub cells: Vec<(Fault, String)>,
}

/// Rows by columns, with a line of explanation.
pub fn print(title: &str, legend: &str, lines: &[Line]) {
    let columns: Vec<Fault> =
        Fault::ALL.into_iter().filter(|fault| lines.iter().any(|line| line.cell(*fault).is_some())).collect();
    let first = lines.iter().map(|line| line.about.len()).max().unwrap_or(0);
    let width = |fault: &Fault| {
        let words = lines.iter().filter_map(|line| line.cell(*fault)).map(|word| word.chars().count());
        words.chain([fault.name().len()]).max().unwrap_or(0)
    };
    let mut text = format!("\n{title}\n{legend}\n{:first$}", "");
    for fault in &columns {
        text.push_str(&format!("  {:w$}", fault.name(), w = width(fault)));
    }
    for line in lines {
        text.push_str(&format!("\n{:first$}", line.about));
        for fault in &columns {
            text.push_str(&format!("  {:w$}", line.cell(*fault).unwrap_or("-"), w = width(fault)));
        }
    }
    text.push_str("\n\n");
    // A closed stderr is no reason for a test to fail.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

impl Line {
    fn cell(&self, fault: Fault) -> Option<&str> {
        self.cells.iter().find(|(of, _)| *of == fault).map(|(_, word)| word.as_str())
    }
}
