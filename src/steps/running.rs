//! What runs in production now: from Terraform's state if it tells; else from this machine's last run that deployed; else
//! from main and open bump pull requests. All but the first are only probable: others deploy from other machines, and a
//! bump pull request is opened after its apply, so main lags what runs until it is merged.

mod state;

use jiff::Timestamp;

use super::deploys::Deploys;
use crate::adapters::checkout::{Landed, Location};
use crate::adapters::github::PullRequest;
use crate::adapters::registry::{Manifest, airflow_version};
use crate::adapters::{Readers, ServiceError};
use crate::event::Evidence;
use crate::facts::{ImageFact, PastDeploy, PastRun, RunningFact};
use crate::runbook::Runbook;
use crate::runbook::schema::{Infrastructure, ReleaseShape};
use crate::step::{Look, Trouble};
use crate::steps::declared;

/// What was found, with what a person should know about how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Running {
    pub fact: Option<RunningFact>,
    pub evidence: Vec<Evidence>,
}

/// Looks what runs now, and when and by whom it was deployed. A source that cannot be read is told as a warning, and the
/// next one is asked: not knowing what runs must not keep anybody from rolling back.
pub async fn running_tag(readers: &Readers, runbook: &Runbook, past: &[PastRun]) -> Result<Running, Trouble> {
    let shape = declared::release(runbook)?;
    let (state, deploys) = futures::join!(by_state(readers, runbook), Deploys::read(readers, runbook, past));
    let (found, mut evidence) = match state? {
        Ok(fact) => (Some(fact), Vec::new()),
        Err(why) => {
            let evidence = why.map(Evidence::warning).into_iter().collect();
            let found = inferred(readers, runbook, shape, past, &deploys).await;
            (found.fact, [evidence, found.evidence].concat())
        }
    };
    evidence.dedup();
    Ok(Running { fact: found.map(|fact| deploys.dated(fact)), evidence })
}

/// What Terraform's state says runs: the one source that is certain. The inner error is why it does not say, `None` where
/// the runbook has no command that prints it.
pub(super) async fn by_state(
    readers: &Readers,
    runbook: &Runbook,
) -> Result<Result<RunningFact, Option<String>>, Trouble> {
    let shape = declared::release(runbook)?;
    let Some(infrastructure) = &runbook.infrastructure else { return Ok(Err(None)) };
    let Some(argv) = &infrastructure.state else { return Ok(Err(None)) };
    Ok(match readers.checkout.output(argv).await {
        Ok(output) => state::from_state(&output, shape, infrastructure).map_err(Some),
        Err(error) => Err(Some(format!("could not read Terraform's state: {error}"))),
    })
}

/// What the other sources make probable.
async fn inferred(
    readers: &Readers,
    runbook: &Runbook,
    shape: &ReleaseShape,
    past: &[PastRun],
    deploys: &Deploys,
) -> Running {
    let mut evidence = Vec::new();
    let (main, pulls) = match &runbook.infrastructure {
        Some(infrastructure) => on_github(readers, infrastructure, &mut evidence).await,
        None => (None, Vec::new()),
    };
    let main = main.filter(|tag| shape.version_of_image(tag).is_some());
    let main = main.map(|tag| Main { since: since(deploys, &tag), tag });
    let mut found = decide(shape, past, main.as_ref(), &pulls);
    found.evidence.splice(0..0, evidence);
    found
}

async fn on_github(
    readers: &Readers,
    infrastructure: &Infrastructure,
    evidence: &mut Vec<Evidence>,
) -> (Option<String>, Vec<PullRequest>) {
    let at = Location::from(&infrastructure.version);
    let (main, pulls) = futures::join!(
        readers.checkout.remote_attribute(&infrastructure.main, &at),
        readers.github.open_pull_requests(&infrastructure.repository),
    );
    let main = main.unwrap_or_else(|error| {
        evidence.push(Evidence::warning(format!("could not read {} of main: {error}", at.file)));
        None
    });
    let pulls = pulls.unwrap_or_else(|error| {
        evidence.push(Evidence::warning(format!("could not list the open infrastructure pull requests: {error}")));
        Vec::new()
    });
    (main.map(|attribute| attribute.literal.trim_matches('"').to_owned()), pulls)
}

/// When main got this tag.
fn since(deploys: &Deploys, tag: &str) -> Option<Timestamp> {
    let landed: &Landed = deploys.on_main()?;
    (landed.literal.trim_matches('"') == tag).then_some(landed.at)
}

/// What main holds.
struct Main {
    tag: String,
    since: Option<Timestamp>,
}

/// The last run of this machine that deployed, unless main or a bump pull request has changed since; else what these say.
fn decide(shape: &ReleaseShape, past: &[PastRun], main: Option<&Main>, pulls: &[PullRequest]) -> Running {
    let bumps = bumps(shape, pulls);
    let by_others = || from_main(main, &bumps);
    let tried = past.iter().filter(|run| run.deploy != PastDeploy::Never);
    let Some(last) = tried.max_by_key(|run| run.deployed_at().unwrap_or(run.began)) else {
        return Running { fact: by_others(), evidence: Vec::new() };
    };
    let PastDeploy::Done(at) = last.deploy else {
        let text = format!("run {} may have deployed {} in whole or in part", last.run, last.tag);
        return Running { fact: by_others(), evidence: vec![Evidence::warning(text)] };
    };
    let deployed =
        format!("deployed on {}, by {} (run {}: {})", at.strftime("%Y-%m-%d"), last.by, last.run, last.ended);
    let main_since = main.filter(|main| main.tag != last.tag).and_then(|main| main.since);
    let bumped_since = bumps.iter().filter(|(_, tag)| *tag != last.tag).filter_map(|(pull, _)| pull.updated_at);
    if main_since.into_iter().chain(bumped_since).any(|changed| changed > at) {
        let text =
            format!("{}, {deployed}, was the last deploy from this machine; others have deployed since", last.tag);
        return Running { fact: by_others(), evidence: vec![Evidence::warning(text)] };
    }
    let fact = RunningFact { tag: last.tag.clone(), certain: false, source: deployed };
    Running { fact: Some(fact), evidence: Vec::new() }
}

/// Open pull requests that name one tag, each with it.
fn bumps<'p>(shape: &ReleaseShape, pulls: &'p [PullRequest]) -> Vec<(&'p PullRequest, String)> {
    let tag_of = |pull: &PullRequest| {
        let mut tags = shape.image_tags_in(&pull.title);
        tags.extend(shape.image_tags_in(pull.head_ref.rsplit('/').next().unwrap_or_default()));
        tags.sort();
        tags.dedup();
        (tags.len() == 1).then(|| tags.remove(0))
    };
    pulls.iter().filter_map(|pull| Some((pull, tag_of(pull)?))).collect()
}

/// What main and open bump pull requests make probable. A bump pull request is opened after its apply, so its tag comes
/// before main's; of several, the one touched last.
fn from_main(main: Option<&Main>, bumps: &[(&PullRequest, String)]) -> Option<RunningFact> {
    let ahead = bumps.iter().filter(|(_, tag)| main.is_none_or(|main| main.tag != *tag));
    if let Some((pull, tag)) = ahead.max_by_key(|(pull, _)| (pull.updated_at, pull.number)) {
        let lags = main.map_or_else(String::new, |main| format!("; main still says {}", main.tag));
        let source = format!("the open pull request #{} by {}{lags}", pull.number, pull.author);
        return Some(RunningFact { tag: tag.clone(), certain: false, source });
    }
    main.map(|main| RunningFact {
        tag: main.tag.clone(),
        certain: false,
        source: "main of the infrastructure repository".into(),
    })
}

/// `None` where it is not known which tag runs, or that is not on the registry any more.
pub type RunningImage = Option<(ImageFact, Manifest)>;

/// The image that runs now, by its tag.
pub async fn running_image(look: &Look<'_>, running: Option<&RunningFact>) -> Result<RunningImage, ServiceError> {
    let (Some(running), Some(registry)) = (running, &look.runbook.registry) else { return Ok(None) };
    let reader = &look.readers.registry;
    let Some(manifest) = reader.manifest(&registry.image, &running.tag).await? else { return Ok(None) };
    let airflow_version = match &look.facts.running_image {
        Some(known) if known.tag == running.tag => known.airflow_version.clone(),
        _ => airflow_version(&reader.environment(&registry.image, &manifest.digest).await?),
    };
    let digest = manifest.digest.clone();
    Ok(Some((ImageFact { tag: running.tag.clone(), digest, airflow_version }, manifest)))
}

/// Whether two manifests are of the same image: tagging may wrap one anew.
pub fn same_image(one: &Manifest, other: &Manifest) -> bool {
    one.digest == other.digest || (!one.contents.is_empty() && one.contents == other.contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "rel-2024.06.13.17.07.54";
    const NEW: &str = "rel-2024.08.22.20.53.01";

    fn shape() -> ReleaseShape {
        ReleaseShape { git_prefix: "catalog-".into(), image_prefix: "rel-".into() }
    }

    fn pull(number: u64, title: &str, head: &str) -> PullRequest {
        PullRequest {
            number,
            title: title.into(),
            state: "open".into(),
            merged: false,
            head_ref: head.into(),
            head_sha: String::new(),
            base_ref: "main".into(),
            author: "dev".into(),
            html_url: String::new(),
            updated_at: Some("2024-08-24T00:00:00Z".parse().unwrap()),
        }
    }

    fn main(tag: &str, since: &str) -> Main {
        Main { tag: tag.into(), since: since.parse().ok() }
    }

    fn deployed(tag: &str, at: &str) -> PastRun {
        PastRun {
            run: "prod-1".into(),
            by: "ada on laptop".into(),
            tag: tag.into(),
            began: at.parse().unwrap(),
            deploy: PastDeploy::Done(at.parse().unwrap()),
            ended: "done".into(),
            image: None,
            running: None,
            bumped: true,
        }
    }

    fn fact(past: &[PastRun], main: Option<&Main>, pulls: &[PullRequest]) -> RunningFact {
        let fact = decide(&shape(), past, main, pulls).fact.unwrap();
        assert!(!fact.certain);
        fact
    }

    #[test]
    fn main_lags_an_open_bump_pull_request() {
        let pulls = [pull(7, "Fix DNS", "dns"), pull(8, &format!("Deploy catalog {NEW} to production"), "x")];
        let old = main(OLD, "2024-06-14T00:00:00Z");
        let found = fact(&[], Some(&old), &pulls);
        assert_eq!(found.tag, NEW);
        assert_eq!(found.source, format!("the open pull request #8 by dev; main still says {OLD}"));
        let by_branch = [pull(9, "Deploy", &format!("catalog-deploy/{NEW}"))];
        assert_eq!(fact(&[], None, &by_branch).tag, NEW);
        assert_eq!(fact(&[], Some(&old), &[]).tag, OLD);
        assert_eq!(decide(&shape(), &[], None, &[]), Running::default());
    }

    /// The state may hold user data only as a hash: then the last run of this machine knows better than main.
    #[test]
    fn the_last_run_of_this_machine_comes_before_main_unless_others_deployed_since() {
        let old = main(OLD, "2024-06-14T00:00:00Z");
        let mine = [deployed(OLD, "2024-06-13T00:00:00Z"), deployed(NEW, "2024-08-23T00:00:00Z")];
        let found = fact(&mine, Some(&old), &[]);
        let source = "deployed on 2024-08-23, by ada on laptop (run prod-1: done)";
        assert_eq!((found.tag.as_str(), found.source.as_str()), (NEW, source));
        // Its own bump, merged or still open, is no news.
        assert_eq!(fact(&mine, Some(&main(NEW, "2024-08-25T00:00:00Z")), &[]).source, source);
        assert_eq!(fact(&mine, Some(&old), &[pull(8, &format!("Deploy {NEW}"), "x")]).source, source);
        let newer = "rel-2024.09.09.23.00.57";
        for (main, pulls) in [
            (main(newer, "2024-09-10T00:00:00Z"), vec![]),
            (main(OLD, "2024-06-14T00:00:00Z"), vec![pull(9, &format!("Deploy {newer}"), "x")]),
        ] {
            let found = decide(&shape(), &mine, Some(&main), &pulls);
            assert_eq!(found.fact.unwrap().tag, newer);
            assert!(found.evidence[0].text.contains("others have deployed since"), "{:?}", found.evidence);
        }
    }

    #[test]
    fn a_deploy_that_may_have_taken_effect_is_no_source() {
        let unsure = PastRun { deploy: PastDeploy::Unsure, ..deployed(NEW, "2024-08-23T00:00:00Z") };
        let past = [deployed(OLD, "2024-06-13T00:00:00Z"), unsure];
        let found = decide(&shape(), &past, Some(&main(OLD, "2024-06-14T00:00:00Z")), &[]);
        assert_eq!(found.fact.unwrap().source, "main of the infrastructure repository");
        assert!(found.evidence[0].text.contains("may have deployed"), "{:?}", found.evidence);
    }
}
