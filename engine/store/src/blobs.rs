//! Bytes by the digest of their content.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::digest::Hasher;
use crate::{Digest, Store, StoreError, fault};

/// Bytes that are read at once.
const PART: usize = 1 << 20;

impl Store {
    /// Stores bytes and returns their digest. Bytes that are there already are not written again.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        // Read back rather than looked at, so that a damaged blob is mended.
        if self.get(digest).is_none() {
            self.publish(&self.blob_path(digest), bytes)?;
        }
        Ok(digest)
    }

    /// Moves a file from [`Store::work_folder`] or [`Store::lock_part`] into the store and returns the digest of its bytes.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn take_file(&self, path: &Path) -> Result<Digest, StoreError> {
        let refused = |error| StoreError::new("take in", path, error);
        let digest = digest_of_file(path).map_err(refused)?;
        let blob = self.blob_path(digest);
        if digest_of_file(&blob).is_ok_and(|there| there == digest) {
            fs::remove_file(path).map_err(refused)?;
            return Ok(digest);
        }
        fault::point("blob: take").map_err(refused)?;
        fs::rename(path, &blob)
            .or_else(|_| {
                fs::create_dir_all(blob.parent().unwrap_or(&self.root))?;
                fs::rename(path, &blob)
            })
            .map_err(refused)?;
        let mut permissions = fs::metadata(&blob).map_err(refused)?.permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&blob, permissions).map_err(refused)?;
        self.remember_visible(blob);
        Ok(digest)
    }

    /// The bytes of that digest; `None` when they are not there or are damaged.
    pub fn get(&self, digest: Digest) -> Option<Vec<u8>> {
        let path = self.blob_path(digest);
        let bytes = fs::read(&path).ok()?;
        if Digest::of(&bytes) == digest {
            return Some(bytes);
        }
        // Out of the way, so that from now on `has` too says that it is lost.
        let _ = fs::remove_file(&path);
        None
    }

    /// Whether there is a file for that digest, its bytes unread.
    pub fn has(&self, digest: Digest) -> bool {
        self.blob_path(digest).is_file()
    }

    /// Where the bytes of that digest lie, checked; `None` when they are lost or damaged.
    pub fn path_of(&self, digest: Digest) -> Option<PathBuf> {
        let path = self.blob_path(digest);
        if digest_of_file(&path).ok()? == digest {
            return Some(path);
        }
        let _ = fs::remove_file(&path);
        None
    }

    fn blob_path(&self, digest: Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join("blobs").join(&name[..2]).join(&name[2..])
    }
}

/// The digest of a file's bytes, read in parts.
pub(crate) fn digest_of_file(path: &Path) -> io::Result<Digest> {
    Ok(hash(&mut File::open(path)?)?.finish())
}

/// Reads a file from where it is to its end.
pub(crate) fn hash(file: &mut File) -> io::Result<Hasher> {
    let mut hasher = Hasher::default();
    let length = file.metadata()?.len();
    let mut part = vec![0; usize::try_from(length).unwrap_or(PART).clamp(1, PART)];
    loop {
        match file.read(&mut part)? {
            0 => return Ok(hasher),
            read => drop(hasher.update(&part[..read])),
        }
    }
}
