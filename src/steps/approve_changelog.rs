//! Reviews and approves the changelog pull request that the tagging workflow opened.
//!
//! The image is deployed by then: nothing here may lose the deploy, so what cannot be done is left open and said.

mod judge;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::adapters::Cause;
use crate::adapters::checkout::Tree;
use crate::adapters::github::PullRequest;
use crate::event::{Evidence, Question, Refusal, Strength};
use crate::facts::{Fact, FactKind, PullRequestFact};
use crate::runbook::schema::Span;
use crate::step::{Act, Decision, Effect, Finding, Look, Step, Trouble, Undo, Wait};
use crate::steps::declared::{self, has_passed, seal};
use judge::{Choice, Verdict};

const POLL: Duration = Duration::from_secs(15);

pub struct ApproveChangelog {
    /// `{git_tag}` stands for the release's tag.
    branch: String,
    wait: Duration,
    /// GitHub's own words, where it refused the approval.
    refused: Mutex<Option<String>>,
}

impl ApproveChangelog {
    /// `branch_template` names the branch, `{git_tag}` standing for the release's tag; waits up to `wait` for the pull
    /// request to be opened.
    pub fn new(branch_template: String, wait: Span) -> Self {
        Self { branch: branch_template, wait: wait.0, refused: Mutex::new(None) }
    }

    fn branch_of(&self, git_tag: &str) -> String {
        self.branch.replace("{git_tag}", git_tag)
    }

    /// What to do when no pull request is there: wait, and in the end leave that end open.
    fn absent(&self, look: &Look<'_>, branch: &str) -> Finding {
        if has_passed(look, self.wait) {
            let waited = humantime::format_duration(self.wait);
            return Finding::new(Decision::Unfinished(format!(
                "no changelog pull request from {branch} after {waited}: check the tagging workflow's run; do not \
                 publish again"
            )));
        }
        self.wait_for(format!("the changelog pull request from {branch}"))
    }

    /// The deploy does not depend on it, so the other steps are tried meanwhile.
    fn wait_for(&self, on: String) -> Finding {
        Finding::new(Decision::Wait(Wait {
            on,
            poll: POLL,
            // Longer than our own deadline, which must not end the run.
            at_most: self.wait + POLL * 8,
            next: "check the tagging workflow's run, which opens it".into(),
            aside: true,
            ..Wait::default()
        }))
    }

    async fn review(&self, look: &Look<'_>, pull: &PullRequest, git_tag: &str) -> Result<Finding, Trouble> {
        let github = declared::github(look.runbook)?;
        let shape = declared::release(look.runbook)?;
        let repository = &github.repository;
        let reader = &look.readers.github;
        let (viewer, files, reviews, checks) = futures::try_join!(
            reader.viewer(),
            reader.pull_request_files(repository, pull.number),
            reader.reviews(repository, pull.number),
            reader.checks(repository, &pull.head_sha),
        )?;
        let pending: Vec<&str> =
            checks.iter().filter(|check| check.status != "completed").map(|check| check.name.as_str()).collect();
        let verdict = judge::judge(
            look.step,
            judge::Reading {
                pull,
                files: &files,
                reviews: &reviews,
                checks: &checks,
                viewer: &viewer,
                version: shape.version_of_git(git_tag).unwrap_or(git_tag),
                main: &github.main,
            },
        );
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(match (verdict, refused) {
            (Verdict::AlreadyApproved, _) => {
                Finding::satisfied(format!("#{} is approved by {viewer} at its last commit", pull.number))
            }
            (Verdict::Own, _) => Finding::new(Decision::Unfinished(format!(
                "#{} was opened by {viewer}, your own account: someone else must approve it: {}",
                pull.number, pull.html_url
            ))),
            (Verdict::Ask(_), None) if !pending.is_empty() && !has_passed(look, self.wait) => self.wait_for(format!(
                "the checks of the changelog pull request #{} ({})",
                pull.number,
                pending.join(", ")
            )),
            (Verdict::Ask(_), Some(why)) => Finding::new(Decision::Unfinished(format!(
                "GitHub refused the approval of #{} ({why}): someone else must approve it: {}",
                pull.number, pull.html_url
            ))),
            (Verdict::Ask(question), None) => Finding::new(Decision::Change(question)),
        })
    }
}

#[async_trait]
impl Step for ApproveChangelog {
    fn needs(&self) -> &'static [FactKind] {
        &[FactKind::Target]
    }

    fn gives(&self) -> &'static [FactKind] {
        &[FactKind::Changelog]
    }

    fn undo(&self) -> Undo {
        Undo::Never("an approval can be dismissed by hand, but not taken back as if it had not been")
    }

    async fn observe(&self, look: Look<'_>) -> Result<Finding, Trouble> {
        let github = declared::github(look.runbook)?;
        let Some(git_tag) = git_tag(&look)? else {
            let why = "it is not known which release was deployed, so its changelog cannot be found";
            return Ok(Finding::new(Decision::Unfinished(why.into())));
        };
        let branch = self.branch_of(&git_tag);
        let pulls = look.readers.github.pull_requests_of_branch(&github.repository, &branch).await?;
        let learn = |finding: Finding, pull: &PullRequest| {
            finding.learned(Fact::Changelog(PullRequestFact { number: pull.number, url: pull.html_url.clone() }))
        };
        Ok(match judge::choose(&pulls, &branch) {
            Choice::None => self.absent(&look, &branch),
            Choice::Open(pull) => learn(self.review(&look, pull, &git_tag).await?, pull),
            Choice::Over(pull) => learn(over(pull), pull),
            Choice::Several(several) => {
                let named: Vec<String> =
                    several.iter().map(|pull| format!("#{} ({})", pull.number, pull.html_url)).collect();
                let why = format!("several changelog pull requests from {branch} are open: {}", named.join(", "));
                Finding::new(Decision::Unfinished(format!("{why}; approve the right one by hand")))
            }
        })
    }

    async fn preview(&self, look: Look<'_>, _scratch: &Arc<dyn Tree>) -> Result<Finding, Trouble> {
        let predicted = look.facts.target.as_ref().is_none_or(|target| target.predicted);
        let git_tag = git_tag(&look)?;
        match git_tag {
            Some(git_tag) if predicted => Ok(previewed(look.step, &self.branch_of(&git_tag))),
            None => Ok(previewed(look.step, &self.branch_of("…"))),
            Some(_) => self.observe(look).await,
        }
    }

    async fn act(&self, act: Act<'_>, question: &Question) -> Result<(), Trouble> {
        let look = act.look;
        let github = declared::github(look.runbook)?;
        let repository = github.repository.as_str();
        let branch = self.branch_of(&git_tag(&look)?.unwrap_or_default());
        let pulls = look.readers.github.pull_requests_of_branch(repository, &branch).await?;
        let pull = still_as_approved(judge::choose(&pulls, &branch), question)
            .map_err(|refusal| Trouble::Refused(vec![refusal]))?;
        let (number, commit) = (pull.number, pull.head_sha.clone());
        let effect = Effect::new(format!("approve the changelog pull request #{number}"));
        let approved = act
            .change(effect, |writers| async move {
                writers.github.approve_pull_request(repository, number, &commit, "").await
            })
            .await;
        match approved {
            Err(Trouble::Service(error)) if must_be_someone_else(&error.cause) => {
                // Surely not approved. The deploy is done, so this is told and not a failure of the run.
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.cause.to_string());
                Ok(())
            }
            other => other,
        }
    }
}

/// Refusals that asking again will not change: 422 for an own pull request, or no right to review.
fn must_be_someone_else(cause: &Cause) -> bool {
    matches!(cause, Cause::Rejected { .. } | Cause::Forbidden(_) | Cause::NotFound(_))
}

/// The release's git tag: published by this run, or following from the image tag.
fn git_tag(look: &Look<'_>) -> Result<Option<String>, Trouble> {
    let shape = declared::release(look.runbook)?;
    let published = look.facts.release.as_ref().map(|release| release.git_tag.clone());
    Ok(published.or_else(|| look.facts.target.as_ref().and_then(|target| shape.git_tag_of(&target.tag))))
}

fn over(pull: &PullRequest) -> Finding {
    if pull.merged {
        return Finding::satisfied(format!("#{} is merged already", pull.number));
    }
    Finding::new(Decision::Satisfied)
        .saw(Evidence::warning(format!("#{} was closed without being merged: {}", pull.number, pull.html_url)))
}

/// Before the release its changelog does not exist.
fn previewed(step: &str, branch: &str) -> Finding {
    let question = Question {
        gate: step.to_owned(),
        title: "Approve the changelog pull request?".into(),
        summary: vec![format!("Shows and approves the pull request from {branch}, pinned to the commit shown.")],
        digest: format!("preview-{}", seal(&["changelog", branch])),
        expected: true,
        strength: Strength::Yes,
        details: None,
    };
    Finding::new(Decision::Change(question)).saw(Evidence::not_previewable(format!(
        "the changelog pull request from {branch}: the tagging workflow opens it after the release is published"
    )))
}

/// After the yes: the one open pull request at the commit that was shown, or why not.
fn still_as_approved<'a>(choice: Choice<'a>, question: &Question) -> Result<&'a PullRequest, Refusal> {
    let what = match choice {
        Choice::Open(pull) if judge::digest(pull) == question.digest => return Ok(pull),
        Choice::Open(pull) => format!("#{} got another commit since the question was asked", pull.number),
        Choice::Over(pull) => format!("#{} was merged or closed since the question was asked", pull.number),
        Choice::Several(_) => "another pull request from the same branch was opened since the question".to_owned(),
        Choice::None => "the changelog pull request is gone since the question was asked".to_owned(),
    };
    Err(Refusal { what, next: "nothing was approved; resume and read the new question".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(sha: &str) -> PullRequest {
        PullRequest {
            number: 2,
            title: String::new(),
            state: "open".into(),
            merged: false,
            head_ref: "changelog/x".into(),
            head_sha: sha.into(),
            base_ref: "main".into(),
            author: "bot".into(),
            html_url: "https://github.test/pull/2".into(),
            updated_at: None,
        }
    }

    fn question(pull: &PullRequest) -> Question {
        Question {
            digest: judge::digest(pull),
            ..match previewed("changelog", "x").decision {
                Decision::Change(question) => question,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_was_shown_is_what_is_approved() {
        let shown = pull("a");
        assert_eq!(still_as_approved(Choice::Open(&shown), &question(&shown)), Ok(&shown));
        let pushed = pull("b");
        for (choice, words) in [
            (Choice::Open(&pushed), "got another commit"),
            (Choice::Over(&shown), "merged or closed"),
            (Choice::Several(vec![&shown, &pushed]), "another pull request"),
            (Choice::None, "is gone"),
        ] {
            let refusal = still_as_approved(choice, &question(&shown)).unwrap_err();
            assert!(refusal.what.contains(words), "{}", refusal.what);
        }
    }

    #[test]
    fn a_merged_changelog_is_done_and_a_closed_one_is_a_warning() {
        let mut merged = pull("a");
        merged.merged = true;
        assert!(over(&merged).evidence[0].text.contains("merged already"));
        assert_eq!(over(&pull("a")).evidence[0].label, crate::event::Label::Warning);
        assert_eq!(over(&pull("a")).decision, Decision::Satisfied);
    }

    #[test]
    fn a_refused_approval_is_told_and_a_lost_one_is_not_swallowed() {
        assert!(must_be_someone_else(&Cause::Rejected { status: 422, message: "own".into() }));
        assert!(must_be_someone_else(&Cause::Forbidden("no".into())));
        for other in [Cause::NoAnswer("x".into()), Cause::Broken { status: 502, message: "x".into() }] {
            assert!(!must_be_someone_else(&other));
        }
    }

    #[test]
    fn a_preview_of_it_approves_nothing_real() {
        let finding = previewed("changelog", "changelog/catalog-2024.08.22.20.53.01");
        assert!(matches!(&finding.decision, Decision::Change(question) if question.digest.starts_with("preview-")));
        assert_eq!(finding.evidence[0].label, crate::event::Label::NotPreviewable);
    }
}
