use std::fs;

use super::*;

const LITTLE: &str = r#"
format = 1
title = "Little"
environment = "test"
alone = true

[[step]]
id = "look"
kind = "manual"
title = "Look"
instructions = "Look."
"#;

struct Room {
    _kept: tempfile::TempDir,
    places: Places,
}

impl Room {
    fn new() -> Self {
        let kept = tempfile::tempdir().unwrap();
        let places = Places { here: kept.path().join("here"), config: Some(kept.path().join("config")) };
        Self { _kept: kept, places }
    }
    fn here(&self, name: &str, text: &str) -> PathBuf {
        self.put(&self.places.here, name, text)
    }
    fn config(&self, name: &str, text: &str) -> PathBuf {
        self.put(self.places.config.as_ref().unwrap(), name, text)
    }
    fn put(&self, base: &Path, name: &str, text: &str) -> PathBuf {
        let directory = base.join("runbooks");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(name), text).unwrap();
        directory.join(name)
    }
}

#[test]
fn a_name_is_looked_up_here_then_in_the_configuration_then_inside() {
    let room = Room::new();
    let inside = find("prod", &room.places).unwrap();
    assert_eq!((inside.source.clone(), inside.shadows), (Source::BuiltIn, false));

    let config = room.config("prod.toml", "config");
    let found = find("prod", &room.places).unwrap();
    assert_eq!((found.text.as_str(), found.source, found.shadows), ("config", Source::File(config), true));

    let here = room.here("prod.toml", "here");
    let found = find("prod", &room.places).unwrap();
    assert_eq!((found.text.as_str(), found.source, found.shadows), ("here", Source::File(here.clone()), true));

    fs::write(&here, &inside.text).unwrap();
    let same = find("prod", &room.places).unwrap();
    assert!(!same.shadows, "the same content shadows nothing");
    assert_eq!(same.content_hash(), inside.content_hash());
}

#[test]
fn a_path_is_read_as_it_is() {
    let room = Room::new();
    let file = room.here("prod.toml", LITTLE);
    for argument in [file.to_str().unwrap(), "runbooks/prod.toml"] {
        let found = find(argument, &room.places).unwrap();
        assert_eq!((found.name.as_str(), found.text.as_str(), found.shadows), ("prod", LITTLE, false));
    }
    // It ends in .toml, so it is no name, and nothing of that name is built in.
    assert!(matches!(find("prod.toml", &room.places), Err(FindError::Unreadable { .. })));
}

#[test]
fn a_file_that_cannot_be_read_does_not_give_way_to_another() {
    let room = Room::new();
    let directory = room.places.here.join("runbooks");
    fs::create_dir_all(directory.join("prod.toml")).unwrap();
    assert!(matches!(find("prod", &room.places), Err(FindError::NoFile { .. })));
    fs::remove_dir(directory.join("prod.toml")).unwrap();

    std::os::unix::fs::symlink("nowhere", directory.join("prod.toml")).unwrap();
    assert!(matches!(find("prod", &room.places), Err(FindError::Unreadable { .. })));
}

#[test]
fn what_is_no_text_is_told_with_its_line() {
    let room = Room::new();
    let file = room.here("x.toml", "");
    fs::write(&file, b"a = 1\nb = \"\xff\"\n").unwrap();
    assert!(matches!(find("x", &room.places), Err(FindError::NotText { line: 2, .. })));
    fs::write(&file, vec![b' '; LARGEST + 1]).unwrap();
    assert!(matches!(find("x", &room.places), Err(FindError::TooLarge { .. })));
    fs::write(&file, vec![b' '; LARGEST]).unwrap();
    assert!(find("x", &room.places).is_ok());
}

#[test]
fn an_unknown_name_tells_what_was_meant_and_where_it_was_looked_for() {
    let places = Places { here: PathBuf::from("."), config: Some(PathBuf::from("/home/mia/.config/catalog-deploy")) };
    let error = find("pord", &places).unwrap_err();
    insta::assert_snapshot!(format!("{error}\n{}", error.help()), @r#"
    could not find a runbook called `pord`
    did you mean `prod`? Looked at runbooks/pord.toml, /home/mia/.config/catalog-deploy/runbooks/pord.toml, the built-in runbooks. `catalog-deploy runbook list` shows what runs; a file is given by its path
    "#);
    let error = find("", &places).unwrap_err();
    insta::assert_snapshot!(format!("{error}\n{}", error.help()), @r#"
    could not find a runbook called ``
    Looked at the built-in runbooks. `catalog-deploy runbook list` shows what runs; a file is given by its path
    "#);
}

#[test]
fn the_list_shows_what_runs_and_tells_what_does_not() {
    let room = Room::new();
    let little = room.config("little.toml", LITTLE);
    room.here("broken.toml", "format = 1\n");
    room.here("notes.md", "no runbook");
    let listing = list(&room.places);
    let names: Vec<&str> = listing.runnable.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["little", "prod"]);
    assert_eq!(listing.runnable[0].source, Source::File(little));
    assert_eq!(listing.runnable[0].title, "Little");
    let broken: Vec<&str> = listing.broken.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(broken, ["broken"]);

    // A broken file hides the built-in runbook of its name, exactly as a run would find it.
    room.here("prod.toml", "format = 1\n");
    let names: Vec<String> = list(&room.places).runnable.into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["little"]);
}
