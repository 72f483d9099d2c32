//! How commands end: with a code of the contract, in words that help, and never in silence over a doubt.

use crate::case;
use crate::history::{Ended, History};
use crate::scenario::Scenario;

/// Exit codes of the contract; 2 is for a wrong command line, and none of ours is wrong.
const CONTRACT: [i32; 12] = [0, 1, 3, 4, 5, 6, 7, 8, 9, 129, 130, 143];

pub fn exit_code(history: &History, _: Scenario) -> Vec<String> {
    let known = |ended: &&Ended| ended.code.is_some_and(|code| !CONTRACT.contains(&code));
    // A process that we did not kill has a code.
    let lost = history.commands.iter().skip(1).filter(|ended| ended.code.is_none());
    let strange = history.commands.iter().filter(known);
    lost.chain(strange)
        .map(|ended| format!("`{}` ended with {:?}:\n{}", ended.command, ended.code, ended.stderr))
        .collect()
}

/// Whoever is left half-way is told what to type.
pub fn next_command(history: &History, _: Scenario) -> Vec<String> {
    let half_way = |ended: &&Ended| ended.code.is_some_and(|code| !matches!(code, 0 | 7));
    // Where nothing was changed, the thing to do may be no command of ours.
    let says = |ended: &&Ended| {
        ended.stderr.contains("next: ") && (ended.code == Some(3) || ended.stderr.contains("catalog-deploy "))
    };
    let silent = history.commands.iter().filter(half_way).filter(|ended| !says(ended));
    silent
        .map(|ended| format!("`{}` ended with {:?} and no next command:\n{}", ended.command, ended.code, ended.stderr))
        .collect()
}

pub fn panic(history: &History, _: Scenario) -> Vec<String> {
    let words = ["catalog-deploy broke", "panicked at", "the step broke", "report this as a bug"];
    let broke = |ended: &&Ended| words.iter().any(|word| ended.stderr.contains(word));
    history.commands.iter().filter(broke).map(|ended| format!("`{}`:\n{}", ended.command, ended.stderr)).collect()
}

/// After an end that says all is well, `status` knows of nothing open.
pub fn doubt(history: &History, _: Scenario) -> Vec<String> {
    let well = history.last().is_some_and(case::over);
    if !well || history.status.contains("open       nothing") {
        return Vec::new();
    }
    vec![format!("all was said to be well, and status says:\n{}", history.status)]
}

pub fn no_end(history: &History, _: Scenario) -> Vec<String> {
    match history.last() {
        Some(last) if case::over(last) => Vec::new(),
        Some(last) => {
            let tries = history.commands.len() - 1;
            vec![format!("no end after {tries} tries; `{}` gave {:?}:\n{}", last.command, last.code, last.stderr)]
        }
        None => vec!["nothing was tried".into()],
    }
}

#[cfg(test)]
mod tests {
    use crate::checker::forged::{Forged, ended, rules};

    #[test]
    fn codes_outside_the_contract_are_found() {
        for code in [Some(2), Some(101), None] {
            let mut forged = Forged::deploy();
            let mut strange = ended("resume", 0);
            (strange.code, strange.stderr) = (code, "next: catalog-deploy resume".into());
            forged.history.commands.insert(1, strange);
            assert_eq!(rules(&forged.history()), ["exit-code"], "{code:?}");
        }
    }

    #[test]
    fn silence_about_the_way_on_is_found() {
        let mut forged = Forged::deploy();
        let mut silent = ended("resume", 1);
        silent.stderr = "it failed".into();
        forged.history.commands.insert(1, silent);
        assert_eq!(rules(&forged.history()), ["next-command"]);
    }

    #[test]
    fn a_panic_is_found() {
        let mut forged = Forged::deploy();
        forged.history.commands[1].stderr = "error: catalog-deploy broke at src/x.rs:1:2".into();
        assert_eq!(rules(&forged.history()), ["panic"]);
    }

    #[test]
    fn a_doubt_that_nobody_speaks_of_is_found() {
        let mut forged = Forged::deploy();
        forged.history.status = "open       run x\n             in doubt: apply\n".into();
        assert_eq!(rules(&forged.history()), ["doubt"]);
    }

    #[test]
    fn a_run_that_never_ends_is_found() {
        let mut forged = Forged::deploy();
        let mut last = ended("resume", 1);
        last.stderr = "next: catalog-deploy resume".into();
        forged.history.commands = vec![last; 4];
        assert_eq!(rules(&forged.history()), ["no-end"]);
    }
}
