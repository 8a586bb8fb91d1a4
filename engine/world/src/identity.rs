//! What a file is known by.

use std::path::Path;

use pipe_store::Digest;
use sha1::{Digest as _, Sha1};

/// What a file is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Identity {
    /// The BLAKE3 digest of its bytes.
    #[default]
    Content,
    /// The SHA-1 of its bytes, which is its name; checked when the bytes are read anyway.
    Name,
}

/// The SHA-1 that a file is named by, its ending aside: 40 hex digits in lower case.
fn named_sha1(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?.to_ascii_lowercase();
    (stem.len() == 40 && stem.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(stem)
}

/// What stands for the content of a file that is known by its SHA-1; `None` where it is not named
/// by one.
pub(crate) fn named_digest(path: &Path) -> Option<Digest> {
    Some(Digest::of(format!("sha1 {}", named_sha1(path)?).as_bytes()))
}

/// Whether these are the bytes of the SHA-1 that the file is named by.
pub(crate) fn has_named_bytes(path: &Path, bytes: &[u8]) -> bool {
    let sha1: String = Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    named_sha1(path) == Some(sha1)
}
