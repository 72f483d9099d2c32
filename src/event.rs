//! The one language between the engine and everybody who watches it.
//!
//! Terminal, CI lines, JSON, journal, report and notifications are folds over [`Event`]. This module holds plain
//! data and depends on nothing but [`crate::facts`]; what an event *means* for a run is decided in `journal::status`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::facts::{BaselineFact, Fact, Held, Override};

/// Version of the event format, carried by the first event of every stream and journal.
pub const FORMAT: u32 = 1;

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Publish and deploy.
    Deploy,
    /// Deploy a given tag, without the release steps.
    Rollback,
    /// Look only.
    Preview,
}

/// One row of the list of steps that the first event carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepHead {
    pub id: String,
    pub title: String,
    pub kind: String,
    /// Asks a person before it changes anything.
    pub gate: bool,
    /// Needs infrastructure access (🔒).
    pub locked: bool,
}

/// How far a line of a report can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Label {
    /// Read from the world just now.
    Verified,
    /// Follows from what was read, but the thing itself does not exist yet.
    Predicted,
    /// Cannot be known before it is done.
    NotPreviewable,
    /// True, and a person should think about it.
    Warning,
}

/// One line of what a step saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub label: Label,
    pub text: String,
}

impl Evidence {
    pub fn verified(text: impl Into<String>) -> Self {
        Self { label: Label::Verified, text: text.into() }
    }
    pub fn predicted(text: impl Into<String>) -> Self {
        Self { label: Label::Predicted, text: text.into() }
    }
    pub fn not_previewable(text: impl Into<String>) -> Self {
        Self { label: Label::NotPreviewable, text: text.into() }
    }
    pub fn warning(text: impl Into<String>) -> Self {
        Self { label: Label::Warning, text: text.into() }
    }
}

/// A reason not to go on, and what the person can do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// One sentence: what is in the way.
    pub what: String,
    /// The next thing to do, a command where there is one.
    pub next: String,
}

/// How strong a yes a gate wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "strength")]
pub enum Strength {
    /// The word `yes`.
    Yes,
    /// This text typed in full: something is destroyed or was not expected.
    Typed { text: String },
}

/// A question to a person, with all that is needed to judge it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The gate's name: its step's id.
    pub gate: String,
    pub title: String,
    /// What happens on yes, one line each.
    pub summary: Vec<String>,
    /// Names exactly what is approved; `--approve GATE@DIGEST` answers only this.
    pub digest: String,
    /// Holds nothing beyond what the runbook expects, so a plain `--approve GATE` may answer it.
    pub expected: bool,
    #[serde(flatten)]
    pub strength: Strength,
    /// A file with the whole story (the full plan), shown on demand.
    pub details: Option<String>,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnsweredBy {
    Terminal,
    Flag,
    /// `rehearse --yes`; exists only there.
    Rehearsal,
}

/// How an effect ended, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ended")]
pub enum Ended {
    /// Took effect.
    Done,
    /// Surely took no effect.
    Refused { why: String },
    /// Looked up later, and what its step is for is not there. Of several things that a step changes one may be: what it
    /// took stays owed, and is looked at when it is given back.
    NotSeen,
    /// Nobody answered: it may or may not have taken effect.
    InDoubt { why: String },
}

impl Ended {
    /// Nothing follows from it: whoever wants the change makes it again.
    pub fn without_effect(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::NotSeen)
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum StepResult {
    /// Nothing to do: already as wanted.
    Satisfied,
    /// Changed, and seen to be as wanted.
    Changed,
    /// Not part of this run.
    Skipped {
        why: String,
    },
    /// A preview: this is what the run would do.
    WouldChange,
    /// Refuses to go on.
    Blocked {
        refusals: Vec<Refusal>,
    },
    /// Deployed, but the world does not look well.
    Unhealthy {
        why: String,
    },
    /// Deployed, and it could not be told how the world looks.
    Inconclusive {
        why: String,
    },
    /// Deployed, and this end is left open: a resume tries again, or someone has to do it by hand.
    Unfinished {
        why: String,
    },
    /// Only a person can do this, and no one was there.
    Left {
        what: String,
    },
    Failed {
        why: String,
    },
    /// A person or a signal stopped it.
    Stopped {
        why: String,
    },
}

/// One reason why a run ended as it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndFinding {
    pub exit: u8,
    /// As in [`Event::RunFinished`].
    pub reason: String,
    pub message: String,
}

/// What a rollback takes over from the run that was open: it restores it after its own deploy, to the values from before
/// that run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    pub run: String,
    /// Runs that this one had taken over itself, the newest first: what they left may still carry their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// When that run began, or the one that it had taken over itself.
    pub began: Timestamp,
    /// In the order in which they were taken.
    pub held: Vec<Held>,
    /// Every effect of the steps that hold something, so that what was done and what is in doubt stays known.
    pub effects: Vec<AdoptedEffect>,
    /// How production looked before that run's deploy.
    pub baseline: Option<BaselineFact>,
}

impl Adoption {
    /// Whether that is the run, or one that it had taken over itself.
    pub fn knows(&self, run: &str) -> bool {
        self.run == run || self.before.iter().any(|other| other == run)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptedEffect {
    pub id: String,
    pub step: String,
    pub what: String,
    pub ended: Option<Ended>,
    pub returns: Option<String>,
    /// Obligations (by id) that came with it.
    pub took: Vec<String>,
}

/// What happened. Times are the laptop's clock, UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    RunStarted {
        format: u32,
        run: String,
        runbook: String,
        /// `built in` or the file's path.
        source: String,
        /// SHA-256 of the runbook's text.
        hash: String,
        title: String,
        mode: Mode,
        who: String,
        host: String,
        /// `--tag`, overrides and the like, as they were given.
        parameters: crate::facts::Parameters,
        steps: Vec<StepHead>,
    },
    /// The run goes on in another process.
    RunResumed {
        who: String,
        host: String,
    },
    /// From now on everything that another run held is this run's to restore.
    TookOver {
        adoption: Adoption,
    },
    /// A check got no answer, or one that someone knows better than, and the run continues without it.
    Overridden {
        /// The step that asked; `None` where it was given when the run was resumed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        #[serde(flatten)]
        given: Override,
        by: AnsweredBy,
    },
    StepStarted {
        step: String,
    },
    Saw {
        step: String,
        evidence: Evidence,
    },
    Waiting {
        step: String,
        on: String,
        since: Timestamp,
        deadline: Timestamp,
    },
    /// A poll failed; the wait goes on.
    PollFailed {
        step: String,
        why: String,
    },
    /// A line that a child process wrote.
    Output {
        step: String,
        line: String,
    },
    GateAsked {
        question: Question,
        /// Someone is there and has to answer; not where the answer was given beforehand, or where no one is asked.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        waits: bool,
    },
    GateAnswered {
        gate: String,
        yes: bool,
        digest: String,
        by: AnsweredBy,
    },
    /// About to change the world. Durable before the change is made.
    Intent {
        step: String,
        /// Unique within the run, e.g. `hold-dags/1`.
        effect: String,
        what: String,
        /// What is owed from this moment on.
        holds: Vec<Held>,
        /// Obligations (by id) that this effect turns into something that stays.
        keeps: Vec<String>,
        /// The obligation (by id) that this effect gives back.
        returns: Option<String>,
        /// Its step cannot take it back.
        forever: bool,
    },
    Outcome {
        effect: String,
        ended: Ended,
    },
    /// Nothing could tell how the effects of this step ended, so a person looked and said it.
    DoubtAnswered {
        step: String,
        took_effect: bool,
    },
    Learned {
        step: String,
        fact: Fact,
    },
    /// An obligation was met, or is no longer ours to meet.
    GivenBack {
        held: String,
        how: String,
    },
    NotGivenBack {
        held: String,
        why: String,
    },
    StepFinished {
        step: String,
        result: StepResult,
    },
    Warned {
        text: String,
    },
    Said {
        text: String,
    },
    RunFinished {
        exit: u8,
        reason: String,
        message: String,
        next: Vec<String>,
        /// Where there are several reasons: each, the worst first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        findings: Vec<EndFinding>,
    },
    /// Nothing will be done for this run any more.
    RunClosed {
        why: String,
    },
}

impl Event {
    /// Whether the journal keeps it: whatever is needed to go on, to give back or to report.
    pub fn durable(&self) -> bool {
        !matches!(self, Event::Waiting { .. } | Event::PollFailed { .. } | Event::Output { .. })
    }
}

/// An event with the moment it happened; one line of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    pub at: Timestamp,
    #[serde(flatten)]
    pub event: Event,
}
