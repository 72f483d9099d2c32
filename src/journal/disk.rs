//! The disk as the journal needs it, and no more: so that tests can tear, fill and break it.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{Result, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// What a crash may take: everything that was written and not synced; a new name until its directory is synced.
pub trait Disk: Send + Sync {
    /// A directory for this user's eyes only, with all above it. `Ok` where it is there already.
    fn create_directory(&self, path: &Path) -> Result<()>;
    /// Makes the names in `path` durable.
    fn sync_directory(&self, path: &Path) -> Result<()>;
    /// Names in a directory; `NotFound` where it is absent.
    fn names(&self, path: &Path) -> Result<Vec<String>>;
    /// A new, empty file; `AlreadyExists` where there is one.
    fn create(&self, path: &Path) -> Result<Box<dyn DiskFile>>;
    /// An existing file, to append to.
    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>>;
    /// All that is in a file.
    fn read(&self, path: &Path) -> Result<Vec<u8>>;
    /// A lock that the kernel frees when this process dies. `WouldBlock` where another process holds it.
    fn lock(&self, path: &Path) -> Result<Box<dyn Send + Sync>>;
    /// Whether a living process holds the lock.
    fn locked(&self, path: &Path) -> bool;
}

/// A file open for appending.
pub trait DiskFile: Send {
    /// After an error, any part of `bytes` may be in it.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;
    /// Makes its contents durable. After an error, nothing is known of what is.
    fn sync(&mut self) -> Result<()>;
    /// Cuts it to `length` bytes; durable after the next `sync`.
    fn truncate(&mut self, length: u64) -> Result<()>;
}

/// The laptop's disk.
#[derive(Debug, Clone, Copy)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_directory(&self, path: &Path) -> Result<()> {
        std::fs::create_dir_all(path)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o700))
    }

    fn sync_directory(&self, path: &Path) -> Result<()> {
        File::open(path)?.sync_all()
    }

    fn names(&self, path: &Path) -> Result<Vec<String>> {
        let names = std::fs::read_dir(path)?.filter_map(Result::ok);
        // A name that is not UTF-8 is none of ours.
        Ok(names.filter_map(|entry| entry.file_name().into_string().ok()).collect())
    }

    fn create(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn DiskFile>> {
        Ok(Box::new(RealFile(OpenOptions::new().append(true).open(path)?)))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Send + Sync>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Box::new(file)),
                // A child that is just being started holds a copy until it has become another program.
                Err(TryLockError::WouldBlock) if tries < 20 => {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn locked(&self, path: &Path) -> bool {
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, length: u64) -> Result<()> {
        self.0.set_len(length)
    }
}
