//! A sentinel for every credential: found in nothing that is told, kept or handed on, in no form.

mod echo;
mod run;

use std::path::{Path, PathBuf};

/// Texts by where they were found.
#[derive(Default)]
struct Told(Vec<(String, String)>);

impl Told {
    fn add(&mut self, place: &str, text: impl Into<String>) {
        self.0.push((place.to_owned(), text.into()));
    }

    #[track_caller]
    fn holds_none_of(&self, secrets: &[String]) {
        assert!(self.0.iter().map(|(_, text)| text.len()).sum::<usize>() > 0, "nothing was told at all");
        for form in secrets.iter().flat_map(|secret| forms(secret)) {
            for (place, text) in &self.0 {
                assert!(!text.contains(&form), "{form} is in {place}: {text}");
            }
        }
    }
}

/// A secret as other programs write it.
fn forms(secret: &str) -> Vec<String> {
    let url: String = secret
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let json = serde_json::to_string(secret).unwrap().trim_matches('"').to_owned();
    let mut forms = vec![secret.to_owned(), url.clone(), url.to_lowercase(), json];
    // The letters of base64 depend on what stands before and after, so three beginnings and none of the last letters.
    for before in ["", "x", "xx"] {
        let coded = base64(&format!("{before}{secret}"));
        let whole = &coded[before.len() * 2..coded.len() - 4];
        forms.extend([whole.to_owned(), whole.replace('+', "-").replace('/', "_")]);
    }
    forms
}

/// Standard base64, without a library that the product might share its mistakes with.
fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut coded = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = char::from(LETTERS[bits >> (18 - 6 * place) & 63]);
            coded.push(if place <= three.len() { letter } else { '=' });
        }
    }
    coded
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
