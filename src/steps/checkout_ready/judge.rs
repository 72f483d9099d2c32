//! Decides on a reading of the checkout: every refusal at once, and what is only worth a warning.

use crate::adapters::checkout::{Attribute, Location, Standing};
use crate::adapters::github::PullRequest;
use crate::event::{Evidence, Refusal};

/// How many names of a list are told.
const NAMED: usize = 5;

/// What was read, side by side.
pub struct Reading {
    pub standing: Standing,
    /// The flag's place and how it stands, where the runbook names one.
    pub flag: Option<(Location, Attribute)>,
    /// Open pull requests of the infrastructure repository, or why they could not be seen.
    pub pull_requests: Result<Vec<PullRequest>, String>,
    /// The wanted workspace and the selected one.
    pub workspace: Option<(String, Result<String, String>)>,
    pub errored_state: bool,
}

/// What the runbook and the run say.
pub struct Expected<'a> {
    pub main: &'a str,
    pub remote: &'a str,
    /// Where Terraform runs.
    pub directory: &'a str,
    /// Files that the run itself has edited.
    pub ours: &'a [String],
    /// The version's file, where it holds the last deploy's bump.
    pub unmerged: Option<&'a str>,
    /// The run itself holds the flag at true.
    pub flag_is_ours: bool,
    /// How a bump's pull request is recognised.
    pub branch_prefix: &'a str,
    pub image_prefix: &'a str,
    /// The run's own pull request.
    pub own_pull_request: Option<u64>,
}

/// Every reason not to start, most basic first.
pub fn refusals(reading: &Reading, expected: &Expected<'_>) -> Vec<Refusal> {
    let mut refusals = standing(&reading.standing, expected);
    if let Some((at, flag)) = &reading.flag
        && flag.literal != "false"
        && !(flag.literal == "true" && expected.flag_is_ours)
    {
        refusals.push(Refusal {
            what: format!(
                "{} is {} already ({}:{}): the last deploy forgot to set it back, or one is under way",
                at.attribute, flag.literal, at.file, flag.line
            ),
            next: format!("find out who deployed last (`git log -p {}`), then set it to false", at.file),
        });
    }
    if let Some((wanted, selected)) = &reading.workspace {
        match selected {
            Ok(selected) if selected == wanted => {}
            Ok(selected) => refusals.push(Refusal {
                what: format!("the Terraform workspace is {selected}, not {wanted}"),
                next: format!("terraform -chdir={} workspace select {wanted}", expected.directory),
            }),
            Err(why) => refusals.push(Refusal {
                what: format!("could not read the Terraform workspace: {why}"),
                next: format!("terraform -chdir={} init", expected.directory),
            }),
        }
    }
    if reading.errored_state {
        refusals.push(errored_state_refusal(expected.directory));
    }
    refusals
}

/// The part that is read again before every change.
pub fn standing(standing: &Standing, expected: &Expected<'_>) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let mut refuse = |what: String, next: String| refusals.push(Refusal { what, next });
    let Expected { main, remote, .. } = expected;
    if let Some(operation) = &standing.in_progress {
        refuse(
            format!("a {operation} is under way in the checkout"),
            format!("finish it, or `git {operation} --abort`"),
        );
    }
    match &standing.branch {
        Some(branch) if branch == main => {}
        Some(branch) => refuse(format!("the checkout is on {branch}, not on {main}"), format!("git switch {main}")),
        None => refuse(format!("the checkout is on no branch, not on {main}"), format!("git switch {main}")),
    }
    let dirty: Vec<String> = standing.dirty.iter().filter(|file| !expected.ours.contains(file)).cloned().collect();
    if !dirty.is_empty() {
        refuse(
            format!("the checkout has changes that are not this run's: {}", listed(&dirty)),
            "commit or stash them: an apply would take them along unseen".into(),
        );
    }
    if let Ok(origin) = &standing.remote
        && standing.head != origin.commit
    {
        match origin.in_head {
            Some(true) => refuse(
                format!("the checkout has commits that are not on {remote}/{main}"),
                "push them through a pull request first: an apply would take them along unseen".into(),
            ),
            Some(false) | None => refuse(
                format!(
                    "the checkout is behind {remote}/{main} (or has gone another way): deploying from it could undo what others deployed"
                ),
                match expected.unmerged {
                    // The merged bump is among what is pulled, and git would not write over the one that is here.
                    Some(file) => format!("git checkout -- {file} && git pull --ff-only {remote} {main}"),
                    None => format!("git pull --ff-only {remote} {main}"),
                },
            ),
        }
    }
    refusals
}

pub fn errored_state_file(directory: &str) -> String {
    if directory == "." {
        "errored.tfstate".into()
    } else {
        format!("{}/errored.tfstate", directory.trim_end_matches('/'))
    }
}

pub fn errored_state_refusal(directory: &str) -> Refusal {
    Refusal {
        what: format!(
            "{} is there: an earlier apply could not write its state, and Terraform does not know what it changed",
            errored_state_file(directory)
        ),
        next: format!("terraform -chdir={directory} state push errored.tfstate, look at a plan, then remove the file"),
    }
}

/// What a person should know, without being in the way.
pub fn warnings(reading: &Reading, expected: &Expected<'_>) -> Vec<Evidence> {
    let mut warnings = Vec::new();
    match &reading.pull_requests {
        Err(why) => warnings.push(Evidence::warning(format!("could not see whether a bump is unmerged: {why}"))),
        Ok(open) => {
            let bumps =
                open.iter().filter(|pull| Some(pull.number) != expected.own_pull_request && is_bump(pull, expected));
            warnings.extend(bumps.map(|pull| {
                Evidence::warning(format!(
                    "unmerged bump: {} by {} ({}): main lags what was deployed",
                    pull.title, pull.author, pull.html_url
                ))
            }));
        }
    }
    if !reading.standing.untracked.is_empty() {
        let list = listed(&reading.standing.untracked);
        warnings.push(Evidence::warning(format!("untracked files, which Terraform may read: {list}")));
    }
    warnings
}

fn is_bump(pull: &PullRequest, expected: &Expected<'_>) -> bool {
    let by_branch = !expected.branch_prefix.is_empty() && pull.head_ref.starts_with(expected.branch_prefix);
    by_branch || mentions_tag(&pull.title, expected.image_prefix)
}

/// Whether `text` holds `prefix` + `YYYY.MM.DD.HH.MM.SS`.
fn mentions_tag(text: &str, prefix: &str) -> bool {
    const VERSION: &str = "0000.00.00.00.00.00";
    !prefix.is_empty()
        && text.match_indices(prefix).any(|(at, _)| {
            let rest = &text.as_bytes()[at + prefix.len()..];
            rest.len() >= VERSION.len()
                && VERSION.bytes().zip(rest).all(|(shape, &byte)| match shape {
                    b'.' => byte == b'.',
                    _ => byte.is_ascii_digit(),
                })
        })
}

/// A few names, and how many more.
fn listed(names: &[String]) -> String {
    let mut text = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        text.push_str(&format!(" and {} more", names.len() - NAMED));
    }
    text
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
