//! Folders for work under way.
//!
//! They are used again: file systems that avoid the places of files just deleted (ext4) create
//! files several times as slowly behind many deletions.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use crate::{Store, StoreError};

/// A folder with two empty folders in it, `in` and `out`, for one piece of work.
#[derive(Debug)]
pub struct WorkFolder<'a> {
    store: &'a Store,
    path: PathBuf,
}

impl Store {
    /// A folder to work in. What is left in it is removed when it is dropped.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn work_folder(&self) -> Result<WorkFolder<'_>, StoreError> {
        if let Some(path) = self.work.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(WorkFolder { store: self, path });
        }
        let tmp = self.root.join("tmp");
        let made = || -> io::Result<PathBuf> {
            let path = tempfile::Builder::new().prefix("work-").tempdir_in(&tmp)?.keep();
            fs::create_dir(path.join("in"))?;
            fs::create_dir(path.join("out"))?;
            Ok(path)
        };
        let path = made().map_err(|error| StoreError::new("write in", &tmp, error))?;
        Ok(WorkFolder { store: self, path })
    }
}

impl WorkFolder<'_> {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkFolder<'_> {
    fn drop(&mut self) {
        let emptied = empty(&self.path.join("in")).and_then(|()| empty(&self.path.join("out")));
        match emptied {
            Ok(()) => {
                let mut free = self.store.work.lock().unwrap_or_else(PoisonError::into_inner);
                free.push(std::mem::take(&mut self.path));
            }
            // Whatever was done to it, the next one gets another.
            Err(_) => drop(fs::remove_dir_all(&self.path)),
        }
    }
}

fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}

impl Drop for Store {
    fn drop(&mut self) {
        for path in self.work.get_mut().unwrap_or_else(PoisonError::into_inner) {
            // One that cannot be removed now is removed when it is a day old.
            let _ = fs::remove_dir_all(path);
        }
    }
}
