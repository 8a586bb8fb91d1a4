//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

/// The file system refused something.
#[derive(Debug, thiserror::Error)]
#[error("the store cannot {action} {}: {source}", path.display())]
pub struct StoreError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl StoreError {
    pub(crate) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source }
    }
}
