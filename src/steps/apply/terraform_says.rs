//! What Terraform's own words tell about a plan or an apply that ended badly.

use crate::adapters::{Cause, ServiceError};
use crate::event::Refusal;
use crate::step::Trouble;
use crate::steps::transcript::tail;

const STATE_LOCKED: &str = "Error acquiring the state lock";

/// Words of Terraform and its cloud providers for a session that has ended.
const NO_CREDENTIALS: [&str; 6] = [
    "ExpiredToken",
    "No valid credential sources",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "Error refreshing SSO credentials",
    "security token included in the request is expired",
];

/// Signs that something was already being changed.
const AT_WORK: [&str; 7] = [
    "Creating...",
    "Modifying...",
    "Destroying...",
    "Creation complete",
    "Modifications complete",
    "Destruction complete",
    "Apply complete!",
];

/// Why a plan failed: a colleague's lock, a session that has ended, or whatever it says.
pub fn plan_failed(code: Option<i32>, output: &str) -> Trouble {
    let code = code.map_or("a signal".to_owned(), |code| format!("exit {code}"));
    if output.contains(STATE_LOCKED) {
        return Trouble::Refused(vec![locked(output)]);
    }
    if NO_CREDENTIALS.iter().any(|words| output.contains(words)) {
        let why = format!("{}; log in again, then run this again", tail(output, 4));
        return Trouble::Service(ServiceError::new("terraform", "plan", Cause::Unauthorized(why)));
    }
    Trouble::Refused(vec![Refusal {
        what: format!("the plan failed ({code}): {}", tail(output, 6)),
        next: "mend what it says, then run this again; nothing was applied".into(),
    }])
}

/// Names the lock's holder as Terraform tells it. Never breaks it.
fn locked(output: &str) -> Refusal {
    let field = |name: &str| {
        output.lines().find_map(|line| {
            let line = line.trim_start_matches(|c: char| c.is_whitespace() || c == '│');
            let value = line.strip_prefix(name)?.trim();
            (!value.is_empty()).then(|| format!("{name} {value}"))
        })
    };
    let known = match held_over_http(output) {
        Some(id) => vec![format!("ID: {id}")],
        None => ["ID:", "Who:", "Operation:", "Created:"].into_iter().filter_map(field).collect(),
    };
    let about = if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) };
    Refusal {
        what: format!("another Terraform holds the state lock{about}"),
        next: "wait until it has ended, then run this again; if it surely died, ask its owner before \
               `terraform force-unlock ID`"
            .into(),
    }
}

/// Terraform's http backend shows the holder's id alone; the "Lock Info" below it is the one that was refused, our own.
fn held_over_http(output: &str) -> Option<&str> {
    let (_, rest) = output.split_once("HTTP remote state already locked:")?;
    let id = rest.split_once("ID=")?.1;
    id.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().filter(|id| !id.is_empty())
}

/// Terraform could not give its state lock back: its own words about that are long, and name no way that is safe for us.
const LOCK_LEFT: &str = "Error: Error releasing the state lock";

/// The last words of an apply that failed.
pub fn last_words(output: &str) -> String {
    match output.split_once(LOCK_LEFT) {
        Some((before, _)) => format!("{}; and the state lock was left behind", tail(before, 4)),
        None => tail(output, 4),
    }
}

/// What has to be done first where an apply left the state lock behind.
pub fn lock_left(output: &str) -> Option<&'static str> {
    output.contains(LOCK_LEFT).then_some(
        "the state lock was left behind as well: once nobody applies, `terraform force-unlock ID` (the ID is named by \
         whatever the lock refuses)",
    )
}

/// Why a failed apply surely changed nothing, by its output; `None` where the world must be asked.
pub fn nothing_applied(output: &str) -> Option<String> {
    if AT_WORK.iter().any(|sign| output.contains(sign)) {
        return None;
    }
    if output.contains("Saved plan is stale") {
        return Some("the state has moved since the plan was made, so Terraform refused it".into());
    }
    output.contains(STATE_LOCKED).then(|| locked(output).what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKED: &str = "╷\n│ Error: Error acquiring the state lock\n│ \n│ Error message: resource temporarily unavailable\n\
        │ Lock Info:\n│   ID:        8a4f\n│   Path:      terraform.tfstate\n│   Operation: OperationTypeApply\n\
        │   Who:       ana@laptop\n│   Created:   2024-08-22 20:53:01 UTC\n╵\n";

    #[test]
    fn a_lock_is_named_with_its_holder() {
        let Trouble::Refused(refusals) = plan_failed(Some(1), LOCKED) else { panic!("not refused") };
        for part in ["8a4f", "ana@laptop", "OperationTypeApply"] {
            assert!(refusals[0].what.contains(part), "{}", refusals[0].what);
        }
    }

    #[test]
    fn over_http_the_holder_is_its_id_and_not_the_one_that_was_refused() {
        // Terraform 1.11.4 against a server that answers 423.
        let output = "│ Error: Error acquiring the state lock\n│ \n│ Error message: HTTP remote state already locked:\n│ \
            ID=8a4f0c1e-0000-4000\n│ Lock Info:\n│   ID:        af658f09\n│   Who:       me@here\n";
        let Trouble::Refused(refusals) = plan_failed(Some(1), output) else { panic!("not refused") };
        assert!(refusals[0].what.contains("(ID: 8a4f0c1e-0000-4000)"), "{}", refusals[0].what);
    }

    #[test]
    fn a_lock_that_was_left_behind_is_told_in_few_words() {
        let output = "Error: Failed to save state\nError: Error releasing the state lock\nmany\nmore\nwords\nhere\n";
        assert_eq!(last_words(output), "Error: Failed to save state; and the state lock was left behind");
        assert!(lock_left(output).is_some() && lock_left("Error: other").is_none());
    }

    #[test]
    fn an_expired_session_is_a_matter_of_credentials() {
        let trouble = plan_failed(Some(1), "Error: ExpiredToken: the token has expired");
        assert!(matches!(trouble, Trouble::Service(error) if error.credentials()));
    }

    #[test]
    fn a_failed_precondition_is_told_in_its_own_words() {
        let output = "│ Error: Resource precondition failed\n│ running_dags_cleared must be true";
        let Trouble::Refused(refusals) = plan_failed(Some(1), output) else { panic!("not refused") };
        assert!(refusals[0].what.contains("running_dags_cleared must be true"));
    }

    #[test]
    fn only_sure_words_mean_that_nothing_was_applied() {
        let cases = [
            ("Error: Saved plan is stale", true),
            (LOCKED, true),
            ("Error: creating EC2 Instance: limit", false),
            ("", false),
            ("aws_instance.a: Modifying... [id=i-1]\nError: Saved plan is stale", false),
            ("Apply complete! Resources: 1 added\nError: Error acquiring the state lock", false),
        ];
        for (output, sure) in cases {
            assert_eq!(nothing_applied(output).is_some(), sure, "{output}");
        }
    }
}
