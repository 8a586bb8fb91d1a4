//! Bytes by the digest of their content.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::{Digest, Store, StoreError};

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

    /// The bytes of that digest; `None` when they are not there or are damaged.
    pub fn get(&self, digest: Digest) -> Option<Vec<u8>> {
        let bytes = fs::read(self.blob_path(digest)).ok()?;
        (Digest::of(&bytes) == digest).then_some(bytes)
    }

    fn blob_path(&self, digest: Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join("blobs").join(&name[..2]).join(&name[2..])
    }

    /// Makes a file visible under its name only when it is whole and on the disk.
    pub(crate) fn publish(&self, path: &std::path::Path, bytes: &[u8]) -> Result<(), StoreError> {
        let refused = |error| StoreError::new("write", path, error);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(refused)?;
        }
        let mut file = tempfile::NamedTempFile::new_in(self.root.join("tmp")).map_err(refused)?;
        file.write_all(bytes).map_err(refused)?;
        file.as_file().sync_data().map_err(refused)?;
        file.persist(path).map_err(|error| refused(error.error))?;
        Ok(())
    }
}
