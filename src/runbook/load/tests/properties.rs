//! Whatever the bytes, loading answers; it never panics.

use proptest::prelude::*;

use super::*;

fn survives(text: &str) {
    match load("x", file(), text) {
        Ok(loaded) => {
            super::super::super::document::render(&loaded);
        }
        Err(problems) => {
            assert!(!problems.list().is_empty());
            problems.render(true);
            problems.render(false);
            for problem in problems.list() {
                assert!(problem.line >= 1 && problem.line <= text.matches('\n').count() + 1);
            }
        }
    }
}

/// A change to a range of a text, on whole characters.
fn mutated(text: &str, from: usize, length: usize, how: &How) -> String {
    let letters: Vec<char> = text.chars().collect();
    let from = from % letters.len();
    let to = (from + length).min(letters.len());
    let (head, range, tail) = (&letters[..from], &letters[from..to], &letters[to..]);
    let middle: Vec<char> = match how {
        How::Delete => Vec::new(),
        How::Double => [range, range].concat(),
        How::Replace(with) => with.chars().collect(),
    };
    head.iter().chain(&middle).chain(tail).collect()
}

#[derive(Debug, Clone)]
enum How {
    Delete,
    Double,
    Replace(String),
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![
        Just(How::Delete),
        Just(How::Double),
        ".{0,12}".prop_map(How::Replace),
        prop_oneof![
            Just("\0"),
            Just("\r"),
            Just("\u{feff}"),
            Just("'''"),
            Just("\"\"\""),
            Just("[["),
            Just("{"),
            Just("= "),
            Just("99999999999999999999"),
            Just("1979-05-27"),
            Just("true"),
            Just("[]"),
            Just("\"\""),
        ]
        .prop_map(|with| How::Replace(with.to_owned())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        survives(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn prod_with_a_range_changed(from in any::<usize>(), length in 0_usize..60, how in how()) {
        survives(&mutated(PROD, from, length, &how));
    }

    #[test]
    fn prod_with_two_ranges_changed(
        one in (any::<usize>(), 0_usize..8, how()),
        two in (any::<usize>(), 0_usize..400, how()),
    ) {
        let text = mutated(PROD, one.0, one.1, &one.2);
        survives(&mutated(&text, two.0, two.1, &two.2));
    }

    #[test]
    fn prod_with_a_line_changed(line in any::<prop::sample::Index>(), with in "[a-z_]{1,8} = (1|\"x\"|\\[\\]|\\{\\}|true)") {
        let lines: Vec<&str> = PROD.lines().collect();
        let at = line.index(lines.len());
        let text: Vec<&str> = lines.iter().enumerate().map(|(index, it)| if index == at { &with } else { *it }).collect();
        survives(&text.join("\n"));
    }
}
