/// Proof that an intent is on disk. Only the journal makes one, after its fsync.
#[derive(Debug)]
#[must_use = "an intent without an outcome leaves the effect in doubt"]
pub struct DurableIntent {
    step: String,
    effect: String,
}

impl DurableIntent {
    pub fn step(&self) -> &str {
        &self.step
    }
    pub fn effect(&self) -> &str {
        &self.effect
    }
}
pub struct Journal;
