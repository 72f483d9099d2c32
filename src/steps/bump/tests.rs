//! A bump in a tree in memory: what is accepted, and that everything else is put back to the byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::recipe::attempt;
use super::*;
use crate::adapters::checkout::{Arguments, Attribute, CheckoutRead, Location, Planned, Result as Answer, Standing};
use crate::adapters::process::LineSink;

const FILE: &str = "prod.tf";
const OLD: &str = "\"rel-1\"";
const WANTED: &str = "\"rel-2\"";

type Files = BTreeMap<String, String>;

fn missing(name: &str) -> ServiceError {
    ServiceError::new("git", name, Cause::NotFound(name.into()))
}

/// Files in memory; `recipe` is what running any command does to them.
struct Memory {
    head: Files,
    now: Mutex<Files>,
    recipe: fn(&mut Files) -> Option<i32>,
}

impl Memory {
    fn new(recipe: fn(&mut Files) -> Option<i32>) -> Self {
        let head = Files::from([
            (FILE.to_owned(), format!("tag = {OLD}\r\nflag = false\r\n")),
            ("other.tf".to_owned(), "a = 1\n".to_owned()),
        ]);
        Self { now: Mutex::new(head.clone()), head, recipe }
    }
    fn files(&self) -> Files {
        self.now.lock().unwrap().clone()
    }
}

#[async_trait]
impl Tree for Memory {
    fn root(&self) -> PathBuf {
        PathBuf::new()
    }
    async fn attribute(&self, at: &Location) -> Answer<Attribute> {
        let files = self.files();
        let line = files.get(&at.file).and_then(|text| text.lines().find_map(|line| line.strip_prefix("tag = ")));
        line.map(|literal| Attribute { literal: literal.into(), line: 1 }).ok_or_else(|| missing(&at.file))
    }
    async fn read(&self, file: &str) -> Answer<Vec<u8>> {
        self.files().remove(file).map(String::into_bytes).ok_or_else(|| missing(file))
    }
    async fn restore(&self, file: &str, bytes: Option<&[u8]>) -> Answer<()> {
        let mut now = self.now.lock().unwrap();
        match bytes {
            Some(bytes) => now.insert(file.into(), String::from_utf8(bytes.to_vec()).unwrap()),
            None => now.remove(file),
        };
        Ok(())
    }
    async fn set_attribute(&self, at: &Location, literal: &str) -> Answer<String> {
        let earlier = Tree::attribute(self, at).await?.literal;
        let mut now = self.now.lock().unwrap();
        let text = now[&at.file].replace(&format!("tag = {earlier}"), &format!("tag = {literal}"));
        now.insert(at.file.clone(), text);
        Ok(earlier)
    }
    async fn run(&self, _: &[String], _: LineSink) -> Answer<(Option<i32>, String)> {
        let code = (self.recipe)(&mut self.now.lock().unwrap());
        Ok((code, "said something".into()))
    }
    async fn plan(&self, _: &[String], _: &Path, _: LineSink) -> Answer<Planned> {
        Err(missing("plan"))
    }
    async fn diff(&self) -> Answer<String> {
        Ok(String::new())
    }
    async fn changed(&self) -> Answer<Vec<String>> {
        let now = self.files();
        let names: std::collections::BTreeSet<&String> = self.head.keys().chain(now.keys()).collect();
        Ok(names.into_iter().filter(|&name| self.head.get(name) != now.get(name)).cloned().collect())
    }
}

#[async_trait]
impl CheckoutRead for Memory {
    fn root(&self) -> PathBuf {
        PathBuf::new()
    }
    async fn standing(&self) -> Answer<Standing> {
        Err(missing("standing"))
    }
    async fn read(&self, file: &str) -> Answer<Vec<u8>> {
        Tree::read(self, file).await
    }
    async fn read_at(&self, commit: &str, file: &str) -> Answer<Vec<u8>> {
        assert_eq!(commit, "HEAD");
        self.head.get(file).map(|text| text.clone().into_bytes()).ok_or_else(|| missing(file))
    }
    async fn attribute(&self, at: &Location) -> Answer<Attribute> {
        Tree::attribute(self, at).await
    }
    async fn fingerprint(&self, _: &[Location]) -> Answer<String> {
        Err(missing("fingerprint"))
    }
    async fn arguments(&self, _: &[String]) -> Answer<Arguments> {
        Ok(Arguments::Unknown)
    }
    async fn remote_branch(&self, _: &str) -> Answer<Option<String>> {
        Ok(None)
    }
    async fn remote_file(&self, _: &str, _: &str) -> Answer<Option<Vec<u8>>> {
        Ok(None)
    }
    async fn remote_attribute(&self, _: &str, _: &Location) -> Answer<Option<Attribute>> {
        Ok(None)
    }
    async fn literals_in_history(
        &self,
        _: &str,
        _: &Location,
        _: usize,
    ) -> Answer<Vec<crate::adapters::checkout::Landed>> {
        unreachable!("the bump reads no history")
    }
    async fn output(&self, _: &[String]) -> Answer<Vec<u8>> {
        Err(missing("output"))
    }
    async fn scratch(&self) -> Answer<Arc<dyn Tree>> {
        Err(missing("scratch"))
    }
    async fn plan(&self, _: &[String], _: &Path, _: LineSink) -> Answer<Planned> {
        Err(missing("plan"))
    }
}

fn at() -> Location {
    Location { file: FILE.into(), block: vec![], attribute: "tag".into() }
}

fn silent() -> LineSink {
    Arc::new(|_: &str| ())
}

fn recipe() -> Way {
    Way::Recipe(vec!["just".into(), "bump".into()])
}

fn bump_to(files: &mut Files, literal: &str) {
    let text = files[FILE].replace(OLD, literal);
    files.insert(FILE.into(), text);
}

async fn carried_out(memory: &Memory, way: &Way) -> std::result::Result<(), ServiceError> {
    let tried = attempt(memory, memory, way, &at(), WANTED, silent()).await?;
    settle(&tried, memory, way, WANTED).await
}

#[tokio::test]
async fn an_exact_bump_stays() {
    let memory = Memory::new(|files| {
        bump_to(files, WANTED);
        Some(0)
    });
    carried_out(&memory, &recipe()).await.unwrap();
    assert_eq!(memory.files()[FILE], "tag = \"rel-2\"\r\nflag = false\r\n");
}

#[tokio::test]
async fn a_pin_stays() {
    let memory = Memory::new(|_| panic!("a pin runs nothing"));
    carried_out(&memory, &Way::Pin).await.unwrap();
    assert_eq!(memory.files()[FILE], "tag = \"rel-2\"\r\nflag = false\r\n");
}

#[tokio::test]
async fn everything_else_is_put_back_and_named() {
    type Recipe = fn(&mut Files) -> Option<i32>;
    let cases: [(Recipe, &str); 7] = [
        (
            |files| {
                bump_to(files, "\"latest\"");
                Some(0)
            },
            "\"latest\"",
        ),
        (
            |files| {
                bump_to(files, "\"rel-0\"");
                Some(0)
            },
            "\"rel-0\"",
        ),
        (
            |files| {
                bump_to(files, WANTED);
                files.insert("other.tf".into(), "a = 2\n".into());
                Some(0)
            },
            "other.tf",
        ),
        (
            |files| {
                bump_to(files, WANTED);
                files.insert("made.tf".into(), String::new());
                Some(0)
            },
            "made.tf",
        ),
        (
            |files| {
                bump_to(files, WANTED);
                files.remove("other.tf");
                Some(0)
            },
            "other.tf",
        ),
        (|_| Some(0), "changed nothing"),
        (
            |files| {
                bump_to(files, WANTED);
                Some(3)
            },
            "exit 3",
        ),
    ];
    for (recipe_does, names) in cases {
        let memory = Memory::new(recipe_does);
        let error = carried_out(&memory, &recipe()).await.unwrap_err();
        assert!(error.surely_refused(), "{error}");
        assert!(error.to_string().contains(names), "{names}: {error}");
        assert_eq!(memory.files(), memory.head, "{names}");
    }
}

#[tokio::test]
async fn earlier_edits_of_other_files_survive_a_bad_bump() {
    let memory = Memory::new(|files| {
        bump_to(files, "\"latest\"");
        files.insert("other.tf".into(), "a = 3\n".into());
        Some(0)
    });
    memory.now.lock().unwrap().insert("other.tf".into(), "a = 2 # not committed\n".into());
    let before = memory.files();
    carried_out(&memory, &recipe()).await.unwrap_err();
    assert_eq!(memory.files(), before);
}

#[test]
fn a_given_tag_is_never_left_to_the_recipe_that_picks_the_newest() {
    let bump = Some(vec!["just".to_owned(), "bump".to_owned()]);
    let with_tag = Way::Recipe(vec!["just".into(), "bump".into(), "rel-2".into()]);
    for (mode, given, expected) in [
        (BumpTag::Newest, false, recipe()),
        (BumpTag::Newest, true, Way::Pin),
        (BumpTag::Argument, true, with_tag.clone()),
        (BumpTag::Argument, false, with_tag),
        (BumpTag::Pin, false, Way::Pin),
    ] {
        assert_eq!(way(bump.as_ref(), mode, "rel-2", given).unwrap(), expected, "{mode:?} {given}");
    }
    assert!(way(None, BumpTag::Newest, "rel-2", false).is_err());
}

#[test]
fn a_preview_forgives_only_an_older_tag_of_the_same_shape() {
    for (result, forgiven) in [
        (BumpResult::Nothing, true),
        (BumpResult::Other("\"rel-1\"".into()), true),
        (BumpResult::Other("\"rel-3\"".into()), false),
        (BumpResult::Other("\"latest\"".into()), false),
        (BumpResult::More(vec!["x".into()]), false),
        (BumpResult::Exact, false),
    ] {
        assert_eq!(picks_older_for_now(&result, WANTED), forgiven, "{result:?}");
    }
}

#[test]
fn what_a_bump_changes_is_told_from_what_stands_there() {
    let bump = |tag: &str| format!("--- a/x.tf\n+++ b/x.tf\n@@ -4 +4 @@\n-  tag = \"one\"\n+  tag = \"{tag}\"\n");
    assert_eq!(between("", &bump("two")), ["-  tag = \"one\"", "+  tag = \"two\""]);
    assert_eq!(between(&bump("two"), &bump("three")), ["-  tag = \"two\"", "+  tag = \"three\""]);
    assert_eq!(between(&bump("two"), ""), ["-  tag = \"two\"", "+  tag = \"one\""]);
    assert_eq!(between(&bump("two"), &bump("two")), [""; 0]);
}
