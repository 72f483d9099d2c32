/// An attribute as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The literal's own bytes, quotes included: `"rel-…"`, `false`.
    pub literal: String,
    /// 1-based.
    pub line: usize,
}
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct HclError;
pub fn find_attribute() {}
pub fn replace_attribute() {}
