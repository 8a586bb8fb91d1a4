//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused something.
    #[error("the store cannot {action} {}: {source}", path.display())]
    Refused {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A later version of the program wrote it.
    #[error("the store {} was written by a newer pipe (format {format}, this one reads {})", path.display(), crate::VERSION)]
    Newer {
        /// The store's folder.
        path: PathBuf,
        /// The number of its format.
        format: u32,
    },
}

impl StoreError {
    pub(crate) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Refused { action, path: path.to_owned(), source }
    }

    pub(crate) fn newer(path: &Path, format: u32) -> Self {
        Self::Newer { path: path.to_owned(), format }
    }

    /// What a person can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Newer { .. } => "use that version, or another store: PIPE_STORE names one",
            Self::Refused { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "make room on the disk, for instance with `pipe gc`, and run again: what is finished is kept"
            }
            Self::Refused { .. } => "see that the folder may be written, or name another with PIPE_STORE",
        }
    }
}
