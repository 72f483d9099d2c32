//! Laying the working files over the copy: untracked and ignored ones too, links kept, none leading back.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

struct Source<'a> {
    root: &'a Path,
    target: &'a Path,
    skip: Option<PathBuf>,
    gitlinks: &'a BTreeSet<PathBuf>,
    files: Vec<PathBuf>,
    /// Links that lead elsewhere than in the original, so that they stay in the copy.
    moved: Vec<PathBuf>,
    /// Modes of directories, set last so files can be made in a read-only one.
    modes: Vec<(PathBuf, u32)>,
}

/// Copies everything below `root` but its `.git` to `target`. `skip` is left out, as is the `.git` of a submodule (in
/// `gitlinks`) or of a worktree, which leads to a repository of the original. Returns the links
/// that had to be turned to stay in the copy.
pub(super) fn lay_over(
    root: &Path,
    target: &Path,
    skip: &Path,
    gitlinks: &BTreeSet<PathBuf>,
) -> std::io::Result<Vec<PathBuf>> {
    let mut source = Source {
        root,
        target,
        skip: skip.canonicalize().ok(),
        gitlinks,
        files: Vec::new(),
        moved: Vec::new(),
        modes: Vec::new(),
    };
    source.folder(Path::new(""))?;
    let Source { files, moved, modes, .. } = source;
    // Provider binaries are large: let the disk have more than one at a time.
    let share = files.len().div_ceil(4).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = files
            .chunks(share)
            .map(|files| scope.spawn(|| files.iter().try_for_each(|file| copy(root, target, file))))
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| Error::other("copying stopped"))?)
    })?;
    for (path, mode) in modes.into_iter().rev() {
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(moved)
}

impl Source<'_> {
    fn folder(&mut self, relative: &Path) -> std::io::Result<()> {
        let here = self.root.join(relative);
        for entry in std::fs::read_dir(&here).map_err(|error| at(&here, &error))? {
            let entry = entry?;
            let relative = relative.join(entry.file_name());
            let path = entry.path();
            let kind = entry.file_type()?;
            if self.skip.as_ref() == Some(&path) || self.is_foreign_repository(&relative, kind) {
                continue;
            }
            if kind.is_symlink() {
                let link = std::fs::read_link(&path)?;
                let leading = self.leading(&relative, &link);
                symlink(&leading, self.target.join(&relative))?;
                if leading != link {
                    self.moved.push(relative);
                }
            } else if kind.is_dir() {
                let copy = self.target.join(&relative);
                std::fs::create_dir(&copy)?;
                self.modes.push((copy, entry.metadata()?.permissions().mode()));
                self.folder(&relative)?;
            } else if kind.is_file() {
                self.files.push(relative);
            }
        }
        Ok(())
    }

    fn is_foreign_repository(&self, relative: &Path, kind: std::fs::FileType) -> bool {
        let Some(parent) = relative.parent().filter(|_| relative.file_name() == Some(".git".as_ref())) else {
            return false;
        };
        parent == Path::new("") || !kind.is_dir() || self.gitlinks.contains(parent)
    }

    /// Where the copied link leads: into the copy for whatever is in the original, elsewhere as before.
    fn leading(&self, relative: &Path, link: &Path) -> PathBuf {
        let stays = link.is_relative() && stays_inside(relative.parent().unwrap_or(Path::new("")), link);
        if stays {
            return link.to_owned();
        }
        let from = self.root.join(relative);
        let full = from.parent().unwrap_or(self.root).join(link);
        // What leads to nothing cannot be resolved further than its parent.
        let real = full.canonicalize().or_else(|error| match (full.parent(), full.file_name()) {
            (Some(parent), Some(name)) => parent.canonicalize().map(|parent| parent.join(name)),
            _ => Err(error),
        });
        let real = real.unwrap_or(full);
        match real.strip_prefix(self.root) {
            Ok(inner) => self.target.join(inner),
            Err(_) => real,
        }
    }
}

/// A relative link that never climbs above the root on its way.
fn stays_inside(folder: &Path, link: &Path) -> bool {
    let mut depth = folder.components().count();
    for part in link.components() {
        match part {
            Component::ParentDir if depth == 0 => return false,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            _ => {}
        }
    }
    true
}

/// Content (shared with the original where the file system can), mode and time of change.
fn copy(root: &Path, target: &Path, relative: &Path) -> std::io::Result<()> {
    let (from, to) = (root.join(relative), target.join(relative));
    let done = std::fs::copy(&from, &to).and_then(|_| {
        let changed = std::fs::metadata(&from)?.modified()?;
        match std::fs::File::open(&to)?.set_modified(changed) {
            // Not ours to set on some file systems; only costs git a second look.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
            done => done,
        }
    });
    match done {
        // Removed while we copied: as in the original.
        Err(error) if error.kind() == ErrorKind::NotFound && !from.exists() => Ok(()),
        done => done.map_err(|error| at(&from, &error)),
    }
}

fn at(path: &Path, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_link_leads_back() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let (root, target) = (home.join("root"), home.join("far/copy"));
        std::fs::create_dir_all(root.join("sub/deep")).unwrap();
        std::fs::create_dir_all(&target).unwrap();
        std::fs::write(root.join("file"), "original").unwrap();
        std::fs::write(home.join("outside"), "outside").unwrap();
        symlink(root.join("file"), home.join("back")).unwrap();
        for (link, to) in [
            ("sub/relative", PathBuf::from("../file")),
            ("absolute", root.join("file")),
            ("round", "../root/file".into()),
            ("folder", root.join("sub")),
            ("by-outside", home.join("back")),
            ("out", home.join("outside")),
            ("out-relative", "../outside".into()),
            ("dangling", root.join("absent")),
        ] {
            symlink(to, root.join(link)).unwrap();
        }
        std::fs::set_permissions(root.join("sub/deep"), Permissions::from_mode(0o500)).unwrap();
        lay_over(&root, &target, Path::new("/nowhere"), &BTreeSet::new()).unwrap();
        assert_eq!(std::fs::read_link(target.join("sub/relative")).unwrap(), Path::new("../file"));
        for link in ["sub/relative", "absolute", "round", "by-outside"] {
            assert_eq!(target.join(link).canonicalize().unwrap(), target.join("file"), "{link}");
        }
        assert_eq!(target.join("folder").canonicalize().unwrap(), target.join("sub"));
        assert_eq!(std::fs::read_link(target.join("dangling")).unwrap(), target.join("absent"));
        for link in ["out", "out-relative"] {
            assert_eq!(target.join(link).canonicalize().unwrap(), home.join("outside"), "{link}");
        }
        let mode = std::fs::metadata(target.join("sub/deep")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o500);
    }

    #[test]
    fn a_worktree_or_submodule_inside_loses_its_way_back_and_a_clone_stays_whole() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let (root, target) = (home.join("root"), home.join("copy"));
        std::fs::create_dir_all(&target).unwrap();
        for folder in [".git", "old-submodule/.git", "clone/.git", "worktree"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::write(root.join("worktree/.git"), "gitdir: ../.git/worktrees/worktree").unwrap();
        std::fs::write(root.join("clone/.git/HEAD"), "ref: refs/heads/main").unwrap();
        lay_over(&root, &target, &root.join("absent"), &BTreeSet::from(["old-submodule".into()])).unwrap();
        assert!(target.join("clone/.git/HEAD").is_file() && target.join("worktree").is_dir());
        for gone in [".git", "old-submodule/.git", "worktree/.git"] {
            assert!(!target.join(gone).exists(), "{gone}");
        }
    }
}
