//! What can go wrong in the world, by name: the thirteen traps of the domain and more.

use std::fmt;
use std::str::FromStr;

/// Declares the enum, its names and its one-line descriptions in one table, so that none can be forgotten.
macro_rules! faults {
    ($($variant:ident $name:literal $about:literal;)*) => {
        /// One thing that goes wrong. Its kebab-case name is what `rehearse --fault` takes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Fault { $($variant,)* }

        impl Fault {
            /// Every fault, in the order of the deploy.
            pub const ALL: &'static [Fault] = &[$(Fault::$variant,)*];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Fault::$variant => $name,)* }
            }

            /// What happens, in one line.
            pub fn about(self) -> &'static str {
                match self { $(Fault::$variant => $about,)* }
            }
        }
    };
}

faults! {
    LockHeld "lock-held" "a colleague's run holds the lock on the infrastructure remote";
    LockRemoteDown "lock-remote-down" "the infrastructure remote cannot be reached: no lock, no comparison with main";
    GithubDown "github-down" "GitHub's port is closed";
    RegistryDown "registry-down" "the registry's port is closed";
    AirflowDead "airflow-dead" "Airflow's port is closed, before the deploy and after it";
    AirflowDeadBootsAfterApply "airflow-dead-boots-after-apply" "Airflow's port is closed until a new instance was applied";
    CheckoutBehind "checkout-behind" "the remote's main has a commit that the checkout lacks";
    CheckoutDirty "checkout-dirty" "a tracked file of the checkout is changed and not committed";
    FlagAlreadyTrue "flag-already-true" "running_dags_cleared is true on main: the last deploy forgot it";
    BumpPrOpen "bump-pr-open" "an earlier version bump is still an open pull request";
    ProviderDagRunning "provider-dag-running" "both refreshes wait on an HttpSensor, and flickr_workflow runs";
    AudioWaitsItsTurn "audio-waits-its-turn" "image waits on an HttpSensor, audio on a SingleRunExternalDAGsSensor";
    SensorOutsideException "sensor-outside-exception" "a DAG that is no data refresh waits on an HttpSensor";
    SensorUpForRetry "sensor-up-for-retry" "the image refresh's HttpSensor failed and is up for retry";
    MappedOtherOperator "mapped-other-operator" "one index of a mapped step is on an HttpSensor, the other is not";
    RunWithoutTasks "run-without-tasks" "the image refresh runs with no active task";
    RunOnlyQueued "run-only-queued" "a run of flickr_workflow is queued and not yet running";
    ManyRuns "many-runs" "250 runs are queued, more than two pages";
    BlindAccount "blind-account" "the Airflow account may read no DAG, so its lists are empty";
    LoginPage "login-page" "a proxy answers every Airflow request with a login page and status 200";
    ShortRunFinishes "short-run-finishes" "the 15-minute health check DAG runs and is done a moment later";
    WaitingRefreshes "waiting-refreshes" "both refreshes run and wait on an HttpSensor: the allowed case";
    AlreadyPausedRefresh "already-paused-refresh" "both refreshes wait; somebody had paused the image refresh before";
    RefreshMovesOn "refresh-moves-on" "after its pause the image refresh is on another task for a moment";
    DagStartsDuringRelease "dag-starts-during-release" "flickr_workflow starts while the release is published";
    TwoDrafts "two-drafts" "there are two drafts of the catalog";
    DraftRenamed "draft-renamed" "the draft gets another tag and other notes right after it was first read";
    EmptyDraft "empty-draft" "the draft's notes hold no change";
    WeakToken "weak-token" "the GitHub token has no push access, so drafts are invisible";
    BuildPending "build-pending" "a build of main is still under way";
    BuildDeploysStaging "build-deploys-staging" "a build of main has pushed its image and still deploys to staging";
    DraftRunPending "draft-run-pending" "the workflow that rewrites drafted releases runs, and is done a moment later";
    LatestIsOlder "latest-is-older" "the image tagged latest is not the newest build's";
    PublishAnswerLost "publish-answer-lost" "the publish takes effect, and its answer never arrives";
    ReleaseBackToDraft "release-back-to-draft" "the release turns back into a draft just after it was published";
    TagMissing "tag-missing" "the tagging workflow breaks half-way: no image tag";
    TagWorkflowCancelled "tag-workflow-cancelled" "a newer run cancels the tagging workflow: no image tag";
    TagOnOlderImage "tag-on-older-image" "the new image tag is put on the image that runs already";
    BumpWritesLatest "bump-writes-latest" "just bump writes the tag latest";
    BumpWritesOlder "bump-writes-older" "just bump writes the tag before the newest";
    BumpTouchesOtherModule "bump-touches-other-module" "just bump changes the ingestion server's version as well";
    PlanDestroysMore "plan-destroys-more" "the plan also destroys a resource that it should not";
    DagStartsAfterPlan "dag-starts-after-plan" "flickr_workflow starts right after the plan was shown";
    ApplyDoesNothing "apply-does-nothing" "the first apply ends with exit 0 and changes nothing";
    PlanNeverConverges "plan-never-converges" "a resource is planned to change again after every apply";
    DeployFailsWhilePaused "deploy-fails-while-paused" "the first apply fails while the waiting refreshes are paused";
    OldInstanceStillAnswers "old-instance-still-answers" "after the apply the old instance still answers";
    NewAirflowNeverBoots "new-airflow-never-boots" "the refreshes are paused, and the new version's instance never boots";
    AirflowSlowBoot "airflow-slow-boot" "the new instance takes longer to boot";
    ImportErrorAppears "import-error-appears" "a DAG cannot be imported on the new instance";
    SentryNewIssue "sentry-new-issue" "a new Sentry issue appears after the apply";
    SentryDown "sentry-down" "Sentry answers 503";
    SlackDown "slack-down" "Slack answers 500";
    ChangelogAbsent "changelog-absent" "no changelog pull request is opened";
    ChangelogSeveral "changelog-several" "several changelog pull requests are open, one from a fork's branch of the same name";
    OwnChangelog "own-changelog" "the changelog pull request's author is the token's user";
    ChangelogChecksPending "changelog-checks-pending" "a check of the changelog pull request runs for a while";
    ChangelogChecksRed "changelog-checks-red" "a check of the changelog pull request failed";
    ApproveAnswerLost "approve-answer-lost" "the approval takes effect, and its answer never arrives";
    PullRequestAnswerLost "pull-request-answer-lost" "the pull request is opened, and the answer never arrives";
    SecondaryLimit "secondary-limit" "GitHub answers once 403 with Retry-After: 1";
    PollHiccup "poll-hiccup" "reads are answered 502 now and then, never twice in a row";
}

/// A name that no fault has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no fault named {0:?}; `catalog-deploy rehearse --list-faults` lists them")]
pub struct UnknownFault(String);

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name).ok_or_else(|| UnknownFault(name.to_owned()))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_unique_and_comes_back() {
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse::<Fault>().as_ref(), Ok(fault));
            assert!(fault.about().len() > 10 && fault.about().len() < 100, "{fault}: {}", fault.about());
        }
        assert!("no-such-fault".parse::<Fault>().is_err());
    }
}
