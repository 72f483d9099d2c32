//! Bumps the version in the infrastructure repository to exactly the wanted tag.

pub mod recipe;
pub mod result;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;

use self::recipe::{Attempt, Way, attempt};
use self::result::BumpResult;
use super::infrastructure::{give_back_attribute, infrastructure, literal, refused, target, to_hold};
use super::transcript::tail;
use crate::adapters::checkout::{Location, Tree};
use crate::adapters::{Cause, ServiceError};
use crate::event::{Evidence, Question, Refusal, Strength};
use crate::facts::{Fact, FactKind, Held, Parameters, TargetFact};
use crate::plan::digest::digest;
use crate::runbook::Runbook;
use crate::runbook::schema::BumpTag;
use crate::step::{Act, Decision, Effect, Finding, Look, Returned, Step, Trouble, Undo};

/// Holds the version attribute until the apply is intended; from then on it stays.
pub struct Bump {
    tag: BumpTag,
}

impl Bump {
    pub fn new(tag: BumpTag) -> Self {
        Self { tag }
    }
}

/// The recipe picks the newest tag, so a run that was given a tag pins instead.
fn way(bump: Option<&Vec<String>>, mode: BumpTag, tag: &str, given: bool) -> Result<Way, Trouble> {
    match (mode, bump) {
        (BumpTag::Pin, _) => Ok(Way::Pin),
        (BumpTag::Newest, _) if given => Ok(Way::Pin),
        (BumpTag::Newest, Some(argv)) => Ok(Way::Recipe(argv.clone())),
        (BumpTag::Argument, Some(argv)) => Ok(Way::Recipe(argv.iter().cloned().chain([tag.to_owned()]).collect())),
        (_, None) => Err(refused(
            "the runbook names no command to bump with",
            "add `bump` to [infrastructure], or `tag = \"pin\"` to this step",
        )),
    }
}

/// What this step works on in one run.
struct Job<'a> {
    target: &'a TargetFact,
    wanted: String,
    at: Location,
    way: Way,
}

impl Bump {
    fn job<'a>(&self, look: &Look<'a>) -> Result<Job<'a>, Trouble> {
        let infrastructure = infrastructure(look)?;
        let target = target(look)?;
        Ok(Job {
            target,
            wanted: literal(&target.tag)?,
            at: Location::from(&infrastructure.version),
            way: way(infrastructure.bump.as_ref(), self.tag, &target.tag, look.parameters.tag.is_some())?,
        })
    }

    async fn look_at(&self, look: &Look<'_>, job: &Job<'_>) -> Result<Finding, Trouble> {
        let Location { file, attribute, .. } = &job.at;
        let now = look.readers.checkout.attribute(&job.at).await?;
        let line = now.line;
        let bumped = Fact::Bumped(job.target.clone());
        if now.literal == job.wanted {
            let evidence = format!("{attribute} is {} ({file}:{line})", job.wanted);
            return Ok(Finding::satisfied(evidence).learned(bumped));
        }
        let bytes = look.readers.checkout.read(file).await?;
        let how = match &job.way {
            Way::Recipe(argv) => format!("runs `{}`, and checks that it changed nothing else", argv.join(" ")),
            Way::Pin => "writes the tag into the file, no other byte".to_owned(),
        };
        Ok(Finding::new(Decision::Change(Question {
            gate: look.step.to_owned(),
            title: format!("Bump {attribute} to {}", job.target.tag),
            summary: vec![format!("{file}:{line}: {} → {}", now.literal, job.wanted), how.clone()],
            digest: digest(&[look.step.as_bytes(), bytes.as_slice(), job.wanted.as_bytes(), how.as_bytes()]),
            expected: true,
            strength: Strength::Yes,
            details: None,
        })))
    }
}

/// In words: what an attempt that was not exact did, and the way on.
fn describe(attempt: &Attempt, way: &Way, wanted: &str) -> Refusal {
    let name = match way {
        Way::Recipe(argv) => format!("`{}`", argv.join(" ")),
        Way::Pin => "setting the version".to_owned(),
    };
    let what = match (&attempt.failed, &attempt.result) {
        (Some((code, output)), _) => {
            let code = code.map_or("no exit code".to_owned(), |code| format!("exit {code}"));
            format!("{name} failed ({code}): {}", tail(output, 3))
        }
        (None, BumpResult::More(more)) => format!("{name} changed more than the version: {}", more.join(", ")),
        (None, BumpResult::Other(wrote)) => format!("{name} wrote {wrote} where {wanted} is wanted"),
        (None, BumpResult::Nothing) => format!("{name} changed nothing where {wanted} is wanted"),
        (None, BumpResult::Exact) => format!("{name} wrote {wanted}"),
    };
    let next = match (&attempt.failed, &attempt.result) {
        (Some(_), _) => "see its output, mend the cause, and go on with `catalog-deploy resume`",
        (None, BumpResult::More(_)) => "mend the recipe, or set `tag = \"pin\"` for this step in the runbook",
        _ => {
            "look which tags the registry has; `tag = \"pin\"` or `tag = \"argument\"` in the runbook names the tag itself"
        }
    };
    Refusal { what, next: next.into() }
}

/// Whether what a recipe picked in a preview is what it must pick as long as the predicted tag does not exist.
fn picks_older_for_now(result: &BumpResult, wanted: &str) -> bool {
    match result {
        BumpResult::Nothing => true,
        // Tags of one shape sort by time.
        BumpResult::Other(wrote) => shape(wrote) == shape(wanted) && wrote.as_str() < wanted,
        BumpResult::Exact | BumpResult::More(_) => false,
    }
}

/// A literal with every digit made equal: `"rel-0000.00.…"`.
fn shape(literal: &str) -> String {
    literal.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect()
}

/// The changed lines between two states, each given by its diff to the same commit: the version that stands in the checkout
/// may be an earlier deploy's, which is not committed yet.
fn between(before: &str, after: &str) -> Vec<String> {
    let lines = |diff: &str, sign: char| -> Vec<String> {
        let marked = diff.lines().filter(|line| line.starts_with(sign));
        let header = |line: &&str| line.starts_with("+++") || line.starts_with("---");
        marked.filter(|line| !header(line)).map(|line| line[1..].trim_end().to_owned()).collect()
    };
    let but =
        |all: Vec<String>, known: &[String]| all.into_iter().filter(|line| !known.contains(line)).collect::<Vec<_>>();
    let (gone, gone_before) = (lines(after, '-'), lines(before, '-'));
    let (new, new_before) = (lines(after, '+'), lines(before, '+'));
    let minus = but(gone.clone(), &gone_before).into_iter().chain(but(new_before.clone(), &new));
    let plus = but(new, &new_before).into_iter().chain(but(gone_before, &gone));
    minus.map(|line| format!("-{line}")).chain(plus.map(|line| format!("+{line}"))).collect()
}

#[async_trait]
impl Step for Bump {
    fn needs(&self) -> &'static [FactKind] {
        &[FactKind::Target]
    }
    fn gives(&self) -> &'static [FactKind] {
        &[FactKind::Bumped]
    }
    fn undo(&self) -> Undo {
        Undo::GivesBack
    }

    fn holds(&self, runbook: &Runbook, _: &Parameters) -> Option<String> {
        let version = &runbook.infrastructure.as_ref()?.version;
        Some(format!("{} in {}, restored unless it is deployed", version.attribute, version.file))
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        let job = self.job(&look)?;
        self.look_at(&look, &job).await
    }

    /// Bumps in the copy. A tag that is not published yet cannot be picked by the recipe, so the copy pins it.
    async fn preview(&self, look: Look<'_>, scratch: &Arc<dyn Tree>) -> Result<Finding, Trouble> {
        let job = self.job(&look)?;
        let mut finding = self.look_at(&look, &job).await?;
        if !matches!(finding.decision, Decision::Change(_)) {
            return Ok(finding);
        }
        let prior = scratch.attribute(&job.at).await?.literal;
        let before = scratch.diff().await?;
        let checkout = look.readers.checkout.as_ref();
        let tried = attempt(scratch.as_ref(), checkout, &job.way, &job.at, &job.wanted, look.lines.clone()).await?;
        let predicted = job.target.predicted;
        if !tried.exact() {
            tried.put_back(scratch.as_ref()).await?;
            let awaits_release = predicted && tried.failed.is_none() && picks_older_for_now(&tried.result, &job.wanted);
            if awaits_release {
                let newest = match &tried.result {
                    BumpResult::Other(wrote) => wrote.clone(),
                    _ => prior.clone(),
                };
                let text =
                    format!("the newest existing tag is {newest}; after publishing, bump will pick {}", job.wanted);
                finding = finding.saw(Evidence::predicted(text));
            } else {
                finding.decision = Decision::Blocked(vec![describe(&tried, &job.way, &job.wanted)]);
            }
            // The plan is worth seeing either way.
            scratch.set_attribute(&job.at, &job.wanted).await?;
        }
        let label = if predicted { Evidence::predicted } else { Evidence::verified };
        finding.evidence.extend(between(&before, &scratch.diff().await?).into_iter().map(label));
        Ok(finding.learned(Fact::Bumped(job.target.clone())))
    }

    async fn act(&self, act: Act<'_>, _question: &Question) -> Result<(), Trouble> {
        let job = self.job(&act.look)?;
        let Job { wanted, at, way, .. } = &job;
        let checkout = act.look.readers.checkout.as_ref();
        let prior = checkout.attribute(at).await?.literal;
        let effect = Effect {
            what: format!("bump {} in {} from {prior} to {wanted}", at.attribute, at.file),
            holds: vec![to_hold(&act.look, "version", at, &prior, wanted)],
            keeps: Vec::new(),
        };
        let lines = act.look.lines.clone();
        let made = act.change(effect, |writers| async move {
            let tree = writers.checkout.tree();
            let tried = attempt(tree.as_ref(), checkout, way, at, wanted, lines).await?;
            settle(&tried, tree.as_ref(), way, wanted).await
        });
        made.await.map_err(|trouble| in_words(trouble, &job))
    }

    async fn give_back(&self, act: &Act<'_>, held: &Held) -> Result<Returned, Trouble> {
        give_back_attribute(act, held).await
    }
}

/// Accepts an exact bump; puts everything back after any other, so that it surely took no effect.
async fn settle(tried: &Attempt, tree: &dyn Tree, way: &Way, wanted: &str) -> Result<(), ServiceError> {
    if tried.exact() {
        return Ok(());
    }
    let refusal = describe(tried, way, wanted);
    let request = match way {
        Way::Recipe(argv) => format!("`{}`", argv.join(" ")),
        Way::Pin => "set the version".into(),
    };
    let cause = match tried.put_back(tree).await {
        Ok(()) => Cause::Rejected { status: 0, message: format!("{}; everything was put back", refusal.what) },
        Err(error) => Cause::Failed(format!(
            "{}; and it could not be put back: {error}; look at {}",
            refusal.what,
            tried.touched_files().join(", ")
        )),
    };
    Err(ServiceError::new("checkout", request, cause))
}

/// A bump that went wrong is a failed step, with its own sentence instead of a request's.
fn in_words(trouble: Trouble, job: &Job<'_>) -> Trouble {
    match trouble {
        Trouble::Service(ServiceError { cause: Cause::Rejected { status: 0, message }, .. }) => Trouble::Failed {
            what: message,
            next: "mend the cause (or set `tag = \"pin\"` for this step in the runbook), then `catalog-deploy resume`"
                .into(),
        },
        Trouble::InDoubt { what, .. } => {
            Trouble::InDoubt { what, next: format!("look at `git diff` in the checkout, above all at {}", job.at.file) }
        }
        other => other,
    }
}
