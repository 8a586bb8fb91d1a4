//! Small documents by name: records of nodes and of runs, what was seen of the world.
//!
//! Their bytes, and behind them a line with their digest.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::names;
use crate::{Digest, Store, StoreError};

/// A line feed, 64 digits, a line feed.
const TRAILER: usize = 66;

impl Store {
    /// Stores a document under a name of two parts, replacing what was there.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn put_document<T: Serialize>(&self, family: &str, name: &str, document: &T) -> Result<(), StoreError> {
        let path = self.document_path(family, name);
        let refused = |error: serde_json::Error| StoreError::new("write", &path, error.into());
        self.put_signed(path.clone(), serde_json::to_vec(document).map_err(refused)?)
    }

    /// The document of that name; `None` when it is not there, is damaged or of another form.
    pub fn document<T: DeserializeOwned>(&self, family: &str, name: &str) -> Option<T> {
        serde_json::from_slice(&signed(&self.document_path(family, name))?).ok()
    }

    /// The names of a family's documents, sorted.
    pub fn documents(&self, family: &str) -> Vec<String> {
        let names = names(&self.root.join("documents").join(family)).into_iter();
        names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect()
    }

    /// Forgets a document.
    pub fn remove_document(&self, family: &str, name: &str) {
        // One that is not there is as it should be.
        let _ = fs::remove_file(self.document_path(family, name));
    }

    /// Stores what was seen of files outside, replacing what was there.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn put_world(&self, name: Digest, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.put_signed(self.root.join("world").join(name.to_string()), bytes)
    }

    /// What was seen of files outside; `None` when it is lost or damaged.
    pub fn world(&self, name: Digest) -> Option<Vec<u8>> {
        signed(&self.root.join("world").join(name.to_string()))
    }

    fn put_signed(&self, path: PathBuf, mut bytes: Vec<u8>) -> Result<(), StoreError> {
        let digest = Digest::of(&bytes);
        bytes.extend(format!("\n{digest}\n").as_bytes());
        self.publish(&path, &bytes)
    }

    fn document_path(&self, family: &str, name: &str) -> PathBuf {
        self.root.join("documents").join(family).join(format!("{name}.json"))
    }
}

/// The bytes of a file that ends in their digest.
pub(crate) fn signed(path: &std::path::Path) -> Option<Vec<u8>> {
    let mut bytes = fs::read(path).ok()?;
    let body = bytes.len().checked_sub(TRAILER)?;
    let digest = std::str::from_utf8(&bytes[body..]).ok()?.strip_prefix('\n')?.strip_suffix('\n')?.parse().ok()?;
    bytes.truncate(body);
    (Digest::of(&bytes) == digest).then_some(bytes)
}
