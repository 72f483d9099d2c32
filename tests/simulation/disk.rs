//! A disk that remembers what was synced and what was only written, and fails when it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use catalog_deploy::journal::disk::{Disk, DiskFile};

use crate::rng::Rng;

/// What happens at one operation of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It fails, and leaves any part of what it was to write.
    Fails { full: bool, from_then_on: bool },
    /// The process ends before the operation, in the middle of it, or right after it.
    Dies(Moment),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Before,
    Torn,
    After,
}

/// An operation that can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    Create,
    Write,
    Sync,
    Truncate,
}

#[derive(Debug, Clone, Default)]
struct Content {
    synced: Vec<u8>,
    written: Vec<u8>,
    named: bool,
}

#[derive(Debug)]
struct Inner {
    files: BTreeMap<PathBuf, Content>,
    /// Whether the name is durable.
    directories: BTreeMap<PathBuf, bool>,
    locks: BTreeSet<PathBuf>,
    /// Every operation so far.
    ops: Vec<Op>,
    mishap: Option<(usize, Mishap)>,
    broken: Option<bool>,
    rng: Rng,
}

/// Shared by all processes of one laptop.
#[derive(Clone)]
pub struct SimDisk {
    inner: Arc<Mutex<Inner>>,
    dead: Arc<AtomicBool>,
}

impl SimDisk {
    /// `dead` is raised when the process is to end at an operation.
    pub fn new(rng: Rng, dead: Arc<AtomicBool>) -> Self {
        let inner = Inner {
            files: BTreeMap::new(),
            directories: BTreeMap::new(),
            locks: BTreeSet::new(),
            ops: Vec::new(),
            mishap: None,
            broken: None,
            rng,
        };
        Self { inner: Arc::new(Mutex::new(inner)), dead }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// The operations so far, in order.
    pub fn ops(&self) -> Vec<Op> {
        self.inner().ops.clone()
    }

    /// `mishap` happens `after` this many further operations. `None` mends the disk.
    pub fn plan(&self, mishap: Option<(usize, Mishap)>) {
        let mut inner = self.inner();
        inner.broken = None;
        let done = inner.ops.len();
        inner.mishap = mishap.map(|(after, mishap)| (done + after, mishap));
    }

    /// The power is gone: what was not synced survives as far as chance has it.
    pub fn power_off(&self) {
        let inner = &mut *self.inner();
        let gone: Vec<PathBuf> =
            inner.directories.iter().filter(|(_, named)| !**named).map(|(path, _)| path.clone()).collect();
        for path in gone {
            if inner.rng.percent(50) {
                inner.directories.retain(|other, _| !other.starts_with(&path));
                inner.files.retain(|other, _| !other.starts_with(&path));
            }
        }
        let rng = &mut inner.rng;
        inner.files.retain(|_, content| content.named || rng.percent(50));
        for content in inner.files.values_mut() {
            if let Some(rest) = content.written.strip_prefix(content.synced.as_slice()) {
                let kept = usize::try_from(rng.below(rest.len() as u64 + 1)).unwrap();
                content.synced.extend_from_slice(&rest[..kept]);
            } else if rng.percent(50) {
                content.synced = content.written.clone();
            }
            content.written = content.synced.clone();
            content.named = true;
        }
    }

    /// Bytes that a power cut right now would leave for sure.
    pub fn durable(&self, path: &Path) -> Vec<u8> {
        let inner = self.inner();
        let above = path.ancestors().skip(1);
        let named = above.filter_map(|directory| inner.directories.get(directory)).all(|named| *named);
        match inner.files.get(path) {
            Some(content) if content.named && named => content.synced.clone(),
            _ => Vec::new(),
        }
    }

    /// Writes bytes behind everybody's back.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let content = Content { synced: bytes.to_vec(), written: bytes.to_vec(), named: true };
        self.inner().files.insert(path.to_owned(), content);
    }

    pub fn get(&self, path: &Path) -> Vec<u8> {
        self.inner().files.get(path).map(|content| content.written.clone()).unwrap_or_default()
    }

    /// Whether this operation goes well; `Err` with how much of `length` bytes was written nevertheless.
    fn op(&self, op: Op, length: usize) -> std::result::Result<(), (usize, Error)> {
        let mut inner = self.inner();
        let number = inner.ops.len();
        inner.ops.push(op);
        let part = usize::try_from(inner.rng.below(length as u64 + 1)).unwrap();
        let error = |full: bool| Error::from_raw_os_error(if full { 28 } else { 5 });
        if self.dead.load(Ordering::SeqCst) {
            return Err((0, error(false)));
        }
        if let Some(full) = inner.broken {
            return Err((part, error(full)));
        }
        match inner.mishap.filter(|(at, _)| *at == number).map(|(_, mishap)| mishap) {
            None => Ok(()),
            Some(Mishap::Fails { full, from_then_on }) => {
                inner.broken = from_then_on.then_some(full);
                Err((part, error(full)))
            }
            Some(Mishap::Dies(moment)) => {
                self.dead.store(true, Ordering::SeqCst);
                let written = match moment {
                    Moment::Before => 0,
                    Moment::Torn => part,
                    Moment::After => usize::MAX,
                };
                Err((written, error(false)))
            }
        }
    }
}

impl Disk for SimDisk {
    fn create_directory(&self, path: &Path) -> Result<()> {
        if self.inner().directories.contains_key(path) {
            return Ok(());
        }
        let made = self.op(Op::Create, 1);
        if !matches!(made, Err((0, _))) {
            self.inner().directories.insert(path.to_owned(), false);
        }
        made.map_err(|(_, error)| error)
    }

    fn sync_directory(&self, path: &Path) -> Result<()> {
        let synced = self.op(Op::Sync, 1);
        if !matches!(synced, Err((0, _))) {
            let inner = &mut *self.inner();
            let inside = |other: &Path| other.parent() == Some(path);
            inner.directories.iter_mut().filter(|(other, _)| inside(other)).for_each(|(_, named)| *named = true);
            inner.files.iter_mut().filter(|(other, _)| inside(other)).for_each(|(_, file)| file.named = true);
        }
        synced.map_err(|(_, error)| error)
    }

    fn names(&self, path: &Path) -> Result<Vec<String>> {
        let inner = self.inner();
        let all = inner.files.keys().chain(inner.directories.keys());
        let name = |other: &PathBuf| Some(other.strip_prefix(path).ok()?.to_str()?.to_owned());
        let names: Vec<String> = all.filter(|other| other.parent() == Some(path)).filter_map(name).collect();
        if names.is_empty() && !inner.directories.contains_key(path) {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(names)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        if self.inner().files.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let made = self.op(Op::Create, 1);
        if !matches!(made, Err((0, _))) {
            self.inner().files.insert(path.to_owned(), Content::default());
        }
        made.map_err(|(_, error)| error)?;
        self.open(path)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        if !self.inner().files.contains_key(path) {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(Box::new(SimFile { disk: self.clone(), path: path.to_owned() }))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.inner().files.get(path).map(|content| content.written.clone()).ok_or(ErrorKind::NotFound.into())
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Send + Sync>> {
        if !self.inner().locks.insert(path.to_owned()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_owned() }))
    }

    fn locked(&self, path: &Path) -> bool {
        self.inner().locks.contains(path)
    }
}

struct SimFile {
    disk: SimDisk,
    path: PathBuf,
}

impl SimFile {
    fn change(&self, change: impl FnOnce(&mut Content)) {
        if let Some(content) = self.disk.inner().files.get_mut(&self.path) {
            change(content);
        }
    }
}

impl DiskFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.disk.op(Op::Write, bytes.len());
        let length = written.as_ref().map_or_else(|(part, _)| (*part).min(bytes.len()), |()| bytes.len());
        self.change(|content| content.written.extend_from_slice(&bytes[..length]));
        written.map_err(|(_, error)| error)
    }

    fn sync(&mut self) -> Result<()> {
        let synced = self.disk.op(Op::Sync, 1);
        if !matches!(synced, Err((0, _))) {
            self.change(|content| content.synced = content.written.clone());
        }
        synced.map_err(|(_, error)| error)
    }

    fn truncate(&mut self, length: u64) -> Result<()> {
        let cut = self.disk.op(Op::Truncate, 1);
        if !matches!(cut, Err((0, _))) {
            self.change(|content| content.written.truncate(usize::try_from(length).unwrap()));
        }
        cut.map_err(|(_, error)| error)
    }
}

/// Freed when the process that holds it is dropped, as the kernel frees it.
struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.inner().locks.remove(&self.path);
    }
}
