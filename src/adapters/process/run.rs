pub struct Commands;
pub fn record_child() {}
