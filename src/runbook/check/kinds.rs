//! What is true of a kind of step in every runbook: whether it can be taken back, and what it needs to be declared.

use crate::runbook::schema::{BumpTag, Kind};

/// How a kind stands to being taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Only reads, or waits.
    Looks,
    /// Holds something until it is given back.
    Holds,
    /// Gives back what another step holds.
    GivesBack,
    /// A person does it.
    Person,
    /// Cannot be taken back, and why.
    Never(&'static str),
}

pub fn nature(kind: &Kind) -> Nature {
    match kind {
        Kind::CheckoutReady { .. }
        | Kind::Identity { .. }
        | Kind::DagsClear { .. }
        | Kind::Baseline { .. }
        | Kind::ImageReady { .. }
        | Kind::PostChecks { .. }
        | Kind::PersonCheck { .. } => Nature::Looks,
        Kind::DagsHold { .. } | Kind::Bump { .. } | Kind::SetFlag { .. } => Nature::Holds,
        Kind::GiveBack { .. } => Nature::GivesBack,
        Kind::Manual { .. } => Nature::Person,
        Kind::PublishRelease { .. } => Nature::Never("a published release has been seen, and its image is tagged"),
        Kind::Apply { .. } => Nature::Never("an applied plan is undone only by applying another one"),
        Kind::ApproveChangelog { .. } => Nature::Never("an approval has been seen, and the pull request may be merged"),
        Kind::InfrastructurePullRequest { .. } => Nature::Never("an opened pull request has been seen"),
        Kind::Shell { undo: Some(_), .. } => Nature::Holds,
        Kind::Shell { undo: None, .. } => Nature::Never("it has no `undo` command"),
    }
}

/// Tables and keys that must be declared for a step of this kind.
pub fn needs(kind: &Kind) -> Vec<&'static str> {
    match kind {
        Kind::CheckoutReady { .. } => vec!["infrastructure"],
        Kind::Identity { .. } => vec![],
        Kind::DagsClear { .. } | Kind::DagsHold { .. } | Kind::Baseline { .. } => vec!["airflow"],
        // The image behind `latest` is judged before the release is published.
        Kind::PublishRelease { .. } => vec!["github", "release", "registry"],
        Kind::ImageReady { tag_workflow: Some(_), .. } => vec!["registry", "release", "github"],
        Kind::ImageReady { tag_workflow: None, .. } => vec!["registry", "release"],
        Kind::Bump { tag: BumpTag::Newest | BumpTag::Argument } => vec!["infrastructure", "infrastructure.bump"],
        Kind::Bump { tag: BumpTag::Pin } => vec!["infrastructure"],
        Kind::SetFlag { .. } => vec!["infrastructure", "infrastructure.flag"],
        Kind::Apply { .. } => vec!["infrastructure"],
        Kind::GiveBack { after_heartbeat: true, .. } => vec!["airflow"],
        Kind::GiveBack { after_heartbeat: false, .. } => vec![],
        Kind::ApproveChangelog { .. } => vec!["github", "release"],
        Kind::InfrastructurePullRequest { .. } => vec!["infrastructure", "github"],
        Kind::PostChecks { .. } => vec!["airflow"],
        Kind::PersonCheck { .. } | Kind::Manual { .. } | Kind::Shell { .. } => vec![],
    }
}

/// Why a rollback (`--tag`) must not skip this kind, where it must not.
pub fn rollback_needs(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::CheckoutReady { .. } | Kind::DagsClear { .. } | Kind::DagsHold { .. } => {
            Some("a rollback needs the same guards")
        }
        Kind::ImageReady { .. } => Some("a rollback's tag is checked on the registry too"),
        Kind::Bump { .. } | Kind::SetFlag { .. } | Kind::Apply { .. } | Kind::GiveBack { .. } => {
            Some("a rollback deploys by it too")
        }
        Kind::Identity { .. }
        | Kind::Baseline { .. }
        | Kind::PublishRelease { .. }
        | Kind::ApproveChangelog { .. }
        | Kind::InfrastructurePullRequest { .. }
        | Kind::PostChecks { .. }
        | Kind::PersonCheck { .. }
        | Kind::Manual { .. }
        | Kind::Shell { .. } => None,
    }
}
