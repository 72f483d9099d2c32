//! The list of steps as rows of a terminal: pure, cut to its width and height.

use console::{Style, measure_text_width};
use jiff::Timestamp;

use super::Size;
use crate::event::StepResult;
use crate::report::steps::{Row, State, Steps, TAIL};
use crate::report::text::{between, clean, elapsed, fit};
use crate::report::{ColorChoice, Verbosity, words};

const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// Columns before a step's title: mark, number, lock.
const INDENT: usize = 9;

pub struct Paint {
    color: bool,
    tail: bool,
}

impl Paint {
    pub fn new(color: ColorChoice, verbosity: Verbosity) -> Self {
        Self { color: color == ColorChoice::Always, tail: verbosity > Verbosity::Quiet }
    }

    /// At most `rows - 1` lines of at most `columns - 1`: a full last column or row makes terminals wrap or scroll.
    pub fn picture(&self, steps: &Steps, now: Timestamp, frame: usize, (rows, columns): Size) -> Vec<String> {
        let width = usize::from(columns).saturating_sub(1);
        let height = usize::from(rows).saturating_sub(1).max(1);
        let all = steps.rows();
        // The tail gives way first, then what is done, then what comes.
        for tail in [TAIL, 3, 0] {
            let picture = self.part(all, 0, all.len(), tail, now, frame, width);
            if picture.len() <= height {
                return picture;
            }
        }
        let current = all.iter().position(Row::active).unwrap_or(0);
        for skip in 2..=current {
            let picture = self.part(all, skip, all.len(), 0, now, frame, width);
            if picture.len() <= height {
                return picture;
            }
        }
        let from = if current >= 2 { current } else { 0 };
        for until in (current + 1..all.len().saturating_sub(1)).rev() {
            let picture = self.part(all, from, until, 0, now, frame, width);
            if picture.len() <= height {
                return picture;
            }
        }
        let mut picture = self.part(&all[current..=current], 0, 1, 0, now, frame, width);
        picture.truncate(height);
        picture
    }

    /// The rows `from..until`; the others in one line each side.
    fn part(
        &self,
        all: &[Row],
        from: usize,
        until: usize,
        tail: usize,
        now: Timestamp,
        frame: usize,
        width: usize,
    ) -> Vec<String> {
        let mut picture = Vec::new();
        let trouble = all[..from].iter().filter(|row| troubled(row)).count();
        if from > 0 {
            let note = if trouble > 0 { format!(", {trouble} of them in trouble") } else { String::new() };
            picture.push(self.line(&[(format!("   … {from} earlier steps{note}"), self.dim())], width));
        }
        for (index, row) in all.iter().enumerate().take(until).skip(from) {
            picture.push(self.step(index + 1, row, now, frame, width));
            if row.active() {
                picture.extend(self.below(row, now, tail, width));
            }
        }
        if until < all.len() {
            picture.push(self.line(&[(format!("   … {} later steps", all.len() - until), self.dim())], width));
        }
        picture
    }

    fn step(&self, number: usize, row: &Row, now: Timestamp, frame: usize, width: usize) -> String {
        let (mark, style) = match &row.state {
            State::Pending => (' ', self.dim()),
            State::Running => (SPINNER[frame % SPINNER.len()], self.style().cyan().bold()),
            State::Asking => ('?', self.style().yellow().bold()),
            State::Ended(result) => (words::mark(result), self.ended(result)),
        };
        let title = match row.state {
            State::Pending => self.dim(),
            State::Running | State::Asking => self.style().bold(),
            State::Ended(_) => self.style(),
        };
        let mut parts = vec![
            (format!("{mark} "), style.clone()),
            (format!("{number:>2} {} ", if row.head.locked { "🔒" } else { "  " }), title.clone()),
            (clean(&row.head.title), title),
        ];
        if row.head.gate && !matches!(row.state, State::Ended(_)) {
            parts.push((" [asks]".into(), self.dim()));
        }
        match &row.state {
            State::Ended(result) => {
                let word = words::result(result).0;
                let quiet = matches!(result, StepResult::Changed | StepResult::Satisfied);
                let used: usize = parts.iter().map(|(text, _)| measure_text_width(text)).sum();
                let said =
                    said(row).map(|said| if quiet { format!(" · {said}") } else { format!(" · {word}: {said}") });
                match said {
                    Some(text) if troubled(row) => parts.push((text, style)),
                    Some(text) if used + measure_text_width(&text) <= width => parts.push((text, self.dim())),
                    // What does not fit whole was printed above, when it was seen.
                    _ => parts.push((format!(" · {word}"), self.dim())),
                }
            }
            State::Running if row.waited.is_none() => {
                if let Some(started) = row.started {
                    parts.push((format!(" · {}", elapsed(between(started, now))), self.dim()));
                }
            }
            State::Asking => parts.push((" · waits for your answer".into(), style)),
            State::Running | State::Pending => {}
        }
        self.line(&parts, width)
    }

    /// What is waited for, notes and the child's last lines.
    fn below(&self, row: &Row, now: Timestamp, tail: usize, width: usize) -> Vec<String> {
        let indent = " ".repeat(INDENT);
        let mut rows = Vec::new();
        if let Some(waited) = &row.waited {
            let time = words::waited(between(waited.since, now), between(waited.since, waited.deadline));
            // The time is what is looked for here, so the text before it is what is cut.
            let room = width.saturating_sub(INDENT + measure_text_width(&time));
            let text = fit(&format!("waiting for {}", waited.on), room);
            rows.push(self.line(&[(format!("{indent}{text}{time}"), self.style().cyan())], width));
        }
        if let Some(note) = &row.note {
            let text = format!("{indent}could not ask just now, asking again: {note}");
            rows.push(self.line(&[(text, self.style().yellow())], width));
        }
        if self.tail {
            let skipped = row.tail.len().saturating_sub(tail);
            let lines = row.tail.iter().skip(skipped);
            rows.extend(lines.map(|line| self.line(&[(format!("{indent}│ {line}"), self.dim())], width)));
        }
        rows
    }

    /// Parts side by side, cut to `width` before they are coloured.
    fn line(&self, parts: &[(String, Style)], width: usize) -> String {
        let mut line = String::new();
        let mut used = 0;
        for (text, style) in parts {
            let text = fit(text, width.saturating_sub(used));
            used += measure_text_width(&text);
            line.push_str(&style.apply_to(text).to_string());
        }
        line
    }

    /// Whether evidence of this step is shown whole in its row, so that nothing needs to be printed above.
    pub fn fits(&self, row: &Row, evidence: &str, width: usize) -> bool {
        INDENT + measure_text_width(&clean(&row.head.title)) + 3 + measure_text_width(evidence) <= width
    }

    fn style(&self) -> Style {
        Style::new().force_styling(self.color)
    }

    fn dim(&self) -> Style {
        self.style().dim()
    }

    fn ended(&self, result: &StepResult) -> Style {
        match words::mark(result) {
            '✔' => self.style().green(),
            '•' | '↷' => self.dim(),
            '✘' => self.style().red().bold(),
            _ => self.style().yellow().bold(),
        }
    }
}

/// One line of evidence of a finished step.
fn said(row: &Row) -> Option<String> {
    match &row.state {
        State::Ended(result) => words::result(result).1.or_else(|| row.evidence.clone()),
        _ => None,
    }
}

fn troubled(row: &Row) -> bool {
    matches!(&row.state, State::Ended(result) if matches!(words::mark(result), '✘' | '⏸' | '!'))
}
