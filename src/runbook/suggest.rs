//! "Did you mean": the nearest of a few known words.

/// The known word nearest to `wrong`, or none where nothing is near enough to be meant.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = fold(wrong);
    let length = plain.chars().count();
    // A key of megabytes is no slip of the pen, and the distance is quadratic.
    if length == 0 || length > 80 {
        return None;
    }
    known
        .into_iter()
        .filter_map(|word| {
            let folded = fold(word);
            let distance = distance(&plain, &folded);
            let allowed = (length.max(folded.chars().count()) / 3).max(1);
            let shortened = length >= 3 && folded.starts_with(&plain);
            (distance <= allowed || shortened).then_some((distance, word))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Case and the choice between `-` and `_` are the commonest slips, so they cost nothing.
fn fold(word: &str) -> String {
    word.chars().map(|letter| if letter == '_' { '-' } else { letter.to_ascii_lowercase() }).collect()
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before = vec![0; right.len() + 1];
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for row in 1..=left.len() {
        let mut current = vec![row; right.len() + 1];
        for column in 1..=right.len() {
            let same = left[row - 1] == right[column - 1];
            let mut best = (above[column] + 1).min(current[column - 1] + 1).min(above[column - 1] + usize::from(!same));
            let swapped =
                row > 1 && column > 1 && left[row - 1] == right[column - 2] && left[row - 2] == right[column - 1];
            if swapped {
                best = best.min(before[column - 2] + 1);
            }
            current[column] = best;
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_pen_are_recognised() {
        let known = ["gate", "release_only", "repository", "kind"];
        assert_eq!(nearest("gaet", known), Some("gate"));
        assert_eq!(nearest("Release-Only", known), Some("release_only"));
        assert_eq!(nearest("repo", known), Some("repository"));
        assert_eq!(nearest("repositry", known), Some("repository"));
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn a_swap_of_neighbours_is_one_edit() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
