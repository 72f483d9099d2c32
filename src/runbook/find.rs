//! A name or a path → a runbook's text. Looks only where it is told to; never reads the environment.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::load::{LARGEST, Source, content_hash, load};
use super::suggest::nearest;

/// The runbooks inside the program, by name.
const BUILT_IN: [(&str, &str); 1] = [("prod", include_str!("../../runbooks/prod.toml"))];

/// Where names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The current directory, as it should be shown: `.`
    pub here: PathBuf,
    /// `catalog-deploy`'s own configuration directory, e.g. `~/.config/catalog-deploy`; none where there is no home.
    pub config: Option<PathBuf>,
}

impl Places {
    /// In the order in which they are looked at, before what is built in.
    fn directories(&self) -> Vec<PathBuf> {
        let here = if self.here == Path::new(".") { PathBuf::from("runbooks") } else { self.here.join("runbooks") };
        std::iter::once(here).chain(self.config.iter().map(|config| config.join("runbooks"))).collect()
    }
}

/// A runbook's text, not judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// As it was asked for, or the file's name without `.toml`.
    pub name: String,
    pub source: Source,
    pub text: String,
    /// A file found under the name of a built-in runbook, with another content: to be asked about once per content.
    pub shadows: bool,
}

impl Found {
    /// SHA-256 of the text, in hex.
    pub fn content_hash(&self) -> String {
        content_hash(&self.text)
    }
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("could not find a runbook called `{name}`")]
    Unknown {
        name: String,
        /// The nearest name that exists.
        meant: Option<String>,
        /// Every place looked at, in order.
        looked_at: Vec<String>,
    },
    #[error("could not read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("could not read {}: it is not a regular file", path.display())]
    NoFile { path: PathBuf },
    #[error("could not read {}: it has more than {} KiB, and a runbook has less", path.display(), LARGEST / 1024)]
    TooLarge { path: PathBuf },
    #[error("could not read {}: line {line} is not UTF-8 text", path.display())]
    NotText { path: PathBuf, line: usize },
}

impl FindError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            FindError::Unknown { meant, looked_at, .. } => {
                let meant = meant.as_ref().map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
                format!(
                    "{meant}Looked at {}. `catalog-deploy runbook list` shows what runs; a file is given by its path",
                    looked_at.join(", ")
                )
            }
            FindError::Unreadable { .. } => "check the path and its permissions".into(),
            FindError::NoFile { .. } => "give the path of a runbook's TOML file".into(),
            FindError::TooLarge { .. } => "is this the right file?".into(),
            FindError::NotText { .. } => "save the file as UTF-8".into(),
        }
    }
}

/// The text that `argument` stands for: a path where it holds a separator or ends in `.toml`, else a name, looked up
/// in `./runbooks`, in the configuration directory, and among those built in.
///
/// # Errors
/// A file that is there and cannot be read is an error, never a reason to run another one of the same name.
pub fn find(argument: &str, places: &Places) -> Result<Found, FindError> {
    if argument.contains(std::path::is_separator) || argument.ends_with(".toml") {
        let given = Path::new(argument);
        let path = if given.is_absolute() || places.here == Path::new(".") {
            given.to_owned()
        } else {
            places.here.join(given)
        };
        let name = given.file_stem().map_or_else(|| argument.into(), |stem| stem.to_string_lossy().into_owned());
        let text = read(&path)?;
        return Ok(Found { name, source: Source::File(path), text, shadows: false });
    }
    let built_in = BUILT_IN.iter().find(|(name, _)| *name == argument).map(|(_, text)| *text);
    let directories = if argument.is_empty() { Vec::new() } else { places.directories() };
    let mut looked_at = Vec::new();
    for directory in directories {
        let path = directory.join(format!("{argument}.toml"));
        if is_there(&path)? {
            let text = read(&path)?;
            let shadows = built_in.is_some_and(|inside| inside != text);
            return Ok(Found { name: argument.into(), source: Source::File(path), text, shadows });
        }
        looked_at.push(path.display().to_string());
    }
    looked_at.push("the built-in runbooks".into());
    match built_in {
        Some(text) => Ok(Found { name: argument.into(), source: Source::BuiltIn, text: text.into(), shadows: false }),
        None => {
            let names = names(places);
            let meant = nearest(argument, names.iter().map(String::as_str)).map(str::to_owned);
            Err(FindError::Unknown { name: argument.into(), meant, looked_at })
        }
    }
}

/// A runbook that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub source: Source,
    pub title: String,
    pub shadows: bool,
}

/// A file that would be looked at under a name, but does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    pub name: String,
    pub why: String,
}

/// What the names stand for, each in alphabetical order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// What runs.
    pub runnable: Vec<Listed>,
    pub broken: Vec<Broken>,
}

/// Every name that can be given to a run, each found exactly as [`find`] would.
pub fn list(places: &Places) -> Listing {
    let mut listing = Listing::default();
    for name in names(places) {
        let loaded = find(&name, places).map_err(|error| error.to_string()).and_then(|found| {
            load(&name, found.source, &found.text)
                .map(|loaded| (loaded, found.shadows))
                .map_err(|problems| problems.to_string())
        });
        match loaded {
            Ok((loaded, shadows)) => {
                listing.runnable.push(Listed { name, source: loaded.source, title: loaded.runbook.title, shadows });
            }
            Err(why) => listing.broken.push(Broken { name, why }),
        }
    }
    listing
}

/// All names, sorted. A directory that cannot be read holds none: looking up a name there tells why.
fn names(places: &Places) -> Vec<String> {
    let mut names: BTreeSet<String> = BUILT_IN.iter().map(|(name, _)| (*name).to_owned()).collect();
    for entry in
        places.directories().iter().filter_map(|directory| std::fs::read_dir(directory).ok()).flatten().flatten()
    {
        let path = entry.path();
        let toml = path.extension().is_some_and(|extension| extension == "toml");
        if let (true, Some(stem)) = (toml, path.file_stem().and_then(|stem| stem.to_str()))
            && !stem.starts_with('.')
        {
            names.insert(stem.to_owned());
        }
    }
    names.into_iter().collect()
}

/// Also true for a link that leads nowhere: somebody put it there.
fn is_there(path: &Path) -> Result<bool, FindError> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(false),
        Err(source) => Err(FindError::Unreadable { path: path.into(), source }),
    }
}

fn read(path: &Path) -> Result<String, FindError> {
    let unreadable = |source| FindError::Unreadable { path: path.into(), source };
    // A pipe or a device would block or never end.
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(FindError::NoFile { path: path.into() });
    }
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0).min(LARGEST) + 1);
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > LARGEST {
        return Err(FindError::TooLarge { path: path.into() });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        FindError::NotText { path: path.into(), line }
    })
}

#[cfg(test)]
mod tests;
