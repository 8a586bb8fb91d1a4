//! Locks between processes. The system releases a dead process's locks.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::{Digest, Store, StoreError, fault};

/// Hex digits of a key that name its lock's file.
const DIGITS: usize = 4;
/// How the names of files begin that are fetched in parts.
pub(crate) const PART: &str = "part-";
/// How often a waiter looks again.
const PAUSE: Duration = Duration::from_millis(10);

/// Held while one thing is computed, so that others wait for it rather than compute it too.
///
/// Its file is that of the key's first digits and stays there: keys that share them only wait for
/// each other. Nobody waits for another while holding one, so no two can wait for each other forever.
#[derive(Debug)]
pub struct KeyLock {
    _file: File,
}

/// Held while a process relies on what it found in the store, so that nothing is swept away.
#[derive(Debug)]
pub struct UseLock {
    _file: File,
}

/// Held while a file grows that is fetched in parts, perhaps over several runs.
#[derive(Debug)]
pub struct PartLock {
    path: PathBuf,
    _file: File,
}

impl PartLock {
    /// Where the file grows. What is there is a day old at most.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store {
    /// Waits for the lock of a file that is fetched in parts. `waiting` is as for [`Store::lock_key`].
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn lock_part(&self, name: &str, waiting: impl FnMut() -> bool) -> Result<Option<PartLock>, StoreError> {
        let path = self.root.join("tmp").join(format!("{PART}{name}"));
        let lock = self.root.join("locks").join(format!("{PART}{name}"));
        let refused = |error| StoreError::new("lock", &lock, error);
        Ok(wait(&lock, waiting).map_err(refused)?.map(|file| PartLock { path, _file: file }))
    }

    /// Waits for the lock of that key. `waiting` is called whenever it is held by someone else, and
    /// says whether to go on waiting; `None` when not.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn lock_key(&self, key: Digest, waiting: impl FnMut() -> bool) -> Result<Option<KeyLock>, StoreError> {
        let path = self.root.join("locks").join(&key.to_string()[..DIGITS]);
        let refused = |error| StoreError::new("lock", &path, error);
        fault::point("lock: create").map_err(refused)?;
        Ok(wait(&path, waiting).map_err(refused)?.map(|file| KeyLock { _file: file }))
    }

    /// Keeps what is in the store from being swept away; waits while it is being swept. `None`
    /// where the store may only be read, so that nobody sweeps it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn lock_use(&self) -> Result<Option<UseLock>, StoreError> {
        let path = self.root.join("use.lock");
        let refused = |error| StoreError::new("lock", &path, error);
        let file = match open(&path) {
            Err(error) if crate::is_refusal(&error) => return Ok(None),
            file => file.map_err(refused)?,
        };
        file.lock_shared().map_err(refused)?;
        Ok(Some(UseLock { _file: file }))
    }

    /// Keeps every other process from using the store. `waiting` is called whenever someone uses
    /// it, and says whether to go on waiting; `None` when not.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn lock_alone(&self, waiting: impl FnMut() -> bool) -> Result<Option<UseLock>, StoreError> {
        let path = self.root.join("use.lock");
        let refused = |error| StoreError::new("lock", &path, error);
        Ok(wait(&path, waiting).map_err(refused)?.map(|file| UseLock { _file: file }))
    }
}

/// Waits until nobody else has the lock of a file, as long as `waiting` says to.
fn wait(path: &Path, mut waiting: impl FnMut() -> bool) -> io::Result<Option<File>> {
    let file = open(path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if waiting() => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).read(true).write(true).open(path).or_else(|error| {
        let folder = path.parent().filter(|_| error.kind() == io::ErrorKind::NotFound);
        fs::create_dir_all(folder.ok_or(error)?)?;
        File::options().create(true).truncate(false).read(true).write(true).open(path)
    })
}
