//! Reading and replacing files of a tree, never outside it.

use std::fs::File;
use std::io::{Error, Write};
use std::path::{Component, Path, PathBuf};

use super::scratch::Place;

/// The real path of `file` below `root`, symlinks followed.
///
/// # Errors
/// Where it does not exist, or leads out of `root`.
pub(super) fn inside(root: &Path, file: &str) -> std::io::Result<PathBuf> {
    let plain = Path::new(file).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !plain || file.is_empty() {
        return Err(Error::other(format!("`{file}` is not a path relative to the repository's root")));
    }
    let path = root.join(file).canonicalize()?;
    if !path.starts_with(root.canonicalize()?) {
        return Err(Error::other(format!("`{file}` leads out of the repository, to {}", path.display())));
    }
    Ok(path)
}

/// Replaces what `path` holds, all or nothing, if it still holds `before`; its mode stays. The new file is written in
/// `private`, so that a process that dies meanwhile leaves nothing in somebody's repository: the next start sweeps there.
pub(super) fn replace(path: &Path, before: &[u8], after: &[u8], private: &Path) -> std::io::Result<()> {
    let place = Place::new(private)?;
    match replace_from(place.directory(), path, before, after) {
        // Another file system: only a file beside it can take its place at one stroke.
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            replace_from(path.parent().unwrap_or(Path::new(".")), path, before, after)
        }
        replaced => replaced,
    }
}

fn replace_from(directory: &Path, path: &Path, before: &[u8], after: &[u8]) -> std::io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".catalog-deploy-").tempfile_in(directory)?;
    file.write_all(after)?;
    file.as_file().set_permissions(std::fs::metadata(path)?.permissions())?;
    file.as_file().sync_all()?;
    if std::fs::read(path)? != before {
        return Err(Error::other("somebody else changed it at the same moment; try again"));
    }
    // The C library's rename and not a system call of its own (as `persist` is): the crash harness stands there.
    std::fs::rename(file.into_temp_path(), path)?;
    File::open(parent)?.sync_all()
}

/// Puts `file` back to `bytes`, its mode kept where it still exists; `None` removes it. `private` as for [`replace`].
pub(super) fn restore(root: &Path, file: &str, bytes: Option<&[u8]>, private: &Path) -> std::io::Result<()> {
    let present = inside(root, file);
    match (present, bytes) {
        (Ok(path), Some(bytes)) => {
            let before = std::fs::read(&path)?;
            if before == bytes { Ok(()) } else { replace(&path, &before, bytes, private) }
        }
        (Ok(path), None) => std::fs::remove_file(path),
        (Err(error), bytes) if error.kind() == std::io::ErrorKind::NotFound => match bytes {
            None => Ok(()),
            Some(bytes) => {
                // Its directory must exist within the tree: `inside` follows links, so an escape is refused there.
                let name = Path::new(file).file_name().ok_or(error)?;
                let parent = Path::new(file).parent().and_then(Path::to_str).filter(|parent| !parent.is_empty());
                let directory = parent.map_or_else(|| root.canonicalize(), |parent| inside(root, parent))?;
                std::fs::write(directory.join(name), bytes)
            }
        },
        (Err(error), _) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_replaced_file_keeps_its_mode_and_a_symlink_stays_one() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("real"), "old").unwrap();
        std::fs::set_permissions(root.path().join("real"), PermissionsExt::from_mode(0o640)).unwrap();
        symlink("real", root.path().join("link")).unwrap();
        let path = inside(root.path(), "link").unwrap();
        let private = tempfile::tempdir().unwrap();
        replace(&path, b"old", b"new", private.path()).unwrap();
        assert_eq!(std::fs::read(root.path().join("real")).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(root.path().join("link").is_symlink());
        assert!(replace(&path, b"old", b"newer", private.path()).is_err());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 2);
        assert_eq!(std::fs::read_dir(private.path()).unwrap().count(), 0);
    }

    #[test]
    fn across_file_systems_a_file_is_replaced_too() {
        let memory = Path::new("/dev/shm");
        let Ok(private) = tempfile::tempdir_in(memory) else { return };
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "old").unwrap();
        replace(&root.path().join("file"), b"old", b"new", private.path()).unwrap();
        assert_eq!(std::fs::read(root.path().join("file")).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_outside_is_reached() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        symlink(outside.path(), root.path().join("out")).unwrap();
        for file in ["out", "../x", "/etc/hostname", ""] {
            assert!(inside(root.path(), file).is_err(), "{file}");
        }
    }
}
