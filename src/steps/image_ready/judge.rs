//! An image that is there: is it the one that was meant? Pure.

use std::cmp::Ordering;

use crate::adapters::registry::Manifest;
use crate::event::{Evidence, Refusal};
use crate::facts::{ImageFact, RunningFact};
use crate::runbook::schema::ReleaseShape;
use crate::steps::declared::short_digest;
use crate::steps::running::same_image;

/// An earlier tag and what it points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    pub tag: String,
    pub manifest: Manifest,
}

#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    pub shape: &'a ReleaseShape,
    pub tag: &'a str,
    pub manifest: &'a Manifest,
    /// `--tag` names it.
    pub rollback: bool,
    /// As it was approved with the publication, or resolved earlier in this run.
    pub resolved: Option<&'a ImageFact>,
    /// The tag that runs now and the release before this one.
    pub earlier: &'a [Earlier],
    pub latest: Option<&'a Manifest>,
    pub running: Option<&'a RunningFact>,
    pub airflow_version: Option<&'a str>,
    pub running_airflow_version: Option<&'a str>,
}

/// What a person should see of it, or why it must not be deployed.
pub fn judge(reading: Reading<'_>) -> Result<Vec<Evidence>, Refusal> {
    let Reading { tag, manifest, .. } = reading;
    if let Some(resolved) =
        reading.resolved.filter(|resolved| resolved.tag == tag && resolved.digest != manifest.digest)
    {
        return Err(Refusal {
            what: format!(
                "{tag} is not the image that this run approved or resolved: it was {}, now it is {}",
                short_digest(&resolved.digest),
                short_digest(&manifest.digest)
            ),
            next: "latest or the tag moved meanwhile; find out who pushed it before anything is deployed".into(),
        });
    }
    let mut evidence = vec![Evidence::verified(format!(
        "{tag} is {}, Airflow {}",
        short_digest(&manifest.digest),
        reading.airflow_version.unwrap_or("version not known")
    ))];
    if !reading.rollback {
        evidence.extend(not_an_older_image(&reading)?);
    }
    evidence.push(relation(reading.shape, tag, reading.rollback, reading.running));
    evidence.extend(airflow_change(reading.airflow_version, reading.running_airflow_version));
    Ok(evidence)
}

/// Publishing before CI pushed `latest` gives the new tag to the previous image, and nothing fails.
fn not_an_older_image(reading: &Reading<'_>) -> Result<Option<Evidence>, Refusal> {
    let Reading { tag, manifest, .. } = *reading;
    let Some(earlier) =
        reading.earlier.iter().find(|earlier| earlier.tag != tag && same_image(&earlier.manifest, manifest))
    else {
        return Ok(None);
    };
    if reading.latest.is_some_and(|latest| same_image(latest, manifest)) {
        let text = format!("{tag} is the same image as {}: nothing new was built since", earlier.tag);
        return Ok(Some(Evidence::warning(text)));
    }
    Err(Refusal {
        what: format!(
            "{tag} is the previous image under a new name: the same as {}, while latest differs",
            earlier.tag
        ),
        next: format!(
            "the release was published before CI pushed its image: release the next draft once latest is built; if this \
             image is wanted all the same, deploy it with --tag {tag}"
        ),
    })
}

/// How the tag stands to what runs now.
pub fn relation(shape: &ReleaseShape, tag: &str, rollback: bool, running: Option<&RunningFact>) -> Evidence {
    let Some(running) = running else {
        return Evidence::warning(format!("what runs now is not known, so it cannot be told what {tag} replaces"));
    };
    let now = format!("{} runs now ({})", running.tag, running.source);
    let versions = (shape.version_of_image(tag), shape.version_of_image(&running.tag));
    let order = match versions {
        (Some(wanted), Some(now)) => wanted.cmp(now),
        _ => return Evidence::warning(format!("{now}; it cannot be told which of both is newer")),
    };
    let text = match (order, rollback) {
        (Ordering::Equal, _) => {
            return Evidence::warning(format!(
                "{now}: only a change of configuration or infrastructure can be deployed"
            ));
        }
        (Ordering::Greater, true) => format!("roll-forward, not a rollback: {tag} is newer than what runs; {now}"),
        (Ordering::Greater, false) => now,
        (Ordering::Less, true) => format!("rollback from {} to {tag}; {now}", running.tag),
        (Ordering::Less, false) => {
            return Evidence::warning(format!("{tag} is older than what runs: {now}"));
        }
    };
    if running.certain { Evidence::verified(text) } else { Evidence::warning(format!("{text}; only probable")) }
}

/// The database's schema is upgraded when the new version starts and is not taken back.
fn airflow_change(wanted: Option<&str>, running: Option<&str>) -> Option<Evidence> {
    match (wanted, running) {
        (Some(wanted), Some(running)) if version_numbers(wanted) != version_numbers(running) => {
            let back = version_numbers(wanted) < version_numbers(running);
            let risk = if back { ", and the database's schema is not taken back with it: unsafe" } else { "" };
            Some(Evidence::warning(format!("Airflow changes from {running} to {wanted}{risk}")))
        }
        (Some(_), Some(_)) => None,
        _ => Some(Evidence::warning("it cannot be told whether the Airflow version changes")),
    }
}

/// `v2.10.0` as numbers, so that 2.10 is more than 2.9; whatever follows the numbers of a part is left out.
fn version_numbers(version: &str) -> Vec<u64> {
    version
        .trim_start_matches('v')
        .split('.')
        .map(|part| part.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Label;

    const OLD: &str = "rel-2024.06.13.17.07.54";
    const NEW: &str = "rel-2024.08.22.20.53.01";

    struct Case {
        tag: &'static str,
        contents: &'static str,
        rollback: bool,
        earlier: Vec<Earlier>,
        latest: Option<Manifest>,
        running: Option<&'static str>,
        certain: bool,
        airflow: (Option<&'static str>, Option<&'static str>),
    }

    fn manifest(contents: &str) -> Manifest {
        Manifest { digest: format!("sha256:{contents}"), contents: vec![format!("sha256:child-{contents}")] }
    }

    fn wrapped(contents: &str) -> Manifest {
        Manifest { digest: "sha256:wrapped".into(), ..manifest(contents) }
    }

    fn case() -> Case {
        Case {
            tag: NEW,
            contents: "new",
            rollback: false,
            earlier: vec![Earlier { tag: OLD.into(), manifest: manifest("old") }],
            latest: Some(manifest("new")),
            running: Some(OLD),
            certain: true,
            airflow: (Some("2.10.1"), Some("2.10.1")),
        }
    }

    fn judged(case: &Case) -> Result<Vec<Evidence>, Refusal> {
        let shape = ReleaseShape { git_prefix: "catalog-".into(), image_prefix: "rel-".into() };
        let running = case.running.map(|tag| RunningFact {
            tag: tag.into(),
            certain: case.certain,
            source: "Terraform's state".into(),
        });
        judge(Reading {
            shape: &shape,
            tag: case.tag,
            manifest: &manifest(case.contents),
            rollback: case.rollback,
            resolved: None,
            earlier: &case.earlier,
            latest: case.latest.as_ref(),
            running: running.as_ref(),
            airflow_version: case.airflow.0,
            running_airflow_version: case.airflow.1,
        })
    }

    fn warnings(case: &Case) -> String {
        let evidence = judged(case).unwrap();
        evidence.iter().filter(|it| it.label == Label::Warning).map(|it| format!("{}\n", it.text)).collect()
    }

    #[test]
    fn a_new_image_has_nothing_to_warn_of() {
        assert_eq!(warnings(&case()), "");
    }

    /// Trap 9.
    #[test]
    fn previous_image_under_a_new_name_is_refused() {
        for earlier in [manifest("new"), wrapped("new")] {
            let case = Case {
                earlier: vec![Earlier { tag: OLD.into(), manifest: earlier }],
                latest: Some(manifest("newer")),
                ..case()
            };
            assert!(judged(&case).unwrap_err().what.contains("previous image under a new name"));
        }
    }

    #[test]
    fn an_unchanged_image_is_only_told_while_latest_is_the_same() {
        let case = Case { earlier: vec![Earlier { tag: OLD.into(), manifest: manifest("new") }], ..case() };
        assert!(warnings(&case).contains("nothing new was built since"));
    }

    #[test]
    fn the_tag_that_runs_now_is_not_an_older_image_of_itself() {
        let case = Case {
            earlier: vec![Earlier { tag: NEW.into(), manifest: manifest("new") }],
            latest: Some(manifest("newer")),
            running: Some(NEW),
            ..case()
        };
        assert!(warnings(&case).contains("only a change of configuration"));
    }

    /// Trap 12.
    #[test]
    fn rollback_to_older_newer_and_the_same_are_told_apart() {
        let back = Case { tag: OLD, contents: "old", rollback: true, running: Some(NEW), ..case() };
        let text = |case: &Case| judged(case).unwrap().iter().map(|it| format!("{}\n", it.text)).collect::<String>();
        assert!(text(&back).contains(&format!("rollback from {NEW} to {OLD}")));
        let forward = Case { tag: NEW, rollback: true, running: Some(OLD), ..case() };
        assert!(text(&forward).contains("roll-forward, not a rollback"));
        let same = Case { tag: NEW, rollback: true, running: Some(NEW), ..case() };
        assert!(warnings(&same).contains("only a change of configuration"));
        let unsure = Case { certain: false, ..back };
        assert!(warnings(&unsure).contains("only probable"));
        let unknown = Case { running: None, ..unsure };
        assert!(warnings(&unknown).contains("what runs now is not known"));
    }

    #[test]
    fn a_rollback_to_the_previous_image_is_never_refused_for_it() {
        let back = Case {
            tag: OLD,
            contents: "old",
            rollback: true,
            earlier: vec![Earlier { tag: NEW.into(), manifest: manifest("old") }],
            running: Some(NEW),
            ..case()
        };
        assert!(judged(&back).is_ok());
        assert!(judged(&Case { rollback: false, ..back }).is_err());
    }

    #[test]
    fn rolling_back_over_an_airflow_version_is_a_warning_by_numbers() {
        let back = Case { rollback: true, airflow: (Some("2.9.3"), Some("2.10.0")), ..case() };
        assert!(warnings(&back).contains("from 2.10.0 to 2.9.3, and the database's schema is not taken back"));
        let forward = Case { airflow: (Some("2.10.0"), Some("2.9.3")), ..case() };
        assert!(warnings(&forward).contains("from 2.9.3 to 2.10.0\n"));
        let same = Case { airflow: (Some("v2.10.0"), Some("2.10.0")), ..case() };
        assert_eq!(warnings(&same), "");
    }

    #[test]
    fn a_tag_that_moved_during_the_run_is_refused() {
        let shape = ReleaseShape { git_prefix: "catalog-".into(), image_prefix: "rel-".into() };
        let resolved = ImageFact { tag: NEW.into(), digest: "sha256:first".into(), airflow_version: None };
        let refusal = judge(Reading {
            shape: &shape,
            tag: NEW,
            manifest: &manifest("second"),
            rollback: true,
            resolved: Some(&resolved),
            earlier: &[],
            latest: None,
            running: None,
            airflow_version: None,
            running_airflow_version: None,
        })
        .unwrap_err();
        assert!(refusal.what.contains("not the image that this run approved"), "{}", refusal.what);
    }
}
