//! Runs the bump in a tree, proves what it wrote, and puts back whatever it should not have written.

use std::collections::BTreeMap;

use super::result::{BumpResult, Bumped, judge_bump};
use crate::adapters::checkout::{CheckoutRead, Location, Tree};
use crate::adapters::process::LineSink;
use crate::adapters::{Cause, ServiceError};

/// How the version gets into the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The recipe, with or without the tag as its last argument.
    Recipe(Vec<String>),
    /// The attribute directly.
    Pin,
}

/// What the bump did, and what is needed to take it back.
#[derive(Debug)]
pub struct Attempt {
    pub result: BumpResult,
    /// Exit code and output of the recipe where it did not end with 0.
    pub failed: Option<(Option<i32>, String)>,
    /// Every file it touched with its earlier bytes; `None`: it did not exist.
    touched: BTreeMap<String, Option<Vec<u8>>>,
}

impl Attempt {
    pub fn exact(&self) -> bool {
        self.failed.is_none() && self.result == BumpResult::Exact
    }

    /// Restores every touched file to its exact bytes.
    pub async fn put_back(&self, tree: &dyn Tree) -> Result<(), ServiceError> {
        for (file, bytes) in &self.touched {
            tree.restore(file, bytes.as_deref()).await?;
        }
        Ok(())
    }

    pub fn touched_files(&self) -> Vec<&str> {
        self.touched.keys().map(String::as_str).collect()
    }
}

/// Bumps to `wanted` in `tree`. `checkout` is only asked for the bytes at HEAD of files that were clean before.
pub async fn attempt(
    tree: &dyn Tree,
    checkout: &dyn CheckoutRead,
    way: &Way,
    at: &Location,
    wanted: &str,
    lines: LineSink,
) -> Result<Attempt, ServiceError> {
    let before = tree.read(&at.file).await?;
    let prior = tree.attribute(at).await?.literal;
    let mut known = BTreeMap::from([(at.file.clone(), Some(before.clone()))]);
    for file in tree.changed().await? {
        let bytes = present(tree.read(&file).await)?;
        known.insert(file, bytes);
    }
    let failed = match way {
        Way::Pin => {
            tree.set_attribute(at, wanted).await?;
            None
        }
        Way::Recipe(argv) => {
            match tree.run(argv, lines).await {
                Ok((Some(0), _)) => None,
                Ok((code, output)) => Some((code, output)),
                // Whatever it had written by then is found and put back like any other failure's.
                Err(error) => Some((None, error.to_string())),
            }
        }
    };
    let touched = touched(tree, checkout, known).await.map_err(unsure)?;
    let others: Vec<String> = touched.keys().filter(|file| **file != at.file).cloned().collect();
    let after = present(tree.read(&at.file).await).map_err(unsure)?.unwrap_or_default();
    // A file that no longer parses was changed beyond the version; which version it holds then does not matter.
    let now = tree.attribute(at).await.map_or_else(|_| "nothing readable".to_owned(), |found| found.literal);
    let bumped = Bumped { before: &before, after: &after, prior: &prior, now: &now, wanted, others: &others };
    Ok(Attempt { result: judge_bump(&bumped, &at.file), failed, touched })
}

/// The bump has run: a look that is refused from here on says nothing about what it wrote.
fn unsure(error: ServiceError) -> ServiceError {
    let cause = if error.surely_refused() { Cause::Failed(error.cause.to_string()) } else { error.cause };
    ServiceError { cause, ..error }
}

/// Files whose bytes differ from before, with their earlier bytes.
async fn touched(
    tree: &dyn Tree,
    checkout: &dyn CheckoutRead,
    known: BTreeMap<String, Option<Vec<u8>>>,
) -> Result<BTreeMap<String, Option<Vec<u8>>>, ServiceError> {
    let mut touched = BTreeMap::new();
    for file in tree.changed().await? {
        if !known.contains_key(&file) {
            // Not among the changed files before, so it stood as HEAD has it, or it did not exist.
            let earlier = present(checkout.read_at("HEAD", &file).await)?;
            touched.insert(file, earlier);
        }
    }
    for (file, earlier) in known {
        if present(tree.read(&file).await)? != earlier {
            touched.insert(file, earlier);
        }
    }
    Ok(touched)
}

fn present(read: Result<Vec<u8>, ServiceError>) -> Result<Option<Vec<u8>>, ServiceError> {
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
