//! Small JSON documents by name: records of nodes and of runs.

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
        let body = serde_json::to_value(document).map_err(refused)?;
        let digest = Digest::of(body.to_string().as_bytes());
        let sealed = serde_json::json!({ "digest": digest, "body": body });
        self.publish(&path, sealed.to_string().as_bytes())
    }

    /// The document of that name; `None` when it is not there, is damaged or of another form.
    pub fn document<T: DeserializeOwned>(&self, family: &str, name: &str) -> Option<T> {
        let text = fs::read(self.document_path(family, name)).ok()?;
        let mut sealed: serde_json::Value = serde_json::from_slice(&text).ok()?;
        let body = sealed.get_mut("body")?.take();
        let digest = Digest::of(body.to_string().as_bytes()).to_string();
        if sealed.get("digest")?.as_str()? != digest {
            return None;
        }
        serde_json::from_value(body).ok()
    }

    fn document_path(&self, family: &str, name: &str) -> PathBuf {
        self.root.join("documents").join(family).join(format!("{name}.json"))
    }
}
