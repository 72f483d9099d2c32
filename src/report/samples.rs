//! Hand-built runs that the tests of all views tell.

use jiff::{Timestamp, ToSpan};

use crate::event::*;
use crate::facts::*;

pub const INCIDENT: &str = "Consider this a Production Incident and notify the team.";

pub fn at(second: i64) -> Timestamp {
    let start: Timestamp = "2024-09-09T23:00:57Z".parse().unwrap();
    start + second.seconds()
}

pub fn stamped(second: i64, event: Event) -> Stamped {
    Stamped { at: at(second), event }
}

fn head(id: &str, kind: &str, title: &str, gate: bool, locked: bool) -> StepHead {
    StepHead { id: id.into(), title: title.into(), kind: kind.into(), gate, locked }
}

pub fn heads() -> Vec<StepHead> {
    vec![
        head("checkout", "checkout-ready", "The infrastructure checkout is clean and up to date", false, false),
        head("publish", "publish-release", "Publish the drafted catalog release", true, false),
        head("image", "image-ready", "The release's Docker image is on GHCR", false, false),
        head("bump", "bump", "Bump the catalog version in the infrastructure repository", true, true),
        head("flag", "set-flag", "Set running_dags_cleared to true", false, false),
        head("apply", "apply", "Plan and apply with Terraform", true, true),
        head("health", "post-checks", "Ist die Produktion gesund? 本番は正常ですか 🚀", false, false),
    ]
}

pub fn started(mode: Mode) -> Event {
    Event::RunStarted {
        format: FORMAT,
        run: "2024-09-09-adal".into(),
        runbook: "prod".into(),
        source: "built in".into(),
        hash: "5f2d".repeat(16),
        title: "Deploy the catalog to production".into(),
        mode,
        who: "ada".into(),
        host: "laptop".into(),
        parameters: Parameters {
            tag: (mode == Mode::Rollback).then(|| "rel-2024.08.22.20.53.01".into()),
            overrides: vec![Override {
                subject: Subject::Dag { dag: "batched_update".into() },
                reason: "agreed with Grace".into(),
            }],
            ..Parameters::default()
        },
        steps: heads(),
    }
}

pub fn step_started(step: &str) -> Event {
    Event::StepStarted { step: step.into() }
}

pub fn saw(step: &str, evidence: Evidence) -> Event {
    Event::Saw { step: step.into(), evidence }
}

pub fn finished(step: &str, result: StepResult) -> Event {
    Event::StepFinished { step: step.into(), result }
}

pub fn refused(step: &str, what: &str, next: &str) -> Event {
    finished(step, StepResult::Blocked { refusals: vec![Refusal { what: what.into(), next: next.into() }] })
}

pub fn waiting(step: &str, since: i64, deadline: i64) -> Event {
    Event::Waiting {
        step: step.into(),
        on: "ghcr.io to have rel-2024.09.09.23.00.57".into(),
        since: at(since),
        deadline: at(deadline),
    }
}

pub fn output(step: &str, line: &str) -> Event {
    Event::Output { step: step.into(), line: line.into() }
}

pub fn question(gate: &str) -> Question {
    Question {
        gate: gate.into(),
        title: "Apply the plan to production".into(),
        summary: vec![
            "replace module.catalog-airflow.aws_instance.instance (its user data changed)".into(),
            "Airflow stops for some minutes".into(),
        ],
        digest: "sha256:0123456789abcdef0123456789abcdef".into(),
        expected: true,
        strength: Strength::Yes,
        details: None,
    }
}

pub fn answered(gate: &str, by: AnsweredBy) -> Event {
    Event::GateAnswered { gate: gate.into(), yes: true, digest: question(gate).digest, by }
}

pub fn intent(step: &str, effect: &str, what: &str, holds: Vec<Held>) -> Event {
    Event::Intent {
        step: step.into(),
        effect: effect.into(),
        what: what.into(),
        holds,
        keeps: vec![],
        returns: None,
        forever: false,
    }
}

pub fn done(effect: &str) -> Event {
    Event::Outcome { effect: effect.into(), ended: Ended::Done }
}

fn attribute_held(id: &str, step: &str, attribute: &str, prior: &str, ours: &str) -> Held {
    Held {
        id: id.into(),
        step: step.into(),
        thing: Thing::Attribute {
            file: "environments/prod/catalog-airflow.tf".into(),
            block: vec!["module".into(), "catalog-airflow".into()],
            attribute: attribute.into(),
            prior: prior.into(),
            ours: ours.into(),
        },
        place: Place::Checkout { host: "laptop".into(), path: "/src/infra".into() },
    }
}

pub fn version_held() -> Held {
    attribute_held("bump/version", "bump", "docker_image_tag", "\"rel-1\"", "\"rel-2\"")
}

pub fn flag_held() -> Held {
    attribute_held("flag/flag", "flag", "running_dags_cleared", "false", "true")
}

pub fn long_evidence() -> String {
    format!("no DAG is running among {} that this account sees: {}", 14, "flickr_workflow, ".repeat(9) + "日本語_dag")
}

fn learned(step: &str, fact: Fact) -> Event {
    Event::Learned { step: step.into(), fact }
}

/// Publishes, then fails at the apply; the flag is given back, the bump cannot be.
pub fn failing() -> Vec<Stamped> {
    let tag = || "rel-2024.09.09.23.00.57".to_owned();
    vec![
        stamped(0, started(Mode::Deploy)),
        stamped(0, step_started("checkout")),
        stamped(1, saw("checkout", Evidence::verified(long_evidence()))),
        stamped(1, finished("checkout", StepResult::Satisfied)),
        stamped(2, step_started("publish")),
        stamped(3, saw("publish", Evidence::verified("draft catalog-2024.09.09.23.00.57 holds 4 changes"))),
        stamped(3, Event::GateAsked { question: question("publish"), waits: true }),
        stamped(40, answered("publish", AnsweredBy::Terminal)),
        stamped(41, intent("publish", "publish/1", "publish catalog-2024.09.09.23.00.57", vec![])),
        stamped(42, done("publish/1")),
        stamped(43, finished("publish", StepResult::Changed)),
        stamped(43, step_started("image")),
        stamped(44, waiting("image", 43, 1843)),
        stamped(
            59,
            Event::PollFailed { step: "image".into(), why: "registry ghcr.io: broken (502): bad gateway".into() },
        ),
        stamped(74, waiting("image", 43, 1843)),
        stamped(
            89,
            learned(
                "image",
                Fact::Image(ImageFact {
                    tag: tag(),
                    digest: "sha256:feed".into(),
                    airflow_version: Some("2.10.1".into()),
                }),
            ),
        ),
        stamped(89, finished("image", StepResult::Satisfied)),
        stamped(90, step_started("bump")),
        stamped(90, intent("bump", "bump/1", "bump docker_image_tag to rel-2", vec![version_held()])),
        stamped(91, done("bump/1")),
        stamped(91, finished("bump", StepResult::Changed)),
        stamped(91, step_started("flag")),
        stamped(91, intent("flag", "flag/1", "set running_dags_cleared to true", vec![flag_held()])),
        stamped(92, done("flag/1")),
        stamped(92, finished("flag", StepResult::Changed)),
        stamped(92, step_started("apply")),
        stamped(93, Event::GateAsked { question: question("apply"), waits: true }),
        stamped(120, answered("apply", AnsweredBy::Flag)),
        stamped(121, intent("apply", "apply/1", "apply the plan 0123456789ab", vec![])),
        stamped(122, output("apply", "\u{1b}[1mmodule.catalog-airflow: Destroying...\u{1b}[0m")),
        stamped(180, output("apply", "Error: InsufficientInstanceCapacity")),
        stamped(
            181,
            Event::Outcome { effect: "apply/1".into(), ended: Ended::Refused { why: "terraform exited 1".into() } },
        ),
        stamped(
            181,
            finished(
                "apply",
                StepResult::Failed { why: "terraform: apply: InsufficientInstanceCapacity in us-east-1a".into() },
            ),
        ),
        stamped(182, Event::GivenBack { held: "flag/flag".into(), how: "running_dags_cleared is false again".into() }),
        stamped(183, Event::NotGivenBack { held: "bump/version".into(), why: "somebody edited the line".into() }),
        stamped(
            183,
            Event::RunFinished {
                exit: 9,
                reason: "not-given-back".into(),
                message: "could not apply the plan: InsufficientInstanceCapacity in us-east-1a".into(),
                next: vec![
                    "catalog-deploy resume 2024-09-09-adal".into(),
                    "catalog-deploy restore 2024-09-09-adal".into(),
                ],
                findings: vec![],
            },
        ),
    ]
}
