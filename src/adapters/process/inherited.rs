//! The environment that a child inherits where its own says nothing else. Not for settings: those are read once, by the
//! command line.
#![expect(clippy::disallowed_methods, reason = "what a child inherits is this process's environment, as it is now")]

use std::collections::BTreeMap;
use std::ffi::OsString;

/// One variable as a child would get it.
pub(crate) fn inherited(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// All of them that are text.
pub(crate) fn all_inherited() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
