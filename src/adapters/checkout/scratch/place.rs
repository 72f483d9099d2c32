//! The private directory of one scratch copy (or of some git objects), and the sweeping of those whose owner is dead.
//!
//! `scratch-X.lock` is locked for as long as its owner lives, `kill -9` included. It is made before `scratch-X` and
//! removed after it, so a directory without one has no owner.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const PREFIX: &str = "scratch-";
const LOCK: &str = ".lock";

/// A directory of mode 0700 that vanishes when dropped, or at the next sweep.
pub struct Place {
    directory: PathBuf,
    lock: PathBuf,
    _held: File,
}

impl Place {
    /// # Errors
    /// Where nothing can be made in `parent`.
    pub fn new(parent: &Path) -> std::io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        let parent = parent.canonicalize()?;
        loop {
            let mut random = [0; 8];
            getrandom::fill(&mut random).map_err(Error::other)?;
            let directory = parent.join(format!("{PREFIX}{}", super::super::terraform::hex(&random)));
            let lock = lock_of(&directory);
            let held = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&lock)?;
            held.lock()?;
            // A sweep may have taken the file between its making and its locking.
            let there =
                std::fs::metadata(&lock).is_ok_and(|there| held.metadata().is_ok_and(|ours| ours.ino() == there.ino()));
            if there {
                std::fs::DirBuilder::new().mode(0o700).create(&directory)?;
                return Ok(Self { directory, lock, _held: held });
            }
        }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match remove(&self.directory) {
            Ok(()) => {
                let _ = std::fs::remove_file(&self.lock);
            }
            Err(error) => {
                tracing::warn!(directory = %self.directory.display(), %error, "could not remove a scratch copy")
            }
        }
    }
}

/// Removes scratch copies whose owner is dead. Returns how many.
///
/// # Errors
/// Where `parent` cannot be listed or a leftover cannot be removed; an absent `parent` holds none.
pub fn sweep(parent: &Path) -> std::io::Result<usize> {
    let entries = match std::fs::read_dir(parent) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?.collect::<std::io::Result<Vec<_>>>()?,
    };
    let mut swept = 0;
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(id) = name.strip_prefix(PREFIX) else { continue };
        let directory = parent.join(format!("{PREFIX}{}", id.strip_suffix(LOCK).unwrap_or(id)));
        let lock = lock_of(&directory);
        // Held until the directory is gone, so no two sweep the same.
        let _held = match File::open(&lock) {
            Ok(file) => match file.try_lock() {
                Ok(()) => Some(file),
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if directory.exists() {
            remove(&directory)?;
            swept += 1;
        }
        match std::fs::remove_file(&lock) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(swept)
}

fn lock_of(directory: &Path) -> PathBuf {
    let mut name = directory.as_os_str().to_owned();
    name.push(LOCK);
    name.into()
}

/// Directories without write permission (module caches) are opened up first.
fn remove(directory: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            open_up(directory)?;
            std::fs::remove_dir_all(directory)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn open_up(directory: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_dead_are_swept() {
        let parent = tempfile::tempdir().unwrap();
        let place = Place::new(parent.path()).unwrap();
        assert_eq!(std::fs::metadata(place.directory()).unwrap().mode() & 0o777, 0o700);
        let dead = parent.path().join("scratch-dead");
        std::fs::create_dir_all(dead.join("tree")).unwrap();
        std::fs::set_permissions(dead.join("tree"), PermissionsExt::from_mode(0o500)).unwrap();
        std::fs::write(lock_of(&dead), "").unwrap();
        std::fs::create_dir(parent.path().join("other")).unwrap();
        assert_eq!(sweep(parent.path()).unwrap(), 1);
        assert!(place.directory().is_dir() && !dead.exists() && !lock_of(&dead).exists());
        let (directory, lock) = (place.directory.clone(), place.lock.clone());
        drop(place);
        assert!(!directory.exists() && !lock.exists() && parent.path().join("other").exists());
        assert_eq!(sweep(&parent.path().join("nowhere")).unwrap(), 0);
    }
}
