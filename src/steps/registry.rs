//! From a step of the runbook to the thing that carries it out. A new kind is a file and an arm here.

use std::sync::Arc;

use super::apply::Apply;
use super::approve_changelog::ApproveChangelog;
use super::baseline::Baseline;
use super::bump::Bump;
use super::checkout_ready::CheckoutReady;
use super::dags_clear::DagsClear;
use super::dags_hold::DagsHold;
use super::give_back::GiveBack;
use super::identity::Identity;
use super::image_ready::ImageReady;
use super::infrastructure_pull_request::InfrastructurePullRequest;
use super::manual::Manual;
use super::person_check::PersonCheck;
use super::post_checks::PostChecks;
use super::publish_release::{PublishRelease, Workflows};
use super::set_flag::SetFlag;
use super::shell::Shell;
use crate::runbook::{Kind, Runbook, StepSpec};
use crate::step::Step;

/// `runbook` tells a step what comes before it.
pub fn build(spec: &StepSpec, runbook: &Runbook) -> Arc<dyn Step> {
    let before =
        |is: fn(&Kind) -> bool| runbook.steps.iter().take_while(|step| step.id != spec.id).any(|step| is(&step.kind));
    let after_bump = before(|kind| matches!(kind, Kind::Bump { .. }));
    let after_flag = before(|kind| matches!(kind, Kind::SetFlag {}));
    match spec.kind.clone() {
        Kind::CheckoutReady {} => Arc::new(CheckoutReady::new()),
        Kind::Identity { command, expect } => Arc::new(Identity::new(command, expect)),
        Kind::DagsClear {} => Arc::new(DagsClear::new()),
        Kind::DagsHold {} => Arc::new(DagsHold::new()),
        Kind::Baseline {} => Arc::new(Baseline::new()),
        Kind::PublishRelease {
            tag_workflow,
            build_workflow,
            build_paths,
            publish_job,
            image_files,
            draft_workflow,
            build_wait,
        } => Arc::new(PublishRelease::new(Workflows {
            tag: tag_workflow,
            draft: draft_workflow,
            build: build_workflow,
            publish_job,
            build_paths,
            image_files,
            wait: build_wait.0,
        })),
        Kind::ImageReady { tag_workflow, wait, poll } => Arc::new(ImageReady::new(tag_workflow, wait, poll)),
        Kind::Bump { tag } => Arc::new(Bump::new(tag)),
        Kind::SetFlag {} => Arc::new(SetFlag::new(after_bump)),
        Kind::Apply {} => Arc::new(Apply::new(after_bump, after_flag)),
        Kind::GiveBack { of, after_heartbeat, wait } => Arc::new(GiveBack::new(of, after_heartbeat, wait.0)),
        Kind::ApproveChangelog { branch, wait } => Arc::new(ApproveChangelog::new(branch, wait)),
        Kind::InfrastructurePullRequest { branch, pull_title, pull_body } => {
            Arc::new(InfrastructurePullRequest::new(branch, pull_title, pull_body))
        }
        Kind::PostChecks { boot, soak } => Arc::new(PostChecks::new(boot.0, soak.0)),
        Kind::PersonCheck { instructions, link } => Arc::new(PersonCheck::new(spec.title.clone(), instructions, link)),
        Kind::Manual { instructions } => Arc::new(Manual::new(spec.title.clone(), instructions, spec.gate)),
        Kind::Shell { check, run, undo } => Arc::new(Shell::new(spec.title.clone(), check, run, undo)),
    }
}
