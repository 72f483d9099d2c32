//! Where recorded children of a step leave their output and exit code: numbered, so no attempt overwrites an earlier one.

use std::path::Path;

use crate::adapters::process::Traces;

fn numbered(workspace: &Path, step: &str, number: u32) -> Traces {
    Traces {
        output: workspace.join(format!("{step}.{number}.output")),
        exit: workspace.join(format!("{step}.{number}.exit")),
    }
}

fn used(traces: &Traces) -> bool {
    traces.output.exists() || traces.exit.exists()
}

/// Traces for a new child.
pub fn next_traces(workspace: &Path, step: &str) -> Traces {
    let mut number = 1;
    while used(&numbered(workspace, step, number)) {
        number += 1;
    }
    numbered(workspace, step, number)
}

/// Traces of the latest child, if there was one.
pub fn latest_traces(workspace: &Path, step: &str) -> Option<Traces> {
    (1..).map(|number| numbered(workspace, step, number)).take_while(used).last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_numbered() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(latest_traces(directory.path(), "apply"), None);
        let first = next_traces(directory.path(), "apply");
        std::fs::write(&first.output, "").unwrap();
        let second = next_traces(directory.path(), "apply");
        assert_ne!(first, second);
        assert_eq!(latest_traces(directory.path(), "apply"), Some(first));
        std::fs::write(&second.output, "").unwrap();
        assert_eq!(latest_traces(directory.path(), "apply"), Some(second));
    }
}
