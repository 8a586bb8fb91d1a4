//! Small JSON documents by name: records of nodes and of runs. A line of JSON, a line with its
//! digest.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Digest, Store, StoreError};

impl Store {
    /// Stores a document under a name of two parts, replacing what was there.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn put_document<T: Serialize>(&self, family: &str, name: &str, document: &T) -> Result<(), StoreError> {
        let path = self.document_path(family, name);
        let refused = |error: serde_json::Error| StoreError::new("write", &path, error.into());
        let body = serde_json::to_string(document).map_err(refused)?;
        let digest = Digest::of(body.as_bytes());
        self.publish(&path, format!("{body}\n{digest}\n").as_bytes())
    }

    /// The document of that name; `None` when it is not there, is damaged or of another form.
    pub fn document<T: DeserializeOwned>(&self, family: &str, name: &str) -> Option<T> {
        let text = fs::read_to_string(self.document_path(family, name)).ok()?;
        let (body, digest) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        if Digest::of(body.as_bytes()).to_string() != digest {
            return None;
        }
        serde_json::from_str(body).ok()
    }

    fn document_path(&self, family: &str, name: &str) -> PathBuf {
        self.root.join("documents").join(family).join(format!("{name}.json"))
    }
}
