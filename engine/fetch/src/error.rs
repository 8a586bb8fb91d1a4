//! Why a file could not be fetched.

use std::io;
use std::path::PathBuf;

/// Why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The host answered, but not with the file.
    #[error("{url} gives status {status}")]
    Status {
        /// The address.
        url: String,
        /// The status of HTTP: 404, 500.
        status: u16,
    },
    /// The host could not be reached, or made no sense.
    #[error("cannot fetch {url}: {reason}")]
    Io {
        /// The address.
        url: String,
        /// In words.
        reason: String,
    },
    /// No request can be made of it, or it leads nowhere.
    #[error("cannot fetch {url}: {reason}")]
    Address {
        /// The address.
        url: String,
        /// In words.
        reason: String,
    },
    /// It ended before the file did.
    #[error("{url} ended after {done} bytes: {reason}")]
    CutOff {
        /// The address.
        url: String,
        /// Bytes that came.
        done: u64,
        /// In words.
        reason: String,
    },
    /// The whole file came, and is another.
    #[error("{url} has the SHA-256 {found}, expected {expected}")]
    WrongDigest {
        /// The address.
        url: String,
        /// The digest that was asked for.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// The disk refused.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It was asked to stop.
    #[error("stopped")]
    Stopped,
}

impl FetchError {
    /// Whether another try may go well.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Io { .. } | Self::CutOff { .. } => true,
            Self::Status { status, .. } => *status >= 500 || matches!(*status, 408 | 429),
            Self::Address { .. } | Self::WrongDigest { .. } | Self::Write { .. } | Self::Stopped => false,
        }
    }
}
