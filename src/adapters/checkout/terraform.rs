use serde::{Deserialize, Serialize};

/// One resource change of a plan, no-ops and reads left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChange {
    pub address: String,
    /// Terraform's actions joined by `/`: `update`, `delete/create`, …
    pub actions: String,
    /// `replace_because_cannot_update` and the like, where given.
    pub reason: Option<String>,
}

/// What `terraform show -json PLANFILE` says, as far as a decision needs it. Holds no attribute values: they may be
/// secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub changes: Vec<PlannedChange>,
    /// Resources that Terraform found changed outside of it.
    pub drift: Vec<PlannedChange>,
    /// Names of changed outputs.
    pub outputs: Vec<String>,
    /// Checks whose status is not `pass`: address, status.
    pub checks: Vec<(String, String)>,
    pub errored: bool,
    pub complete: bool,
    /// SHA-256 over the semantic parts (values included, timestamp left out).
    pub digest: String,
    pub terraform_version: String,
}
pub fn parse_plan() {}
