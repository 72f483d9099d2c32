//! Opens the infrastructure pull request: the version bump alone, never with the flag true.

mod body;

use async_trait::async_trait;

use super::infrastructure::{infrastructure, literal, refused, target};
use crate::adapters::checkout::{Attribute, Location};
use crate::adapters::github::{ChangedFile, NewPullRequest, PullRequest};
use crate::adapters::{Cause, ServiceError, Writers};
use crate::event::{Question, Refusal, Strength};
use crate::facts::{Fact, FactKind, PullRequestFact};
use crate::plan::digest::digest;
use crate::runbook::schema::Infrastructure;
use crate::step::{Act, Decision, Effect, Finding, Look, Step, Trouble, Undo};

pub struct InfrastructurePullRequest {
    branch: String,
    title: String,
    body: String,
}

impl InfrastructurePullRequest {
    /// `{tag}` in each stands for the image tag.
    pub fn new(branch: String, title: String, body: String) -> Self {
        Self { branch, title, body }
    }

    fn job<'a>(&self, look: &Look<'a>) -> Result<Job<'a>, Trouble> {
        let infrastructure = infrastructure(look)?;
        let tag = &target(look)?.tag;
        let filled = |template: &str| template.replace("{tag}", tag);
        Ok(Job {
            infrastructure,
            at: Location::from(&infrastructure.version),
            wanted: literal(tag)?,
            new: NewPullRequest {
                title: filled(&self.title),
                body: body::body(look, &filled(&self.body)),
                head: filled(&self.branch),
                base: infrastructure.main.clone(),
            },
        })
    }
}

/// What this step works on in one run.
struct Job<'a> {
    infrastructure: &'a Infrastructure,
    at: Location,
    wanted: String,
    new: NewPullRequest,
}

/// Where the pull request of this deploy is, or belongs.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Open(&'a PullRequest),
    /// Nobody has used this branch.
    Free,
    /// All its pull requests are over: it served an earlier deploy of the same tag.
    Used,
}

fn place(pulls: &[PullRequest]) -> Place<'_> {
    match pulls.iter().find(|pull| pull.state == "open") {
        Some(open) => Place::Open(open),
        None if pulls.is_empty() => Place::Free,
        None => Place::Used,
    }
}

/// `branch`, `branch-2`, `branch-3`: one per deploy of the same tag, as a rollback deploys a tag again.
fn numbered(branch: &str, number: u32) -> String {
    if number == 1 { branch.to_owned() } else { format!("{branch}-{number}") }
}

/// Deploys of one tag beyond this are no procedure any more.
const MOST_DEPLOYS: u32 = 20;

fn fact(pull: &PullRequest) -> Fact {
    Fact::PullRequest(PullRequestFact { number: pull.number, url: pull.html_url.clone() })
}

/// Why a pull request holds more than one changed line, the version's; `None` where it is the bump alone.
fn more_than_the_version(files: &[ChangedFile], at: &Location, wanted: &str) -> Option<String> {
    let [file] = files else {
        let names: Vec<&str> = files.iter().map(|file| file.filename.as_str()).collect();
        return Some(format!("it changes {} files: {}", files.len(), names.join(", ")));
    };
    if file.filename != at.file {
        return Some(format!("it changes {}", file.filename));
    }
    if (file.additions, file.deletions) != (1, 1) {
        return Some(format!("it changes {} and {} lines of {}", file.additions, file.deletions, file.filename));
    }
    let patch = file.patch.as_deref()?;
    let added = patch.lines().find(|line| line.starts_with('+') && !line.starts_with("+++"));
    let holds = added.is_some_and(|line| line.contains(&at.attribute) && line.contains(wanted));
    (!holds).then(|| format!("its one changed line is not {} = {wanted}", at.attribute))
}

impl InfrastructurePullRequest {
    /// The finding, and the job with the branch that was chosen.
    async fn decide<'a>(&self, look: &Look<'a>, mut job: Job<'a>) -> Result<(Finding, Job<'a>), Trouble> {
        let (checkout, github) = (&look.readers.checkout, &look.readers.github);
        let (on_main, head, chosen) = tokio::join!(
            checkout.remote_attribute(&job.infrastructure.main, &job.at),
            checkout.remote_branch(&job.infrastructure.main),
            choose_branch(look, &job),
        );
        let (on_main, head, (branch, open)) = (on_main?, head?, chosen?);
        job.new.head = branch;
        let Job { infrastructure, at, wanted, new } = &job;
        if let Some(pull) = open {
            let files = github.pull_request_files(&infrastructure.repository, pull.number).await?;
            let finding = match more_than_the_version(&files, at, wanted) {
                None => Finding::satisfied(format!("{} is open, the version bump alone", pull.html_url))
                    .learned(fact(&pull)),
                Some(more) => Finding::blocked(
                    format!("{} is open, but is not the version bump alone: {more}", pull.html_url),
                    "mend or close it, then go on with `catalog-deploy resume`",
                ),
            };
            return Ok((finding, job));
        }
        if holds(on_main.as_ref(), wanted) {
            let finding = Finding::satisfied(format!("{} already says {wanted}", infrastructure.main));
            return Ok((finding, job));
        }
        let Some(on_main) = on_main else {
            let what = format!("{} has no {} in {}", infrastructure.main, at.attribute, at.file);
            return Ok((Finding::blocked(what, "correct [infrastructure.version] in the runbook"), job));
        };
        if let Some(refusal) = flag_in_the_way(look, &job).await? {
            return Ok((Finding::new(Decision::Blocked(vec![refusal])), job));
        }
        let finding = Finding::new(Decision::Change(Question {
            gate: look.step.to_owned(),
            title: format!("Open the pull request \"{}\"", new.title),
            summary: vec![
                format!(
                    "pushes {} to {} and opens a pull request into {}",
                    new.head, infrastructure.repository, new.base
                ),
                format!("{}:{}: {} → {wanted}, and nothing else", at.file, on_main.line, on_main.literal),
            ],
            digest: digest(&[look.step, &new.head, wanted, &head.unwrap_or_default()]),
            expected: true,
            strength: Strength::Yes,
            details: Some(new.body.clone()),
        }));
        Ok((finding, job))
    }
}

/// The branch for this deploy's pull request, with the one that is open for it already.
async fn choose_branch(look: &Look<'_>, job: &Job<'_>) -> Result<(String, Option<PullRequest>), Trouble> {
    for number in 1..=MOST_DEPLOYS {
        let branch = numbered(&job.new.head, number);
        let pulls = look.readers.github.pull_requests_of_branch(&job.infrastructure.repository, &branch).await?;
        match place(&pulls) {
            Place::Open(pull) => return Ok((branch, Some(pull.clone()))),
            Place::Free => return Ok((branch, None)),
            Place::Used => {}
        }
    }
    Err(refused(
        format!("{MOST_DEPLOYS} branches named like {} have had their pull requests", job.new.head),
        "open the pull request by hand, or name the branch otherwise in the runbook",
    ))
}

/// The flag must be false in the checkout, and on a branch that an earlier attempt has pushed.
async fn flag_in_the_way(look: &Look<'_>, job: &Job<'_>) -> Result<Option<Refusal>, Trouble> {
    let Some(flag) = &job.infrastructure.flag else { return Ok(None) };
    let at = Location::from(flag);
    let checkout = &look.readers.checkout;
    let (here, pushed) = tokio::join!(checkout.attribute(&at), checkout.remote_attribute(&job.new.head, &at));
    let (here, pushed) = (here?, pushed?);
    Ok(if here.literal != "false" {
        Some(Refusal {
            what: format!("{} is {} ({}:{})", flag.attribute, here.literal, flag.file, here.line),
            next: "it must be false before the pull request is opened: `catalog-deploy restore` sets it back".into(),
        })
    } else if pushed.as_ref().is_some_and(|pushed| pushed.literal != "false") {
        Some(Refusal {
            what: format!("the branch {} exists and does not say {} = false", job.new.head, flag.attribute),
            next: format!("delete that branch in {}, then go on", job.infrastructure.repository),
        })
    } else {
        None
    })
}

/// Whether a branch says the wanted version.
fn holds(found: Option<&Attribute>, wanted: &str) -> bool {
    found.is_some_and(|found| found.literal == wanted)
}

#[async_trait]
impl Step for InfrastructurePullRequest {
    fn needs(&self) -> &'static [FactKind] {
        &[FactKind::Target]
    }
    fn gives(&self) -> &'static [FactKind] {
        &[FactKind::PullRequest]
    }
    fn undo(&self) -> Undo {
        Undo::Never("a pull request stays visible; close it by hand if it is not wanted")
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        let job = self.job(&look)?;
        Ok(self.decide(&look, job).await?.0)
    }

    async fn act(&self, act: Act<'_>, question: &Question) -> Result<(), Trouble> {
        let job = self.job(&act.look)?;
        let (finding, job) = self.decide(&act.look, job).await?;
        match finding.decision {
            Decision::Change(now) if now.digest == question.digest => {}
            Decision::Satisfied => return Ok(()),
            _ => {
                return Err(refused(
                    "what the pull request would be has changed since it was approved (its branch, or main)",
                    "`catalog-deploy resume` asks anew",
                ));
            }
        }
        let Job { infrastructure, at, wanted, new } = &job;
        let pushed = act.look.readers.checkout.remote_attribute(&new.head, at).await?;
        if !holds(pushed.as_ref(), wanted) {
            let effect = Effect::new(format!("push {} with {wanted} to {}", new.head, infrastructure.repository));
            act.change(effect, |writers| push(writers, &job)).await.map_err(|trouble| in_words(trouble, &job))?;
        }
        let effect = Effect::new(format!("open the pull request \"{}\" in {}", new.title, infrastructure.repository));
        let opened = act.change(effect, |writers| open(writers, &job)).await;
        act.learn(fact(&opened.map_err(|trouble| in_words(trouble, &job))?))
    }
}

/// Pushes once. Where the answer is lost, the branch on the remote tells.
async fn push(writers: Writers, job: &Job<'_>) -> Result<(), ServiceError> {
    let Job { at, wanted, new, .. } = job;
    match writers.checkout.push_version(&new.head, at, wanted, &new.title).await {
        Ok(_) => Ok(()),
        Err(error) if error.surely_refused() => Err(error),
        Err(error) => match writers.checkout.remote_attribute(&new.head, at).await {
            Ok(found) if holds(found.as_ref(), wanted) => Ok(()),
            Ok(_) | Err(_) => Err(error),
        },
    }
}

/// Opens once. "Already exists" (422) and a lost answer are both looked up.
async fn open(writers: Writers, job: &Job<'_>) -> Result<PullRequest, ServiceError> {
    let Job { infrastructure, new, .. } = job;
    let error = match writers.github.open_pull_request(&infrastructure.repository, new).await {
        Ok(pull) => return Ok(pull),
        Err(error) => error,
    };
    let may_exist = !error.surely_refused() || matches!(error.cause, Cause::Rejected { status: 422, .. });
    if may_exist
        && let Ok(pulls) = writers.github.pull_requests_of_branch(&infrastructure.repository, &new.head).await
        && let Some(pull) = pulls.into_iter().find(|pull| pull.state == "open")
    {
        return Ok(pull);
    }
    Err(error)
}

fn in_words(trouble: Trouble, job: &Job<'_>) -> Trouble {
    let Job { infrastructure, new, .. } = job;
    let look =
        format!("look for the branch {} in {}, then `catalog-deploy resume`", new.head, infrastructure.repository);
    match trouble {
        Trouble::InDoubt { what, .. } => Trouble::InDoubt { what, next: look },
        Trouble::Service(error) if !error.credentials() => Trouble::Failed { what: error.to_string(), next: look },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: &str = "\"rel-2024.08.22.20.53.01\"";

    fn at() -> Location {
        Location { file: "prod/catalog.tf".into(), block: vec![], attribute: "docker_image_tag".into() }
    }

    fn file(name: &str, additions: u64, deletions: u64, patch: Option<&str>) -> ChangedFile {
        let patch = patch.map(str::to_owned);
        ChangedFile { filename: name.into(), status: "modified".into(), additions, deletions, patch }
    }

    #[test]
    fn an_existing_pull_request_must_be_the_bump_alone() {
        let bump = format!("@@ -3 +3 @@\n-  docker_image_tag = \"rel-1\"\n+  docker_image_tag = {WANTED}");
        let flag = "@@ -3 +3 @@\n-  running_dags_cleared = false\n+  running_dags_cleared = true";
        let good = file("prod/catalog.tf", 1, 1, Some(&bump));
        let cases = [
            ("the bump", vec![good.clone()], true),
            ("without a patch", vec![file("prod/catalog.tf", 1, 1, None)], true),
            ("the flag", vec![file("prod/catalog.tf", 1, 1, Some(flag))], false),
            ("bump and flag", vec![file("prod/catalog.tf", 2, 2, Some(&bump))], false),
            ("another file", vec![file("prod/api.tf", 1, 1, Some(&bump))], false),
            ("two files", vec![good, file("prod/api.tf", 1, 1, None)], false),
            ("no file", vec![], false),
        ];
        for (name, files, alone) in cases {
            assert_eq!(more_than_the_version(&files, &at(), WANTED).is_none(), alone, "{name}");
        }
    }

    fn pull(number: u64, state: &str, merged: bool) -> PullRequest {
        PullRequest {
            number,
            title: String::new(),
            state: state.into(),
            merged,
            head_ref: String::new(),
            head_sha: String::new(),
            base_ref: String::new(),
            author: String::new(),
            html_url: String::new(),
            updated_at: None,
        }
    }

    #[test]
    fn a_branch_serves_one_deploy_of_its_tag() {
        let (closed, merged, open) = (pull(1, "closed", false), pull(2, "closed", true), pull(3, "open", false));
        assert_eq!(place(&[closed.clone(), merged.clone(), open.clone()]), Place::Open(&open));
        // A rollback deploys a tag whose pull request was merged long ago: that one says nothing about main today.
        assert_eq!(place(&[closed, merged]), Place::Used);
        assert_eq!(place(&[]), Place::Free);
        assert_eq!(numbered("deploy/rel-1", 1), "deploy/rel-1");
        assert_eq!(numbered("deploy/rel-1", 2), "deploy/rel-1-2");
    }
}
