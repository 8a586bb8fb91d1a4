//! A GPU in words, and why there is none.

/// Why a GPU cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeviceMissing(pub(crate) String);

/// A GPU that is there, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// What it is called, and what is known of it.
    pub text: String,
    /// The bytes of its memory, where they are known.
    pub memory: Option<u64>,
    /// Whether it is a program that plays a GPU.
    pub is_software: bool,
}
