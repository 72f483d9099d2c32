//! Layout of plain text: by display width, so that it also holds for 🔒, CJK and combining characters.

use std::time::Duration;

use console::{measure_text_width, strip_ansi_codes};
use jiff::Timestamp;

/// `text` as one safe line: no escape sequences, no control or direction-changing characters (release notes, branch
/// names and children's output come from outside), newlines and tabs as spaces.
pub fn clean(text: &str) -> String {
    let stripped = strip_ansi_codes(text);
    let safe: String = stripped.chars().filter_map(printable).collect();
    safe.trim_end().to_owned()
}

/// `text` as safe lines, without empty ones at its end.
pub fn clean_lines(text: &str) -> Vec<String> {
    text.trim_end().lines().map(clean).collect()
}

fn printable(c: char) -> Option<char> {
    match c {
        '\n' | '\r' | '\t' => Some(' '),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        c if c.is_control() => None,
        c => Some(c),
    }
}

/// `text` cut to at most `width` columns, the cut shown by `…`.
pub fn fit(text: &str, width: usize) -> String {
    if measure_text_width(text) <= width {
        return text.to_owned();
    }
    console::truncate_str(text, width, if width == 0 { "" } else { "…" }).into_owned()
}

/// `text` in lines of at most `width` columns: the first starts with `first`, the others with as many spaces.
/// A word that is longer than a line (a URL, a digest) is cut.
pub fn wrap(text: &str, first: &str, width: usize) -> Vec<String> {
    let room = room(first, width);
    laid_out(text.split_whitespace().flat_map(|word| pieces(word, room)), first, width)
}

/// As [`wrap`], with each of `whole` on one line, however long: a command must not be broken, a person copies it.
pub fn wrap_whole(whole: &[&str], first: &str, width: usize) -> Vec<String> {
    laid_out(whole.iter().map(|&piece| piece.to_owned()), first, width)
}

/// Columns beside `first`. Below 20 nothing is readable: better too wide than a column of letters.
fn room(first: &str, width: usize) -> usize {
    width.saturating_sub(measure_text_width(first)).max(20)
}

fn laid_out(pieces: impl Iterator<Item = String>, first: &str, width: usize) -> Vec<String> {
    let room = room(first, width);
    let mut rows: Vec<String> = Vec::new();
    let mut row = String::new();
    let mut used = 0;
    for piece in pieces {
        let wide = measure_text_width(&piece);
        if used > 0 && used + 1 + wide > room {
            rows.push(std::mem::take(&mut row));
            used = 0;
        }
        if used > 0 {
            row.push(' ');
            used += 1;
        }
        row.push_str(&piece);
        used += wide;
    }
    rows.push(row);
    let blank = " ".repeat(measure_text_width(first));
    rows.into_iter()
        .enumerate()
        .map(|(index, row)| format!("{}{row}", if index == 0 { first } else { &blank }).trim_end().to_owned())
        .collect()
}

fn pieces(word: &str, room: usize) -> Vec<String> {
    if measure_text_width(word) <= room {
        return vec![word.to_owned()];
    }
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for c in word.chars() {
        let wide = measure_text_width(c.encode_utf8(&mut [0; 4]));
        if used + wide > room {
            pieces.push(String::new());
            used = 0;
        }
        used += wide;
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces
}

/// A running time: `45s`, `12m 03s`, `1h 02m`, `2d 03h`.
pub fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A limit: as [`elapsed`], without a second part that is zero: `30m`, `1h`, `1m 30s`.
pub fn limit(duration: Duration) -> String {
    let text = elapsed(duration);
    match text.split_once(' ') {
        Some((whole, "00s" | "00m" | "00h")) => whole.to_owned(),
        _ => text,
    }
}

/// The time from `since` to `now`; zero where clocks disagree.
pub fn between(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO)
}

/// `HH:MM:SS`, UTC.
pub fn time_of_day(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// `YYYY-MM-DD HH:MM:SS UTC`.
pub fn date_and_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The first twelve digits of a digest, enough for a person to compare and for `--approve GATE@DIGEST`.
pub fn short_digest(digest: &str) -> &str {
    let hex = digest.rsplit_once(':').map_or(digest, |(_, hex)| hex);
    hex.char_indices().nth(12).map_or(hex, |(end, _)| &hex[..end])
}

/// `1 step`, `2 steps`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// As one word of a shell, quoted where it has to be.
pub fn shell_word(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "/._-=@:".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_cannot_steer_the_terminal() {
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m\r\nnext\tcol \u{202e}rtl\u{7}\n"), "red  next col rtl");
    }

    #[test]
    fn cut_by_display_width() {
        assert_eq!(fit("日本語のタイトル", 7), "日本語…");
        assert_eq!(fit("short", 7), "short");
        assert_eq!(fit("anything", 0), "");
    }

    #[test]
    fn wrapped_with_a_hanging_indent_and_never_wider_than_asked() {
        let rows = wrap("one two three four five six seven eight", "- ", 24);
        assert_eq!(rows, ["- one two three four", "  five six seven eight"]);
        let long = wrap(&format!("see {} now", "日".repeat(40)), "    ", 30);
        assert!(long.iter().all(|row| measure_text_width(row) <= 30), "{long:?}");
        assert_eq!(long.concat().matches('日').count(), 40);
    }

    #[test]
    fn times_as_people_say_them() {
        let spoken = |seconds| (elapsed(Duration::from_secs(seconds)), limit(Duration::from_secs(seconds)));
        assert_eq!(spoken(723), ("12m 03s".into(), "12m 03s".into()));
        assert_eq!(spoken(1800), ("30m 00s".into(), "30m".into()));
        assert_eq!(spoken(3720), ("1h 02m".into(), "1h 02m".into()));
        assert_eq!(spoken(7), ("7s".into(), "7s".into()));
        assert_eq!(spoken(90_000), ("1d 01h".into(), "1d 01h".into()));
    }

    #[test]
    fn digests_in_short() {
        assert_eq!(short_digest("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_digest("abc"), "abc");
    }
}
