//! The house's arrows, held by reading the source: which module may name which, who may name a client, and how long a
//! file may get. What an arrow is for stands in the README, "How it is built".

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What each module may name of the others. `cli` may name all; nobody may name `cli`.
const ARROWS: [(&str, &[&str]); 12] = [
    ("event", &["facts"]),
    ("facts", &[]),
    ("runbook", &[]),
    ("release", &["event", "runbook"]),
    ("journal", &["event", "facts"]),
    ("report", &["event", "facts"]),
    // `approval.rs` wants the journal's proof that an intent is durable; a planned step holds the step's trait.
    ("plan", &["event", "facts", "journal", "runbook", "step"]),
    // Writers come out of `World` only for an authority of `plan`; the terminal prompt speaks the report's words.
    ("adapters", &["event", "plan", "report"]),
    ("step", &["adapters", "event", "facts", "journal", "plan", "runbook"]),
    ("steps", &["adapters", "event", "facts", "plan", "release", "runbook", "step"]),
    ("engine", &["adapters", "event", "facts", "journal", "plan", "report", "runbook", "step"]),
    // The world answers over HTTP; of the real side it knows the format of a lock and how programs are found.
    ("rehearsal", &["adapters"]),
];

/// Files with more than [`LONG`] lines, and why they are still one.
const LONG_FILES: [(&str, &str); 0] = [];
const LONG: usize = 500;

/// One file under `src`, without what only its tests see.
struct Source {
    path: PathBuf,
    /// The module right under the crate, e.g. `engine`.
    module: String,
    code: Vec<String>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 100, "only {} files under {}", files.len(), root.display());
    files.iter().filter_map(|path| source(&root, path)).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// `None` for files that only tests see.
fn source(root: &Path, path: &Path) -> Option<Source> {
    let relative = path.strip_prefix(root).unwrap();
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let for_tests = ["tests", "fixture", "test_server", "samples"].contains(&stem) || stem.ends_with("_tests");
    if for_tests || relative.components().any(|part| part.as_os_str() == "tests") {
        return None;
    }
    let text = std::fs::read_to_string(path).unwrap();
    // Inline tests stand last in a file.
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned).collect();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    Some(Source { path: relative.to_owned(), module: first.trim_end_matches(".rs").to_owned(), code })
}

impl Source {
    /// Modules of this crate that the file names, with the lines.
    fn names(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for line in &self.code {
            for rest in line.split("crate::").skip(1) {
                let name: String =
                    rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
                found.insert(name, line.trim().to_owned());
            }
        }
        found
    }

    /// Lines that hold one of `words`, as whole identifiers.
    fn lines_with<'a>(&'a self, words: &'a [&str]) -> impl Iterator<Item = String> + 'a {
        let whole = |line: &str, word: &str| {
            line.match_indices(word).any(|(at, _)| {
                let outside = |letter: Option<char>| !letter.is_some_and(|it| it.is_alphanumeric() || it == '_');
                outside(line[..at].chars().next_back()) && outside(line[at + word.len()..].chars().next())
            })
        };
        let found = move |line: &&String| words.iter().any(|word| whole(line, word));
        self.code.iter().filter(found).map(|line| format!("{}: {}", self.path.display(), line.trim()))
    }

    fn is_in(&self, place: &str) -> bool {
        self.path.starts_with(place)
    }
}

#[track_caller]
fn none(found: impl IntoIterator<Item = String>, rule: &str) {
    let found: Vec<String> = found.into_iter().collect();
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[test]
fn arrows_point_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources() {
        if ["main", "lib", "cli"].contains(&source.module.as_str()) {
            continue;
        }
        let arrows = allowed.get(source.module.as_str());
        let arrows = arrows.unwrap_or_else(|| panic!("{} is new: say in ARROWS what it may name", source.module));
        for (name, line) in source.names() {
            used.insert((source.module.clone(), name.clone()));
            if name != source.module && !arrows.contains(&name.as_str()) {
                wrong.push(format!("{}: {} must not name {name}: {line}", source.path.display(), source.module));
            }
        }
    }
    none(wrong, "an arrow points the wrong way");
    // An arrow that nobody uses any more is one to take out.
    let idle = ARROWS.iter().flat_map(|(from, to)| to.iter().map(move |to| (from.to_string(), to.to_string())));
    none(idle.filter(|arrow| !used.contains(arrow)).map(|(from, to)| format!("{from} → {to}")), "arrows without use");
}

#[test]
fn only_adapters_and_the_rehearsal_name_clients() {
    let clients = ["reqwest", "octocrab", "dialoguer", "axum"];
    let outside = |source: &&Source| !source.is_in("adapters") && !source.is_in("rehearsal");
    let all = sources();
    none(all.iter().filter(outside).flat_map(|source| source.lines_with(&clients)), "a client is named");
    let axum = all.iter().filter(|source| !source.is_in("rehearsal")).flat_map(|source| source.lines_with(&["axum"]));
    none(axum, "only the embedded world serves");
}

#[test]
fn only_adapters_and_the_rehearsal_start_processes() {
    let outside = sources().into_iter().filter(|source| !source.is_in("adapters") && !source.is_in("rehearsal"));
    // `adapters::process::Command` is data: what to run, for an adapter to run it.
    let starts = |source: Source| {
        let lines = source.lines_with(&["Command", "process"]);
        let started = |line: &String| {
            ["Command::new", "std::process::Command", "tokio::process"].iter().any(|it| line.contains(it))
        };
        lines.filter(started).collect::<Vec<_>>()
    };
    none(outside.flat_map(starts), "a process is started");
}

#[test]
fn steps_and_engine_see_traits_and_never_a_client() {
    let concrete = [
        "AirflowClient",
        "CheckoutOptions",
        "Commands",
        "GitRefLock",
        "GithubClient",
        "RegistryClient",
        "SentryClient",
        "SlackWebhook",
        "SystemClock",
        "TerminalPrompt",
    ];
    let all = sources();
    let inner = |source: &&Source| ["steps", "step", "engine", "plan"].contains(&source.module.as_str());
    none(all.iter().filter(inner).flat_map(|source| source.lines_with(&concrete)), "a client is named");
    // The names are still those of the real ones.
    for name in concrete {
        let declared = |source: &Source| source.code.iter().any(|line| line.contains(&format!("pub struct {name}")));
        assert!(all.iter().any(|source| source.is_in("adapters") && declared(source)), "there is no {name} any more");
    }
}

#[test]
fn the_runbook_is_pure_and_only_settings_read_the_environment() {
    let all = sources();
    let runbook = all.iter().filter(|source| source.is_in("runbook"));
    none(runbook.clone().flat_map(|source| source.lines_with(&["env"])), "the runbook reads the environment");
    let files = runbook.filter(|source| !source.path.ends_with("find.rs"));
    none(files.flat_map(|source| source.lines_with(&["fs"])), "only find.rs opens files");
    let readers = ["cli/settings.rs", "adapters/process/inherited.rs", "rehearsal/stand_in/terraform/words.rs"];
    let others = all.iter().filter(|source| !readers.contains(&source.path.to_str().unwrap()));
    let read = others.flat_map(|source| source.lines_with(&["env"]).filter(|line| line.contains("env::var")));
    none(read, "the environment is read");
}

#[test]
fn a_long_file_is_asked_why() {
    let reasons: BTreeMap<&str, &str> = LONG_FILES.into_iter().collect();
    let mut files = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    collect(&root.join("src"), &mut files);
    collect(&root.join("tests"), &mut files);
    let long = files.iter().filter_map(|path| {
        let lines = std::fs::read_to_string(path).unwrap().lines().count();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        (lines > LONG && !reasons.contains_key(name)).then(|| format!("{name} has {lines} lines"))
    });
    none(long, "split it, or give a reason in LONG_FILES");
}

#[test]
fn every_file_says_what_it_is_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let silent = sources().into_iter().filter(|source| {
        let text = std::fs::read_to_string(root.join(&source.path)).unwrap();
        source.path != Path::new("main.rs") && !text.starts_with("//! ")
    });
    none(silent.map(|source| source.path.display().to_string()), "a file begins without saying what it is for");
}
