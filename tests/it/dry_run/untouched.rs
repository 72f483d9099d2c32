//! Not one byte, time or ref of the checkout changes, whatever shape it has.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use catalog_deploy::rehearsal::Fault;

use super::{OLDER, differences, snapshot};
use crate::support::Stage;

/// Previews with `arguments` and returns exit code and report; nothing below `roots` nor on the remote may change.
fn untouched(stage: &Stage, roots: &[&Path], arguments: &[&str]) -> (i32, String) {
    let mut roots = roots.to_vec();
    roots.push(stage.world.remote());
    let before: Vec<_> = roots.iter().map(|root| snapshot(root)).collect();
    let done = stage.run(arguments);
    for (root, before) in roots.iter().zip(&before) {
        assert_eq!(differences(root, before), [] as [&Path; 0], "{}\n{}", root.display(), done.stdout);
    }
    (done.code, done.stdout)
}

#[test]
fn a_clone_with_hooks_untracked_and_ignored_files() {
    let stage = Stage::new(&[]);
    let root = stage.infrastructure();
    std::fs::write(root.join("environments/prod/extra.auto.tfvars"), "unused = 1\n").unwrap();
    std::fs::write(root.join("environments/prod/old.tfplan"), "ignored\n").unwrap();
    let mark = stage.config.with_file_name("a-hook-ran");
    for hook in ["post-checkout", "post-commit", "post-index-change", "pre-push", "reference-transaction"] {
        let path = root.join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\necho {hook} >> '{}'\n", mark.display())).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    for arguments in [&["prod", "-n"][..], &["prod", "-n", "--tag", OLDER]] {
        let (code, report) = untouched(&stage, &[root], arguments);
        assert_eq!(code, 0, "{report}");
        assert!(report.contains("extra.auto.tfvars"), "untracked files are told: {report}");
        assert!(!mark.exists(), "{}", std::fs::read_to_string(&mark).unwrap());
    }
    stage.git(&["commit", "--quiet", "--allow-empty", "-m", "hooks work here"]);
    assert!(mark.exists());
}

#[test]
fn an_uncommitted_change_is_refused_and_all_else_is_told() {
    let stage = Stage::new(&[Fault::CheckoutDirty]);
    let (code, report) = untouched(&stage, &[stage.infrastructure()], &["prod", "-n"]);
    assert_eq!(code, 3, "{report}");
    assert!(report.contains("not this run's: environments/prod/ingestion-server.tf"), "{report}");
    assert!(report.contains("would change: Apply this plan to prod"), "{report}");
    assert!(report.ends_with("## Verdict\n1 thing is in the way.\n"), "{report}");
}

#[test]
fn a_linked_worktree_and_the_repository_it_belongs_to() {
    let stage = Stage::new(&[]);
    let root = stage.infrastructure();
    let linked = stage.config.with_file_name("linked");
    stage.git(&["switch", "--quiet", "-c", "elsewhere"]);
    stage.git(&["worktree", "add", "--quiet", linked.to_str().unwrap(), "main"]);
    let copied = Command::new("cp")
        .args(["-R", "environments/prod/.terraform", "environments/prod/terraform.tfstate"])
        .arg(linked.join("environments/prod"))
        .current_dir(root)
        .status();
    assert!(copied.unwrap().success());
    let (code, report) = untouched(&stage, &[root, &linked], &["prod", "-n", "-C", linked.to_str().unwrap()]);
    assert_eq!(code, 0, "{report}");
    assert!(report.contains("would change: Apply this plan to prod"), "{report}");
}

/// The bump of this repository writes through an absolute link, which must not lead out of the copy.
#[test]
fn a_submodule_and_an_absolute_link_into_the_checkout() {
    let stage = Stage::new(&[]);
    let root = stage.infrastructure();
    let shared = stage.config.with_file_name("shared");
    let git = |directory: &Path, arguments: &[&str]| {
        let mut all = vec!["-c", "protocol.file.allow=always", "-c", "user.name=A", "-c", "user.email=a@b"];
        all.extend(arguments);
        assert!(Command::new("git").current_dir(directory).args(all).status().unwrap().success(), "{arguments:?}");
    };
    std::fs::create_dir(&shared).unwrap();
    std::fs::write(shared.join("locals.tf"), "locals {}\n").unwrap();
    git(&shared, &["init", "--quiet"]);
    git(&shared, &["add", "--all"]);
    git(&shared, &["commit", "--quiet", "-m", "shared"]);
    git(root, &["submodule", "--quiet", "add", shared.to_str().unwrap(), "modules/shared"]);
    symlink(root.join("environments/prod"), root.join("current")).unwrap();
    git(root, &["add", "--all"]);
    stage.commit("justfile", |text| {
        text.replace("for file in environments/{{ env }}/{{ module }}.tf", "for file in current/{{ module }}.tf")
    });
    let (code, report) = untouched(&stage, &[root], &["prod", "-n"]);
    assert_eq!(code, 0, "{report}");
    assert!(report.contains("predicted: + docker_image_tag"), "{report}");
    assert!(report.contains("would change: Apply this plan to prod"), "{report}");
}
