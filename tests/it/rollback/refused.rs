//! Trap 12: values that fit no image tag, or one that cannot be deployed.

use crate::support::Stage;

#[test]
fn a_value_that_does_not_fit_says_what_was_meant_and_what_there_is() {
    let stage = Stage::new(&[]);
    let digest = format!("sha256:{}", "a".repeat(64));
    let cases = [
        ("catalog-2024.06.13.17.07.54", "the release's git tag; the image tag is rel-2024.06.13.17.07.54"),
        ("2024.06.13.17.07.54", "only the version; the image tag is rel-2024.06.13.17.07.54"),
        ("REL-2024.06.13.17.07.54", "(upper case letters); rel-2024.06.13.17.07.54 would be one"),
        ("rel-2024.06.13.17.07.5٤", "(digits that are not ASCII); rel-2024.06.13.17.07.54 would be one"),
        ("0123456789abcdef0123456789abcdef01234567", "is a commit"),
        (digest.as_str(), "is an image's digest"),
        ("latest", "is not a version"),
        ("rel-2024.06.13.17.07.55", "there is no such release on GitHub either"),
        ("rel-2023.06.08.16.52.36", "is published, but its image was never tagged"),
        ("rel-2024.09.30.10.20.30", "belongs to the draft release catalog-2024.09.30.10.20.30"),
    ];
    let before = stage.git(&["for-each-ref"]);
    for (tag, meant) in cases {
        let done = stage.run(&["prod", "--tag", tag, "--approve", "bump", "--approve", "apply"]);
        assert_eq!(done.code, 3, "{tag}: {}", done.stderr);
        assert!(done.stderr.contains(meant), "{tag}: {}", done.stderr);
        assert!(done.stderr.contains("Nothing was changed"), "{tag}: {}", done.stderr);
        for line in [
            "rel-2024.08.22.20.53.01  ",
            "runs now (Terraform's state; deployed on 2024-08-23, by A Colleague)",
            "rel-2024.06.13.17.07.54  ",
            "published, never deployed",
            "the latest stable one,",
            "not known whether it was ever deployed",
        ] {
            assert!(done.stderr.contains(line), "{tag}: no {line:?} in {}", done.stderr);
        }
        assert!(!stage.locked());
    }
    assert_eq!(stage.git(&["status", "--porcelain"]), "");
    assert_eq!(stage.git(&["for-each-ref"]), before);
    assert_eq!(stage.mutations(), [] as [&str; 0]);
    // Refusals leave nothing open that would stand in the next run's way.
    let status = stage.run(&["status"]);
    assert!(!status.stdout.contains("catalog-deploy resume"), "{}", status.stdout);
}

#[test]
fn an_empty_tag_is_a_slip_of_the_shell_and_no_rollback() {
    let stage = Stage::new(&[]);
    for arguments in [&["prod", "--tag", ""][..], &["prod", "-n", "--tag", " "]] {
        let done = stage.run(arguments);
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains("--tag names no image tag"), "{}", done.stderr);
    }
    assert!(stage.world.requests().is_empty() && stage.runs().is_empty());
}

/// A preview refuses the tag once, instead of every step for want of it.
#[test]
fn a_preview_blames_only_the_tag() {
    let stage = Stage::new(&[]);
    let done = stage.run(&["prod", "-n", "--tag", "catalog-2024.06.13.17.07.54"]);
    assert_eq!(done.code, 3, "{}", done.stdout);
    assert!(done.stdout.contains("   next: if that is the one you mean, pass --tag rel-2024.06.13.17.07.54"));
    assert!(done.stdout.contains("\n     rel-2024.08.22.20.53.01  "), "one tag a line: {}", done.stdout);
    assert!(done.stdout.contains("- not previewable: depends on what is in the way at image\n"), "{}", done.stdout);
    assert!(done.stdout.ends_with("## Verdict\n1 thing is in the way.\n"), "{}", done.stdout);
}
