//! What the steps at the infrastructure repository share: its section of the runbook, the two attributes, and giving an
//! attribute back.

use crate::adapters::checkout::Location;
use crate::event::Refusal;
use crate::facts::{Held, Place, TargetFact, Thing};
use crate::runbook::schema::{AttributePath, Infrastructure};
use crate::step::{Act, Effect, Look, Returned, Trouble};

/// The runbook's `[infrastructure]`.
pub fn infrastructure<'a>(look: &Look<'a>) -> Result<&'a Infrastructure, Trouble> {
    look.runbook.infrastructure.as_ref().ok_or_else(|| {
        refused(format!("step {}: the runbook has no [infrastructure]", look.step), "add it to the runbook")
    })
}

/// The image tag that this run deploys.
pub fn target<'a>(look: &Look<'a>) -> Result<&'a TargetFact, Trouble> {
    look.facts.target.as_ref().ok_or_else(|| {
        refused(
            "it is not known which image tag to deploy",
            "pass --tag, or add a step that finds the release to the runbook",
        )
    })
}

pub fn refused(what: impl Into<String>, next: impl Into<String>) -> Trouble {
    Trouble::Refused(vec![Refusal { what: what.into(), next: next.into() }])
}

impl From<&AttributePath> for Location {
    fn from(path: &AttributePath) -> Self {
        Self { file: path.file.clone(), block: path.block.clone(), attribute: path.attribute.clone() }
    }
}

/// Both attributes that a deploy itself changes: what a fingerprint of the checkout leaves out.
pub fn deploy_attributes(infrastructure: &Infrastructure) -> Vec<Location> {
    infrastructure.flag.iter().chain([&infrastructure.version]).map(Location::from).collect()
}

/// The tag as an HCL string. Refuses what would mean something else between quotes.
pub fn literal(tag: &str) -> Result<String, Trouble> {
    let plain = !tag.is_empty() && tag.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if plain {
        Ok(format!("\"{tag}\""))
    } else {
        Err(refused(format!("{tag:?} is no image tag"), "use letters, digits, dots, dashes and underscores only"))
    }
}

/// This laptop's name, as obligations in a checkout carry it.
pub fn host() -> String {
    nix::unistd::gethostname().map_or_else(|_| "unknown".into(), |name| name.to_string_lossy().into_owned())
}

/// The checkout of this run.
pub fn place(look: &Look<'_>) -> Place {
    Place::Checkout { host: host(), path: look.readers.checkout.root().display().to_string() }
}

/// What this run holds of the attribute at `at`, in this checkout.
pub fn held_at<'a>(look: &Look<'a>, at: &Location) -> Option<&'a Held> {
    let here = place(look);
    look.held.iter().find(|held| held.place == here && is_at(held, at))
}

fn is_at(held: &Held, at: &Location) -> bool {
    matches!(&held.thing, Thing::Attribute { file, block, attribute, .. }
        if *file == at.file && *block == at.block && *attribute == at.attribute)
}

/// The obligation for changing the attribute at `at` from `prior` to `ours`. Where the run holds it already, the value
/// from before the run counts, not what stands there now.
pub fn to_hold(look: &Look<'_>, name: &str, at: &Location, prior: &str, ours: &str) -> Held {
    let prior = match held_at(look, at).map(|held| &held.thing) {
        Some(Thing::Attribute { prior, .. }) => prior.clone(),
        _ => prior.to_owned(),
    };
    Held {
        id: format!("{}/{name}", look.step),
        step: look.step.to_owned(),
        thing: Thing::Attribute {
            file: at.file.clone(),
            block: at.block.clone(),
            attribute: at.attribute.clone(),
            prior,
            ours: ours.to_owned(),
        },
        place: place(look),
    }
}

/// What to do about an attribute that is owed.
#[derive(Debug, PartialEq, Eq)]
enum Owed {
    SetBack,
    BackAlready,
    NotOurs,
}

fn owed(now: &str, prior: &str, ours: &str) -> Owed {
    if now == prior {
        Owed::BackAlready
    } else if now == ours {
        Owed::SetBack
    } else {
        Owed::NotOurs
    }
}

/// Sets an attribute back to its earlier literal, if it still holds ours. Every other byte stays as it is by now.
pub async fn give_back_attribute(act: &Act<'_>, held: &Held) -> Result<Returned, Trouble> {
    let Thing::Attribute { file, block, attribute, prior, ours } = &held.thing else {
        return Ok(Returned::NotOurs(format!("{held}: this step holds attributes only")));
    };
    if held.place != place(&act.look) {
        let Place::Checkout { host, path } = &held.place else {
            return Ok(Returned::NotOurs(format!("{held}: an attribute outside any checkout")));
        };
        return Ok(Returned::NotYet(format!("it was changed in {path} on {host}: run `catalog-deploy restore` there")));
    }
    let at = Location { file: file.clone(), block: block.clone(), attribute: attribute.clone() };
    let now = act.look.readers.checkout.attribute(&at).await?;
    match owed(&now.literal, prior, ours) {
        Owed::BackAlready => Ok(Returned::Back(format!("{attribute} is {prior} ({file}:{})", now.line))),
        Owed::NotOurs => Ok(Returned::NotOurs(format!(
            "{attribute} is {} ({file}:{}), which this run did not write; before the run it was {prior}",
            now.literal, now.line
        ))),
        Owed::SetBack => {
            let effect = Effect::new(format!("set {attribute} in {file} back to {prior}"));
            act.change(effect, |writers| async move { writers.checkout.tree().set_attribute(&at, prior).await })
                .await?;
            Ok(Returned::Back(format!("set {attribute} in {file} back to {prior}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_set_back_only_while_it_is_ours() {
        for (now, expected) in
            [("true", Owed::SetBack), ("false", Owed::BackAlready), ("var.cleared", Owed::NotOurs), ("", Owed::NotOurs)]
        {
            assert_eq!(owed(now, "false", "true"), expected, "{now}");
        }
    }

    #[test]
    fn only_tags_become_literals() {
        assert_eq!(literal("rel-2024.08.22.20.53.01").unwrap(), "\"rel-2024.08.22.20.53.01\"");
        for wrong in ["", "a\"b", "${x}", "a b", "%{if}"] {
            assert!(literal(wrong).is_err(), "{wrong}");
        }
    }
}
