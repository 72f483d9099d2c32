//! Which instance answers, judged by Terraform's state in the checkout: when the instance's id changes, it reboots.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::rehearsal::shared::Shared;
use crate::rehearsal::state::SentryIssue;
use crate::rehearsal::{Fault, seed};

const BOOT: Duration = Duration::from_millis(1500);
const SLOW_BOOT: Duration = Duration::from_secs(5);
/// Between destroying the old instance and creating the new one nothing answers.
const NO_INSTANCE: Duration = Duration::from_secs(24 * 3600);
/// How often a component says that it is alive.
const BEAT: Duration = Duration::from_millis(500);

/// What Terraform's state says, with the moment it was written.
struct Deployed {
    id: Option<String>,
    tag: Option<String>,
    written: Timestamp,
}

fn deployed(shared: &Shared) -> Option<Deployed> {
    let file = shared.terraform_state();
    let written = std::fs::metadata(&file).and_then(|about| about.modified()).ok()?;
    let state: Value = serde_json::from_slice(&std::fs::read(&file).ok()?).ok()?;
    let resource = |name: &str| {
        state["resources"].as_array()?.iter().find(|it| it["type"] == "terraform_data" && it["name"] == name).cloned()
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Some(Deployed {
        id: resource("instance").and_then(|it| text(&it["instances"][0]["attributes"]["id"])),
        // `terraform_data` keeps what it was given as a typed value.
        tag: resource("user_data").and_then(|it| {
            let input = &it["instances"][0]["attributes"]["input"];
            text(input).or_else(|| text(&input["value"]))
        }),
        written: written.try_into().ok()?,
    })
}

/// The image tag in Terraform's state.
pub(in crate::rehearsal) fn deployed_tag(shared: &Shared) -> Option<String> {
    deployed(shared).and_then(|deployed| deployed.tag)
}

/// Looks at the state and replaces the instance where Terraform did. Returns whether Airflow answers at this moment.
pub(in crate::rehearsal) fn observe(shared: &Shared) -> bool {
    // While Terraform writes the file it may be unreadable for a moment: then nothing has changed yet.
    if let Some(deployed) = deployed(shared) {
        replace(shared, deployed);
    }
    shared.state().airflow.instance.up_at <= Timestamp::now()
}

/// Whether a new instance answers, which Terraform made since the world began.
pub(in crate::rehearsal) fn replaced(shared: &Shared) -> bool {
    observe(shared) && shared.state().airflow.instance.replaced
}

fn replace(shared: &Shared, deployed: Deployed) {
    let boot = if shared.has(Fault::AirflowSlowBoot) { SLOW_BOOT } else { BOOT };
    let never = shared.has(Fault::NewAirflowNeverBoots)
        && deployed.tag.as_deref().is_some_and(|tag| tag.ends_with(seed::DRAFT_DATE));
    let boot = if deployed.id.is_some() && !never { shared.paced(boot) } else { NO_INSTANCE };
    let up_at = deployed.written + SignedDuration::try_from(boot).unwrap_or_default();
    let mut state = shared.state();
    let id = deployed.id.unwrap_or_default();
    let instance = &mut state.airflow.instance;
    if instance.id.is_empty() && !instance.replaced {
        instance.id = id;
        return;
    }
    if instance.id == id || shared.has(Fault::OldInstanceStillAnswers) {
        return;
    }
    if !id.is_empty()
        && let Some(tag) = deployed.tag
    {
        let version = seed::airflow_version(shared.options.airflow, tag.trim_start_matches("rel-"));
        instance.version = version.to_owned();
    }
    let first = !instance.replaced;
    instance.id = id;
    instance.up_at = up_at;
    instance.replaced = true;
    if !first {
        return;
    }
    if shared.has(Fault::ImportErrorAppears) {
        state.airflow.import_errors.push((
            "/opt/airflow/catalog/dags/providers/provider_workflow_dag_factory.py".into(),
            "Traceback (most recent call last):\n  File \"provider_workflow_dag_factory.py\", line 71, in <module>\n\
             ImportError: cannot import name 'SubDagOperator' from 'airflow.operators.subdag'\n"
                .into(),
        ));
    }
    if shared.has(Fault::SentryNewIssue) {
        let now = Timestamp::now();
        state.issues.push(SentryIssue {
            id: 5_900_000_412,
            title: "AttributeError: 'NoneType' object has no attribute 'xcom_pull'".into(),
            culprit: "image_data_refresh.get_before_record_count".into(),
            first_seen: now,
            last_seen: now,
            count: 3,
        });
    }
}

/// The last beat before now of a component that came up with the instance.
pub(super) fn heartbeat(shared: &Shared) -> Timestamp {
    let beat = i64::try_from(shared.paced(BEAT).as_millis()).unwrap_or(i64::MAX).max(1);
    let up = shared.state().airflow.instance.up_at.as_millisecond();
    let now = Timestamp::now().as_millisecond();
    Timestamp::from_millisecond(now - (now - up).rem_euclid(beat)).unwrap_or(Timestamp::UNIX_EPOCH)
}
