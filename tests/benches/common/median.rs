//! Of several runs the one in the middle: a busy moment of the machine is no figure.

/// The middle one; of an even number the lower.
pub fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "nothing was measured");
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) / 2]
}
