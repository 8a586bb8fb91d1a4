//! Locks between processes. The system releases a dead process's locks.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::{Digest, Store, StoreError, fault};

/// How often a waiter looks again.
const PAUSE: Duration = Duration::from_millis(10);

/// Held while one thing is computed, so that others wait for it rather than compute it too.
#[derive(Debug)]
pub struct KeyLock {
    file: File,
    path: PathBuf,
}

/// Held while a process relies on what it found in the store, so that nothing is swept away.
#[derive(Debug)]
pub struct UseLock {
    _file: File,
}

impl Store {
    /// Waits for the lock of that key. `waiting` is called whenever it is held by someone else, and
    /// says whether to go on waiting; `None` when not.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn lock_key(
        &self,
        key: Digest,
        mut waiting: impl FnMut() -> bool,
    ) -> Result<Option<KeyLock>, StoreError> {
        let path = self.root.join("locks").join(key.to_string());
        let refused = |error| StoreError::new("lock", &path, error);
        loop {
            fault::point("lock: create").map_err(refused)?;
            let file = open(&path).map_err(refused)?;
            match file.try_lock() {
                // Whoever held it has removed the file meanwhile: this one locks nothing.
                Ok(()) if !is_at(&file, &path) => {}
                Ok(()) => return Ok(Some(KeyLock { file, path })),
                Err(TryLockError::WouldBlock) => {
                    if !waiting() {
                        return Ok(None);
                    }
                    thread::sleep(PAUSE);
                }
                Err(TryLockError::Error(error)) => return Err(refused(error)),
            }
        }
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
    pub fn lock_alone(&self, mut waiting: impl FnMut() -> bool) -> Result<Option<UseLock>, StoreError> {
        let path = self.root.join("use.lock");
        let refused = |error| StoreError::new("lock", &path, error);
        let file = open(&path).map_err(refused)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(UseLock { _file: file })),
                Err(TryLockError::WouldBlock) if waiting() => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(refused(error)),
            }
        }
    }
}

impl Drop for KeyLock {
    fn drop(&mut self) {
        // Removed before it is released; who waits finds that its file is gone and asks again.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).truncate(false).read(true).write(true).open(path).or_else(|error| {
        let folder = path.parent().filter(|_| error.kind() == io::ErrorKind::NotFound);
        fs::create_dir_all(folder.ok_or(error)?)?;
        File::options().create(true).truncate(false).read(true).write(true).open(path)
    })
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(there)) => (file.dev(), file.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

/// An open file cannot be removed there.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> bool {
    true
}
