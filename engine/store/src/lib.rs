//! The store: bytes by the digest of their content, items by the key of their recipe.
//!
//! Knows nothing of pipelines. Everything in it is written to a temporary file and renamed, is
//! immutable once it is visible, and is checked against its digest when it is read: what is lost
//! or damaged is a miss, never a wrong answer.

mod blobs;
mod digest;
mod documents;
mod error;
mod index;
mod items;

use std::path::{Path, PathBuf};

pub use digest::{Digest, Hasher};
pub use error::StoreError;
pub use index::ItemEntry;
pub use items::ItemWriter;

/// The folder of the present format.
const FORMAT: &str = "v1";

/// A store in a folder. Several processes may use one at the same time.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    items: items::Items,
}

impl Store {
    /// Opens the store in `folder`, making it if it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let root = folder.join(FORMAT);
        for part in ["blobs", "documents", "index", "packs", "tmp"] {
            let part = root.join(part);
            std::fs::create_dir_all(&part).map_err(|error| StoreError::new("make the folder", &part, error))?;
        }
        let ignore = folder.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, "*\n").map_err(|error| StoreError::new("write", &ignore, error))?;
        }
        Ok(Self { items: items::Items::new(&root), root })
    }
}
