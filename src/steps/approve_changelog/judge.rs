//! Which changelog pull request is meant, and whether it looks as it should. Pure.

use crate::adapters::github::{ChangedFile, CheckRun, PullRequest, Review};
use crate::event::{Question, Strength};
use crate::steps::declared::{excerpt, seal, short_commit};

const FOLDER: &str = "documentation/changelogs/";
const LINES_SHOWN: usize = 25;

/// Of the pull requests of one branch, the one to review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<'a> {
    Open(&'a PullRequest),
    /// Merged or closed already.
    Over(&'a PullRequest),
    Several(Vec<&'a PullRequest>),
    None,
}

/// Matches the branch exactly: pull requests for other releases may be open at the same time.
pub fn choose<'a>(pulls: &'a [PullRequest], branch: &str) -> Choice<'a> {
    let (open, over): (Vec<&PullRequest>, Vec<&PullRequest>) =
        pulls.iter().filter(|pull| pull.head_ref == branch).partition(|pull| pull.state == "open");
    match open.as_slice() {
        [pull] => Choice::Open(pull),
        [] => over.into_iter().max_by_key(|pull| (pull.merged, pull.number)).map_or(Choice::None, Choice::Over),
        _ => Choice::Several(open),
    }
}

/// What was read about an open changelog pull request.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    pub pull: &'a PullRequest,
    pub files: &'a [ChangedFile],
    pub reviews: &'a [Review],
    pub checks: &'a [CheckRun],
    pub viewer: &'a str,
    /// Version of the release, as in the changelog file's name.
    pub version: &'a str,
    /// The branch that a changelog goes to.
    pub main: &'a str,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    AlreadyApproved,
    /// Opened by this very account, which GitHub does not let approve it.
    Own,
    Ask(Question),
}

pub fn judge(step: &str, reading: Reading<'_>) -> Verdict {
    let Reading { pull, viewer, .. } = reading;
    if pull.author.eq_ignore_ascii_case(viewer) {
        return Verdict::Own;
    }
    let approved = reading
        .reviews
        .iter()
        .filter(|review| review.user.eq_ignore_ascii_case(viewer) && review.state != "COMMENTED")
        .rfind(|review| review.commit_id.as_deref() == Some(pull.head_sha.as_str()))
        .is_some_and(|review| review.state == "APPROVED");
    if approved { Verdict::AlreadyApproved } else { Verdict::Ask(question(step, reading)) }
}

/// Names what is approved: this pull request at this commit.
pub fn digest(pull: &PullRequest) -> String {
    seal(&["changelog", &pull.number.to_string(), &pull.head_sha])
}

fn question(step: &str, reading: Reading<'_>) -> Question {
    let Reading { pull, files, checks, .. } = reading;
    let oddities = oddities(&reading);
    let mut summary = vec![
        format!("Approves #{} {:?} by {}: {}", pull.number, pull.title, pull.author, pull.html_url),
        format!("At commit {}, which the approval is pinned to.", short_commit(&pull.head_sha)),
    ];
    if oddities.is_empty() {
        let passed = match checks.len() {
            1 => "Its one check passed".to_owned(),
            many => format!("All {many} checks passed"),
        };
        summary.push(format!("{passed}; it holds the changelog file alone."));
    }
    summary.extend(oddities.iter().map(|oddity| format!("Note: {oddity}.")));
    for file in files {
        summary.push(format!("{} {} (+{} -{})", file.status, file.filename, file.additions, file.deletions));
    }
    let added: Vec<&str> = files
        .iter()
        .filter_map(|file| file.patch.as_deref())
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix('+'))
        .collect();
    summary.extend(excerpt(&added.join("\n"), LINES_SHOWN));
    Question {
        gate: step.to_owned(),
        title: format!("Approve the changelog pull request #{}?", pull.number),
        summary,
        digest: digest(pull),
        expected: oddities.is_empty(),
        strength: Strength::Yes,
        details: None,
    }
}

/// Whatever is not as a generated changelog should be.
fn oddities(reading: &Reading<'_>) -> Vec<String> {
    let Reading { pull, files, checks, main, version, .. } = *reading;
    let mut oddities = Vec::new();
    let names = |wanted: fn(&CheckRun) -> bool| {
        let names: Vec<&str> = checks.iter().filter(|check| wanted(check)).map(|check| check.name.as_str()).collect();
        names.join(", ")
    };
    let red = names(is_red);
    if !red.is_empty() {
        oddities.push(format!("checks are red: {red}"));
    }
    let pending = names(|check| check.status != "completed");
    if !pending.is_empty() {
        oddities.push(format!("checks are not over: {pending}"));
    }
    if checks.is_empty() {
        oddities.push("no check ran on it".to_owned());
    }
    if pull.base_ref != main {
        oddities.push(format!("it goes to {} instead of {main}", pull.base_ref));
    }
    match files {
        [file] if is_changelog(&file.filename, version) => {
            if file.status != "added" || file.deletions > 0 {
                oddities.push(format!("{} is {}, not only added", file.filename, file.status));
            }
        }
        _ => oddities.push(format!("it should hold exactly one file, {FOLDER}…/{version}.md")),
    }
    oddities
}

fn is_red(check: &CheckRun) -> bool {
    check.status == "completed" && !matches!(check.conclusion.as_deref(), Some("success" | "neutral" | "skipped"))
}

fn is_changelog(file: &str, version: &str) -> bool {
    file.strip_prefix(FOLDER)
        .and_then(|rest| rest.strip_suffix(".md"))
        .and_then(|rest| rest.rsplit_once('/'))
        .is_some_and(|(folder, name)| name == version && !folder.split('/').any(|part| part == ".." || part.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "2024.08.22.20.53.01";
    const BRANCH: &str = "changelog/catalog-2024.08.22.20.53.01";

    fn pull(number: u64, state: &str, branch: &str) -> PullRequest {
        PullRequest {
            number,
            title: "Publish changelog for catalog-2024.08.22.20.53.01".into(),
            state: state.into(),
            merged: false,
            head_ref: branch.into(),
            head_sha: "0123456789abcdef".into(),
            base_ref: "main".into(),
            author: "openverse-bot".into(),
            html_url: format!("https://github.test/pull/{number}"),
            updated_at: None,
        }
    }

    fn file(name: &str) -> ChangedFile {
        let patch = "@@ -0,0 +1,2 @@\n+# 2024.08.22.20.53.01\n+- Retry Flickr";
        ChangedFile {
            filename: name.into(),
            status: "added".into(),
            additions: 2,
            deletions: 0,
            patch: Some(patch.into()),
        }
    }

    fn check(status: &str, conclusion: Option<&str>) -> CheckRun {
        CheckRun { name: "lint".into(), status: status.into(), conclusion: conclusion.map(Into::into) }
    }

    fn review(user: &str, state: &str, commit: &str) -> Review {
        Review { user: user.into(), state: state.into(), commit_id: Some(commit.into()) }
    }

    fn changelog() -> ChangedFile {
        file("documentation/changelogs/catalog/2024.08.22.20.53.01.md")
    }

    fn verdict(pull: &PullRequest, files: &[ChangedFile], reviews: &[Review], checks: &[CheckRun]) -> Verdict {
        let reading = Reading { pull, files, reviews, checks, viewer: "dev", version: VERSION, main: "main" };
        judge("changelog", reading)
    }

    fn asked(pull: &PullRequest, files: &[ChangedFile], checks: &[CheckRun]) -> Question {
        let Verdict::Ask(question) = verdict(pull, files, &[], checks) else { panic!("not asked") };
        question
    }

    /// Trap 13.
    #[test]
    fn several_changelogs_open_are_told_apart_by_the_exact_branch() {
        let pulls = [
            pull(1, "open", "changelog/catalog-2024.06.13.17.07.54"),
            pull(2, "open", BRANCH),
            pull(3, "open", "changelog/catalog-2024.08.22.20.53.01-2"),
            pull(4, "closed", BRANCH),
        ];
        assert_eq!(choose(&pulls, BRANCH), Choice::Open(&pulls[1]));
        let twice = [pull(2, "open", BRANCH), pull(5, "open", BRANCH)];
        assert!(matches!(choose(&twice, BRANCH), Choice::Several(several) if several.len() == 2));
    }

    /// Trap 13.
    #[test]
    fn changelog_absent_or_over() {
        assert_eq!(choose(&[pull(1, "open", "other")], BRANCH), Choice::None);
        let mut merged = pull(2, "closed", BRANCH);
        merged.merged = true;
        let pulls = [merged, pull(3, "closed", BRANCH)];
        assert_eq!(choose(&pulls, BRANCH), Choice::Over(&pulls[0]));
    }

    #[test]
    fn a_good_changelog_is_expected_and_shown() {
        let question = asked(&pull(2, "open", BRANCH), &[changelog()], &[check("completed", Some("success"))]);
        let text = question.summary.join("\n");
        assert!(question.expected, "{text}");
        for part in [
            "#2",
            "openverse-bot",
            "0123456789",
            "Its one check passed",
            "catalog/2024.08.22.20.53.01.md",
            "- Retry Flickr",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("@@"));
    }

    #[test]
    fn whatever_is_odd_is_shown_and_not_expected() {
        let pull = pull(2, "open", BRANCH);
        let green = check("completed", Some("success"));
        let mut to_other = pull.clone();
        to_other.base_ref = "release".into();
        let mut modified = changelog();
        modified.status = "modified".into();
        for (pull, files, checks, note) in [
            (&pull, vec![changelog()], vec![check("completed", Some("failure"))], "checks are red: lint"),
            (&pull, vec![changelog()], vec![check("completed", Some("cancelled"))], "checks are red: lint"),
            (&pull, vec![changelog()], vec![check("in_progress", None)], "checks are not over: lint"),
            (&pull, vec![changelog()], vec![], "no check ran"),
            (&pull, vec![changelog(), file("catalog/dags/x.py")], vec![green.clone()], "exactly one file"),
            (
                &pull,
                vec![file("documentation/changelogs/catalog/2024.06.13.17.07.54.md")],
                vec![green.clone()],
                "exactly one file",
            ),
            (
                &pull,
                vec![file("documentation/changelogs/../../2024.08.22.20.53.01.md")],
                vec![green.clone()],
                "exactly one file",
            ),
            (&pull, vec![modified], vec![green.clone()], "not only added"),
            (&pull, vec![], vec![green.clone()], "exactly one file"),
            (&to_other, vec![changelog()], vec![green.clone()], "goes to release instead of main"),
        ] {
            let question = asked(pull, &files, &checks);
            let text = question.summary.join("\n");
            assert!(text.contains(note) && !question.expected, "{note}: {text}");
        }
    }

    #[test]
    fn approved_counts_only_by_us_at_this_commit_and_last() {
        let pull = pull(2, "open", BRANCH);
        let head = pull.head_sha.as_str();
        for (reviews, approved) in [
            (vec![review("Dev", "APPROVED", head)], true),
            (vec![review("dev", "APPROVED", head), review("dev", "COMMENTED", head)], true),
            (vec![review("dev", "APPROVED", head), review("dev", "CHANGES_REQUESTED", head)], false),
            (vec![review("dev", "DISMISSED", head)], false),
            (vec![review("dev", "APPROVED", "older")], false),
            (vec![review("other", "APPROVED", head)], false),
        ] {
            assert_eq!(verdict(&pull, &[], &reviews, &[]) == Verdict::AlreadyApproved, approved, "{reviews:?}");
        }
    }

    #[test]
    fn our_own_pull_request_is_not_asked_about() {
        let mut own = pull(2, "open", BRANCH);
        own.author = "Dev".into();
        assert_eq!(verdict(&own, &[], &[], &[]), Verdict::Own);
    }

    #[test]
    fn a_new_commit_makes_another_question() {
        let first = pull(2, "open", BRANCH);
        let mut pushed = first.clone();
        pushed.head_sha = "fedcba".into();
        assert_ne!(digest(&first), digest(&pushed));
    }
}
