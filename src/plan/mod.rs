//! Validated runbook + parameters → ordered, typed steps; and what a yes is bound to.

pub mod approval;
pub mod digest;

use std::sync::Arc;

use crate::event::StepHead;
use crate::facts::Parameters;
use crate::runbook::{Runbook, StepSpec};
use crate::step::Step;

/// One step of a run.
pub struct PlannedStep {
    pub head: StepHead,
    pub step: Arc<dyn Step>,
    /// Not part of this run, and why.
    pub skip: Option<String>,
}

/// The steps of one run, in order.
pub struct Plan {
    pub steps: Vec<PlannedStep>,
}

impl Plan {
    /// `build` turns a step of the runbook into the thing that carries it out (`steps::build`).
    pub fn new(
        runbook: &Runbook,
        parameters: &Parameters,
        build: impl Fn(&StepSpec, &Runbook) -> Arc<dyn Step>,
    ) -> Self {
        let steps = runbook
            .steps
            .iter()
            .map(|spec| PlannedStep {
                head: head(spec),
                step: build(spec, runbook),
                skip: (spec.release_only && parameters.tag.is_some())
                    .then(|| "belongs to releasing a new version; this run deploys an existing tag".to_owned()),
            })
            .collect();
        Self { steps }
    }

    pub fn heads(&self) -> Vec<StepHead> {
        self.steps.iter().map(|planned| planned.head.clone()).collect()
    }

    pub fn step(&self, id: &str) -> Option<&PlannedStep> {
        self.steps.iter().find(|planned| planned.head.id == id)
    }
}

fn head(spec: &StepSpec) -> StepHead {
    StepHead {
        id: spec.id.clone(),
        title: spec.title.clone(),
        kind: spec.kind.name().to_owned(),
        gate: spec.gate,
        locked: spec.locked,
    }
}
