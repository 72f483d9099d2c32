//! A bug of ours, told without secrets: the standard words print whatever a panic's message holds.

use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;

use crate::adapters::redact::Redactor;
use crate::engine::run::said;

use super::output::say;

/// From now on a panic is told to stderr and to the run's debug log, clean of what `redactor` knows by then.
pub fn told_without_secrets(redactor: Redactor) {
    std::panic::set_hook(Box::new(move |panic| {
        say(&words(panic, &redactor));
        tracing::error!(backtrace = %Backtrace::force_capture(), "{}", words(panic, &redactor));
    }));
}

fn words(panic: &PanicHookInfo<'_>, redactor: &Redactor) -> String {
    let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
    let said = said(panic.payload());
    format!("error: catalog-deploy broke{place}: {}; this is a bug, please report it", redactor.clean(said))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_panic_that_holds_a_secret_is_told_without_it() {
        let redactor = Redactor::default();
        redactor.learn("sentinel/of+a token");
        let (told, heard) = mpsc::channel();
        let before = std::panic::take_hook();
        let here = std::thread::current().id();
        std::panic::set_hook(Box::new(move |panic| {
            // Other tests of this process may break meanwhile.
            if std::thread::current().id() == here {
                told.send(words(panic, &redactor)).unwrap();
            }
        }));
        let broke = std::panic::catch_unwind(|| panic!("no header from {:?}", "sentinel/of+a token"));
        std::panic::set_hook(before);
        assert!(broke.is_err());
        let words = heard.recv().unwrap();
        assert!(words.contains("no header from \"[secret]\"; this is a bug"), "{words}");
        assert!(words.contains("src/cli/broke.rs:"), "{words}");
    }
}
