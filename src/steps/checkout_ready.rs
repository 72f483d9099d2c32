//! The infrastructure checkout is clean, on main and not behind; nothing of an earlier deploy was left in it.

mod judge;

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use futures::future::OptionFuture;

use self::judge::{Expected, Reading, refusals, standing, warnings};
pub(super) use self::judge::{errored_state_file, errored_state_refusal};
use super::infrastructure::{deploy_attributes, held_at, infrastructure, literal, place};
use super::running::by_state;
use crate::adapters::checkout::{Location, Standing, find_attribute, replace_attribute};
use crate::event::{Evidence, Question, Refusal};
use crate::facts::{Check, Thing};
use crate::runbook::Kind;
use crate::runbook::schema::Infrastructure;
use crate::step::{Act, Decision, Finding, Look, Step, Trouble, Undo};

#[derive(Default)]
pub struct CheckoutReady {
    /// The checkout at the first look, the deploy's own attributes left out: any edit but these shows.
    fingerprint: Mutex<Option<String>>,
    /// The version's file holds the last deploy's bump, not merged yet.
    unmerged: Mutex<bool>,
}

impl CheckoutReady {
    pub fn new() -> Self {
        Self::default()
    }
}

/// Files that this run has edited itself, by its journal.
fn own_files(look: &Look<'_>, infrastructure: &Infrastructure) -> Vec<String> {
    let here = place(look);
    let held = look.held.iter().filter(|held| held.place == here).filter_map(|held| match &held.thing {
        Thing::Attribute { file, .. } => Some(file.clone()),
        _ => None,
    });
    let bumped = look.facts.bumped.is_some().then(|| infrastructure.version.file.clone());
    held.chain(bumped).collect()
}

/// The fixed part of the branch that bump pull requests get, from the runbook's own step.
fn branch_prefix<'a>(look: &Look<'a>) -> &'a str {
    let branch = look.runbook.steps.iter().find_map(|step| match &step.kind {
        Kind::InfrastructurePullRequest { branch, .. } => Some(branch.as_str()),
        _ => None,
    });
    branch.and_then(|branch| branch.split('{').next()).unwrap_or_default()
}

fn expected<'a>(look: &Look<'a>, infrastructure: &'a Infrastructure, ours: &'a [String]) -> Expected<'a> {
    let flag = infrastructure.flag.as_ref().map(Location::from);
    Expected {
        main: &infrastructure.main,
        remote: &infrastructure.remote,
        directory: &infrastructure.directory,
        ours,
        flag_is_ours: flag.is_some_and(|flag| held_at(look, &flag).is_some()),
        branch_prefix: branch_prefix(look),
        image_prefix: look.runbook.release.as_ref().map_or("", |shape| &shape.image_prefix),
        unmerged: None,
        own_pull_request: look.facts.pull_request.as_ref().map(|pull| pull.number),
    }
}

/// Reads everything side by side.
async fn read(look: &Look<'_>, infrastructure: &Infrastructure) -> Result<Reading, Trouble> {
    let checkout = &look.readers.checkout;
    let flag: OptionFuture<_> = infrastructure
        .flag
        .as_ref()
        .map(|flag| async move {
            let at = Location::from(flag);
            checkout.attribute(&at).await.map(|found| (at, found))
        })
        .into();
    let workspace: OptionFuture<_> = infrastructure
        .workspace
        .as_ref()
        .map(|wanted| async move {
            let chdir = format!("-chdir={}", infrastructure.directory);
            let argv = ["terraform", &chdir, "workspace", "show"].map(str::to_owned);
            let shown = checkout.output(&argv).await;
            let shown = shown.map(|output| String::from_utf8_lossy(&output).trim().to_owned());
            (wanted.clone(), shown.map_err(|error| error.cause.to_string()))
        })
        .into();
    let errored_file = errored_state_file(&infrastructure.directory);
    let (standing, flag, pulls, workspace, errored) = tokio::join!(
        checkout.standing(),
        flag,
        look.readers.github.open_pull_requests(&infrastructure.repository),
        workspace,
        checkout.read(&errored_file),
    );
    let errored_state = match errored {
        Ok(_) => true,
        Err(error) if error.not_found() => false,
        Err(error) => return Err(error.into()),
    };
    Ok(Reading {
        standing: standing?,
        flag: flag.transpose()?,
        pull_requests: pulls.map_err(|error| error.to_string()),
        workspace,
        errored_state,
    })
}

/// The tag of the last deploy's bump, where that is all that the checkout differs by: a deploy leaves the version in the
/// checkout, and until its pull request is merged nothing else says what runs. Whoever has to go back in the night
/// must not have to undo it first, for a checkout at main's version would plan from there.
async fn unmerged_bump(
    look: &Look<'_>,
    infrastructure: &Infrastructure,
    dirty: &[String],
) -> Result<Option<String>, Trouble> {
    let at = Location::from(&infrastructure.version);
    if dirty != [at.file.clone()] {
        return Ok(None);
    }
    let checkout = &look.readers.checkout;
    let (head, here) = tokio::try_join!(checkout.read_at("HEAD", &at.file), checkout.read(&at.file))?;
    let Some(version) = only_differs_by_version(&head, &here, &at) else { return Ok(None) };
    let is_here = |tag: &String| literal(tag).is_ok_and(|literal| literal == version);
    // The state may not tell: then the last run here that wrote a version does.
    let mine = look.past.iter().rfind(|run| run.bumped).map(|run| run.tag.clone());
    Ok(match mine.filter(is_here) {
        Some(tag) => Some(tag),
        None => by_state(look.readers, look.runbook).await?.ok().map(|running| running.tag).filter(is_here),
    })
}

/// The version's literal, where that is all by which the file differs from HEAD.
fn only_differs_by_version(head: &[u8], here: &[u8], at: &Location) -> Option<String> {
    let version = find_attribute(here, &at.file, &at.block, &at.attribute).ok()?.literal;
    let bumped = replace_attribute(head, &at.file, &at.block, &at.attribute, &version).ok()?;
    (bumped == here).then_some(version)
}

/// What follows where the remote's main could not be read.
fn unseen(look: &Look<'_>, standing: &Standing) -> Result<Option<Evidence>, Trouble> {
    let Err(error) = &standing.remote else { return Ok(None) };
    let consequence = "Main of the infrastructure repository may have moved: deploying from this checkout could undo what \
                       others deployed. Only an apply that is bound to its plan file is allowed";
    look.without(Check::Lock, error.clone(), consequence).map(Some)
}

#[async_trait]
impl Step for CheckoutReady {
    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        let infrastructure = infrastructure(&look)?;
        let except = deploy_attributes(infrastructure);
        let (reading, fingerprint) =
            tokio::join!(read(&look, infrastructure), look.readers.checkout.fingerprint(&except));
        let reading = reading?;
        let mut ours = own_files(&look, infrastructure);
        let unmerged = unmerged_bump(&look, infrastructure, &reading.standing.dirty).await?;
        *self.unmerged.lock().unwrap_or_else(PoisonError::into_inner) = unmerged.is_some();
        ours.extend(unmerged.is_some().then(|| infrastructure.version.file.clone()));
        let mut expected = expected(&look, infrastructure, &ours);
        expected.unmerged = unmerged.as_ref().map(|_| infrastructure.version.file.as_str());
        let refusals = refusals(&reading, &expected);
        let mut finding = if refusals.is_empty() {
            let unseen = unseen(&look, &reading.standing)?;
            *self.fingerprint.lock().unwrap_or_else(PoisonError::into_inner) = Some(fingerprint?);
            let short: String = reading.standing.head.chars().take(12).collect();
            let root = look.readers.checkout.root();
            let at = match unseen {
                None => format!("{}/{} ({short})", infrastructure.remote, infrastructure.main),
                Some(_) => short,
            };
            let mut finding = Finding::satisfied(format!("{} is clean and at {at}", root.display()));
            finding.evidence.extend(unseen);
            finding
        } else {
            Finding::new(Decision::Blocked(refusals))
        };
        finding.evidence.extend(unmerged.map(|tag| {
            Evidence::warning(format!(
                "the checkout holds the version {tag}, which the last deploy wrote and which is not merged yet"
            ))
        }));
        finding.evidence.extend(warnings(&reading, &expected));
        Ok(finding)
    }

    /// Until the apply, the checkout stays as it was but for this run's own two attributes. After it, others may merge.
    async fn guard(&self, look: Look<'_>) -> Result<Vec<Refusal>, Trouble> {
        if look.facts.applied.is_some() {
            return Ok(Vec::new());
        }
        let infrastructure = infrastructure(&look)?;
        let except = deploy_attributes(infrastructure);
        let checkout = &look.readers.checkout;
        let (now, fingerprint) = tokio::join!(checkout.standing(), checkout.fingerprint(&except));
        let mut ours = own_files(&look, infrastructure);
        // What is in that file is part of the fingerprint, its version apart.
        let unmerged = *self.unmerged.lock().unwrap_or_else(PoisonError::into_inner);
        ours.extend(unmerged.then(|| infrastructure.version.file.clone()));
        let now = now?;
        let mut refusals = standing(&now, &expected(&look, infrastructure, &ours));
        unseen(&look, &now)?;
        let earlier = self.fingerprint.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let fingerprint = fingerprint?;
        if refusals.is_empty() && earlier.is_some_and(|earlier| earlier != fingerprint) {
            refusals.push(Refusal {
                what: "the checkout has changed since it was looked at first, beyond what this run changed itself"
                    .into(),
                next: "look at `git log` and `git diff` there, then go on with `catalog-deploy resume`".into(),
            });
        }
        Ok(refusals)
    }

    async fn act(&self, _act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        Ok(())
    }
}
