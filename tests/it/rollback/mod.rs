//! `--tag`: deploys a tag that exists, without the release steps.

mod deploys;
mod refused;

use std::process::Command;

use crate::support::Stage;

/// Tags that main held before the one that runs, with the time of their commits.
pub const PAST: [(&str, &str); 3] = [
    ("rel-2023.11.14.18.24.16", "2023-11-15T09:00:00Z"),
    ("rel-2023.12.20.22.19.13", "2024-01-04T09:00:00Z"),
    ("rel-2024.08.22.20.53.01", "2024-08-23T09:00:00Z"),
];

/// Main as it would be after years of deploys, pushed.
pub fn with_past(stage: &Stage) {
    let file = stage.infrastructure().join("environments/prod/catalog-airflow.tf");
    for (tag, time) in PAST {
        let text = std::fs::read_to_string(&file).unwrap();
        let line = text.lines().find(|line| line.contains("docker_image_tag ")).unwrap();
        let bumped = format!("{}\"{tag}\"", line.split('"').next().unwrap());
        // Another edit on the way must not look like a deploy.
        std::fs::write(&file, text.replace(line, &bumped) + "# edited\n").unwrap();
        let status = Command::new("git")
            .current_dir(stage.infrastructure())
            .args(["commit", "--quiet", "--all", "-m", &format!("Deploy catalog {tag}")])
            .env("GIT_COMMITTER_DATE", time)
            .env("GIT_AUTHOR_DATE", time)
            .status();
        assert!(status.unwrap().success());
    }
    stage.git(&["push", "--quiet", "origin", "main"]);
}
