//! Writing files so that they are whole when they become visible.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::{Store, StoreError, fault};

/// What took longer than this to compute is worth waiting for the disk.
const DEAR: Duration = Duration::from_secs(1);
/// Files that are never changed, so that a hard link to one is safe to hand out.
pub(crate) const READ_ONLY: u32 = 0o444;
/// Files that are still written to.
pub(crate) const WRITABLE: u32 = 0o666;

impl Store {
    /// Makes a file visible under its name only when it is whole. It reaches the disk with the
    /// next [`Store::sync`]; until then a power failure may cost it, and it is a miss.
    pub(crate) fn publish(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let refused = |error| StoreError::new("write", path, error);
        let mut file = self.temporary("file", READ_ONLY).map_err(refused)?;
        fault::point("file: write").and_then(|()| file.write_all(bytes)).map_err(refused)?;
        self.persist(file, path).map_err(refused)?;
        self.remember_visible(path.to_owned());
        Ok(())
    }

    /// Notes a file that is whole and visible, for the next [`Store::sync`].
    pub(crate) fn remember_visible(&self, path: PathBuf) {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    }

    /// A file in the store's own temporary folder, readable by whoever may read the store.
    pub(crate) fn temporary(&self, prefix: &str, mode: u32) -> io::Result<NamedTempFile> {
        fault::point("file: create")?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(prefix);
        #[cfg(not(unix))]
        let _ = mode;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // The process's umask takes away from these.
            builder.permissions(fs::Permissions::from_mode(mode));
        }
        let folder = self.root.join("tmp");
        let folder_was_lost = |error: &io::Error| error.kind() == io::ErrorKind::NotFound && self.root.is_dir();
        builder.tempfile_in(&folder).or_else(|error| {
            if !folder_was_lost(&error) {
                return Err(error);
            }
            fs::create_dir_all(&folder)?;
            builder.tempfile_in(&folder)
        })
    }

    pub(crate) fn persist(&self, file: NamedTempFile, path: &Path) -> io::Result<()> {
        fault::point("file: rename")?;
        match file.persist(path) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == io::ErrorKind::NotFound => {
                // Folders by the first two digits are made when first needed.
                fs::create_dir_all(path.parent().unwrap_or(&self.root))?;
                error.file.persist(path).map(drop).map_err(|error| error.error)
            }
            Err(error) => Err(error.error),
        }
    }

    /// Waits for the disk when what was written took so long to compute that this is worth it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn sync_after(&self, took: Duration) -> Result<(), StoreError> {
        if took >= DEAR { self.sync() } else { Ok(()) }
    }

    /// Waits until everything written so far is on the disk, directory entries too.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let paths: Vec<PathBuf> = std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        let mut folders = BTreeSet::new();
        for path in &paths {
            match File::open(path).and_then(|file| file.sync_data()) {
                Ok(()) => drop(path.parent().map(|folder| folders.insert(folder.to_owned()))),
                // Replaced or cleaned up since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::new("sync", path, error)),
            }
        }
        folders
            .iter()
            .try_for_each(|folder| sync_folder(folder).map_err(|error| StoreError::new("sync", folder, error)))
    }
}

/// Makes the names in a folder outlive a power failure.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The names in a folder, sorted; none where there is no such folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// Fills `bytes` from `offset` of a file that several threads read.
#[cfg(unix)]
pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

/// Fills `bytes` from `offset` of a file that several threads read.
#[cfg(windows)]
pub(crate) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}
